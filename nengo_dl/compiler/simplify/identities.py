"""Multiplication by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..catalogue import TraitsOf
from ..ir import SUM, Graph, Op, Role, View
from ..traits import Product


def remove_identity_products(graph: Graph, traits: TraitsOf) -> Graph:
    """Replace products with constant ones, which nothing can train, by copies."""
    ops = tuple(
        _copied(op) if traits(op).product is Product.ELEMENTWISE else op for op in graph.ops
    )
    return graph if ops == graph.ops else replace(graph, ops=ops)


def _copied(op: Op) -> Op:
    for factor, other in (op.reads, op.reads[::-1]):
        if _is_one(factor) and other.size == op.writes[0].size:
            return Op(SUM, (other,), op.writes, targets=(None,), tag=op.tag)
    return op


def _is_one(view: View) -> bool:
    return view.signal.role is Role.CONSTANT and bool(np.all(view.signal.initial == 1))
