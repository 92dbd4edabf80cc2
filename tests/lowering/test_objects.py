"""What every object of a network shows: probes, solvers, `sim.data`, pickles and warnings."""

import pickle
import warnings

import nengo
import numpy as np
import pytest
from nengo.builder.connection import BuiltConnection
from nengo.builder.ensemble import BuiltEnsemble

import nengo_dl
from tests.networks import NETWORKS, sink, wave, wave2
from tests.parity.test_parity import assert_same, quiet, simulator

N_STEPS = 24
FULL = nengo.solvers.LstsqL2(weights=True)


def assert_same_data(net, probes, minibatch_size=2):
    """Check the probes of both simulators, in each item of a minibatch."""
    with quiet(), nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(N_STEPS)
    with quiet(), simulator(net, minibatch_size=minibatch_size) as sim:
        sim.run_steps(N_STEPS)
    for probe in probes:
        same_for_all = probe.attr in ("weights", "scaled_encoders") and len(sim.data[probe]) == 1
        assert same_for_all or len(sim.data[probe]) == minibatch_size
        for item in sim.data[probe]:
            assert_same(probe, item, reference.data[probe])
    return reference


# --- probes ---------------------------------------------------------------------------------------

RULES = {
    "PES": nengo.PES(1e-3),
    "RLS": nengo.RLS(1e-3),
    "BCM": nengo.BCM(1e-7),
    "Oja": nengo.Oja(1e-5),
    "Voja": nengo.Voja(0.1),
}


@pytest.mark.parametrize("name", RULES)
def test_learning_rules_show_all_they_have(name):
    rule = RULES[name]
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(8, 2), nengo.Ensemble(6, 2)
        nengo.Connection(nengo.Node(wave2), pre, synapse=None)
        nengo.Connection(nengo.Node(wave2), post, synapse=None)
        solver = FULL if name in ("BCM", "Oja") else nengo.solvers.LstsqL2()
        conn = nengo.Connection(pre, post, solver=solver, learning_rule_type=rule)
        if name in ("PES", "RLS"):
            nengo.Connection(post, conn.learning_rule)
        shown = conn.learning_rule.probeable
        probes = [nengo.Probe(conn.learning_rule, attr) for attr in shown]
        probes += [nengo.Probe(conn.learning_rule, attr, synapse=0.01) for attr in shown]
        probes += [nengo.Probe(conn.learning_rule, attr, sample_every=0.003) for attr in shown]
        probes.append(nengo.Probe(conn, "weights"))
        probes.append(nengo.Probe(post, "scaled_encoders"))
    reference = assert_same_data(net, probes)
    assert len(shown) >= 3
    for probe in probes[: len(shown)]:
        assert np.ptp(reference.data[probe], axis=0).max() > 0, probe


KEYS = [0, -1, slice(1, None), slice(None, None, -1), [2, 0]]
NEURONS = {
    "LIF": ("input", "output", "voltage", "refractory_time"),
    "AdaptiveLIF": ("adaptation",),
    "AdaptiveLIFRate": ("adaptation",),
    "SpikingRectifiedLinear": ("voltage",),
    "Izhikevich": ("voltage", "recovery"),
}


def test_slices_of_all_that_can_be_sliced():
    with nengo.Network(seed=0) as net:
        stimulus, ens = nengo.Node(lambda t: [*wave2(t), t]), nengo.Ensemble(9, 3)
        nengo.Connection(stimulus, ens, synapse=None)
        probes = []
        for key in KEYS:
            probes += [nengo.Probe(stimulus[key]), nengo.Probe(stimulus[key], synapse=0.005)]
            probes += [nengo.Probe(ens[key], synapse=nengo.Alpha(0.005))]
            probes += [nengo.Probe(ens[key], sample_every=0.004)]
            probes += [nengo.Probe(ens[key], "input")]
            probes += [nengo.Probe(ens[key], solver=nengo.solvers.LstsqL2(reg=0.3), synapse=0.01)]
        for name, shown in NEURONS.items():
            neurons = nengo.Ensemble(7, 1, neuron_type=getattr(nengo, name)()).neurons
            nengo.Connection(nengo.Node(wave), neurons, transform=np.ones((7, 1)), synapse=None)
            for key in KEYS:
                probes += [nengo.Probe(neurons[key], attr) for attr in shown]
                probes += [nengo.Probe(neurons[key], attr, synapse=0.005) for attr in shown]
    assert_same_data(net, probes)


# --- solvers --------------------------------------------------------------------------------------

SOLVERS = [
    nengo.solvers.Lstsq,
    nengo.solvers.LstsqNoise,
    nengo.solvers.LstsqMultNoise,
    nengo.solvers.LstsqL2,
    nengo.solvers.LstsqL2nz,
    nengo.solvers.LstsqL1,
    nengo.solvers.LstsqDrop,
    nengo.solvers.Nnls,
    nengo.solvers.NnlsL2,
    nengo.solvers.NnlsL2nz,
]


@pytest.mark.parametrize("kind", [*SOLVERS, nengo.solvers.NoSolver])
@pytest.mark.parametrize("weights", [False, True], ids=["decoders", "weights"])
def test_solvers(kind, weights):
    if kind is nengo.solvers.LstsqL1:
        pytest.importorskip("sklearn")
    values = (np.linspace(-1e-3, 1e-3, 20).reshape(10, 2),) if kind not in SOLVERS else ()
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(10, 2), nengo.Ensemble(7, 2)
        nengo.Connection(nengo.Node(wave2), pre, synapse=None)
        solver = kind(*values, weights=weights)
        conn = nengo.Connection(pre, post, function=np.square, solver=solver, transform=np.eye(2))
        probes = [nengo.Probe(post.neurons), nengo.Probe(post.neurons, "input")]
        probes += [nengo.Probe(conn, "weights"), nengo.Probe(conn, synapse=0.01)]
        if not weights:
            probes.append(nengo.Probe(pre, solver=solver, synapse=0.01))
    reference = assert_same_data(net, probes)
    with quiet(), simulator(net) as sim:
        shape = (7, 10) if weights else (2, 10)
        assert sim.data[conn].weights.shape == shape
        np.testing.assert_array_equal(sim.data[conn].weights, reference.data[conn].weights)
        assert sim.data[conn].solver_info.keys() == reference.data[conn].solver_info.keys()


# --- sim.data -------------------------------------------------------------------------------------


def of_every_kind():
    """Return a network with an object of every kind, and all of them."""
    with nengo.Network(seed=0) as net:
        nodes = [nengo.Node(wave2), nengo.Node([0.5, 1]), nengo.Node(lambda t, x: x, size_in=2)]
        nodes += [sink(2), nengo.Node(nengo.processes.WhiteSignal(0.1, 50), size_out=1)]
        ens, post = nengo.Ensemble(8, 2, radius=2), nengo.Ensemble(6, 2, neuron_type=nengo.Tanh())
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        with nengo.Network() as inner:
            relay = sink(6)
        conns = [nengo.Connection(pre, ens) for pre in (nodes[0], nodes[1], post, direct)]
        conns += [
            nengo.Connection(ens, post, function=np.square, learning_rule_type=nengo.PES()),
            nengo.Connection(ens, post, solver=FULL, learning_rule_type=[nengo.BCM(), nengo.Oja()]),
            nengo.Connection(ens.neurons, post.neurons, transform=np.full((6, 8), 1e-3)),
            nengo.Connection(post.neurons, relay, transform=nengo.Sparse((6, 6), [(0, 1), (2, 3)])),
            nengo.Connection(
                relay,
                post.neurons,
                transform=nengo.Convolution(1, (3, 2, 1), (2, 2), padding="same"),
            ),
            nengo.Connection(ens, direct, function=lambda x: x[::-1]),
        ]
        rules = [conns[4].learning_rule, *conns[5].learning_rule]
        probes = [nengo.Probe(ens), nengo.Probe(ens.neurons), nengo.Probe(conns[4], "weights")]
        neurons = [ens.neurons, post.neurons, direct.neurons]
    return net, [net, inner, *nodes, relay, ens, post, direct, *neurons, *conns, *rules, *probes]


def assert_equal_entries(got, expected):
    """Check what `sim.data` gives for one object."""
    if isinstance(expected, nengo.transforms.SparseMatrix):
        expected = expected.data  # NengoDL's scripts expect the stored elements
    assert type(got) is type(expected)
    if isinstance(expected, BuiltEnsemble | BuiltConnection):
        direct = isinstance(expected, BuiltEnsemble) and expected.gain is None
        for name, value in zip(expected._fields, expected, strict=True):
            if not direct or name not in ("intercepts", "max_rates"):  # None, as in NengoDL
                assert_equal_entries(getattr(got, name), value)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
    elif not isinstance(expected, nengo.transforms.Transform):  # pickled copies are not equal
        assert got == expected


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_data_of_every_object():
    net, objects = of_every_kind()
    with nengo.Simulator(net, progress_bar=False) as reference, simulator(net) as sim:
        assert len(list(sim.data)) == len(sim.data) == len(reference.data)
        for obj in objects:
            assert (obj in sim.data) == (obj in reference.model.params), obj
            if obj in sim.data and not isinstance(obj, nengo.Probe):
                assert_equal_entries(sim.data[obj], reference.data[obj])
        for one in (reference, sim):
            one.run_steps(10)
        for probe in net.all_probes:
            assert_equal_entries(sim.data[probe], reference.data[probe])


# --- pickles --------------------------------------------------------------------------------------


def copied(obj):
    return pickle.loads(pickle.dumps(obj))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_network_that_was_simulated_can_be_pickled():
    net = NETWORKS["pes_on_ensembles"]()
    for node in net.all_nodes:
        if node.size_in == 0:
            node.output = nengo.processes.WhiteSignal(0.1, 50, seed=1)  # a lambda cannot
    net.probes_to_check = []
    with net:
        nengo_dl.configure_settings(dtype="float64")
        for conn in net.all_connections:
            if conn.function is not None:
                conn.function = np.square
    shown = []
    for _ in range(2):
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(20)
            shown.append([np.array(sim.data[probe]) for probe in net.all_probes])
            net = copied(net)
    assert len(shown[0]) > 3
    for first, second in zip(*shown, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_results_can_be_pickled():
    net, objects = of_every_kind()
    with simulator(net, minibatch_size=2) as sim:
        sim.run_steps(10)
        for obj in (o for o in objects if o in sim.data):
            assert_equal_entries(copied(sim.data[obj]), sim.data[obj])
        found = {probe.label or str(probe): sim.data[probe] for probe in net.all_probes}
        for name, values in copied(found).items():
            np.testing.assert_array_equal(values, found[name])


# --- warnings -------------------------------------------------------------------------------------


def gains_and_rates():
    nengo.Ensemble(3, 1, gain=np.ones(3), bias=np.ones(3), max_rates=nengo.dists.Uniform(10, 30))


def silent_neurons():
    ens = nengo.Ensemble(3, 1, gain=np.ones(3), bias=np.full(3, -5), seed=1)
    nengo.Connection(ens, sink(1), solver=nengo.solvers.NoSolver(np.ones((3, 1))))


def encoders_that_are_not_unit():
    nengo.Ensemble(3, 1, encoders=[[2], [2], [-1]], normalize_encoders=False, eval_points=[[3.0]])


def division_by_zero():
    pre = nengo.Node(lambda t, x: np.float64(1) / (x[0] + 1), size_in=1)
    nengo.Connection(pre, sink(1))


def learning_of_a_sparse_transform():
    ens = nengo.Ensemble(4, 1)
    nengo.Connection(ens, sink(1), solver=nengo.solvers.NnlsL2(), function=lambda x: -x)


WARNINGS = [gains_and_rates, silent_neurons, encoders_that_are_not_unit]
WARNINGS += [division_by_zero, learning_of_a_sparse_transform]


def heard(net, make):
    """Return the warnings of building and running a network, in order."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with make(net, progress_bar=False) as sim:
            sim.run_steps(3)
            sim.run(0)
    return [(w.category, str(w.message)) for w in caught]


@pytest.mark.parametrize("build", WARNINGS)
def test_warnings_are_those_of_nengo(build):
    with nengo.Network(seed=0) as net:
        build()
    assert heard(net, nengo_dl.Simulator) == heard(net, nengo.Simulator)
