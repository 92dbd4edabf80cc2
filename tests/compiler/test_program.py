"""What networks compile to: few groups, whatever their size, and little of it in a loop."""

import re

import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.builder import Model

import nengo_dl
from nengo_dl.compiler.ir import Role
from nengo_dl.config.settings import Settings
from nengo_dl.runtimes.tensorflow.chunk import Span
from nengo_dl.session.compilation import Compilation


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def program_of(net, **kwargs):
    with simulator(net, **kwargs) as sim:
        return sim.program


def parallel(count, size=lambda i: 10, neuron_type=lambda i: nengo.LIF(), tau=lambda i: 0.1):
    """Ensembles side by side, each with an input, a loop and a probe."""
    with nengo.Network(seed=0) as net:
        for i in range(count):
            node = nengo.Node([0.5])
            ens = nengo.Ensemble(size(i), 1, neuron_type=neuron_type(i), seed=i)
            nengo.Connection(node, ens)
            nengo.Connection(ens, ens, synapse=tau(i), seed=i)
            nengo.Probe(ens, synapse=tau(i))
    return net


def learning(count):
    """Connections that learn to pass on what they get."""
    with nengo.Network(seed=0) as net:
        for i in range(count):
            a, b, error = (nengo.Ensemble(10, 1, seed=10 * i + j) for j in range(3))
            connection = nengo.Connection(a, b, learning_rule_type=nengo.PES(1e-4 * (i + 1)))
            nengo.Connection(b, error)
            nengo.Connection(a, error, transform=-1)
            nengo.Connection(error, connection.learning_rule)
            nengo.Probe(b)
    return net


def feed_forward(neuron_type):
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].synapse = None
        node = nengo.Node(np.ones(4))
        before = node
        for size in (6, 5):
            ens = nengo.Ensemble(size, 1, neuron_type=neuron_type, seed=size)
            transform = nengo.Dense((size, before.size_out), nengo.dists.Uniform(-1, 1))
            nengo.Connection(before, ens.neurons, transform=transform)
            before = ens.neurons
        nengo.Probe(before)
    return net


def groups(program, kind=None):
    """Return (kind, number of ops) of each group."""
    return [(g.kind, len(g.ops)) for g in program.groups if kind in (None, g.kind)]


# ------------------------------------------------------------------------------------- groups


NETWORKS = {"parallel": parallel, "learning": learning}
each_network = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


@each_network
def test_number_of_groups_does_not_grow(make):
    few, many = program_of(make(2)), program_of(make(64))
    assert [g.kind for g in few.groups] == [g.kind for g in many.groups]
    assert len(few.stages) == len(many.stages)
    for small, large in zip(few.groups, many.groups, strict=True):
        assert len(large.ops) == 32 * len(small.ops) or len(large.ops) == len(small.ops)
    assert re.search(r"neurons +×64 ", str(program_of(parallel(64))))


@each_network
def test_parameters_lie_together(make):
    """As many arrays hold the parameters and the state, whatever the number of ensembles."""
    few, many = (make(n) for n in (2, 64))
    roles = [
        [b.role for b in program_of(n).layout.blocks if b.role.name != "INPUT"] for n in (few, many)
    ]
    assert roles[0] == roles[1]


def test_like_ops_share_a_group():
    """Decoders of loops and of probes are one product, all filters are one."""
    found = groups(program_of(parallel(3)))
    expected = [("dot", 3), ("dot", 6), ("lowpass", 9), ("neurons", 3), ("sum", 3), ("sum", 3)]
    assert sorted(found) == expected


DIFFERENT_NEURONS = [
    nengo.LIF(tau_rc=0.02),
    nengo.LIF(tau_rc=0.05, tau_ref=0.001),
    nengo.LIF(amplitude=0.5, min_voltage=-1),
]


def test_neurons_with_other_constants_share_a_group():
    net = parallel(3, size=lambda i: 5 + i, neuron_type=lambda i: DIFFERENT_NEURONS[i])
    assert groups(program_of(net), "neurons") == [("neurons", 3)]
    same_as_nengo(net)


def test_neurons_of_other_types_do_not_share_a_group():
    types = [nengo.LIF(), nengo.RectifiedLinear(), nengo.LIF()]
    net = parallel(3, neuron_type=lambda i: types[i])
    assert sorted(groups(program_of(net), "neurons")) == [("neurons", 1), ("neurons", 2)]


def test_filters_with_other_time_constants_share_a_group():
    net = parallel(4, tau=lambda i: 0.01 * (i + 1))
    assert groups(program_of(net), "lowpass") == [("lowpass", 12)]
    same_as_nengo(net)


def test_learning_rules_share_a_group():
    net = learning(3)
    assert groups(program_of(net), "pes") == [("pes", 3)]
    same_as_nengo(net)


def same_as_nengo(net, steps=30):
    with net:
        nengo_dl.configure_settings(dtype="float64")
    with nengo.Simulator(net, progress_bar=False) as reference, simulator(net) as sim:
        reference.run_steps(steps)
        sim.run_steps(steps)
        for probe in net.probes:
            np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-10)


def test_planner_that_does_nothing_makes_no_groups():
    net = parallel(3)
    with net:
        nengo_dl.configure_settings(planner=nengo_dl.graph_optimizer.noop_planner)
    assert all(count == 1 for _, count in groups(program_of(net)))


def test_simplifications_can_be_switched_off():
    with nengo.Network() as net:
        node = nengo.Node([0.5])
        for _ in range(2):  # with filters that are alike
            nengo.Probe(node, synapse=0.1)
    simple = len(program_of(net).ops)
    with net:
        nengo_dl.configure_settings(simplifications=[])
    assert len(program_of(net).ops) > simple


def test_lowering_makes_no_sums_for_resets_and_updates_of_a_whole_signal():
    """Nengo resets what connections add up in, and keeps what a filter gives out."""
    with nengo.Network() as net:
        node, out = nengo.Node([0.5]), nengo.Node(size_in=1)
        for _ in range(3):
            nengo.Connection(node, out, synapse=None)
        nengo.Probe(out, synapse=0.1)
    model = Model()
    model.build(net)
    graph = Compilation(model, Settings.of(net), 1).lowered.graph
    sums = [op for op in graph.ops if op.kind == "sum"]
    assert max(len(op.reads) for op in sums) == 3
    assert all(v.signal.role is not Role.CONSTANT for op in sums for v in op.reads)
    assert {op.kind for op in graph.ops for s in graph.next.values() if s.signal in op.writes} == {
        "lowpass"
    }


# ------------------------------------------------------------------------------------- stages


@pytest.mark.parametrize("neuron_type", [nengo.RectifiedLinear(), nengo.Tanh(), nengo.LIFRate()])
def test_rate_neurons_need_no_loop(neuron_type):
    net = feed_forward(neuron_type)
    assert [stage.looped for stage in program_of(net).stages] == [False]
    same_as_nengo(net)


def test_spiking_neurons_do_and_what_comes_before_does_not():
    first, *rest = program_of(feed_forward(nengo.LIF())).stages
    assert not first.looped
    assert "dot" in [g.kind for g in first.groups]
    assert rest[0].looped


def test_spiking_neurons_need_no_loop_in_training():
    with simulator(feed_forward(nengo.LIF())) as sim:
        training = sim.session.compiled.training_program
    assert [stage.looped for stage in training.stages] == [False]


# ------------------------------------------------------------------------------------- size


def ops_in_a_trace(net):
    """Return the number of operations of TensorFlow's that a run of five steps consists of."""
    with simulator(net, minibatch_size=2) as sim:
        graph = sim.session.graph
        inputs = {b: tf.zeros((1, 2, b.size)) for b in graph.plan.inputs.values()}

        span = Span(tf.constant(0, tf.int64), 5, 5)

        @tf.function(autograph=False)
        def run():
            outputs, _ = graph.simulate(inputs, graph.carry(), span, graph.strategy("test"))
            return [outputs[o.key] for o in graph.plan.outputs.values()][:1]

        traced = run.get_concrete_function().graph.as_graph_def()
    return sum(len(f.node_def) for f in traced.library.function) + len(traced.node)


def one_input(count):
    """Ensembles in loops, with one input and one probe for all."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.ones(count))
        out = nengo.Node(size_in=count)
        for i in range(count):
            ens = nengo.Ensemble(10, 1, seed=i)
            nengo.Connection(node[i], ens)
            nengo.Connection(ens, ens, synapse=0.01 * (i + 1), seed=i)
            nengo.Connection(ens, out[i])
        nengo.Probe(out)
    return net


def test_number_of_operations_does_not_grow():
    assert ops_in_a_trace(one_input(64)) <= 1.02 * ops_in_a_trace(one_input(4))


# ------------------------------------------------------------------------------------- printing


def test_program_prints_blocks_groups_and_outputs():
    net = parallel(64)
    with net:
        nengo.Probe(net.ensembles[0], label="the decoded value")
    with simulator(net) as sim:
        text = str(sim.program)
    assert text.startswith("blocks:\n")
    for role in ("parameter", "state"):
        assert re.search(rf"^  {role} +\S.*\(\d+\)$", text, re.MULTILINE)
    assert "for each step:" in text
    assert re.search(r"^  neurons +×64 .* -> ", text, re.MULTILINE)
    assert re.search(r"^  next +.* = ", text, re.MULTILINE)
    assert re.search(r'^  output +<Probe "the decoded value" .*> = ', text, re.MULTILINE)
    assert len(text.splitlines()) < 64 * 3 + 40
