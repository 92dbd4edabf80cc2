"""States that always hold the same values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from ..catalogue import TraitsOf
from ..graph import redirected
from ..ir import Graph, Role, Signal, View
from ..members import view_key


def merge_duplicate_states(graph: Graph, _: TraitsOf) -> Graph:
    """Keep one of all states that begin alike and become the same.

    Nengo stores what a filter gives out next to the filter's own memory, which is often the same.
    """
    made = Counter(view.signal for view in graph.next.values())
    first: dict[Hashable, Signal] = {}
    twin_of: dict[Signal, View] = {}
    for state, view in graph.next.items():
        if state.role is not Role.STATE or made[view.signal] == 1:
            continue
        begin = np.asarray(state.initial).tobytes()
        key = (*view_key(view)[:2], state.size, state.dtype, begin)
        kept = first.setdefault(key, state)
        if kept is not state:
            twin_of[state] = View(kept)
    if not twin_of:
        return graph
    following = {s: v for s, v in graph.next.items() if s not in twin_of}
    return redirected(replace(graph, next=following), twin_of)
