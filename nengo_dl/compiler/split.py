"""Which operations have to be looped over time, and which can run over a chunk of time at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .catalogue import TraitsOf, is_matrix_product
from .chain import Part, divide
from .costs import CPU, Costs
from .graph import predecessors, reachable, successors, writers
from .ir import Graph, Op, Role, Signal
from .traits import Product


def split(
    graph: Graph,
    traits: TraitsOf,
    training: bool = False,
    together: Iterable[Sequence[Signal]] = (),
    costs: Costs = CPU,
    divides: bool = True,
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
    traits
        What is known of the kind of an op. One that is sequential runs step by step even if it has
        no state; a call out of the compiled program is taken out of the loop where one call can
        serve all steps.
    training : bool
        Whether the program is for training: products are then always taken out where they can be,
        since their gradients cost most.
    together : iterable of sequences of Signal
        States that are to be carried by the same loop.
    costs : Costs
    divides : bool
        Whether there may be several loops, with what serves all steps at once between them.
    """
    ops = graph.ops
    choice = _Choice(traits, training, costs)
    before = predecessors(ops)
    after = successors(before)
    core = _stateful(graph) | {i for i, op in enumerate(ops) if traits(op).sequential}
    downstream = reachable(core, after)
    # between two stateful ops; whatever else there is only precedes or only follows them
    looped = downstream & reachable(core, before)
    if not training:
        encoders = _encoders(ops, looped, downstream, after, choice)
        downstream, looped = downstream | encoders, looped | encoders
        looped = _decoders(ops, looped, downstream, before, choice)
    after_loop = downstream - looped
    inner = [op for i, op in enumerate(ops) if i in looped]
    sequential = {op for op in inner if traits(op).sequential}
    cuts = {op for op in inner if divides and choice.cuts(op)} - sequential
    if not training:  # what expands or reduces is on the loops' side of a cut
        sequential.update(op for op in inner if choice.multiplies(op) and op not in cuts)
    parts = [
        Part(False, tuple(op for i, op in enumerate(ops) if i not in downstream)),
        *divide(inner, graph, sequential, cuts, together),
        Part(False, tuple(op for i, op in enumerate(ops) if i in after_loop)),
    ]
    return [p for p in parts if _computes(p) or p.states]


@dataclass(frozen=True)
class _Choice:
    """What is worth taking out of a loop."""

    traits: TraitsOf
    training: bool
    costs: Costs

    def multiplies(self, op: Op) -> bool:
        return is_matrix_product(op, self.traits)

    def cuts(self, op: Op) -> bool:
        """Whether an op is a product with many parameters, or a call of Python."""
        traits = self.traits(op)
        if not traits.compiled:
            return True
        convolves = self.training and traits.product is Product.CONVOLUTION
        if not (convolves or traits.product is Product.MATRIX):
            return False
        matrix = op.reads[0]
        fixed = matrix.signal.role in (Role.PARAMETER, Role.CONSTANT)
        enough = convolves or matrix.size >= self.costs.matrix_elements_between_loops
        return fixed and enough and (self.training or not (self.reduces(op) or self.expands(op)))

    def reduces(self, op: Op) -> bool:
        """Whether a product makes much less of what it reads."""
        ratio = self.costs.reducing_ratio
        return self.multiplies(op) and op.writes[0].size * ratio <= op.reads[1].size

    def expands(self, op: Op) -> bool:
        """Whether a product makes much more of what it reads."""
        ratio = self.costs.reducing_ratio
        return self.multiplies(op) and op.reads[1].size * ratio <= op.writes[0].size


def _decoders(
    ops: Sequence[Op],
    looped: set[int],
    downstream: set[int],
    before: list[list[int]],
    choice: _Choice,
) -> set[int]:
    """Products after the loop that reduce what it makes, with the routes to them."""
    inside = set(looped)
    for i, op in enumerate(ops):
        ready = i in downstream and all(j in inside for j in before[i] if j in downstream)
        if ready and (op.is_route or choice.reduces(op)):
            inside.add(i)
    return inside


def _encoders(
    ops: Sequence[Op],
    looped: set[int],
    downstream: set[int],
    after: list[list[int]],
    choice: _Choice,
) -> set[int]:
    """Products before the loop that expand what nothing but the loop reads."""
    return {
        i
        for i, op in enumerate(ops)
        if i not in downstream and after[i] and looped.issuperset(after[i]) and choice.expands(op)
    }


def _computes(part: Part) -> bool:
    return any(not op.is_route for op in part.ops)


def _stateful(graph: Graph) -> set[int]:
    """Ops that read state, or write what it becomes."""
    writer = writers(graph.ops)
    stateful = {i for i, op in enumerate(graph.ops) if any(v.signal.role.carried for v in op.reads)}
    return stateful | {writer[v.signal] for v in graph.next.values() if v.signal in writer}
