"""What is probed in frozen networks: everything that can be, whatever was trained."""

import pickle
import warnings

import keras
import nengo
import numpy as np
import pytest
from nengo.solvers import LstsqL2, LstsqL2nz, LstsqNoise, Nnls, NoSolver

import nengo_dl
from tests.networks import wave4

STEPS = 30
SOLVERS = [LstsqL2(reg=0.02), LstsqL2nz(), LstsqNoise(), Nnls(), NoSolver(np.ones((10, 2)))]
TYPES = [
    nengo.LIF(),
    nengo.LIFRate(),
    nengo.AdaptiveLIF(),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.Sigmoid(),
    nengo_dl.SoftLIFRate(),
]


def probe_all(obj, hidden=("rng",)):
    """Probe everything that an object shows, without a synapse and with one."""
    for attr in obj.probeable:
        if attr not in hidden:
            nengo.Probe(obj, attr, synapse=None)
            nengo.Probe(obj, attr, synapse=0.004)


def ensembles(node):
    """Make ensembles of many types, and probe them in many ways."""
    for neuron_type in TYPES:
        ens = nengo.Ensemble(10, 2, radius=1.5, neuron_type=neuron_type)
        nengo.Connection(node[:2], ens)
        probe_all(ens)
        probe_all(ens.neurons)
        nengo.Probe(ens.neurons[[3, 1]])
        nengo.Probe(ens[1], synapse=0.01, sample_every=0.002)
        nengo.Probe(ens[[1, 0]], label="turned")
    for solver in SOLVERS:
        nengo.Probe(ens, solver=solver)
        nengo.Probe(ens[::-1], solver=solver, seed=3)
    fixed = nengo.Ensemble(
        10, 2, eval_points=np.random.RandomState(0).uniform(-1, 1, (30, 2)), n_eval_points=30
    )
    nengo.Connection(node[2:], fixed, synapse=None)
    nengo.Probe(fixed)
    return ens


def connections(node, ens):
    """Make connections of many kinds, and probe what they do."""
    out, direct = nengo.Node(size_in=2), nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
    other = nengo.Ensemble(12, 2, neuron_type=nengo.LIFRate())
    full = {"solver": LstsqL2(weights=True)}
    for pre, post, kwargs in [
        (node[1:3], out, {"transform": 0.5}),
        (node[1:3], direct, {"function": lambda x: x**2, "transform": [1.0, 2.0]}),
        (ens, out, {}),
        (ens, out, {"function": lambda x: x[0] * x[1], "transform": [[1.0], [2.0]]}),
        (ens, out, {"function": np.ones((8, 2)), "eval_points": np.ones((8, 2))}),
        (ens[0], other[1], {}),
        (ens, other, full),
        (ens, other.neurons[1:4], {"transform": np.ones((3, 2))}),
        (ens.neurons[2:5], other.neurons[:3], {"transform": 0.01 * np.ones((3, 3))}),
        (ens.neurons, out, {"transform": 0.01 * np.ones((2, 10))}),
        (direct, out, {"function": np.sin, "transform": np.eye(2)}),
        (direct[1], other[0], {"transform": 2.0}),
    ]:
        probe_all(nengo.Connection(pre, post, synapse=0.003, **kwargs))
    for target in (out, direct, other, node):
        probe_all(target, hidden=("scaled_encoders",) if target is direct else ())


def learned(node):
    """Make connections that learn, and probe them and their rules."""
    pre, post = (nengo.Ensemble(10, 2, neuron_type=nengo.LIFRate()) for _ in range(2))
    nengo.Connection(node[:2], pre)
    out, full = nengo.Node(size_in=2), {"solver": LstsqL2(weights=True)}
    square = {"transform": 1e-3 * np.ones((10, 10))}
    for one, two, rule, kwargs in [
        (pre, out, nengo.PES(1e-2), {}),
        (pre[0], out[1], nengo.PES(1e-2), {}),
        (pre, post, nengo.PES(1e-2), full),
        (pre, out, nengo.RLS(), {}),
        (pre, post, nengo.Voja(), {}),
        (pre.neurons, post.neurons, nengo.BCM(1e-6), square),
        (pre, post, nengo.Oja(1e-4), full),
    ]:
        conn = nengo.Connection(one, two, learning_rule_type=rule, **kwargs)
        if isinstance(rule, nengo.PES | nengo.RLS):
            size = conn.learning_rule.size_in
            nengo.Connection(node[:size], conn.learning_rule)
        probe_all(conn)
        probe_all(conn.learning_rule)
    probe_all(post)


def network():
    """Return a network, with a part in a network of its own, in which all is probed."""
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype="float64", trainable=None, trainable_synapses=True)
        node = nengo.Node(wave4, label="node")
        ens = ensembles(node)
        connections(node, ens)
        with nengo.Network(label="inside"):
            inner = ensembles(node)
            nengo.Connection(ens, inner)
            learned(node)
            nengo.Probe(ens)  # of an ensemble outside
        nengo.Probe(inner)  # and the other way round
    for some in net.all_ensembles:
        if isinstance(some.neuron_type, nengo.Direct):
            net.config[some].trainable = False
    return net


def train(sim, kinds):
    """Change parameters whose names end so, as training might."""
    parameters = sim.session.graph.parameters
    names, values = parameters.names(), parameters.values()
    rng, changed = np.random.RandomState(0), 0
    for signal, name in names.items():
        if signal.trainable and name.rpartition(".")[2] in kinds:
            shape = values[signal].shape
            if name.endswith("log_tau"):
                values[signal] = values[signal] + rng.uniform(0, 0.5)
            else:
                values[signal] = values[signal] * rng.uniform(0.5, 1.5, shape) + 1e-3
            changed += 1
    parameters.assign_values(values)
    return changed


def plain(net, **kwargs):
    """Return Nengo's simulator; its optimizer confuses weights of shape () that are filtered."""
    return nengo.Simulator(net, optimize=False, **kwargs)


def equal(found, expected, net):
    for probe in net.all_probes:
        scale = max(1, np.abs(expected[probe]).max(initial=0))
        np.testing.assert_allclose(
            found[probe], expected[probe], rtol=0, atol=1e-9 * scale, err_msg=str(probe)
        )


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("encoders",),
        ("bias",),
        ("weights", "log_tau"),
        ("encoders", "bias", "weights", "log_tau"),
    ],
    ids=lambda kinds: "+".join(kinds) or "nothing",
)
def test_all_probes_of_a_frozen_network(kinds, uncompiled):
    """Nengo's simulator, and a new one of ours, give what the trained one gave, in each probe."""
    uncompiled()
    net = network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert bool(train(sim, kinds)) == bool(kinds)
        sim.run_steps(STEPS)  # learns
        sim.reset(include_trainable=False)
        sim.freeze_params(net)
        sim.run_steps(STEPS)
        expected = {probe: np.array(sim.data[probe]) for probe in net.all_probes}
    for again in (plain, nengo_dl.Simulator):
        with again(net, progress_bar=False) as ref:
            ref.run_steps(STEPS)
            equal(ref.data, expected, net)


@pytest.mark.training
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_trained_on_a_decoded_probe(minibatch_size):
    """The commonest pattern of all: fit what a probe of an ensemble shows, and freeze."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node([0.5])
        ens = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(node, ens, synapse=None)
        probe = nengo.Probe(ens)
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.run_steps(5)
        before = np.array(sim.data[probe])
        sim.compile(keras.optimizers.Adam(0.05), loss="mse")
        items = minibatch_size or 1
        sim.fit(np.full((items, 1, 1), 0.5), np.full((items, 1, 1), -0.5), epochs=20, verbose=0)
        sim.freeze_params(net)
        sim.reset(include_trainable=False)
        sim.run_steps(5)
        after = np.array(sim.data[probe])
    assert np.abs(after - before).max() > 0.1
    for again in (nengo.Simulator, nengo_dl.Simulator):
        with again(net, progress_bar=False) as ref:
            ref.run_steps(5)
            expected = after if minibatch_size is None else after[0]
            np.testing.assert_allclose(ref.data[probe], expected, rtol=1e-9)


def small():
    """Return a network of two ensembles in a row, the second in a network of its own."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node, net.out = nengo.Node(wave4), nengo.Node(size_in=1)
        net.first = nengo.Ensemble(10, 1, label="first")
        nengo.Connection(node[0], net.first)
        with nengo.Network() as net.inside:
            net.second = nengo.Ensemble(10, 1, label="second")
            net.probe = nengo.Probe(net.first)
        nengo.Connection(net.first, net.second)
        net.conn = nengo.Connection(net.second, net.out, label="last")
        net.outside = nengo.Probe(net.second)
    return net


def test_probes_outside_of_what_is_frozen():
    """Probes keep the decoders of frozen ensembles wherever they are, and of those alone."""
    net = small()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        before = net.probe.solver
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sim.freeze_params(net.inside)  # nothing was trained
        assert net.probe.solver is before
        hidden = next(c for c in sim.model.params if getattr(c, "post_obj", None) is net.outside)
        np.testing.assert_array_equal(net.outside.solver.values.T, sim.data[hidden].weights)
        assert isinstance(net.conn.solver, nengo.solvers.LstsqL2)


@pytest.mark.parametrize("trained", ["encoders", "bias"])
def test_decoders_that_are_not_frozen(trained):
    """A connection that is left out decodes something else, and that is said."""
    net = small()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        train(sim, (trained,))
        with pytest.warns(UserWarning, match="<Connection last> will be solved again"):
            sim.freeze_params(net.inside)
        with pytest.warns(UserWarning, match="and 1 more will be solved again"):
            sim.freeze_params([net.inside, net.first])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sim.freeze_params([net.inside, net.conn])
            sim.freeze_params(net)


def test_frozen_networks_can_be_pickled_and_copied():
    net = small()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        train(sim, ("encoders", "bias", "weights"))
        sim.freeze_params(net)
    expected = None
    for twin in (net, net.copy(), pickle.loads(pickle.dumps(net))):
        with nengo.Simulator(twin, progress_bar=False) as ref:
            ref.run_steps(20)
            found = [ref.data[probe] for probe in twin.all_probes]
        expected = found if expected is None else expected
        np.testing.assert_array_equal(found, expected)
