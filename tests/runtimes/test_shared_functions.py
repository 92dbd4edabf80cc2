"""Simulators of networks that differ in parameters alone compile once, and compute the same."""

import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.kernels import NeuronKernel, neuron
from nengo_dl.runtimes import switches
from nengo_dl.runtimes.tensorflow.shared_functions import SHARED, Holding
from tests.networks import NETWORKS, wave

STEPS = 40
KINDS = [
    "adaptive_lif",
    "basal_ganglia_and_thalamus",
    "convolutions",
    "ensemble_noise",
    "linear_filters",
    "pes_on_ensembles",
    "sparse_transforms",
]
#: Those whose constants are large enough not to become a part of functions.
LARGE = ["basal_ganglia_and_thalamus", "linear_filters"]


@pytest.fixture(autouse=True)
def compiled(numpy_steps):
    """Take no step in NumPy."""
    numpy_steps(0)


def network(seed=0, n_neurons=20, neuron_type=None, synapse=0.1, function=None):
    with nengo.Network(seed=seed) as net:
        node = nengo.Node(wave)
        ens = nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type or nengo.LIF())
        nengo.Connection(node, ens)
        nengo.Connection(ens, ens, synapse=synapse, function=function)
        net.p = nengo.Probe(ens, synapse=0.01)
    return net


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def results(net, steps=STEPS, **kwargs):
    """Return what probes show, and how often something was compiled."""
    with simulator(net, **kwargs) as sim:
        sim.run_steps(steps)
        return [sim.data[p] for p in net.all_probes], sim.compile_count


def with_seed(name, seed):
    net = NETWORKS[name]()
    net.seed = seed
    for ens in net.all_ensembles:
        ens.seed = None
    return net


@pytest.mark.parametrize("name", KINDS)
def test_same_bits_as_by_itself(name):
    """Whether functions of another seed or of the same network are there."""
    expected, count = results(with_seed(name, 5))
    assert count == 1
    SHARED.clear()
    others, count = results(with_seed(name, 6))
    assert count == 1
    assert any(not np.array_equal(x, y) for x, y in zip(others, expected, strict=True))
    found, count = results(with_seed(name, 5))
    assert count == 0 or name not in LARGE
    again, count = results(with_seed(name, 5))
    assert count == 0
    for x, y, z in zip(found, again, expected, strict=True):
        np.testing.assert_array_equal(x, z)
        np.testing.assert_array_equal(y, z)


OTHERS = {
    "size": ({"n_neurons": 21}, {}),
    "time constant": ({"neuron_type": nengo.LIF(tau_rc=0.03)}, {}),
    "synapse": ({"synapse": 0.05}, {}),
    "dt": ({}, {"dt": 0.002}),
    "minibatch": ({}, {"minibatch_size": 2}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_networks(what):
    described, asked = OTHERS[what]
    results(network())
    found, count = results(network(**described), **asked)
    assert count == 1
    SHARED.clear()
    for x, y in zip(found, results(network(**described), **asked)[0], strict=True):
        np.testing.assert_array_equal(x, y)


def test_precision_and_device():
    results(network())
    net = network()
    with net:
        nengo_dl.configure_settings(dtype="float64")
    assert results(net)[1] == 1
    assert results(network(), device="/cpu:0")[1] == 1


def test_functions_and_seeds_do_not_matter():
    """Decoders, encoders, gains, biases are parameters."""
    results(network(n_neurons=150, seed=0))
    assert results(network(n_neurons=150, seed=1, function=np.square))[1] == 0


def test_two_at_a_time():
    """Each learns, and remembers, by itself."""

    def learning(seed):
        with nengo.Network(seed=seed) as net:
            a, b = nengo.Ensemble(150, 1), nengo.Ensemble(150, 1)
            connection = nengo.Connection(a, b, learning_rule_type=nengo.PES(1e-3))
            nengo.Connection(nengo.Node(wave), connection.learning_rule)
            net.p = nengo.Probe(connection, "weights")
        return net

    expected = [results(learning(seed))[0] for seed in (1, 2)]
    SHARED.clear()
    nets = [learning(seed) for seed in (1, 2)]
    with simulator(nets[0]) as one, simulator(nets[1]) as other:
        for _ in range(STEPS // 10):
            one.run_steps(10)
            other.run_steps(10)
        for sim, net, values in zip((one, other), nets, expected, strict=True):
            np.testing.assert_array_equal(sim.data[net.p], values[0])
        assert one.compile_count + other.compile_count == 1


def test_changed_parameters():
    """What a user gives to parameters, or trains, is what the shared function reads."""
    nets = [network(n_neurons=150, seed=seed) for seed in (0, 1)]
    results(nets[0])
    with simulator(nets[1]) as sim:
        weights = [np.zeros_like(w) for w in sim.keras_model.get_weights()]
        sim.keras_model.set_weights(weights)
        sim.run_steps(STEPS)
        assert sim.compile_count == 0
        np.testing.assert_array_equal(sim.data[nets[1].p], 0)
    found, count = results(network(n_neurons=150, seed=0))
    assert count == 0 and np.any(found[0])


def test_nobody_is_kept():
    """The first simulator goes, and its function serves the next."""
    sim = simulator(network())
    sim.run_steps(STEPS)
    refs = [weakref.ref(x) for x in (sim, sim.session, sim.session.graph, sim.session.runner)]
    sim.close()
    del sim
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)
    assert results(network())[1] == 0


def test_few_are_kept(assume):
    assume(shared_functions=2)
    for n_neurons in (10, 11, 12):
        results(network(n_neurons=n_neurons))
    assert len(SHARED) == 2
    assert [results(network(n_neurons=n))[1] for n in (12, 11, 10)] == [0, 0, 1]


@pytest.mark.parametrize("bound", ["shared_elements", "shared_values"])
def test_large_networks_are_not(assume, bound):
    assume(**{bound: 10})
    assert [results(network())[1] for _ in range(2)] == [1, 1]
    assert not len(SHARED)


@pytest.mark.parametrize("switch", ["SHARED_FUNCTIONS", "QUICK_CALLS"])
def test_switched_off(monkeypatch, switch):
    monkeypatch.setattr(switches, switch, False)
    assert [results(network())[1] for _ in range(2)] == [1, 1]


def test_tensor_code_of_users_is_not_shared():
    def run(factor):
        with nengo.Network(seed=0) as net:
            node = nengo.Node(wave)
            tensor = nengo_dl.TensorNode(lambda t, x: factor * x, shape_in=(1,), shape_out=(1,))
            nengo.Connection(node, tensor, synapse=None)
            net.p = nengo.Probe(tensor)
        return results(net)

    (one, count), (other, again) = run(2.0), run(4.0)
    assert (count, again) == (1, 1)
    np.testing.assert_array_equal(2 * one[0], other[0])


def test_neurons_of_users_are_not_shared():
    """Their steps read whatever there is."""

    class Gained(nengo.RectifiedLinear):
        pass

    @neuron(Gained)
    class _GainedKernel(NeuronKernel):
        gain = 1.0

        @classmethod
        def rate(cls, c, J):
            return cls.gain * (J + abs(J))

    assert [results(network(neuron_type=Gained()))[1] for _ in range(2)] == [1, 1]


def test_threads():
    """The store is used by all of them."""
    SHARED.clear()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    few = replace(costs.CPU, shared_functions=2)
    holding = Holding(tensors=[], given=[], elements=1)

    class Made:
        captured_inputs = ()

    try:
        with ThreadPoolExecutor(4) as pool:
            keys = [(number,) for number in range(5)] * 400
            found = pool.map(lambda key: SHARED.get(key, holding, Made, few), keys)
            assert all(captured == [] for _, captured in found)
    finally:
        sys.setswitchinterval(interval)
    assert len(SHARED) == 2


def test_calls_of_python_are_not_shared():
    def run(factor):
        with nengo.Network(seed=0) as net:
            ens = nengo.Ensemble(20, 1)
            node = nengo.Node(lambda t, x: factor * x, size_in=1)
            nengo.Connection(nengo.Node(wave), ens)
            nengo.Connection(ens, node)
            net.p = nengo.Probe(node)
        return results(net)

    np.testing.assert_allclose(2 * run(2.0)[0][0], run(4.0)[0][0], rtol=1e-6)
