"""Which loops become one kernel, and that this changes nothing but their speed."""

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.runtimes.tensorflow import execute
from nengo_dl.runtimes.tensorflow import single_kernel as one_kernel
from nengo_dl.runtimes.tensorflow.shared_functions import SHARED
from nengo_dl.runtimes.tensorflow.single_kernel import as_one_kernel

N_STEPS = 60


def population(n_neurons=10, dimensions=1, **kwargs):
    """Recurrent ensembles, of few members or large."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(lambda t: np.sin(20 * t + np.arange(dimensions)))
        ens = nengo.Ensemble(n_neurons, dimensions, **kwargs)
        nengo.Connection(node, ens)
        nengo.Connection(ens, ens, synapse=0.01, transform=0.5)
        nengo.Probe(ens, synapse=nengo.Alpha(0.01))
    return net


def array():
    net = nengo.networks.EnsembleArray(10, 20, seed=0)
    with net:
        nengo_dl.configure_settings(dtype="float64")
        nengo.Connection(nengo.Node(lambda t: np.sin(t + np.arange(20))), net.input)
        nengo.Connection(net.output, net.input, synapse=nengo.synapses.Triangle(0.004))
        nengo.Probe(net.output, synapse=nengo.LinearFilter([1], [1e-4, 0.02, 1]))
    return net


def learning(rule):
    net = population()
    (ens,) = net.all_ensembles
    with net:
        post = nengo.Ensemble(8, 1)
        function = {"solver": nengo.solvers.LstsqL2(weights=rule.modifies == "weights")}
        connection = nengo.Connection(ens, post, learning_rule_type=rule, **function)
        if isinstance(rule, nengo.PES | nengo.RLS):
            nengo.Connection(post, connection.learning_rule)
        nengo.Probe(post, synapse=0.01)
        nengo.Probe(connection, "weights", sample_every=0.02)
    return net


def convolution():
    net = population(16)
    (ens,) = net.all_ensembles
    with net:
        transform = nengo.Convolution(1, (4, 4, 1), padding="same")
        nengo.Connection(ens.neurons, ens.neurons, transform=transform)
    return net


def several_decoders():
    net = population(200)
    (ens,) = net.all_ensembles
    with net:
        for function in (np.square, np.sin):
            nengo.Connection(ens, ens, function=function, synapse=0.01)
    return net


def sparse():
    net = population()
    (ens,) = net.all_ensembles
    with net:
        transform = nengo.Sparse((10, 10), [[0, 1], [3, 4]], [1.0, 2.0])
        nengo.Connection(ens.neurons, ens.neurons, transform=transform)
    return net


INLINE = {
    "ensemble": population,
    "spiking rectified": lambda: population(neuron_type=nengo.SpikingRectifiedLinear()),
    "adaptive": lambda: population(neuron_type=nengo.AdaptiveLIF()),
    "Izhikevich": lambda: population(neuron_type=nengo.Izhikevich()),
    "dimensions": lambda: population(40, 12),
    "array": array,
    **{
        name: lambda rule=rule: learning(rule)
        for name, rule in {
            "PES": nengo.PES(),
            "RLS": nengo.RLS(),
            "BCM": nengo.BCM(),
            "Oja": nengo.Oja(),
            "Voja": nengo.Voja(),
        }.items()
    },
}
BATCHED = ("ensemble", "spiking rectified", "array", "Voja")


def simulated(net, batch=None):
    """Return whether some loop is one kernel, and what all probes see."""
    with nengo_dl.Simulator(net, progress_bar=False, minibatch_size=batch, seed=0) as sim:
        sim.run_steps(N_STEPS)
        return is_inline(sim), [np.array(sim.data[p]) for p in net.all_probes]


def is_inline(sim):
    """Return whether some loop is one kernel."""
    return any(stage.inline for stage in sim.strategy.program.stages)


@pytest.mark.parametrize(
    "name, batch", [*((name, None) for name in INLINE), *((name, 3) for name in BATCHED)]
)
def test_same_numbers(name, batch):
    net = INLINE[name]()
    inside, found = simulated(net, batch)
    with costs.assuming(single_kernel_elements=-1):
        outside, expected = simulated(net, batch)
    assert inside and not outside
    for a, b in zip(found, expected, strict=True):
        assert np.any(a)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("known", [True, False])
def test_only_if_possible(known, monkeypatch):
    """With another TensorFlow, XLA might end the process."""
    calls = []

    def spy(*arguments):
        calls.append(arguments)
        return as_one_kernel(*arguments)

    monkeypatch.setattr(execute, "as_one_kernel", spy)
    monkeypatch.setattr(one_kernel, "KNOWN", (tf.__version__,) if known else ())
    with nengo_dl.Simulator(population(), progress_bar=False) as sim:
        sim.run_steps(N_STEPS)
    assert len(calls) == known


def test_goes_on_if_xla_refuses(monkeypatch, caplog):
    _, expected = simulated(population())

    def refuse(*_):
        raise tf.errors.UnimplementedError(None, None, "of this kind")

    SHARED.clear()  # of what was not refused
    monkeypatch.setattr(execute, "as_one_kernel", refuse)
    with caplog.at_level("INFO", "nengo_dl"):
        _, found = simulated(population())
    assert "cannot make one kernel of a loop: of this kind" in caplog.text
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "make, batch",
    [
        (convolution, None),
        (sparse, None),
        (lambda: learning(nengo.RLS()), 2),
        (lambda: population(50, 12), 2),
        (several_decoders, 2),
    ],
    ids=["convolution", "sparse", "learned matrices", "matrices", "two matrices for a vector"],
)
def test_not_if_slower(make, batch):
    """Products of two matrices, which are plain loops within a kernel, are left to libraries."""
    with nengo_dl.Simulator(make(), progress_bar=False, minibatch_size=batch) as sim:
        assert any(stage.looped for stage in sim.strategy.program.stages)
        assert not is_inline(sim)


@pytest.mark.parametrize(
    "make, bound, value",
    [
        (population, "single_kernel_elements", 9),
        (population, "single_kernel_matrix_elements", 29),
        (array, "single_kernel_terms", 199),
    ],
)
def test_not_if_large(make, bound, value):
    """Ten neurons, with encoders for each of two inputs and decoders; or twenty times ten."""
    for bound_value, expected in [(value, False), (value + 1, True)]:
        with costs.assuming(**{bound: bound_value}):
            with nengo_dl.Simulator(make(), progress_bar=False) as sim:
                assert is_inline(sim) == expected
