"""States that always hold the same values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Graph, Role, Signal, View


def merge_twin_states(graph: Graph) -> Graph:
    """Keep one of all states that begin alike and become the same.

    Nengo stores what a filter gives out next to the filter's own memory, which is often the same.
    """
    first: dict[tuple, Signal] = {}
    twin_of: dict[Signal, Signal] = {}
    for state, view in graph.next.items():
        if state.role is not Role.STATE:
            continue
        index = view.index
        where = index.tobytes() if isinstance(index, np.ndarray) else repr(index)
        key = (view.signal, where, state.size, state.dtype, np.asarray(state.initial).tobytes())
        if first.setdefault(key, state) is not state:
            twin_of[state] = first[key]
    if not twin_of:
        return graph

    def merged(view: View) -> View:
        twin = twin_of.get(view.signal)
        return view if twin is None else View(twin, view.index, view.shape)

    return replace(
        graph,
        ops=tuple(replace(op, reads=tuple(map(merged, op.reads))) for op in graph.ops),
        next={s: merged(v) for s, v in graph.next.items() if s not in twin_of},
        outputs=tuple(replace(o, view=merged(o.view)) for o in graph.outputs),
    )
