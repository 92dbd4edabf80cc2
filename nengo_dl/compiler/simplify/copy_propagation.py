"""Copies of a whole signal: whoever reads the copy reads the original."""

from __future__ import annotations

from dataclasses import replace

from ..catalogue import TraitsOf
from ..graph import reading, with_redirected_ends
from ..ir import Graph, Op, Signal, View


def propagate_copies(graph: Graph, _: TraitsOf) -> Graph:
    """Drop sums of a single term that fills them."""
    original: dict[Signal, View] = {}
    ops = []
    for op in graph.ops:
        op = reading(op, original)
        if is_alias(op):
            original[op.writes[0]] = op.reads[0]
        else:
            ops.append(op)
    if not original:
        return graph
    # no op comes before what it reads: all that are left read originals already
    return with_redirected_ends(replace(graph, ops=tuple(ops)), original)


def is_alias(op: Op) -> bool:
    """Whether an op only gives another name to a whole signal or view."""
    return (
        op.is_sum
        and len(op.reads) == 1
        and op.targets[0] is None
        and op.reads[0].size == op.writes[0].size
    )
