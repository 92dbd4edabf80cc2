"""Divides the loop over time into a chain of loops, with large products between them.

In a loop, a matrix is read from memory again in each step; between two loops, one product serves
all steps of a chunk.  Only what depends on itself over time has to be looped together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .graph import in_turn, writers
from .ir import Graph, Op, Signal

Node = Op | Signal  # states are nodes of their own: what they become comes before who reads them


@dataclass(frozen=True, eq=False)
class Part:
    """Ops of one stage, and the states that it carries from step to step."""

    looped: bool
    ops: tuple[Op, ...]
    states: tuple[Signal, ...] = ()


def divide(
    ops: Sequence[Op],
    graph: Graph,
    looped: Collection[Op],
    cuts: Collection[Op],
    together: Iterable[Sequence[Signal]] = (),
) -> list[Part]:
    """Divide the ops of a loop into loops and what runs between them.

    Parameters
    ----------
    ops : sequence of Op
        All of the loop.
    graph : Graph
    looped : collection of Op
        Those that must be in some loop even if they have no state.
    cuts : collection of Op
        Those to take out of it, where nothing depends on itself through them.
    together : iterable of sequences of Signal
        States that lie in one array, and so change in one loop.
    """
    states = list(graph.next)
    if not cuts:
        return [Part(True, tuple(ops), tuple(states))]
    edges = _edges(ops, states, graph, together)
    components = _components(edges)
    home = {node: number for number, nodes in enumerate(components) for node in nodes}
    stages = _number_stages(components, edges, home, set(looped), set(cuts))
    members: dict[int, list[Op]] = {}
    for op in ops:
        members.setdefault(stages[home[op]], []).append(op)
    carried: dict[int, list[Signal]] = {}
    for state in states:
        carried.setdefault(stages[home[state]], []).append(state)
    return [
        Part(bool(n % 2), tuple(members.get(n, ())), tuple(carried.get(n, ())))
        for n in sorted({*members, *carried})
    ]


def _edges(
    ops: Sequence[Op], states: Sequence[Signal], graph: Graph, together: Iterable[Sequence[Signal]]
) -> dict[Node, list[Node]]:
    """What comes after each node, within a step or from one step to the next."""
    writer = {signal: ops[i] for signal, i in writers(ops).items()}
    nodes: list[Node] = [*ops, *states]
    after: dict[Node, list[Node]] = {node: [] for node in nodes}
    for op in ops:
        for view in op.reads:
            source = writer.get(view.signal, view.signal)
            if source in after:
                after[source].append(op)
    for state in states:
        becomes = graph.next[state].signal
        source = writer.get(becomes, becomes)
        if source in after and source is not state:
            after[source].append(state)
    in_order: list[Node] = [ops[i] for i in in_turn(ops)]
    groups: list[Sequence[Node]] = [*together, in_order]
    for group in groups:
        # a ring makes one strongly connected component of them, and so one loop
        ring = [node for node in group if node in after]
        for node, following in zip(ring, ring[1:] + ring[:1], strict=True):
            after[node].append(following)
    return after


def _components(after: Mapping[Node, Sequence[Node]]) -> list[list[Node]]:
    """Strongly connected components, each before those that it leads to [Tarjan 1972]."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    found: list[list[Node]] = []
    for root in after:
        if root in index:
            continue
        # a stack of our own: a path is as long as the network is deep, Python's stack is not
        work = [(root, iter(after[root]))]
        _enter(root, index, low, stack, on_stack)
        while work:
            node, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_leave(node, stack, on_stack))
            elif following not in index:
                _enter(following, index, low, stack, on_stack)
                work.append((following, iter(after[following])))
            elif following in on_stack:
                low[node] = min(low[node], index[following])
    # Tarjan completes a component after all that it leads to
    return found[::-1]


def _enter(
    node: Node,
    index: dict[Node, int],
    low: dict[Node, int],
    stack: list[Node],
    on_stack: set[Node],
) -> None:
    index[node] = low[node] = len(index)
    stack.append(node)
    on_stack.add(node)


def _leave(node: Node, stack: list[Node], on_stack: set[Node]) -> list[Node]:
    members: list[Node] = []
    while not members or members[-1] is not node:
        members.append(stack.pop())
    on_stack.difference_update(members)
    return members


def _number_stages(
    components: Sequence[Sequence[Node]],
    after: Mapping[Node, Sequence[Node]],
    home: Mapping[Node, int],
    looped: set[Op],
    cuts: set[Op],
) -> list[int]:
    """The stage of each component: odd ones are loops, the others run over all steps at once."""
    stages = [1] * len(components)
    for number, nodes in enumerate(components):
        stage = stages[number]
        loops = len(nodes) > 1 or isinstance(nodes[0], Signal) or nodes[0] in looped
        if loops:
            # the first odd stage that is not before what it depends on; below, the first even one
            stage += stage % 2 == 0
        elif nodes[0] in cuts:
            stage += stage % 2
        stages[number] = stage
        for node in nodes:
            for following in after[node]:
                there = home[following]
                stages[there] = max(stages[there], stage)
    return stages
