"""Terms and products that are zero whatever happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..graph import in_order
from ..ir import Graph, Op, Role, Signal, View

# zero if any of what they read is
PRODUCTS = frozenset({"multiply", "dot", "sparse_dot", "convolution"})


def remove_zeros(graph: Graph) -> Graph:
    """Drop zero terms from sums, and replace products with zero by empty sums."""
    zeros: set[Signal] = set()

    def is_zero(view: View) -> bool:
        signal = view.signal
        if signal.role is Role.CONSTANT and signal not in zeros:
            if not np.any(signal.initial):
                zeros.add(signal)
        return signal in zeros

    ops = []
    for op in in_order(graph.ops):
        if op.kind == "sum":
            op = _keep(op, [not is_zero(view) for view in op.reads])
        elif op.kind in PRODUCTS and any(map(is_zero, op.reads)):
            op = Op("sum", (), op.writes, tag=op.tag)
        if op.kind == "sum" and not op.reads:
            zeros.update(op.writes)
        ops.append(op)
    return replace(graph, ops=tuple(ops))


def _keep(op: Op, kept: list[bool]) -> Op:
    if all(kept):
        return op
    reads = tuple(v for v, k in zip(op.reads, kept, strict=True) if k)
    targets = tuple(t for t, k in zip(op.targets, kept, strict=True) if k)
    return replace(op, reads=reads, targets=targets)
