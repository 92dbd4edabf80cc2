"""Terms and products that are zero whatever happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..catalogue import TraitsOf
from ..ir import SUM, Graph, Op, Role, Signal, View


def remove_zeros(graph: Graph, traits: TraitsOf) -> Graph:
    """Drop zero terms from sums, and replace products with zero by empty sums."""
    known: dict[Signal, bool] = {}

    def is_zero(view: View) -> bool:
        signal = view.signal
        if signal.role is Role.CONSTANT and signal not in known:
            known[signal] = not np.any(signal.initial)
        return known.get(signal, False)

    ops = []
    for op in graph.ops:
        if op.is_sum:
            op = _keep(op, [not is_zero(view) for view in op.reads])
        elif traits(op).product is not None and any(map(is_zero, op.reads)):
            op = Op(SUM, (), op.writes, tag=op.tag)
        if op.is_sum and not op.reads:
            known.update(dict.fromkeys(op.writes, True))
        ops.append(op)
    rewritten = tuple(ops)
    return graph if rewritten == graph.ops else replace(graph, ops=rewritten)


def _keep(op: Op, kept: list[bool]) -> Op:
    if all(kept):
        return op
    reads = tuple(v for v, k in zip(op.reads, kept, strict=True) if k)
    targets = tuple(t for t, k in zip(op.targets, kept, strict=True) if k)
    return Op(op.kind, reads, op.writes, op.attrs, targets, op.tag)
