"""Small networks with Python in the loop: stepped in NumPy, and as Nengo steps them."""

import nengo
import numpy as np
import pytest

import nengo_dl
from tests.networks import PlainLIF, pes, shown_by, sink, wave, wave2
from tests.parity.test_parity import assert_same, quiet, simulator

N_STEPS = 40
FULL = nengo.solvers.LstsqL2(weights=True)


def ensembles():
    """Return two driven ensembles, to be connected."""
    pre, post = nengo.Ensemble(9, 1), nengo.Ensemble(7, 1)
    nengo.Connection(nengo.Node(wave), pre, synapse=None)
    nengo.Connection(nengo.Node(wave), post, transform=-1)
    return pre, post


def filters(*synapses):
    """Inputs of two sizes behind each synapse."""
    pres, posts = [nengo.Node(wave), nengo.Node(wave2)], []
    for synapse in synapses:
        for pre in pres:
            posts.append(sink(pre.size_out))
            nengo.Connection(pre, posts[-1], synapse=synapse)
    return [nengo.Probe(post) for post in posts]


def alpha():
    return filters(nengo.Alpha(0.003), nengo.Alpha(0.01))


def feed_through():
    lin = nengo.LinearFilter
    return filters(lin([0.02, 1], [0.01, 1]), lin([1e-4, 0, 1], [1e-4, 0.01, 1]))


def third_order():
    return filters(nengo.LinearFilter([1], [1e-6, 3e-4, 0.03, 1]))


def triangle():
    triangles = map(nengo.Triangle, (0.005, 0.005, 0.02, 0))
    return filters(*triangles)


def sparse():
    matrix = nengo.Sparse((3, 9), indices=[(0, 0), (0, 8), (2, 1), (2, 1)], init=[1, -2, 0.5, 3])
    pre, _ = ensembles()
    posts = [sink(3), sink(2)]
    nengo.Connection(pre.neurons, posts[0], transform=matrix)
    nengo.Connection(
        nengo.Node(wave2), posts[1], transform=nengo.Sparse((2, 2), indices=[(1, 0)], init=2.0)
    )
    return [nengo.Probe(post) for post in posts]


def bcm():
    pre, post = ensembles()
    rule = nengo.BCM(learning_rate=1e-6, theta_synapse=nengo.Alpha(0.02))
    conn = nengo.Connection(pre, post, solver=FULL, learning_rule_type=rule)
    return shown_by(conn, "delta", "theta", "post_filtered")


def oja():
    pre, post = ensembles()
    rule = nengo.Oja(learning_rate=1e-5, beta=0.5)
    return shown_by(nengo.Connection(pre, post, solver=FULL, learning_rule_type=rule), "delta")


def oja_of_two_rates():
    pre, post = ensembles()
    conns = [
        nengo.Connection(
            pre.neurons,
            post.neurons,
            transform=np.full((7, 9), 1e-3),
            learning_rule_type=nengo.Oja(rate, beta=beta),
        )
        for rate, beta in ((1e-5, 0.5), (2e-6, 2))
    ]
    return [probe for conn in conns for probe in shown_by(conn, "delta")]


def voja():
    pre, probes = nengo.Node(wave2), []
    for gate in (None, nengo.Node(lambda t: -float(t > 0.02))):
        post = nengo.Ensemble(8, 2, radius=1.5)
        rule = nengo.Voja(learning_rate=0.5)
        conn = nengo.Connection(pre, post, learning_rule_type=rule, synapse=None)
        if gate is not None:
            nengo.Connection(gate, conn.learning_rule, synapse=None)
        probes += [nengo.Probe(conn.learning_rule, "delta"), nengo.Probe(post, "scaled_encoders")]
    return probes


def two_of_pes():
    pre, post = ensembles()
    conns = [pes(pre, sink(1), post, rate=rate) for rate in (1e-3, 1e-2)]
    return [probe for conn in conns for probe in shown_by(conn, "delta", "error")]


def rls():
    pre, post = ensembles()
    conns = [pes(pre, sink(1), post, rule=nengo.RLS) for _ in range(2)]
    return [probe for conn in conns for probe in shown_by(conn, "delta", "inv_gamma")]


def neurons_on_host():
    pre, _ = ensembles()
    post = nengo.Ensemble(5, 1, neuron_type=PlainLIF())
    nengo.Connection(pre, post)
    return [nengo.Probe(post.neurons, name) for name in ("output", "voltage", "input")]


PARTS = [alpha, feed_through, third_order, triangle, sparse, bcm, oja, oja_of_two_rates, voja]
PARTS += [two_of_pes, rls, neurons_on_host]


def with_python(part):
    """Return a network with the part, and a Python function that calls itself next to it."""
    with nengo.Network(seed=3) as net:
        probes = part()
        plant = nengo.Node(lambda t, x: 0.9 * x + t, size_in=1)
        nengo.Connection(plant, plant, synapse=0)
        net.probes_to_check = [*probes, nengo.Probe(plant)]
    return net


@pytest.fixture
def for_any_number(assume):
    """Step any number of items in NumPy, worth it or not."""
    assume(numpy_loop_calls=10**6)


def expected(net, part):
    """Return what Nengo's simulator gives for each probe."""
    with quiet(), nengo.Simulator(with_python(part), progress_bar=False) as sim:
        sim.run_steps(N_STEPS)
        return [np.array(sim.data[probe]) for probe in sim.model.probes]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_same_as_nengo(part, for_any_number):
    """Alone, and with several items."""
    net = with_python(part)
    wanted = expected(net, part)
    for minibatch_size in (None, 2):
        with simulator(net, minibatch_size=minibatch_size) as sim:
            assert sim.session.first_steps.takes_all
            sim.run_steps(N_STEPS - 15)
            sim.run_steps(15)
            found = [np.array(sim.data[probe]) for probe in net.probes_to_check]
        for probe, got, values in zip(net.probes_to_check, found, wanted, strict=True):
            assert np.ptp(values, axis=0).max() > 0
            for item in got if minibatch_size else [got]:
                assert_same(probe, item, values)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("part", [triangle, bcm, voja, rls, neurons_on_host])
def test_items_are_independent(part, for_any_number):
    """Items with inputs of their own give bit for bit what they give alone."""
    net = with_python(part)
    inputs = [node for node in net.all_nodes if node.output in (wave, wave2)]
    rows = np.arange(1, 31) * 0.001
    data = {
        node: np.array([[np.atleast_1d(s * np.array(node.output(t))) for t in rows] for s in scale])
        for node in inputs
        for scale in [(1.0, 0.3, -0.7)]
    }
    with simulator(net, minibatch_size=3) as sim:
        sim.run_steps(30, data=data)
        together = [np.array(sim.data[probe]) for probe in net.probes_to_check]
        assert any(not np.allclose(got[0], got[1]) for got in together)
    with simulator(net) as sim:
        for i in range(3):
            sim.reset()
            sim.run_steps(30, data={node: values[i : i + 1] for node, values in data.items()})
            for probe, got in zip(net.probes_to_check, together, strict=True):
                np.testing.assert_array_equal(got[i], sim.data[probe], err_msg=str(probe))


def test_functions_are_called_item_by_item(assume):
    """In the same order, and with the same arguments, as without the loop in NumPy."""
    calls = []

    def note(name):
        def function(t, x):
            calls.append((name, round(t, 6), *np.round(x, 9)))
            return x + 0.1

        return function

    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        source = nengo.Node([0.0])
        first, second = (nengo.Node(note(name), size_in=1) for name in "ab")
        beside = nengo.Node(note("c"), size_in=1)
        for pre, post in ((source, first), (first, second), (source, beside)):
            nengo.Connection(pre, post, synapse=None)
    logs = []
    for few in (0, 10**6):
        assume(numpy_loop_calls=few)
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            assert (not sim.session.first_steps.takes_all) == (few == 0)
            calls.clear()
            sim.run_steps(3, data={source: np.arange(6.0).reshape(2, 3, 1)})
            logs.append(list(calls))
    assert len(logs[0]) == 3 * 2 * 3
    assert logs[0] == logs[1]


def test_what_is_taken(assume):
    """Few items of a small network; more, or a larger one, are left to compiled code."""
    net = with_python(alpha)

    def taken(minibatch_size):
        with simulator(net, minibatch_size=minibatch_size) as sim:
            return sim.session.first_steps.takes_all

    assert taken(1) and taken(2)
    assert not taken(64)
    assume(numpy_loop_elements=1)
    assert not taken(1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("part", [triangle, bcm])
def test_state_goes_on_to_other_calls(part):
    """What was stepped in NumPy is taken over by Keras, and back."""
    net = with_python(part)
    wanted = expected(net, part)
    with simulator(net) as sim:
        sim.run_steps(20)
        shown = sim.predict(n_steps=10, stateful=True)
        sim.run_steps(10)
        for probe, values in zip(net.probes_to_check, wanted, strict=True):
            assert_same(probe, np.array(sim.data[probe]), values[np.r_[:20, 30:40]])
            assert_same(probe, shown[probe][0], values[20:30])
