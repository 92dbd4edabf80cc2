"""Copies of a whole signal: whoever reads the copy reads the original."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..graph import in_order
from ..ir import Graph, Op, Signal, View


def remove_aliases(graph: Graph) -> Graph:
    """Drop sums of a single term that fills them."""
    original: dict[Signal, View] = {}

    def resolved(view: View) -> View:
        target = original.get(view.signal)
        return view if target is None else compose(target, view)

    ops = []
    for op in in_order(graph.ops):
        op = replace(op, reads=tuple(map(resolved, op.reads)))
        if is_alias(op):
            original[op.writes[0]] = op.reads[0]
        else:
            ops.append(op)
    return replace(
        graph,
        ops=tuple(ops),
        next={s: resolved(v) for s, v in graph.next.items()},
        outputs=tuple(replace(o, view=resolved(o.view)) for o in graph.outputs),
    )


def is_alias(op: Op) -> bool:
    """Whether an op only gives another name to a whole signal or view."""
    return (
        op.kind == "sum"
        and len(op.reads) == 1
        and op.targets[0] is None
        and op.reads[0].size == op.writes[0].size
    )


def compose(outer: View, inner: View) -> View:
    """The view `inner` of what `outer` is a view of."""
    if inner.index is None:
        return View(outer.signal, outer.index, inner.shape)
    if outer.index is None:
        return View(outer.signal, inner.index, inner.shape)
    return View(outer.signal, np.asarray(outer.positions()[inner.index]).ravel(), inner.shape)
