"""One seed, one result: however a run is cut up, again after `reset`, and without retracing."""

import nengo
import numpy as np
import pytest

import nengo_dl
from tests.networks import NETWORKS
from tests.parity.test_parity import simulator

#: A network of each way to run: compiled whole, learning, with noise, with Python in the loop.
CUT_UP = [
    "lif",
    "pes_on_ensembles",
    "ensemble_noise",
    "seeded_processes",
    "stochastic_spiking",
    "poisson_spiking",
    "nodes_in_a_loop",
    "user_operator_with_noise",
]
#: With Python in the loop there are two ways: in NumPy, and between compiled parts of a step.
CASES = [(name, "whole") for name in CUT_UP] + [(name, "in segments") for name in CUT_UP[-2:]]
UNROLLED = [case for case in CASES if case[0] in ("lif", "stochastic_spiking", "nodes_in_a_loop")]


@pytest.fixture
def in_mode(assume):
    """Return a function that makes each Simulator built afterwards run in a mode."""

    def choose(mode):
        if mode == "in segments":
            assume(numpy_loop_elements=0)

    return choose


def shown(sim, net):
    return [np.array(sim.data[probe]) for probe in net.probes_to_check]


def assert_identical(found, expected):
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name, mode", CASES)
def test_a_thousand_steps_or_ten_times_a_hundred(name, mode, in_mode):
    """Bit for bit, also after `reset`, and in another simulator of the same seed."""
    in_mode(mode)
    net = NETWORKS[name]()
    with simulator(net, dtype="float32") as sim:
        sim.run_steps(1000)
        expected = shown(sim, net)
        sim.reset()
        for _ in range(10):
            sim.run_steps(100)
        assert_identical(shown(sim, net), expected)
        if not sim.session.first_steps.takes_all:
            assert sim.compile_count == 1
    net = NETWORKS[name]()
    with simulator(net, dtype="float32") as sim:
        for n_steps in (1, 630, 369):
            sim.run_steps(n_steps)
        assert_identical(shown(sim, net), expected)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name, mode", UNROLLED)
def test_steps_in_the_body_of_the_loop(name, mode, in_mode):
    """To rounding; over a hundred steps even that moves no spike of these."""
    in_mode(mode)
    results = []
    for unroll in (1, 10):
        net = NETWORKS[name]()
        with simulator(net, unroll_simulation=unroll) as sim:
            sim.run_steps(100)
            results.append(shown(sim, net))
    for one, ten in zip(*results, strict=True):
        np.testing.assert_allclose(ten, one, rtol=1e-9, atol=1e-9 * max(1, np.abs(one).max()))


def test_noise_is_the_same_in_every_simulator():
    """Nengo's optimizer leaves it to chance which process draws first; here nothing is."""
    with nengo.Network(seed=0) as net:
        noise = nengo.processes.WhiteNoise()
        ensembles = [nengo.Ensemble(5, 1, noise=noise) for _ in range(3)]
        net.probes_to_check = [nengo.Probe(ens.neurons, "input") for ens in ensembles]
    with nengo.Simulator(net, optimize=False, progress_bar=False) as sim:
        sim.run_steps(3)
        expected = shown(sim, net)
    for _ in range(6):
        with simulator(net) as sim:
            sim.run_steps(3)
            for got, wanted in zip(shown(sim, net), expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_python_is_not_traced_again(assume):
    """Parts between calls of Python are compiled once, for runs of any length and more of them."""
    assume(numpy_loop_elements=0)
    traced = []

    def tensors(x):
        traced.append(1)
        return 2 * x

    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t, x: 0.5 * x + t, size_in=1)
        layer = nengo_dl.TensorNode(tensors, shape_in=(1,), pass_time=False)
        nengo.Connection(node, layer, synapse=None)
        nengo.Connection(layer, node)
        nengo.Probe(layer)
    with simulator(net) as sim:
        sim.run_steps(5)
        first = len(traced)
        for n_steps in (1, 7, 130, 64, 300):
            sim.run_steps(n_steps)
        sim.reset()
        sim.run_steps(10)
        assert len(traced) == first and sim.compile_count == 1
        sim.predict(n_steps=10)
        first = len(traced)
        sim.predict(n_steps=10)
        assert len(traced) == first
