"""What `Simulator.explain` says."""

import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import SimulatorClosed

import nengo_dl


def explained(net, **kwargs):
    """Return the text as one line."""
    texts = []
    with nengo_dl.Simulator(net, progress_bar=False, **kwargs) as sim:
        sim.explain(print_fn=texts.append)
    (text,) = texts
    return " ".join(text.split())


class Doubled(nengo.LIF):
    """A neuron type without a kernel."""


class Hold(nengo.synapses.Synapse):
    """A synapse without a kernel."""

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x


def loop(middle, neuron_type=None, synapse=0.01, n_neurons=20):
    """Return an ensemble that is connected with something, back and forth."""
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.sin, label="x")
        a = nengo.Ensemble(n_neurons, 1, label="a", neuron_type=neuron_type or nengo.LIF())
        node = middle()
        nengo.Connection(x, a, synapse=None)
        nengo.Connection(a, node, synapse=synapse)
        nengo.Connection(node, a)
        nengo.Probe(a)
    return net


def relay():
    return nengo.Node(size_in=1, label="relay")


def test_all_is_compiled(capsys):
    with nengo_dl.Simulator(loop(relay), progress_bar=False) as sim:
        sim.explain()
    text = " ".join(capsys.readouterr().out.split())
    assert "XLA compiles all of it as one program, for chunks of up to" in text
    assert "No Python runs in a step." in text
    assert "<Node 'x'> is called in Python once a step, before each chunk of time" in text
    assert "The first 16 steps of a simulation run in NumPy" in text
    assert "spiking neurons train with Rates(smoothing=None)" in text
    assert "XLA compiles fit as a whole." in text


def test_what_it_says_of_groups_is_so():
    net = loop(relay)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        groups, ops = len(sim.program.groups), len(sim.program.ops)
        looped = sum(len(s.groups) for s in sim.program.stages if s.looped)
        operators = len(sim.model.operators)
    assert explained(net).startswith(
        f"Nengo's {operators} operators became {ops}, which are computed in {groups} groups: "
        f"{looped} in each step, and {groups - looped} once for all steps of a chunk of time."
    )


@pytest.mark.parametrize(
    "net, told",
    [
        (
            lambda: loop(lambda: nengo.Node(lambda t, x: x, size_in=1, label="back")),
            "Once a step, Python calls function '<lambda>' of <Node 'back'>. No gradient flows "
            "through what it returns. A nengo_dl.TensorNode with the same function",
        ),
        (
            lambda: loop(relay, neuron_type=Doubled()),
            "Nengo's own code steps Doubled neurons of <Ensemble 'a'> in Python. No gradient flows",
        ),
        (lambda: loop(relay, synapse=Hold()), "Nengo's own code steps process Hold"),
        (
            lambda: loop(relay, neuron_type=nengo.PoissonSpiking(nengo.LIFRate())),
            "draws the spikes of PoissonSpiking neurons of <Ensemble 'a'> in Python.",
        ),
    ],
)
def test_which_object_runs_in_python_and_what_would_change_that(net, told):
    net = net()
    text = explained(net)
    assert told in text
    assert "run and predict step it in NumPy" in text
    assert "A step takes some tens of µs" in text
    assert "No Python runs in a step" not in text


def test_functions_of_time_beside_other_python():
    """They are called in the step, unless they are said to share nothing."""
    net = loop(lambda: nengo.Node(lambda t, x: x, size_in=1, label="back"))
    with net:
        own = nengo.Node(lambda t: t, label="own")
        nengo.Connection(own, net.ensembles[0])
    text = explained(net)
    assert "Once a step, Python calls function '<lambda>' of <Node 'own'>. It may share" in text
    assert "<Node 'x'> is called in Python once a step, before each chunk of time" in text
    with net:
        nengo_dl.configure_settings(pure=True)
    text = explained(net)
    assert "It may share" not in text
    assert "<Node 'x'> and <Node 'own'> are called in Python once a step, before" in text


def test_calls_out_of_tensorflow():
    """Where the network is too large for NumPy; and with several items."""
    net = loop(lambda: nengo.Node(lambda t, x: x, size_in=1, label="back"))
    text = explained(net, minibatch_size=32)
    assert "Once a step for each of 32 batch items, Python calls function" in text
    assert "TensorFlow loops over chunks of up to 128 steps; XLA compiles what lies between" in text
    assert "costs some 100 to 300 µs a step" in text
    assert "TensorFlow runs fit without XLA" in text


def test_a_tensor_node_that_xla_cannot_compile():
    def printing():
        def function(t, x):
            tf.print(t)
            return x

        return nengo_dl.TensorNode(function, shape_in=(1,), shape_out=(1,), label="printing")

    text = explained(loop(printing))
    assert "TensorFlow calls <TensorNode 'printing'>, which XLA cannot compile" in text
    assert "but not tf.print" in text


def test_without_a_loop_and_without_training():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(inference_only=True)
        x = nengo.Node([1.0])
        a = nengo.Ensemble(20, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(x, a, synapse=None)
        nengo.Probe(a)
    text = explained(net)
    assert "so there is no loop" in text
    assert "cannot be trained" in text
    assert "called in Python" not in text


def test_xla_switched_off(uncompiled):
    uncompiled()
    assert "XLA is switched off; TensorFlow runs" in explained(loop(relay))


def test_a_closed_simulator_explains_nothing():
    sim = nengo_dl.Simulator(loop(relay), progress_bar=False)
    sim.close()
    with pytest.raises(SimulatorClosed, match="closed"):
        sim.explain()
