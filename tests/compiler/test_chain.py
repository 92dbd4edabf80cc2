"""Loops in a row, with products between them that serve all steps at once."""

import nengo
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.compiler.simplify import find_routes, simplify
from nengo_dl.compiler.split import split
from nengo_dl.kernels import CATALOGUE
from nengo_dl.runtimes.tensorflow.chunk import Span
from tests.random_graphs import (
    build,
    check_answer,
    draw_inputs,
    graphs,
    interpret,
    run_program,
    tried,
)


def cuts_from(size):
    """Take products with matrices of this many elements out of loops."""
    return costs.assuming(matrix_elements_between_loops=size)


def loops(program):
    return sum(stage.looped for stage in program.stages)


@tried(60)
@given(graph=graphs(), simplifies=st.booleans(), length=st.sampled_from([1, 2, 4]))
def test_programs_of_many_loops_compute_what_the_graph_does(graph, simplifies, length):
    with cuts_from(0):
        program = build(graph, simplifies)
    inputs = draw_inputs(graph, length)
    outputs, states = run_program(program, inputs, Span(tf.constant(0, tf.int64), length, length))
    check_answer(graph, outputs, states, interpret(graph, inputs, length), length)


@tried(60)
@given(graph=graphs(), simplifies=st.booleans(), training=st.booleans())
def test_parts_of_any_graph(graph, simplifies, training):
    graph = simplify(graph, CATALOGUE.traits) if simplifies else find_routes(graph)
    with cuts_from(0) as assumed:
        parts = split(graph, CATALOGUE.traits, training, costs=assumed)
    kept = [op for part in parts for op in part.ops]
    assert len(set(kept)) == len(kept)
    assert all(op.kind == "route" for op in set(graph.ops) - set(kept))
    carried = [s for part in parts for s in part.states]
    assert sorted(map(id, carried)) == sorted(map(id, graph.next))
    home = {s: i for i, part in enumerate(parts) for op in part.ops for s in op.writes}
    home.update((s, i) for i, part in enumerate(parts) for s in part.states)
    for i, part in enumerate(parts):
        assert part.looped or not part.states
        for op in part.ops:
            assert all(home.get(v.signal, 0) <= i for v in op.reads)
            assert part.looped or not CATALOGUE.traits(op).sequential
        for state in part.states:
            assert home.get(graph.next[state].signal, 0) <= i


def layers(synapse, recurrent=False, neuron_type=None):
    rng = np.random.RandomState(0)
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.config[nengo.Ensemble].neuron_type = neuron_type or nengo.LIF()
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
        net.config[nengo.Ensemble].bias = nengo.dists.Uniform(0, 2)
        net.inp = nengo.Node(lambda t: np.sin(np.arange(8) * 9 * t))
        a, b, c = (nengo.Ensemble(70, 1).neurons for _ in range(3))
        nengo.Connection(net.inp, a, synapse=None, transform=rng.randn(70, 8))
        weights = rng.randn(70, 70) / 1000
        net.inner = nengo.Connection(a, b, synapse=synapse, transform=weights)
        nengo.Connection(b, c, synapse=synapse, transform=weights.T)
        if recurrent:
            nengo.Connection(b, b, synapse=0.01, transform=weights[::-1])
        net.p = nengo.Probe(c, synapse=0.01)
        net.q = nengo.Probe(a)
    return net


@pytest.mark.parametrize("synapse", [None, 0.005, nengo.Alpha(0.01)])
@pytest.mark.parametrize("recurrent", [False, True])
def test_layers_have_a_loop_each(synapse, recurrent):
    net = layers(synapse, recurrent)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(60)
    with cuts_from(4096), nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert loops(sim.session.compiled.program) == 3
        sim.run_steps(25)
        sim.run_steps(35)
    for probe in (net.p, net.q):
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], rtol=0, atol=1e-9)


def test_a_ring_of_layers_is_one_loop():
    net = layers(0.005)
    with net:
        nengo.Connection(net.inner.post, net.inner.pre, transform=np.eye(70) / 1000)
    with cuts_from(4096), nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert loops(sim.session.compiled.program) == 2


def test_layers_in_minibatches():
    net = layers(0.005)
    data = np.random.RandomState(2).uniform(-1, 1, (3, 30, 8))
    with cuts_from(4096), nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sim.run_steps(30, data={net.inp: data})
        together = sim.data[net.p]
    for i in range(3):
        with cuts_from(2**30), nengo_dl.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(30, data={net.inp: data[i : i + 1]})
            np.testing.assert_allclose(sim.data[net.p], together[i], rtol=0, atol=1e-9)


@pytest.mark.training
def test_training_is_the_same_with_one_loop_and_with_several():
    """Adaptive rates have a state also in training, and so a loop for each layer."""
    rng = np.random.RandomState(3)
    x, y = rng.uniform(-1, 1, (8, 10, 8)), rng.uniform(0, 50, (8, 10, 70))
    trained, counts = [], []
    for size in (0, 2**30):
        net = layers(0.005, neuron_type=nengo.AdaptiveLIFRate(tau_n=0.1))
        with cuts_from(size), nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
            sim.compile(tf.keras.optimizers.SGD(1e-3), loss={net.p: "mse"})
            sim.fit({net.inp: x}, {net.p: y}, epochs=2, verbose=0, shuffle=False)
            counts.append(loops(sim.session.compiled.training_program))
            trained.append(sim.data[net.inner].weights)
    assert counts == [3, 1]
    start = np.random.RandomState(0)
    start.randn(70, 8)
    assert np.abs(trained[0] - start.randn(70, 70) / 1000).max() > 1e-6
    np.testing.assert_allclose(trained[0], trained[1], rtol=1e-9, atol=1e-12)
