"""Operations whose results nobody sees."""

from __future__ import annotations

from dataclasses import replace

from ..catalogue import TraitsOf
from ..ir import Graph, Role, Signal


def remove_dead_code(graph: Graph, traits: TraitsOf) -> Graph:
    """Keep what outputs, online learning and effects depend on, now or in a later step."""
    writer = {signal: op for op in graph.ops for signal in op.writes}
    kept = {op for op in graph.ops if traits(op).has_effects}
    left = [v.signal for op in graph.ops if op in kept for v in op.reads]
    left += [o.view.signal for o in graph.outputs]
    left += [s for s in graph.next if s.role is Role.ADAPTED]
    seen: set[Signal] = set()
    while left:
        signal = left.pop()
        if signal in seen:
            continue
        seen.add(signal)
        op = writer.get(signal)
        if op is None:
            left += [graph.next[signal].signal] if signal in graph.next else []
        elif op not in kept:
            kept.add(op)
            left += [v.signal for v in op.reads]
    following = {s: v for s, v in graph.next.items() if s in seen}
    if len(kept) == len(graph.ops) and len(following) == len(graph.next):
        return graph
    return replace(graph, ops=tuple(op for op in graph.ops if op in kept), next=following)
