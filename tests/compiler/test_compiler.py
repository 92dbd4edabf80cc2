"""The whole compiler: whatever the graph, the program computes what the operators do one by one."""

import copy
import gc
import time

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from nengo_dl.compiler.graph import CycleError, in_order
from nengo_dl.compiler.ir import (
    Block,
    Graph,
    Group,
    Layout,
    Op,
    Output,
    Piece,
    Program,
    Read,
    Role,
    Signal,
    Stage,
    View,
)
from nengo_dl.compiler.verify import ProgramError, verify
from nengo_dl.kernels import CATALOGUE
from nengo_dl.runtimes.tensorflow.chunk import Span
from nengo_dl.runtimes.tensorflow.strategy import Scope, Strategy
from tests.random_graphs import (
    BATCH,
    build,
    check_answer,
    draw_inputs,
    graphs,
    interpret,
    run_program,
    start_values,
    tried,
)

WAYS = {
    "plain": (False, False),
    "grouped": (False, True),
    "simplified": (True, False),
    "both": (True, True),
}
every_way = pytest.mark.parametrize("way", WAYS)


def compiled(graph, way):
    return build(graph, *WAYS[way])


def span(length, valid=None, first=0):
    return Span(tf.constant(first, tf.int64), length, length if valid is None else valid)


# ------------------------------------------------------------------------------------- results


@every_way
@tried(40)
@given(graph=graphs(), length=st.sampled_from([1, 2, 4]), unroll=st.sampled_from([1, 2]))
def test_program_computes_what_the_graph_does(way, graph, length, unroll):
    unroll = min(unroll, length)
    inputs = draw_inputs(graph, length)
    outputs, states = run_program(compiled(graph, way), inputs, span(length), unroll)
    check_answer(graph, outputs, states, interpret(graph, inputs, length), length)


@every_way
@tried(20)
@given(graph=graphs(), valid=st.sampled_from([1, 3, 5]))
def test_part_of_a_chunk(way, graph, valid):
    """Of steps beyond the valid ones, nothing is left in the state."""
    inputs = draw_inputs(graph, 5)
    outputs, states = run_program(compiled(graph, way), inputs, span(5, valid))
    check_answer(graph, outputs, states, interpret(graph, inputs, valid), valid)


@tried(12)
@given(graph=graphs(), valid=st.sampled_from([1, 3]))
def test_length_known_at_run_time(graph, valid):
    """In one traced function, T and the number of valid steps are tensors."""
    program = build(graph)
    inputs = draw_inputs(graph, 3)
    fed = [s for s in inputs if s in program.layout.place()]
    specs = [tf.TensorSpec((None if len(inputs[s]) > 1 else 1, *inputs[s].shape[1:])) for s in fed]
    specs = [tf.TensorSpec(spec.shape, tf.float64) for spec in specs]
    keys, members = [], []

    @tf.function(input_signature=[specs, *[tf.TensorSpec((), tf.int32)] * 2], autograph=False)
    def simulate(arrays, length, valid):
        outputs, states = _traced(program, dict(zip(fed, arrays, strict=True)), length, valid)
        keys[:], members[:] = outputs, states
        return list(outputs.values()), list(states.values())

    found, after = simulate([inputs[s] for s in fed], 3, valid)
    outputs = {k: v.numpy() for k, v in zip(keys, found, strict=True)}
    states = {}
    for block, value in zip(members, after, strict=True):
        ends = np.cumsum([s.size for s in block.members])[:-1]
        states.update(zip(block.members, np.split(value.numpy(), ends, 1), strict=True))
    check_answer(graph, outputs, states, interpret(graph, inputs, valid), valid)


def _traced(program, inputs, length, valid):
    from nengo_dl.kernels.context import Context
    from nengo_dl.runtimes.tensorflow.execute import execute
    from tests.random_graphs import DT

    zeros = {s: np.zeros((1, 1, s.size)) for b in program.layout.of(Role.INPUT) for s in b.members}
    sources, carry = start_values(program, zeros)
    sources.update(
        (b, inputs[b.members[0]]) for b in program.layout.of(Role.INPUT) if b.members[0] in inputs
    )
    ctx = Context(DT, "float64", BATCH, False, host=None, steppers=None)
    how = Strategy(purpose="simulate", scope=Scope.NOTHING, program=program)
    outputs, after = execute(sources, carry, span(length, valid), ctx, how)
    return {o.key: v for o, v in outputs.items()}, after


@every_way
@tried(15)
@given(graph=graphs())
def test_one_item_in_a_batch_of_one(way, graph):
    """With B = 1 what items share cannot be told from what they do not; results are the same."""
    inputs = {s: x[:, :1] for s, x in draw_inputs(graph, 3).items()}
    outputs, states = run_program(compiled(graph, way), inputs, span(3), batch=1)
    answer = interpret(graph, inputs, 3, batch=1)
    check_answer(graph, outputs, states, answer, 3)


@tried(25)
@given(graph=graphs(), data=st.data())
def test_order_of_ops_does_not_matter(graph, data):
    shuffled = data.draw(st.permutations(graph.ops))
    other = Graph(tuple(shuffled), graph.next, graph.outputs, graph.pinned)
    inputs = draw_inputs(graph, 2)
    outputs, states = run_program(build(other), inputs, span(2))
    check_answer(graph, outputs, states, interpret(graph, inputs, 2), 2)


@tried(20)
@given(graph=graphs())
def test_two_programs_may_share_a_layout(graph):
    """As the programs for simulating and for training do, though they differ in their ops."""
    layout = build(graph, simplifies=False).layout
    program = build(graph, layout=layout)
    assert program.layout is layout
    inputs = draw_inputs(graph, 3)
    outputs, states = run_program(program, inputs, span(3))
    check_answer(graph, outputs, {}, interpret(graph, inputs, 3), 3)


# ------------------------------------------------------------------------------------- printing


@tried(30)
@given(graph=graphs())
def test_deterministic(graph):
    """The same graph, made twice, gives the same program."""
    assert str(build(graph)) == str(build(copy.deepcopy(graph)))


def test_program_prints():
    x = Signal("x", (2,), Role.INPUT)
    weights = [Signal(f"w{i}", (3, 2), Role.PARAMETER, initial=np.ones((3, 2))) for i in range(2)]
    state = Signal("memory", (3,), Role.STATE, initial=np.zeros(3))
    y = [Signal(f"y{i}", (3,)) for i in range(2)]
    z = Signal("z", (3,))
    ops = [Op("dot", (View(w), View(x)), (y[i],)) for i, w in enumerate(weights)]
    ops.append(Op("sum", (View(y[0]), View(state)), (z,), targets=(None, None)))
    graph = Graph(tuple(ops), {state: View(z)}, (Output("probe", View(y[1])),))
    program = build(graph, simplifies=False)
    assert str(program).splitlines() == [
        "blocks:",
        "  state        memory(3)",
        "  parameter    w0+1(12)",
        "  input        x(2)",
        "for all steps at once:",
        "  dot          ×2     w0+1, x  ->  %0(6)",
        "  output       probe = %0[3:6]",
        "for each step:",
        "  sum          ×1     %0[0:3], memory  ->  %1(3)",
        "  next         memory(3) = %1",
    ]
    assert str(graph).splitlines() == [
        "dot(w0, x) -> y0[3]",
        "dot(w1, x) -> y1[3]",
        "sum(y0, memory) -> z[3]",
        "next memory[3] = z",
        "output probe = y1",
    ]


# ------------------------------------------------------------------------------------- cost


def layered(n_ops):
    """Many small loops of dot, sum and filter, which feed each other."""
    ops, following, before = [], {}, Signal("x", (2,), Role.INPUT)
    for i in range(n_ops // 3):
        weights = Signal(f"w{i}", (2, 2), Role.PARAMETER, initial=np.full((2, 2), 0.1))
        state = Signal(f"s{i}", (2,), Role.STATE, initial=np.zeros(2))
        product, total, after = Signal("p", (2,)), Signal("t", (2,)), Signal("f", (2,))
        ops.append(Op("dot", (View(weights), View(before)), (product,)))
        ops.append(Op("sum", (View(product), View(state)), (total,), targets=(None, None)))
        ops.append(Op("lowpass", (View(state), View(total)), (after,), {"a": 0.5, "b": 0.1 * i}))
        following[state] = View(after)
        before = state
    return Graph(tuple(ops), following, (Output("out", View(before)),))


def chain(n_ops):
    """Each op reads what the one before wrote, and no two are alike."""
    ops, before = [], Signal("x", (2,), Role.INPUT)
    for i in range(n_ops):
        after = Signal(f"y{i}", (2,))
        if i % 2:
            ops.append(Op("sum", (View(before),) * 2, (after,), targets=(None, None)))
        else:
            ops.append(Op("multiply", (View(before), View(before)), (after,)))
        before = after
    return Graph(tuple(ops), {}, (Output("out", View(before)),))


def different(n_ops):
    """Independent ops, of which no two may share a group."""
    ops, outputs = [], []
    for i in range(n_ops):
        x, y = Signal(f"x{i}", (1,), Role.STATE, initial=np.zeros(1)), Signal(f"y{i}", (1, 1 + i))
        ones = Signal("ones", (1 + i,), Role.PARAMETER, initial=np.ones(1 + i))
        ops.append(Op("multiply", (View(x, None, (1, 1)), View(ones)), (y,)))
        outputs.append(Output(i, View(y)))
    return Graph(tuple(ops), {}, tuple(outputs))


@pytest.mark.parametrize("make", [layered, chain, different])
@pytest.mark.parametrize("groups", [True, False])
def test_time_to_build_is_almost_linear(make, groups):
    """Eight times as many ops take eight times as long, not 64 times."""
    small, large = make(500), make(4000)
    assert _time_to_build(large, groups) < 16 * _time_to_build(small, groups)


def _time_to_build(graph, groups):
    times = []
    gc.disable()  # which looks at all objects of all tests
    for _ in range(3):
        start = time.process_time()
        build(graph, groups=groups)
        times.append(time.process_time() - start)
    gc.enable()
    return min(times)


# ------------------------------------------------------------------------------------- mistakes


def test_cycle_names_its_ops():
    a, b, c = (Signal(name, (1,)) for name in "abc")
    ops = (
        Op("sum", (View(b),) * 2, (a,), targets=(None, None), tag="first"),
        Op("sum", (View(a),) * 2, (b,), targets=(None, None), tag="second"),
        Op("sum", (), (c,), tag="innocent"),
    )
    with pytest.raises(CycleError, match="2 operators .*: first, second$") as caught:
        in_order(ops)
    assert caught.value.ops == ops[:2]
    graph = Graph(ops, {}, (Output("out", View(a)),))
    with pytest.raises(CycleError, match="first, second"):
        build(graph, simplifies=False)
    with pytest.raises(CycleError, match="first, second"):
        build(graph)


def _program(group_reads=(), carried=(), outputs=(), blocks=()):
    late = Block("late", Role.TEMPORARY, "float", (Signal("late", (2,)),), 10)
    shapes = ((2,),) * len(group_reads)
    groups = (Group("sum", (), tuple(group_reads), shapes, (late,), CATALOGUE.kernel("sum")),)
    return Program(Layout(tuple(blocks)), (Stage(True, groups, carried, outputs),)), late


def test_verify_finds_what_is_read_too_early():
    block = Block("b", Role.STATE, "float", (Signal("b", (2,), Role.STATE),), 0)
    read = Read((Piece(block, 0, 2),), None, 2)
    program, _ = _program([read], blocks=[block])
    assert verify(program) is program
    program, _ = _program([read])
    with pytest.raises(ProgramError, match="reads b before it is written"):
        verify(program)
    program, _ = _program(outputs=[(Output("o", View(block.members[0])), read)])
    with pytest.raises(ProgramError, match="output o: reads b before"):
        verify(program)


def test_verify_finds_what_lies_outside():
    block = Block("b", Role.STATE, "float", (Signal("b", (2,), Role.STATE),), 0)
    program, _ = _program([Read((Piece(block, 1, 4),), None, 2)], blocks=[block])
    with pytest.raises(ProgramError, match=r"b\[1:4\] lies outside"):
        verify(program)


def test_verify_compares_sizes_of_states():
    block = Block("b", Role.STATE, "float", (Signal("b", (2,), Role.STATE),), 0)
    read = Read((Piece(block, 0, 1),), None, 1)
    program, _ = _program(carried=[(block, read)], blocks=[block])
    with pytest.raises(ProgramError, match="2 elements, its next 1"):
        verify(program)
