"""Python state that `make_step` makes, and random numbers, where a call leaves no state behind."""

from functools import partial

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import ConfigError, ValidationError

import nengo_dl
from nengo_dl.runtimes.numpy import first_steps

N_STEPS = 5


class Counting(nengo.Process):
    """Counts the steps in a closure."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        count = [0]

        def step(t, x=0.0):
            count[0] += 1
            return np.full(shape_out, count[0] + np.sum(x))

        return step


class CountingSynapse(nengo.synapses.Synapse):
    """The same, as a synapse."""

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return {}

    make_step = Counting.make_step


class CountingRule(nengo.builder.operator.Operator):
    """The same, as an operator of the user's own."""

    def __init__(self, source, target):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [target], [], [source], []

    def make_step(self, signals, dt, rng):
        count, source, target = [0], signals[self.reads[0]], signals[self.sets[0]]

        def step():
            count[0] += 1
            target[...] = count[0] + np.sum(source)

        return step


def source(node):
    return nengo.Probe(nengo.Node(Counting(default_size_out=1)))


def process(node):
    counting = nengo.Node(Counting(default_size_in=1, default_size_out=1), size_in=1)
    nengo.Connection(node, counting, synapse=None)
    return nengo.Probe(counting)


def synapse(node):
    relay = nengo.Node(size_in=1)
    nengo.Connection(node, relay, synapse=CountingSynapse())
    return nengo.Probe(relay)


def probe_synapse(node):
    return nengo.Probe(node, synapse=CountingSynapse())


def called_source(node):
    """A source next to Python with inputs: it is called within each step."""
    nengo.Connection(node, nengo.Node(lambda t, x: None, size_in=1, size_out=0), synapse=None)
    return source(node)


KINDS = [source, called_source, process, synapse, probe_synapse]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def net(request):
    """A network with Python state of some kind."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.node = nengo.Node([0.0])
        net.probe = request.param(net.node)
    return net


@pytest.fixture(params=["numpy", "tensorflow"], autouse=True)
def engine(request, monkeypatch):
    """Run loops with Python in them in NumPy, or in TensorFlow."""
    if request.param == "tensorflow":
        monkeypatch.setattr(first_steps, "numpy_loop", lambda *_: None)


def in_nengo(net, steps=N_STEPS):
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(steps)
        return sim.data[net.probe]


@pytest.mark.parametrize("minibatch_size", [None, 1, 3])
def test_each_item_of_a_prediction_is_what_nengo_makes_of_it(net, minibatch_size):
    expected = in_nengo(net)
    data = {net.node: np.zeros((3, N_STEPS, 1))}
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        for _ in range(2):
            for item in sim.predict(data)[net.probe]:
                np.testing.assert_array_equal(item, expected)


def test_a_prediction_leaves_a_run_as_it_was(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)
        sim.predict(n_steps=N_STEPS)
        sim.run_steps(3, stateful=False)
        sim.clear_probes()
        sim.run_steps(N_STEPS - 3)
        np.testing.assert_array_equal(sim.data[net.probe], in_nengo(net)[3:])
        sim.reset()
        sim.run_steps(N_STEPS)
        np.testing.assert_array_equal(sim.data[net.probe], in_nengo(net))


def test_stateful_predictions_go_on(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for first in (0, N_STEPS):
            found = sim.predict(n_steps=N_STEPS, stateful=True)[net.probe][0]
            np.testing.assert_array_equal(
                found, in_nengo(net, 2 * N_STEPS)[first : first + N_STEPS]
            )


@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_evaluating_begins_anew_in_each_minibatch(net, minibatch_size):
    data = {net.node: np.zeros((6, N_STEPS, 1))}
    targets = {net.probe: np.repeat(in_nengo(net)[None], 6, axis=0)}
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        for _ in range(2):
            assert sim.evaluate(data, targets, verbose=0)["loss"] == 0
        assert sim.fit(data, targets, epochs=2, verbose=0).history["loss"] == [0, 0]
        sim.run_steps(N_STEPS)
        found = sim.data[net.probe].reshape(-1, N_STEPS, 1)
        np.testing.assert_array_equal(found, targets[net.probe][: len(found)])


def test_restoring_a_state_makes_steps_anew(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        isolate = nengo_dl.callbacks.IsolateState(sim)
        sim.run_steps(N_STEPS)
        isolate.reset()
        sim.clear_probes()
        sim.run_steps(N_STEPS)
        np.testing.assert_array_equal(sim.data[net.probe], in_nengo(net))


def test_operators_of_the_users_own_begin_anew():
    model = nengo.builder.Model()
    with nengo.Network() as net:
        node = nengo.Node([0.0])
        relay = nengo.Node(size_in=1)
        net.probe = nengo.Probe(relay)
    model.build(net)
    model.operators.remove(
        next(op for op in model.operators if op.sets == [model.sig[relay]["in"]])
    )
    model.add_op(CountingRule(model.sig[node]["out"], model.sig[relay]["in"]))
    with nengo_dl.Simulator(None, model=model, progress_bar=False) as sim:
        for _ in range(2):
            found = sim.predict({node: np.zeros((2, N_STEPS, 1))})[net.probe]
            np.testing.assert_array_equal(found[:, :, 0], [np.arange(1, N_STEPS + 1)] * 2)


# ------------------------------------------------------------------ random numbers


def noisy():
    """A network that draws random numbers in all ways there are."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.node = nengo.Node([0.0])
        nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(seed=3)))
        nengo.Probe(nengo.Node(nengo.processes.FilteredNoise()))
        noise = nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise())
        nengo.Probe(noise.neurons, "input")
        for kind in (nengo.PoissonSpiking, nengo.StochasticSpiking):
            nengo.Probe(nengo.Ensemble(5, 1, neuron_type=kind(nengo.LIFRate())).neurons)
        filtered = nengo.Node(Drawing(default_size_in=1, default_size_out=1), size_in=1)
        nengo.Connection(net.node, filtered, synapse=None)
        nengo.Probe(filtered)
    return net


class Drawing(nengo.Process):
    """A process in the loop that draws."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x + rng.standard_normal(shape_out)


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_predictions_begin_from_the_present_noise_and_leave_it(minibatch_size):
    net = noisy()
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(12)
        expected = {p: sim.data[p] for p in net.probes}
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.run_steps(4)
        for _ in range(2):
            for probe, found in sim.predict(n_steps=8).items():
                np.testing.assert_allclose(found[0], expected[probe][4:], atol=1e-12)
        sim.run_steps(3, stateful=False)
        sim.clear_probes()
        sim.run_steps(8)
        for probe in net.probes:
            found = sim.data[probe] if minibatch_size is None else sim.data[probe][0]
            np.testing.assert_allclose(found, expected[probe][4:], atol=1e-12)


def test_items_hear_the_same_noise_in_minibatches_of_any_size():
    net = noisy()
    found = []
    for minibatch_size in (1, 2, 6):
        with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
            found.append(sim.predict({net.node: np.zeros((6, 5, 1))}))
    for probe in net.probes:
        for other in found[1:]:
            np.testing.assert_allclose(other[probe], found[0][probe], atol=1e-12)


def test_evaluating_repeats_its_noise_and_training_goes_on():
    net = noisy()
    with net:
        out = nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(), size_in=0))
        ens = nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise())
        out = nengo.Probe(ens)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss={out: "mse"})
        data, targets = {net.node: np.zeros((2, 5, 1))}, {out: np.ones((2, 5, 1))}
        losses = [sim.evaluate(data, targets, verbose=0)["loss"] for _ in range(2)]
        assert losses[0] == losses[1]
        first, second = (sim.fit(data, targets, verbose=0).history["loss"] for _ in range(2))
        assert first != second
        assert sim.evaluate(data, targets, verbose=0)["loss"] == losses[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_unseeded_networks_draw_what_nengo_draws(seed, monkeypatch):
    """Unless Nengo draws for trial steps while it builds, as for its own tests."""
    monkeypatch.setitem(nengo.rc["nengo.Simulator"], "fail_fast", "False")
    found = []
    for simulator in (partial(nengo.Simulator, optimize=False), nengo_dl.Simulator):
        np.random.seed(seed)
        with nengo.Network() as net:
            nengo_dl.configure_settings(dtype="float64")
            node = nengo.Node(nengo.processes.WhiteSignal(1, 10))
            ens = nengo.Ensemble(20, 1, noise=nengo.processes.WhiteNoise())
            nengo.Connection(node, ens)
            probes = [nengo.Probe(node), nengo.Probe(ens, synapse=0.01)]
        with simulator(net, progress_bar=False) as sim:
            sim.run_steps(30)
            found.append([*(sim.data[p] for p in probes), np.random.rand()])
    for wanted, mine in zip(*found, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-12)


# ------------------------------------------------------------------ what is recorded


@pytest.mark.parametrize("sample_every", [None, 0.002])
def test_times_match_what_is_recorded_without_state(sample_every):
    with nengo.Network() as net:
        nengo_dl.configure_settings(stateful=False, dtype="float64")
        node = nengo.Node(lambda t: t)
        probe = nengo.Probe(node, sample_every=sample_every)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert len(sim.trange()) == 0
        for _ in range(2):
            sim.run_steps(5)
            np.testing.assert_allclose(sim.data[probe][:, 0], sim.trange(sample_every))
        assert sim.n_steps == 0
        sim.clear_probes()
        assert len(sim.trange()) == 0


def test_times_of_a_run_without_state_come_again():
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(2)
        sim.run_steps(2, stateful=False)
        sim.run_steps(1)
        np.testing.assert_allclose(sim.data[probe][:, 0], [0.001, 0.002, 0.003, 0.004, 0.003])
        np.testing.assert_allclose(sim.trange(), sim.data[probe][:, 0])


@pytest.mark.parametrize("python", [False, True])
def test_probes_of_constants_have_a_row_for_each_item(python):
    with nengo.Network() as net:
        node, relay, alone = nengo.Node([1.0, 2.0]), nengo.Node(size_in=2), nengo.Node(size_in=2)
        conn = nengo.Connection(node, relay, synapse=None, transform=[[1, 0], [0, 2]])
        ens = nengo.Ensemble(5, 1)
        if python:
            calling = nengo.Node(lambda t, x: x, size_in=2)
            nengo.Connection(node, calling, synapse=None)
        probes = [nengo.Probe(obj) for obj in (node, relay, alone, ens)]
        probes += [nengo.Probe(ens.neurons, key) for key in ("input", "voltage")]
        weights = nengo.Probe(conn, "weights")
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sim.run_steps(4)
        found = sim.predict(n_steps=4)
        outputs = sim.keras_model({"node": np.ones((3, 4, 2)), "n_steps": np.full((3, 1), 4)})
        for probe in probes:
            assert sim.data[probe].shape[:2] == found[probe].shape[:2] == (3, 4)
            assert outputs[sim.get_name(probe)].shape[:2] == (3, 4)
        assert sim.data[weights].shape == found[weights].shape == (1, 4, 2, 2)
        np.testing.assert_array_equal(found[probes[1]], np.tile([1.0, 4.0], (3, 4, 1)))


# ------------------------------------------------------------------ sources that are called


def closed_loop(pure=None):
    """An environment that one node shows and another one changes."""
    env, calls = {"x": 0.0}, []

    def show(t):
        calls.append(t)
        return env["x"]

    def act(t, a):
        env["x"] += 0.1 * (1 - a[0])

    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        net.node = nengo.Node(show, size_out=1, label="shown")
        nengo.Connection(net.node, nengo.Node(act, size_in=1), synapse=None)
        net.probe = nengo.Probe(net.node)
        if pure is not None:
            nengo_dl.configure_settings(pure=pure)
    net.env, net.calls = env, calls
    return net


def test_a_closed_loop_through_a_shared_object_is_that_of_nengo():
    net = closed_loop()
    expected = in_nengo(net, 50)
    for cuts in ([50], [10, 40], [1] * 50):
        net = closed_loop()
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            for n in cuts:
                sim.run_steps(n)
            np.testing.assert_allclose(sim.data[net.probe], expected, atol=1e-14)
            assert len(net.calls) == 50
    net = closed_loop()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.predict(n_steps=50)[net.probe][0], expected, atol=1e-14)


def test_functions_are_called_once_a_step_and_actions_for_each_item():
    net = closed_loop()
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        x, expected = net.env["x"], []
        sim.run_steps(4)
        found = sim.data[net.probe]
        for _ in range(4):
            expected.append(x)
            x += 3 * 0.1 * (1 - expected[-1])
        np.testing.assert_allclose(found[..., 0], [expected] * 3, atol=1e-14)
        assert len(net.calls) == 4


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_called_functions_give_way_to_data(minibatch_size):
    net, size = closed_loop(), minibatch_size or 1
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        data = np.random.RandomState(0).rand(2 * size, 5, 1)
        np.testing.assert_array_equal(sim.predict({net.node: data})[net.probe], data)
        sim.run_steps(5, data={net.node: data[:size]})
        np.testing.assert_array_equal(sim.data[net.probe].reshape(size, 5, 1), data[:size])
        assert not net.calls
        sim.compile("sgd", loss="mse")
        assert sim.evaluate({net.node: data}, {net.probe: data}, verbose=0)["loss"] == 0
        assert not net.calls


def test_evaluating_calls_functions_within_each_step_too():
    net = closed_loop()
    targets = in_nengo(net, 5)[None]
    net = closed_loop()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        loss = sim.evaluate(n_steps=5, y={net.probe: targets}, verbose=0)["loss"]
        assert loss == pytest.approx(0, abs=1e-20)


def test_the_gradient_of_data_passes_a_called_function():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(lambda t: 1.0, size_out=1)
        nengo.Connection(node, nengo.Node(lambda t, x: None, size_in=1, size_out=0), synapse=None)
        nengo.Probe(nengo.Ensemble(3, 1, neuron_type=nengo.Tanh()))
        nengo.Connection(node, net.ensembles[0], synapse=None)
        nengo.Probe(net.ensembles[0])
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.check_gradients()


def test_two_sources_take_turns():
    world = []

    def network():
        world.clear()
        with nengo.Network() as net:
            nengo_dl.configure_settings(dtype="float64")
            one = nengo.Node(lambda t: world.append(1) or len(world), size_out=1)
            two = nengo.Node(lambda t: world.append(2) or len(world), size_out=1)
            nengo.Node(lambda t: world.append(3), size_out=0)
            net.both = [nengo.Probe(one), nengo.Probe(two)]
        return net

    net = network()
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(30)
        expected, order = [sim.data[p] for p in net.both], list(world)
    for cuts in ([30], [20, 10], [1] * 30):
        net = network()
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            for n in cuts:
                sim.run_steps(n)
            assert world == order
            for probe, wanted in zip(net.both, expected, strict=True):
                np.testing.assert_array_equal(sim.data[probe], wanted)
    net = network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.predict(n_steps=30)
        assert world == order


def test_tensor_nodes_that_call_python_see_the_present_step():
    env = {"x": 0.0}

    def act(x):
        env["x"] += 1
        return x

    def tensors(x):
        y = tf.numpy_function(act, [x], x.dtype)
        y.set_shape(x.shape)
        return y

    with nengo.Network() as net:
        node = nengo.Node(lambda t: env["x"], size_out=1)
        calling = nengo_dl.TensorNode(tensors, shape_in=(1,), shape_out=(1,), pass_time=False)
        nengo.Connection(node, calling, synapse=None)
        probe = nengo.Probe(node)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        env["x"] = 0.0
        sim.run_steps(5)
        np.testing.assert_array_equal(sim.data[probe][:, 0], np.arange(5))
        env["x"] = 0.0
        np.testing.assert_array_equal(sim.predict(n_steps=5)[probe][0, :, 0], np.arange(5))


def test_callbacks_between_minibatches_change_what_functions_give():
    env = {"x": 1.0}

    class Changing(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            env["x"] += 1

    with nengo.Network() as net:
        node, other = nengo.Node(lambda t: env["x"], size_out=1), nengo.Node([0.0])
        probe = nengo.Probe(node)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        found = sim.predict({other: np.zeros((3, 2, 1))}, callbacks=[Changing()])[probe]
        np.testing.assert_array_equal(found[:, :, 0], [[1, 1], [2, 2], [3, 3]])


# ------------------------------------------------------------------ the setting


def is_called(net):
    """Whether a function of time is called within each step."""
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        return any(op.kind == "source" for op in sim.program.ops)


def test_pure_functions_are_drawn_ahead():
    assert is_called(closed_loop())
    assert is_called(closed_loop(pure=False))
    assert not is_called(closed_loop(pure=True))
    net = closed_loop()
    net.config[nengo.Node].set_param("pure", nengo.params.BoolParam("pure", optional=True))
    net.config[net.node].pure = True
    assert not is_called(net)


def test_the_nearest_network_says_what_is_pure():
    net = closed_loop(pure=True)
    with net, nengo.Network():
        nengo_dl.configure_settings(pure=False)
        nengo.Node(lambda t: 1.0, size_out=1)
        nengo.Node(lambda t, x: None, size_in=1, size_out=0)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert sum(op.kind == "source" for op in sim.program.ops) == 1


def test_known_sources_are_drawn_ahead():
    with nengo.Network() as net:
        nengo.Node(nengo.processes.WhiteSignal(1, 5))
        nengo.Node(nengo.processes.Piecewise({0: 1.0, 0.1: 2.0}))
        nengo.Node(np.sin)
        nengo.Node([1.0])
        nengo.Node(lambda t, x: None, size_in=1, size_out=0)
    assert not is_called(net)
    with net:
        nengo.Node(nengo.processes.Piecewise({0: np.zeros(1), 0.1: lambda t: [t]}))
    assert is_called(net)


@pytest.mark.parametrize("value", ["yes", 2, 0.5])
def test_pure_is_a_truth_value(value):
    with nengo.Network():
        with pytest.raises(ValidationError, match="pure.*expected True, False or None"):
            nengo_dl.configure_settings(pure=value)
        with pytest.raises(ConfigError, match="unknown option 'pur'"):
            nengo_dl.configure_settings(pur=True)
