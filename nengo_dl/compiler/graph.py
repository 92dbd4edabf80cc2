"""Who depends on whom within one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from .ir import Op, Signal


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
    """For each op, the positions of the ops whose results it reads."""
    writer = writers(ops)
    return [
        list(dict.fromkeys(writer[v.signal] for v in op.reads if v.signal in writer)) for op in ops
    ]


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
