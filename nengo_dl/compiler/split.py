"""Which operations have to be looped over time, and which can run over a chunk of time at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .graph import predecessors, reachable, successors, writers
from .ir import Graph, Op


@dataclass(frozen=True, eq=False)
class Part:
    """Ops of one stage."""

    looped: bool
    ops: tuple[Op, ...]


def split(graph: Graph, is_sequential: Callable[[Op], bool]) -> list[Part]:
    """Separate what only precedes and what only follows the state from the loop.

    Everything between two stateful operations is looped with them: one loop costs less than
    several where networks are small.

    Parameters
    ----------
    graph : Graph
    is_sequential
        Whether an op must run step by step even if it has no state.
    """
    ops = graph.ops
    before = predecessors(ops)
    after = successors(before)
    core = _stateful(graph) | {i for i, op in enumerate(ops) if is_sequential(op)}
    downstream = reachable(core, after)
    looped = downstream & reachable(core, before)
    parts = [
        Part(False, tuple(op for i, op in enumerate(ops) if i not in downstream)),
        Part(True, tuple(op for i, op in enumerate(ops) if i in looped)),
        Part(False, tuple(op for i, op in enumerate(ops) if i in downstream - looped)),
    ]
    return [p for p in parts if _computes(p) or p.looped and graph.next]


def _computes(part: Part) -> bool:
    return any(op.kind != "route" for op in part.ops)


def _stateful(graph: Graph) -> set[int]:
    """Ops that read state, or write what it becomes."""
    writer = writers(graph.ops)
    stateful = {i for i, op in enumerate(graph.ops) if any(v.signal.role.carried for v in op.reads)}
    return stateful | {writer[v.signal] for v in graph.next.values() if v.signal in writer}
