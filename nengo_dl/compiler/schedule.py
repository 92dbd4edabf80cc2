"""Operators of one kind that do not depend on each other become one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise

from .graph import CycleError, in_order, in_turn, predecessors, reachable, sources_of, successors
from .ir import Op

Signature = Callable[[Op], Hashable]
Rank = tuple[int, ...]
Entry = tuple[Rank, float, int]


def schedule(
    ops: Sequence[Op],
    signature: Signature,
    grouped: bool = True,
    is_urgent: Callable[[Op], bool] = lambda op: False,
) -> list[list[Op]]:
    """Order ops and group those with equal signatures.

    List scheduling in time almost linear in ops and dependencies: of all kinds with ready members,
    take one that is complete (nothing of its kind is still waiting), or else the one with the
    largest part of its members ready.  Or take the one that most still has to follow: what is
    short waits, and joins the same kind of something longer.  Whichever makes fewer groups.
    Routes cost nothing and are passed through.

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
        return [[op] for op in in_order(ops) if not op.is_route]
    before = predecessors(ops)
    after = successors(before)
    keys = [signature(op) for op in ops]
    urgent = {i for i, op in enumerate(ops) if not op.is_route and is_urgent(op)}
    soon = reachable(urgent, before)
    if urgent:
        # or else what an urgent op waits for would wait for the rest of its kind
        keys = [(key, i in soon) for i, key in enumerate(keys)]
    heights = _heights(ops, before, after)
    joins = _joins(ops, keys)
    ways = (
        lambda i: (i not in urgent, i not in soon),
        lambda i: (i not in urgent, i not in soon, -heights[i]),
    )
    for i, j in joins.items():
        # both are released at once, by `_pass_routes`, to be in one group
        after[i].remove(j)
    return min((_list_schedule(ops, keys, before, after, joins, rank) for rank in ways), key=len)


def _joins(ops: Sequence[Op], keys: Sequence[Hashable]) -> dict[int, int]:
    """Ops that can join the group of the one before, as they only wait for their turn."""
    alike = [(i, j) for i, j in pairwise(in_turn(ops)) if keys[i] == keys[j]]
    sources = sources_of(ops) if alike else []
    return {i: j for i, j in alike if i not in sources[j]}


def _heights(ops: Sequence[Op], before: list[list[int]], after: list[list[int]]) -> list[int]:
    """How many ops at most have to follow each, one after the other."""
    heights = [0] * len(ops)
    left = [len(readers) for readers in after]
    done = [i for i, n in enumerate(left) if n == 0]
    while done:
        i = done.pop()
        height = heights[i] + (not ops[i].is_route)
        for j in before[i]:
            heights[j] = max(heights[j], height)
            left[j] -= 1
            if left[j] == 0:
                done.append(j)
    return heights


def _list_schedule(
    ops: Sequence[Op],
    keys: Sequence[Hashable],
    before: list[list[int]],
    after: list[list[int]],
    joins: dict[int, int],
    rank: Callable[[int], Rank],
) -> list[list[Op]]:
    waiting = [len(sources) for sources in before]
    sizes = Counter(key for op, key in zip(ops, keys, strict=True) if not op.is_route)
    ready = _Ready(keys, sizes, rank)
    groups: list[list[Op]] = []
    fresh = [i for i, n in enumerate(waiting) if n == 0]
    done = 0
    while True:
        done += _pass_routes(fresh, ops, after, waiting, joins)
        ready.add([i for i in fresh if not ops[i].is_route])
        members = ready.take()
        if not members:
            break
        done += len(members)
        groups.append([ops[i] for i in members])
        fresh = _release(members, after, waiting)
    if done < len(ops):
        raise CycleError([op for op, n in zip(ops, waiting, strict=True) if n > 0])
    return groups


class _Ready:
    """Ops that can run, by kind; finds the kind to run next without looking at all of them.

    Parameters
    ----------
    keys : list
        The kind of each op.
    sizes : Counter
        How many ops of each kind there are.
    rank
        What is compared first, before how much of a kind is ready: the smallest goes first.
    """

    def __init__(
        self, keys: Sequence[Hashable], sizes: Counter[Hashable], rank: Callable[[int], Rank]
    ) -> None:
        self._keys, self._left, self._rank = keys, sizes, rank
        self._members: dict[Hashable, list[int]] = {}  # heaps
        self._queue: list[Entry] = []  # a heap; entries that are out of date stay in it

    def add(self, fresh: Sequence[int]) -> None:
        for i in fresh:
            heappush(self._members.setdefault(self._keys[i], []), i)
        for key in dict.fromkeys(self._keys[i] for i in fresh):
            heappush(self._queue, self._entry(key))

    def take(self) -> list[int]:
        """Remove and return the ops of the next group; none if none is ready."""
        while self._queue:
            entry = heappop(self._queue)
            key = self._keys[entry[-1]]
            # an entry is out of date if members came after it, or the group was taken
            if key in self._members and entry == self._entry(key):
                members = sorted(self._members.pop(key))
                self._left[key] -= len(members)
                return members
        return []

    def _entry(self, key: Hashable) -> Entry:
        members = self._members[key]
        # the largest part of what is left of a kind goes first; 1 means that it is complete
        return self._rank(members[0]), -len(members) / self._left[key], members[0]


def _release(
    done: list[int], after: Sequence[list[int]] | Mapping[int, list[int]], waiting: list[int]
) -> list[int]:
    fresh = []
    for i in done:
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                fresh.append(j)
    return fresh


def _pass_routes(
    fresh: list[int],
    ops: Sequence[Op],
    after: list[list[int]],
    waiting: list[int],
    joins: dict[int, int],
) -> int:
    """Let routes among `fresh` release their readers, which join it; return their number.

    What only waits for the turn of one that is ready is ready too: both will be in one group.
    """
    routes = 0
    for i in fresh:  # grows as it goes
        if i in joins:
            fresh.extend(_release([i], {i: [joins[i]]}, waiting))
        if ops[i].is_route:
            routes += 1
            fresh.extend(_release([i], after, waiting))
    return routes
