"""Training long series in little memory changes nothing but the memory."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtimes.tensorflow.checkpoints import steps_of_chunk
from nengo_dl.runtimes.tensorflow.residuals import Residuals

STEPS = 10


def recurrent(**settings):
    """A recurrent network with spikes, filters, a clock, a reduced probe and a shared constant."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(
            dtype="float64", training_spikes="fast_sigmoid", keep_history=True, **settings
        )
        net.inp = nengo.Node([0.5, 0.2])
        wave = nengo.Node(lambda t: np.sin(40 * t))
        ens = nengo.Ensemble(10, 2, label="ens")
        net.out = nengo.Node(size_in=2)
        nengo.Connection(net.inp, ens, synapse=0.005)
        nengo.Connection(wave, ens[0], synapse=None)
        nengo.Connection(ens, ens, synapse=0.01)
        nengo.Connection(ens, net.out, synapse=None)
        net.series, net.last = nengo.Probe(net.out, synapse=0.01), nengo.Probe(ens.neurons)
        net.config[net.last].keep_history = False
    return net


def trained(unroll=1, **settings):
    """Losses, all weights and the step reached, after three batches that go on from each other."""
    rng = np.random.RandomState(1)
    net = recurrent(**settings)
    x, y = rng.uniform(-1, 1, (2, 6, STEPS, 2))
    targets = {net.series: y, net.last: rng.uniform(0, 100, (6, 1, 10))}
    with nengo_dl.Simulator(
        net, minibatch_size=2, unroll_simulation=unroll, progress_bar=False, seed=0
    ) as sim:
        sim.compile(keras.optimizers.SGD(1e-4), loss="mse")
        history = sim.fit({net.inp: x}, targets, shuffle=False, verbose=0, stateful=True).history
        return history["loss"], [w.numpy() for w in sim.keras_model.trainable_weights], sim.n_steps


@pytest.fixture(scope="module")
def reference():
    return {unroll: trained(unroll) for unroll in (1, 2)}


@pytest.mark.training
@pytest.mark.parametrize("steps, unroll", [(5, 1), (4, 1), (99, 1), (3, 2)])
def test_training_is_the_same(steps, unroll, reference):
    losses, weights, n_steps = trained(unroll, checkpoint_steps=steps)
    expected_losses, expected, _ = reference[unroll]
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-12)
    for found, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)
    assert n_steps == 3 * STEPS


@pytest.mark.parametrize(
    "steps, length, unroll, expected", [(7, 10, 1, 7), (7, 5, 1, 5), (7, 100, 4, 8)]
)
def test_steps_of_chunk(steps, length, unroll, expected):
    assert steps_of_chunk(steps, length, unroll) == expected


@pytest.mark.parametrize("steps", [1, 2, 10, 97, 1000])
@pytest.mark.parametrize("step, chunk, always", [(5, 3, 0), (1, 40, 1), (7, 0, 2)])
def test_chunks_are_as_long_as_fit(step, chunk, always, steps):
    """Against all lengths, tried one by one; chunks of equal length may be shorter."""
    kept = Residuals(step, chunk, always)
    need = {k: always * steps + step * k + chunk * steps / k for k in range(1, steps + 1)}
    for share in (0.05, 0.3, 0.6, 0.9, 1.01):
        room = share * (step + always) * steps
        found = kept.longest_chunk(steps, room)
        if share > 1:
            assert found is None
            continue
        if found is None:  # the states of two chunks take more than all steps do
            assert min(need, key=need.get) == steps
            continue
        fitting = [k for k in need if need[k] <= room]
        if fitting:
            assert -(-steps // found) == max(-(-steps // max(fitting)), 2)
            assert need[found] <= room + chunk  # of a last, shorter chunk
        else:  # two integers are next to where it is least
            assert need[found] <= 1.3 * min(need.values())
        assert kept.longest_chunk(steps, room, unroll=4) % 4 == 0


@pytest.mark.training
def test_automatic_chunks(reference):
    """In memory for a few steps, chunks are computed again; in the machine's, none is."""
    losses, weights, _ = trained(training_memory=4_000)
    np.testing.assert_allclose(losses, reference[1][0], rtol=1e-12)
    for found, wanted in zip(weights, reference[1][1], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)


#: Bytes, and the lengths of chunks for 1,000 steps; all take 576,000, of which 160,000 always.
MEMORY = [(1e5, range(29, 33)), (2.5e5, range(195, 213)), (1e9, ())]


@pytest.mark.parametrize("memory, expected", MEMORY)
def test_the_strategy_follows_from_memory(memory, expected):
    net = recurrent(training_memory=memory)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        graph = sim.session.graph
        with graph.tracing(1000, masked=False, still=frozenset()):
            how = graph.strategy("train")
            test = graph.strategy("test")
    assert test.checkpoint_steps is None
    if not expected:
        assert how.checkpoint_steps is None
        return
    assert how.checkpoint_steps in expected
    assert f"chunks of time again: {how.checkpoint_steps} steps" in str(how)


def doubled(x):
    return 2 * x


@pytest.mark.training
@pytest.mark.parametrize("kind", ["python", "tensorflow"])
def test_what_may_not_run_twice_is_named(kind):
    calls = []

    def python(t, x):
        calls.append(t)
        return 2 * x

    with nengo.Network() as net:
        nengo_dl.configure_settings(checkpoint_steps=2)
        if kind == "python":
            node = nengo.Node(python, size_in=1, size_out=1, label="user's node")
        else:
            node = nengo_dl.TensorNode(
                doubled, shape_in=(1,), shape_out=(1,), pass_time=False, label="user's node"
            )
        inp = nengo.Node([0])
        nengo.Connection(inp, node, synapse=None)
        probe = nengo.Probe(node)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        with pytest.warns(UserWarning, match="checkpoint_steps is ignored: .*user's node"):
            sim.fit({inp: np.ones((1, 4, 1))}, {probe: np.ones((1, 4, 1))}, verbose=0)
    assert len(calls) == (4 if kind == "python" else 0)


@pytest.mark.training
def test_convolutions_in_chunks():
    """XLA compiles loops alone then, within the loop over chunks; one chunk is shorter."""

    def weights(steps):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(
                dtype="float64", training_spikes="fast_sigmoid", checkpoint_steps=steps
            )
            net.config[nengo.Connection].synapse = None
            inp = nengo.Node(np.zeros(36))
            transform = nengo.Convolution(2, (6, 6, 1), kernel_size=(3, 3))
            neurons = nengo.Ensemble(32, 1, gain=np.ones(32), bias=np.ones(32)).neurons
            nengo.Connection(inp, neurons, transform=transform)
            probe = nengo.Probe(neurons, synapse=0.01)
        x = np.random.RandomState(0).rand(2, 5, 36)
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, seed=0) as sim:
            sim.compile(keras.optimizers.SGD(1e-6), loss="mse")
            assert sim.session.graph.strategy("train").scope.name == "LOOPS"
            sim.fit({inp: x}, {probe: np.zeros((2, 5, 32))}, verbose=0)
            return list(sim.session.graph.parameters.values().values())

    for found, wanted in zip(weights(2), weights(None), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
