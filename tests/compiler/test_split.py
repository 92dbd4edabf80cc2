"""Stages: what comes before the loop over time, what is in it, and what comes after."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nengo_dl.compiler.ir import Graph, Op, Output, Role, Signal, View
from nengo_dl.compiler.simplify import find_routes, simplify
from nengo_dl.compiler.split import split
from nengo_dl.kernels import CATALOGUE
from tests.random_graphs import build, graphs, tried


@dataclass(frozen=True)
class Kind:
    """What the compiler asks of kinds that no kernel computes."""

    sequential: bool = False
    compiled: bool = True
    product: None = None


def line(*kinds, feedback=()):
    """Return ops in a row; those in `feedback` also read and update a state."""
    ops, following, before = [], {}, Signal("x", (1,), Role.INPUT)
    for i, kind in enumerate(kinds):
        y, reads = Signal(f"y{i}", (1,)), (View(before),)
        if i in feedback:
            state = Signal(f"s{i}", (1,), Role.STATE, initial=np.zeros(1))
            following[state] = View(y)
            reads = (View(state), *reads)
        ops.append(Op(kind, reads, (y,)))
        before = y
    return Graph(tuple(ops), following, (Output("out", View(before)),))


def stages(graph, sequential="", host=""):
    parts = split(graph, lambda op: Kind(op.kind in sequential, op.kind not in host))
    return [(p.looped, "".join(op.kind for op in p.ops)) for p in parts]


# ------------------------------------------------------------------------------------- any graph


@tried(100)
@given(graph=graphs(), simplifies=st.booleans())
def test_stages_of_any_graph(graph, simplifies):
    graph = simplify(graph, CATALOGUE.traits) if simplifies else find_routes(graph)
    parts = split(graph, CATALOGUE.traits)
    kept = [op for part in parts for op in part.ops]
    assert len(set(kept)) == len(kept)
    dropped = set(graph.ops) - set(kept)
    assert all(op.kind == "route" for op in dropped)
    stage = {op.writes[0]: i for i, part in enumerate(parts) for op in part.ops}
    assert sum(part.looped for part in parts) <= 1
    for i, part in enumerate(parts):
        for op in part.ops:
            assert all(stage.get(v.signal, 0) <= i for v in op.reads)
            assert part.looped or not _reads_changing_state(op, graph)
            assert part.looped or op.writes[0] not in {v.signal for v in graph.next.values()}


def _reads_changing_state(op, graph):
    return any(v.signal in graph.next for v in op.reads)


@tried(60)
@given(graph=graphs())
def test_a_loop_has_a_reason(graph):
    """Nothing is looped that neither needs the state nor is needed by it."""
    graph = simplify(graph, CATALOGUE.traits)
    for part in split(graph, CATALOGUE.traits):
        if part.looped:
            writers = {s: op for op in graph.ops for s in op.writes}
            needed = _upstream([v.signal for v in graph.next.values()], writers)
            states = [s for s in graph.sources() if s.role.carried]
            used = {s for op in part.ops for s in op.writes if _depends(s, states, writers)}
            for op in part.ops:
                assert op.writes[0] in needed or op.writes[0] in used


def _upstream(signals, writers):
    seen, left = set(), list(signals)
    while left:
        signal = left.pop()
        if signal not in seen:
            seen.add(signal)
            left += [v.signal for v in writers[signal].reads] if signal in writers else []
    return seen


def _depends(signal, states, writers):
    return not _upstream([signal], writers).isdisjoint(states)


@tried(60)
@given(graph=graphs())
def test_stages_export_what_later_stages_read(graph):
    program = build(graph)
    made = {b: i for i, s in enumerate(program.stages) for g in s.groups for b in g.writes}
    loops = [i for i, s in enumerate(program.stages) if s.looped]
    made.update((b, loops[0]) for s in program.stages for b, _ in s.carried)
    for i, stage in enumerate(program.stages):
        reads = [r for g in stage.groups for r in g.reads] + [r for _, r in stage.outputs]
        for block in [b for r in reads for b in r.blocks if b in made]:
            assert made[block] <= i
            producer = program.stages[made[block]]
            assert made[block] == i or not producer.looped or block in producer.exports
        assert not stage.carried or stage.looped


# ------------------------------------------------------------------------------------- examples


def test_before_in_and_after_the_loop():
    graph = line("a", "b", "c", "d", feedback=[1, 2])
    assert stages(graph) == [(False, "a"), (True, "bc"), (False, "d")]


def test_what_lies_between_two_loops_is_in_the_loop():
    graph = line("a", "b", "c", "d", "e", feedback=[1, 3])
    assert stages(graph) == [(False, "a"), (True, "bcd"), (False, "e")]


def test_without_state_nothing_is_looped():
    assert stages(line("a", "b")) == [(False, "ab")]


def test_sequential_ops_are_looped():
    graph = line("a", "b", "c")
    assert stages(graph, "b") == [(False, "a"), (True, "b"), (False, "c")]


def test_calls_of_the_host_are_taken_out_of_the_loop_where_they_can_be():
    loops = [(True, "bc"), (False, "c"), (True, "d")]
    between = line("b", "b", "c", "d", feedback=[0, 3])
    assert stages(between, host="c") == [(True, "bb"), (False, "c"), (True, "d")]
    assert stages(between, "c", "c") == [(True, "bbcd")]
    inside = line("b", "c", "c", "d", feedback=[0, 1, 3])
    assert stages(inside, host="c") == loops


def test_a_delay_alone_is_a_loop():
    """A state may become an input, or another state, without any op."""
    x = Signal("x", (1,), Role.INPUT)
    states = [Signal(f"s{i}", (1,), Role.STATE, initial=np.zeros(1)) for i in range(2)]
    following = {states[0]: View(x), states[1]: View(states[0])}
    graph = Graph((), following, (Output("out", View(states[1])),))
    assert stages(graph) == [(True, "")]


def test_nothing_at_all():
    graph = Graph((), {}, ())
    assert stages(graph) == []
    (stage,) = build(graph).stages
    assert not stage.looped
    assert stage.groups == ()
