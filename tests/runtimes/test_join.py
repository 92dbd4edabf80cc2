"""Outputs recorded as one: the same numbers, from few arrays however many probes there are."""

import nengo
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import nengo_dl
from nengo_dl.compiler.costs import Costs
from nengo_dl.compiler.ir import (
    Block,
    Layout,
    Output,
    Piece,
    Program,
    Read,
    Role,
    Signal,
    Stage,
    View,
)
from nengo_dl.runtimes.tensorflow.chunk import Span
from nengo_dl.runtimes.tensorflow.tune import join_outputs
from tests.random_graphs import (
    BATCH,
    build,
    check_answer,
    draw_inputs,
    graphs,
    interpret,
    run_program,
    tried,
)

STEPS = 4


@tried(60)
@given(graph=graphs())
def test_random_programs(graph):
    """With all outputs joined that can be, programs give what an interpreter gives."""
    recording = join_outputs(build(graph), Costs(lone_outputs=0))
    inputs = draw_inputs(graph, STEPS)
    span = Span(tf.constant(0, tf.int64), STEPS, STEPS)
    found, states = run_program(recording.program, inputs, span)
    wholes = {whole.key: whole for whole, _ in recording.parts.values()}
    assert found.keys() == wholes.keys()
    divided = recording.divide({wholes[key]: array for key, array in found.items()})
    outputs = {output.key: array for output, array in divided.items()}
    check_answer(graph, outputs, states, interpret(graph, inputs, STEPS, BATCH), STEPS)


def shown(read, values):
    """Return the elements that a read names, of the values (size,) of each block."""
    parts = [
        values[p.block][p.start : p.stop] if p.block else np.zeros(p.stop - p.start)
        for p in read.pieces
    ]
    whole = np.concatenate(parts) if parts else np.zeros(0)
    return whole if read.gather is None else whole[read.gather]


@st.composite
def reads(draw, blocks):
    """Draw what an output may read: pieces of blocks and zeros, perhaps gathered."""
    pieces = []
    for block in draw(st.lists(st.sampled_from([*blocks, None]), max_size=3)):
        bounds = st.integers(0, 8 if block is None else block.size)
        start, stop = sorted((draw(bounds), draw(bounds)))
        pieces.append(Piece(block, start, stop))
    size = sum(p.stop - p.start for p in pieces)
    if size and draw(st.booleans()):
        index = draw(st.lists(st.integers(0, size - 1), max_size=5))
        return Read(tuple(pieces), np.array(index, dtype=int), len(index))
    return Read(tuple(pieces), None, size)


@tried(200)
@given(data=st.data(), few=st.sampled_from([0, 2]), sparse=st.sampled_from([1, 4]))
def test_any_reads(data, few, sparse):
    """Whatever outputs read, the parts of what they are joined to are what they are to be."""
    signals = [Signal(name, (size,), Role.INPUT) for name, size in (("a", 40), ("b", 3))]
    blocks = [Block(s.name, s.role, "float", (s,), i) for i, s in enumerate(signals)]
    outputs = [
        (
            Output(i, View(Signal("x", (read.size,))), data.draw(st.booleans())),
            read,
        )
        for i, read in enumerate(data.draw(st.lists(reads(blocks), min_size=1, max_size=8)))
    ]
    program = Program(Layout(tuple(blocks)), (Stage(True, (), outputs=tuple(outputs)),))
    recording = join_outputs(program, Costs(lone_outputs=few, shown_share=sparse))
    values = {block: 1.0 + np.arange(block.size) + 100 * i for i, block in enumerate(blocks)}
    wholes = dict(recording.program.stages[0].outputs)
    assert all(whole.view.size == read.size for whole, read in wholes.items())
    found = recording.divide({whole: shown(read, values) for whole, read in wholes.items()})
    assert found.keys() == dict(outputs).keys()
    for output, read in outputs:
        np.testing.assert_array_equal(found[output], shown(read, values))
        assert recording.parts[output][0].batched == output.batched


def many_probes(kind, number=40):
    """Return a network in which as many objects are probed in one way."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(lambda t: np.sin(50 * t))
        large = nengo.Ensemble(20 * number, 1)
        nengo.Connection(node, large)
        for i in range(number):
            ens = nengo.Ensemble(4, 1, max_rates=[200] * 4, intercepts=[-0.9] * 4)
            conn = nengo.Connection(node, ens)
            if kind == "recurrent":
                nengo.Connection(ens, ens)
            target = {"connections": conn, "neurons": ens.neurons}.get(kind, ens)
            if kind == "picked":
                target = large.neurons[[20 * i, 5, 20 * i + 7]]
            synapse = 0.01 if kind == "filtered" else None
            every = 0.002 if kind == "sampled" else None
            nengo.Probe(target, synapse=synapse, sample_every=every)
    return net


@pytest.mark.parametrize(
    "kind",
    ["decoded", "filtered", "recurrent", "neurons", "connections", "picked", "sampled"],
)
def test_many_probes(kind):
    """XLA hands out as many arrays for 40 probes as for 20, and the numbers are Nengo's."""
    net = many_probes(kind)
    arrays = []
    for one in (many_probes(kind, 20), net):
        with nengo_dl.Simulator(one, progress_bar=False) as sim:
            parts = sim.strategy.recording.parts
            arrays.append(len({whole for whole, _ in parts.values()}))
            sim.run_steps(40)
            found = {p: sim.data[p] for p in one.all_probes}
    assert arrays[0] == arrays[1] <= 3
    with nengo.Simulator(net, progress_bar=False) as ref:
        ref.run_steps(40)
        for probe in net.all_probes:
            assert np.any(ref.data[probe])
            np.testing.assert_allclose(found[probe], ref.data[probe], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("batch", [1, 3])
def test_data_of_each_probe_are_its_own(batch):
    """What one probe recorded does not keep what all did, and cannot change it."""
    net = many_probes("decoded")
    with nengo_dl.Simulator(net, minibatch_size=batch, progress_bar=False) as sim:
        sim.run_steps(40)
        predicted = sim.predict(n_steps=24)
        for probe in net.all_probes:
            assert sim.data[probe].shape == (batch, 40, 1)
            assert predicted[probe].shape == (batch, 24, 1)
            assert predicted[probe].base is None or predicted[probe].base.size == 24 * batch
