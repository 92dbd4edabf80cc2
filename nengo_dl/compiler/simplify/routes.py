"""Sums that only move elements about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import ROUTE, Graph, Op


def find_routes(graph: Graph) -> Graph:
    """Mark sums in which no element has more than one term: they need no arithmetic.

    A route is resolved when arguments are arranged: whoever reads it reads its sources.
    """
    return replace(graph, ops=tuple(map(_routed, graph.ops)))


def _routed(op: Op) -> Op:
    if not op.is_sum or np.any(terms_per_element(op) > 1):
        return op
    return replace(op, kind=ROUTE)


def terms_per_element(op: Op) -> np.ndarray | int:
    """How many terms each element of a sum has; one number where all have as many."""
    if all(target is None for target in op.targets):
        return len(op.reads)
    count = np.zeros(op.writes[0].size, dtype=np.intp)
    for target in op.targets:
        count[slice(None) if target is None else target] += 1
    return count
