"""Operators of one kind that do not depend on each other become one group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from .graph import CycleError, in_order, predecessors, reachable, successors
from .ir import Op

Signature = Callable[[Op], Hashable]


def schedule(
    ops: Sequence[Op],
    signature: Signature,
    grouped: bool = True,
    is_urgent: Callable[[Op], bool] = lambda op: False,
) -> list[list[Op]]:
    """Order ops and group those with equal signatures.

    Greedy list scheduling in time linear in ops and dependencies: of all kinds with ready
    members, take one that is complete (nothing of its kind is still waiting), or else the one with
    the largest part of its members ready.  Routes cost nothing and are passed through.

    Parameters
    ----------
    ops : sequence of Op
    signature
        Ops may share a group if this is equal.
    grouped : bool
        False puts every op into a group of its own.
    is_urgent
        Whether an op, and so what it waits for, is to come before all that need not: calls out of
        the compiled program are then not scattered over it.
    """
    if not grouped:
        return [[op] for op in in_order(ops) if op.kind != "route"]
    before = predecessors(ops)
    after = successors(before)
    waiting = [len(sources) for sources in before]
    keys = [signature(op) for op in ops]
    urgent = {i for i, op in enumerate(ops) if op.kind != "route" and is_urgent(op)}
    soon = reachable(urgent, before)
    if urgent:
        keys = [(key, i in soon) for i, key in enumerate(keys)]
    left: dict[Hashable, int] = defaultdict(int)
    for op, key in zip(ops, keys, strict=True):
        left[key] += op.kind != "route"
    ready: dict[Hashable, list[int]] = defaultdict(list)
    groups: list[list[Op]] = []
    fresh = [i for i, n in enumerate(waiting) if n == 0]
    done = 0
    while True:
        done += _pass_routes(fresh, ops, after, waiting)
        for i in fresh:
            if ops[i].kind != "route":
                ready[keys[i]].append(i)
        if not ready:
            break
        key = max(ready, key=lambda k: _rank(ready[k], left[k], urgent, soon))
        members = sorted(ready.pop(key))
        left[key] -= len(members)
        done += len(members)
        groups.append([ops[i] for i in members])
        fresh = _release(members, after, waiting)
    if done < len(ops):
        raise CycleError([op for op, n in zip(ops, waiting, strict=True) if n > 0])
    return groups


def _rank(members: list[int], left: int, urgent: set[int], soon: set[int]) -> tuple:
    """Which kind goes first: the largest wins."""
    return members[0] in urgent, members[0] in soon, len(members) / left, -min(members)


def _release(done: list[int], after: list[list[int]], waiting: list[int]) -> list[int]:
    fresh = []
    for i in done:
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                fresh.append(j)
    return fresh


def _pass_routes(
    fresh: list[int], ops: Sequence[Op], after: list[list[int]], waiting: list[int]
) -> int:
    """Let routes among `fresh` release their readers, which join it; return their number."""
    routes = 0
    for i in fresh:  # grows as it goes
        if ops[i].kind == "route":
            routes += 1
            fresh.extend(_release([i], after, waiting))
    return routes
