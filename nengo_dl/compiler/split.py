"""Which operations have to be looped over time, and which can run over a chunk of time at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .graph import in_order, predecessors, reachable, successors, writers
from .ir import Graph, Op


@dataclass(frozen=True, eq=False)
class Part:
    """Ops of one stage."""

    looped: bool
    ops: tuple[Op, ...]


RATIO = 8  # of elements: a product that makes this many times more or fewer is not taken out


def split(
    graph: Graph, is_sequential: Callable[[Op], bool], keeps_decoders: bool = True
) -> list[Part]:
    """Separate what only precedes and what only follows the state from the loop.

    Everything between two stateful operations is looped with them: one loop costs less than
    several where networks are small.

    Parameters
    ----------
    graph : Graph
    is_sequential
        Whether an op must run step by step even if it has no state.
    keeps_decoders : bool
        Whether products stay in the loop that make much less of what the loop makes, or much more
        of what it is given: in it, they cost less than keeping all steps of the larger side.
    """
    ops = graph.ops
    before = predecessors(ops)
    after = successors(before)
    core = _stateful(graph) | {i for i, op in enumerate(ops) if is_sequential(op)}
    downstream = reachable(core, after)
    looped = downstream & reachable(core, before)
    if keeps_decoders:
        encoders = _encoders(ops, looped, downstream, after)
        downstream, looped = downstream | encoders, looped | encoders
        looped = _decoders(ops, looped, downstream, before)
    after_loop = downstream - looped
    parts = [
        Part(False, tuple(op for i, op in enumerate(ops) if i not in downstream)),
        Part(True, tuple(op for i, op in enumerate(ops) if i in looped)),
        Part(False, tuple(op for i, op in enumerate(ops) if i in after_loop)),
    ]
    return [p for p in parts if _computes(p) or p.looped and graph.next]


def _decoders(ops: Sequence[Op], looped: set[int], downstream: set[int], before: list) -> set[int]:
    """Products after the loop that reduce what it makes, with the routes to them."""
    inside = set(looped)
    number = {op: i for i, op in enumerate(ops)}
    for op in in_order(ops):
        i = number[op]
        ready = i in downstream and all(j in inside for j in before[i] if j in downstream)
        if ready and (op.kind == "route" or _reduces(op)):
            inside.add(i)
    return inside


def _encoders(ops: Sequence[Op], looped: set[int], downstream: set[int], after: list) -> set[int]:
    """Products before the loop that expand what nothing but the loop reads."""
    return {
        i
        for i, op in enumerate(ops)
        if i not in downstream and after[i] and looped.issuperset(after[i]) and _expands(op)
    }


def _reduces(op: Op) -> bool:
    return op.kind == "dot" and op.writes[0].size * RATIO <= op.reads[1].size


def _expands(op: Op) -> bool:
    return op.kind == "dot" and op.reads[1].size * RATIO <= op.writes[0].size


def _computes(part: Part) -> bool:
    return any(op.kind != "route" for op in part.ops)


def _stateful(graph: Graph) -> set[int]:
    """Ops that read state, or write what it becomes."""
    writer = writers(graph.ops)
    stateful = {i for i, op in enumerate(graph.ops) if any(v.signal.role.carried for v in op.reads)}
    return stateful | {writer[v.signal] for v in graph.next.values() if v.signal in writer}
