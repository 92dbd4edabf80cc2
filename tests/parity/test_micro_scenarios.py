"""The acceptance scenarios of the specification that no other test shows as they are written there.

The others: 2, 4, 9 and 21 are in `test_simulator`, 3 in `test_data_forms`, 6 to 8, 10 and 12 to 15
in `test_training`, 11 in `test_tensor_node`, 19 in `test_parameters`.
"""

import itertools

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import graph_optimizer


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def test_1_and_2_predict_leaves_no_trace_and_runs_add_up():
    with nengo.Network() as net:
        a = nengo.Node([0])
        p = nengo.Probe(a)
    with simulator(net) as sim:
        out = sim.predict(np.ones((4, 3, 1)))[p]
        assert out.shape == (4, 3, 1) and np.all(out == 1)
        assert sim.n_steps == 0 and sim.data[p] == []
        sim.run_steps(5)
        sim.run_steps(5)
        assert sim.data[p].shape == (10, 1) and sim.trange()[-1] == pytest.approx(0.010)
    with simulator(net, minibatch_size=1) as sim:
        sim.run_steps(10)
        assert sim.data[p].shape == (1, 10, 1)


def test_5_keys_in_order():
    with nengo.Network() as net:
        a = nengo.Node([0])
        nengo.Probe(a)
        nengo.Probe(a, label="b")
    ones, zeros = np.ones((4, 3, 1)), np.zeros((4, 3, 1))
    with simulator(net) as sim:
        sim.compile(loss="mse", metrics=["mae", "mae"])
        found = sim.evaluate(ones, [zeros, zeros], verbose=0)
        assert list(found) == ["loss", "probe_loss", "b_loss", "probe_mae", "b_mae"]
        assert list(found.values()) == pytest.approx([2, 1, 1, 1, 1])


OPTIONS = {
    "planner": [graph_optimizer.tree_planner, graph_optimizer.noop_planner],
    "sorter": [graph_optimizer.order_signals, graph_optimizer.noop_order_signals],
    "simplifications": [graph_optimizer.default_simplifications, []],
}


def spikes(**settings):
    """Return the spikes of a seeded ensemble and of one that it drives."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        one, two = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        nengo.Connection(nengo.Node([0.5]), one)
        nengo.Connection(one, two)
        probes = [nengo.Probe(ens.neurons) for ens in (one, two)]
    with simulator(net) as sim:
        sim.run_steps(100)
        return [np.array(sim.data[p]) for p in probes]


def test_20_compiler_settings_do_not_change_spikes():
    expected = spikes()
    assert np.any(expected[1])
    for values in itertools.product(*OPTIONS.values()):
        found = spikes(**dict(zip(OPTIONS, values, strict=True)))
        np.testing.assert_array_equal(found, expected, err_msg=str(values))


@pytest.mark.training
def test_22_idioms_of_the_tutorials():
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.5])
        ens = nengo.Ensemble(20, 1)
        conn = nengo.Connection(node, ens)
        probe = nengo.Probe(ens)
    sim = simulator(net)
    sim.compile(keras.optimizers.SGD(0.0), loss="mse")
    sim.compile(loss={probe: "mae"})
    sim.close()
    conn.synapse = None
    probe.synapse = 0.1
    ens.gain, ens.bias = np.ones(20), np.zeros(20)
    ens.neuron_type = nengo.RectifiedLinear()
    for build in (simulator, lambda net: nengo.Simulator(net, progress_bar=False)):
        sim = build(net)
        sim.run_steps(20)
        found = np.array(sim.data[probe])
        sim.close()
        if build is simulator:
            expected = found
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with net:
        nengo_dl.configure_settings(stateful=False)
    with simulator(net) as sim:
        sim.run_steps(3)
        assert sim.n_steps == 0
