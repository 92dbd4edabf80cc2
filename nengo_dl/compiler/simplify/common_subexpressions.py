"""Operations that compute what another one computes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

import numpy as np

from ..catalogue import TraitsOf
from ..graph import reading, redirected
from ..ir import Graph, Op, Role, Signal, View
from ..members import view_key


def remove_common_subexpressions(graph: Graph, traits: TraitsOf) -> Graph:
    """Keep one of all ops that read the same, with states of their own that begin alike.

    Many connections from one object have filters of their own, but the same input.
    """
    owned = _owned_states(graph)
    first: dict[Hashable, Op] = {}
    instead: dict[Signal, View] = {}
    ops = []
    for op in graph.ops:
        op = reading(op, instead)
        key = _key(op, owned) if traits(op).mergeable else None
        kept = op if key is None else first.setdefault(key, op)
        if kept is op:
            ops.append(op)
            continue
        mine = [*op.writes, *_states(op, owned)]
        theirs = [*kept.writes, *_states(kept, owned)]
        instead.update(zip(mine, map(View, theirs), strict=True))
    if not instead:
        return graph
    following = {s: v for s, v in graph.next.items() if s not in instead}
    return redirected(replace(graph, ops=tuple(ops), next=following), instead)


def _owned_states(graph: Graph) -> dict[Signal, Signal]:
    """States that become exactly what an op writes, with what that is."""
    return {
        state: view.signal
        for state, view in graph.next.items()
        if state.role is Role.STATE and view.index is None
    }


def _states(op: Op, owned: Mapping[Signal, Signal]) -> list[Signal]:
    """States that the op both reads and makes anew, in the order in which it reads them."""
    return [v.signal for v in op.reads if owned.get(v.signal) in op.writes]


def _key(op: Op, owned: Mapping[Signal, Signal]) -> Hashable | None:
    """Equal for ops with equal results; None if the op is not to be merged."""
    try:
        attrs = frozenset(op.attrs.items())
    except TypeError:
        return None  # arrays
    reads = tuple([_read_key(view, owned.get(view.signal), op) for view in op.reads])
    return op.kind, attrs, reads, tuple([s.shape for s in op.writes])


def _read_key(view: View, made: Signal | None, op: Op) -> Hashable:
    """What is read: of a state of the op's own, which becomes `made`, how it begins."""
    if made is None or made not in op.writes:
        return view_key(view)
    begin = np.asarray(view.signal.initial)
    own = ("own", op.writes.index(made), begin.dtype.str, begin.tobytes())
    return own, *view_key(view)[1:]
