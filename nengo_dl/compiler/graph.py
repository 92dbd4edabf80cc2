"""Who depends on whom within one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from .ir import Graph, Op, Signal, View


class CycleError(ValueError):
    """The operators of one step wait for each other."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.ops = tuple(ops)
        names = ", ".join(dict.fromkeys(op.tag or op.kind for op in self.ops[:8]))
        super().__init__(f"{len(self.ops)} operators depend on each other within a step: {names}")


def writers(ops: Iterable[Op]) -> dict[Signal, int]:
    """The position of the op that writes each signal."""
    return {signal: i for i, op in enumerate(ops) for signal in op.writes}


def predecessors(ops: Sequence[Op]) -> list[list[int]]:
    """For each op, the positions of the ops whose results it reads, or whose turn comes before."""
    before = sources_of(ops)
    for earlier, later in pairwise(in_turn(ops)):
        if earlier not in before[later]:
            before[later].append(earlier)
    return before


def in_turn(ops: Sequence[Op]) -> list[int]:
    """Positions of the ops that have a turn, in its order.

    They call Python that may share objects, and so has to be called in this order.
    """
    turns = [(op.attrs["turn"], i) for i, op in enumerate(ops) if op.attrs.get("turn") is not None]
    return [i for _, i in sorted(turns)]


def sources_of(ops: Sequence[Op]) -> list[list[int]]:
    """For each op, the positions of the ops whose results it reads."""
    writer = writers(ops)
    before = []
    for op in ops:
        sources = {}  # a set that keeps its order
        for view in op.reads:
            source = writer.get(view.signal)
            if source is not None:
                sources[source] = True
        before.append(list(sources))
    return before


def successors(before: Sequence[Sequence[int]]) -> list[list[int]]:
    """The inverse of `predecessors`."""
    after: list[list[int]] = [[] for _ in before]
    for i, sources in enumerate(before):
        for source in sources:
            after[source].append(i)
    return after


def in_order(ops: Sequence[Op]) -> list[Op]:
    """The ops in an order in which each comes after what it reads; stable where it can be.

    Raises
    ------
    CycleError
        If there is no such order.
    """
    before = predecessors(ops)
    after = successors(before)
    waiting = [len(sources) for sources in before]
    ready = deque(i for i, n in enumerate(waiting) if n == 0)
    order = []
    while ready:
        i = ready.popleft()
        order.append(ops[i])
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.append(j)
    if len(order) < len(ops):
        raise CycleError([op for op, n in zip(ops, waiting, strict=True) if n > 0])
    return order


def ordered(graph: Graph) -> Graph:
    """The graph with its ops `in_order`."""
    return replace(graph, ops=tuple(in_order(graph.ops)))


def reachable(start: Iterable[int], edges: Sequence[Sequence[int]]) -> set[int]:
    """All positions that can be reached from `start`, which is included."""
    seen = set(start)
    left = list(seen)
    while left:
        for j in edges[left.pop()]:
            if j not in seen:
                seen.add(j)
                left.append(j)
    return seen


def redirected(graph: Graph, instead: Mapping[Signal, View]) -> Graph:
    """The graph with views that are read in place of some signals; what reads none is kept."""
    if not instead:
        return graph
    ops = tuple([reading(op, instead) for op in graph.ops])
    return with_redirected_ends(replace(graph, ops=ops), instead)


def with_redirected_ends(graph: Graph, instead: Mapping[Signal, View]) -> Graph:
    """The graph with other views in what states become and what probes see; ops stay."""
    return replace(
        graph,
        next={s: resolved(v, instead) for s, v in graph.next.items()},
        outputs=tuple(replace(o, view=resolved(o.view, instead)) for o in graph.outputs),
    )


def reading(op: Op, instead: Mapping[Signal, View]) -> Op:
    """The op with views that it reads in place of some signals; itself if it reads none of them."""
    for view in op.reads:
        if view.signal in instead:
            reads = tuple([resolved(v, instead) for v in op.reads])
            return Op(op.kind, reads, op.writes, op.attrs, op.targets, op.tag)
    return op


def resolved(view: View, instead: Mapping[Signal, View]) -> View:
    """The elements of a view, found in what is read in place of its signal."""
    outer = instead.get(view.signal)
    return view if outer is None else compose(outer, view)


def compose(outer: View, inner: View) -> View:
    """The view `inner` of what `outer` is a view of."""
    if inner.index is None:
        return View(outer.signal, outer.index, inner.shape)
    if outer.index is None:
        return View(outer.signal, inner.index, inner.shape)
    return View(outer.signal, np.asarray(outer.positions()[inner.index]).ravel(), inner.shape)
