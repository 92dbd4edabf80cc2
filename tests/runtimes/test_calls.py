"""A call of a compiled function costs little, and changes nothing."""

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.runtimes import switches
from nengo_dl.runtimes.tensorflow import calls
from nengo_dl.runtimes.tensorflow.calls import StepCounts, quick
from tests.networks import NETWORKS


def concrete():
    """Return a function of a vector that reads a variable and a constant."""
    variable, constant = tf.Variable([2.0, 3.0]), tf.constant([1.0, 5.0])

    def function(x):
        return [x * variable + constant, x - 1.0]

    compiled = tf.function(function, jit_compile=True, autograph=False)
    return compiled.get_concrete_function(tf.TensorSpec((2,))), variable


@pytest.mark.parametrize(("known", "on"), [(calls.KNOWN, True), (calls.KNOWN, False), ((), True)])
def test_as_called_by_tensorflow(known, on, monkeypatch):
    """Another version of TensorFlow's, and whoever switches it off, gets its own way."""
    monkeypatch.setattr(calls, "KNOWN", known)
    monkeypatch.setattr(switches, "QUICK_CALLS", on)
    function, variable = concrete()
    call, x = quick(function), tf.constant([1.0, 2.0])
    assert (call is function) == (not (known and on))
    np.testing.assert_array_equal(call(x), function(x))
    variable.assign([7.0, 8.0])
    np.testing.assert_array_equal(call(x), [[8.0, 21.0], [0.0, 1.0]])
    within = tf.function(lambda: call(x), autograph=False)
    np.testing.assert_array_equal(within(), function(x))


def test_errors_are_those_of_tensorflow():
    function, _ = concrete()
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 3 inputs, got 4"):
        quick(function)(*[tf.constant([1.0, 2.0])] * 2)


def test_step_counts():
    """Chunks that follow each other, other lengths, and going back."""
    counts = StepCounts()
    wanted = [(n, 1) for n in range(2 * costs.CPU.step_counts_ahead + 3)]
    wanted += [(500, 7), (507, 7), (514, 7), (521, 1), (0, 1), (2**40, 2048), (2**40 + 2048, 2048)]
    for first, steps in wanted:
        tensor = counts.tensor(first, steps)
        assert tensor.dtype == tf.int64
        np.testing.assert_array_equal(tensor, (first, steps))


def test_state_between_single_steps(numpy_steps):
    """Nobody reads it, or somebody does, or it is put back: the same bits."""
    numpy_steps(0)
    net = NETWORKS["communication_channel"]()
    (probe, *_) = net.probes_to_check
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(12)
        expected = np.array(sim.data[probe])
        sim.reset()
        for _ in range(6):
            sim.step()
        kept = sim.session.snapshot()
        for _ in range(3):
            sim.step()
        sim.session.restore(kept)
        sim.clear_probes()
        for _ in range(6):
            sim.step()
            [np.array(sim.signals[sig]) for sig in sim.signals]
        again = np.array(sim.data[probe])
    np.testing.assert_array_equal(again, expected[6:])


def test_learned_weights_are_read_and_written_between_single_steps(numpy_steps):
    numpy_steps(0)
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(20, 1), nengo.Node(size_in=1)
        rule = nengo.PES(1e-4)
        conn = nengo.Connection(pre, post, function=lambda x: 0, learning_rule_type=rule)
        nengo.Connection(nengo.Node(-1.0), conn.learning_rule, synapse=None)
        probe = nengo.Probe(conn, "weights")
    with (
        nengo.Simulator(net, progress_bar=False) as reference,
        nengo_dl.Simulator(net, progress_bar=False) as sim,
    ):
        for each in (reference, sim):
            for _ in range(3):
                each.step()
            if each is sim:
                each.signals[each.model.sig[conn]["weights"]][...] += 1.0
            for _ in range(2):
                each.step()
        moved = sim.data[probe] - reference.data[probe]
    np.testing.assert_allclose(moved[:3], 0, atol=1e-6)
    np.testing.assert_allclose(moved[3:], 1, atol=1e-5)
