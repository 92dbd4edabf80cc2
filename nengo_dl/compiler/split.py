"""Which operations have to be looped over time, and which can run over a chunk of time at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .chain import Part, divide
from .graph import predecessors, reachable, successors, writers
from .ir import Graph, Op, Role, Signal

LARGE = 2**14  # elements of a matrix; a smaller one costs less in the loop than between two
RATIO = 8  # of elements: a product that makes this many times more or fewer is not taken out


def split(
    graph: Graph,
    is_sequential: Callable[[Op], bool],
    training: bool = False,
    together: Iterable[Sequence[Signal]] = (),
    is_host: Callable[[Op], bool] = lambda op: False,
) -> list[Part]:
    """Separate what only precedes and what only follows the state from the loop.

    What lies between two stateful operations is looped with them, except for large products: one
    loop costs less than several where networks are small.  Products stay in the loop that make
    much less of what the loop makes, or much more of what it is given: there they cost less than
    keeping all steps of the larger side.

    Parameters
    ----------
    graph : Graph
        Its ops are in order.
    is_sequential
        Whether an op must run step by step even if it has no state.
    training : bool
        Whether the program is for training: products are then always taken out where they can be,
        since their gradients cost most.
    together : iterable of sequences of Signal
        States that are to be carried by the same loop.
    is_host
        Whether an op is a call out of the compiled program: one for all steps is then taken out of
        the loop where it can be.
    """
    ops = graph.ops
    before = predecessors(ops)
    after = successors(before)
    core = _stateful(graph) | {i for i, op in enumerate(ops) if is_sequential(op)}
    downstream = reachable(core, after)
    looped = downstream & reachable(core, before)
    if not training:
        encoders = _encoders(ops, looped, downstream, after)
        downstream, looped = downstream | encoders, looped | encoders
        looped = _decoders(ops, looped, downstream, before)
    after_loop = downstream - looped
    inner = [op for i, op in enumerate(ops) if i in looped]
    sequential = {op for op in inner if is_sequential(op)}
    cuts = {op for op in inner if _is_cut(op, training) or is_host(op)} - sequential
    if not training:  # what expands or reduces is on the loops' side of a cut
        sequential.update(op for op in inner if op.kind == "dot" and op not in cuts)
    parts = [
        Part(False, tuple(op for i, op in enumerate(ops) if i not in downstream)),
        *divide(inner, graph, sequential, cuts, together),
        Part(False, tuple(op for i, op in enumerate(ops) if i in after_loop)),
    ]
    return [p for p in parts if _computes(p) or p.states]


def _is_cut(op: Op, training: bool) -> bool:
    """Whether an op is a product with many parameters."""
    if op.kind != "dot" and not (training and op.kind == "convolution"):
        return False
    matrix = op.reads[0]
    fixed = matrix.signal.role in (Role.PARAMETER, Role.CONSTANT)
    enough = op.kind == "convolution" or matrix.size >= LARGE
    return fixed and enough and (training or not (_reduces(op) or _expands(op)))


def _decoders(ops: Sequence[Op], looped: set[int], downstream: set[int], before: list) -> set[int]:
    """Products after the loop that reduce what it makes, with the routes to them."""
    inside = set(looped)
    for i, op in enumerate(ops):
        ready = i in downstream and all(j in inside for j in before[i] if j in downstream)
        if ready and (op.kind == "route" or _reduces(op)):
            inside.add(i)
    return inside


def _encoders(ops: Sequence[Op], looped: set[int], downstream: set[int], after: list) -> set[int]:
    """Products before the loop that expand what nothing but the loop reads."""
    return {
        i
        for i, op in enumerate(ops)
        if i not in downstream and after[i] and looped.issuperset(after[i]) and _expands(op)
    }


def _reduces(op: Op) -> bool:
    return op.kind == "dot" and op.writes[0].size * RATIO <= op.reads[1].size


def _expands(op: Op) -> bool:
    return op.kind == "dot" and op.reads[1].size * RATIO <= op.writes[0].size


def _computes(part: Part) -> bool:
    return any(op.kind != "route" for op in part.ops)


def _stateful(graph: Graph) -> set[int]:
    """Ops that read state, or write what it becomes."""
    writer = writers(graph.ops)
    stateful = {i for i, op in enumerate(graph.ops) if any(v.signal.role.carried for v in op.reads)}
    return stateful | {writer[v.signal] for v in graph.next.values() if v.signal in writer}
