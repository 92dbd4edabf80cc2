"""Operations whose results nobody sees."""

from __future__ import annotations

from dataclasses import replace

from ..graph import writers
from ..ir import Graph, Role, Signal

# these act on the world outside the graph
EFFECTS = frozenset({"host", "python", "tensor_node"})


def remove_dead_code(graph: Graph) -> Graph:
    """Keep what outputs, online learning and effects depend on, now or in a later step."""
    writer = writers(graph.ops)
    kept: set[int] = set()
    carried: set[Signal] = set()
    seen: set[Signal] = set()
    left = [o.view.signal for o in graph.outputs]
    left += [s for s in graph.next if s.role is Role.ADAPTED]
    effects = [i for i, op in enumerate(graph.ops) if op.kind in EFFECTS]

    def keep(i: int) -> None:
        if i not in kept:
            kept.add(i)
            left.extend(v.signal for v in graph.ops[i].reads)

    for i in effects:
        keep(i)
    while left:
        signal = left.pop()
        if signal in seen:
            continue
        seen.add(signal)
        if signal in writer:
            keep(writer[signal])
        elif signal in graph.next:
            carried.add(signal)
            left.append(graph.next[signal].signal)
    following = {s: v for s, v in graph.next.items() if s in carried}
    ops = tuple(op for i, op in enumerate(graph.ops) if i in kept)
    return replace(graph, ops=ops, next=following)
