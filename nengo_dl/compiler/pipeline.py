"""The compiler on one screen: from the graph of a step to a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from .arrange import Addresses, arrange, arrange_sources
from .catalogue import Catalogue, TraitsOf
from .chain import Part
from .costs import CPU, Costs
from .ir import Block, Graph, Group, Layout, Op, Output, Program, Read, Role, Signal, Stage, View
from .members import order_members, split_by_sharing
from .schedule import schedule
from .simplify import DEFAULT_PASSES, simplify
from .split import split
from .verify import verify

#: Names of the passes that drop what computes nothing.
SIMPLIFICATIONS = tuple(rewrite.__name__ for rewrite in DEFAULT_PASSES)
#: Names of all passes that can be left out.
PASSES = (
    *SIMPLIFICATIONS,
    "split_stages",
    "divide_loops",
    "group",
    "split_by_sharing",
    "order_members",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the compiler is told besides the graph.

    Attributes
    ----------
    skipped : frozenset of str
        Names of passes that are left out, of `PASSES`. What a program computes does not depend on
        that, only how fast it is.
    costs : Costs
        What things cost on the machine that the program is for.
    """

    skipped: frozenset[str] = frozenset()
    costs: Costs = CPU

    def does(self, name: str) -> bool:
        """Whether a pass is applied."""
        return name not in self.skipped


def build_program(
    graph: Graph,
    catalogue: Catalogue,
    options: Options,
    layout: Layout | None = None,
    training: bool = False,
) -> Program:
    """Compile the graph of one step.

    Parameters
    ----------
    graph : Graph
    catalogue : Catalogue
        The registry of kernels: which ops may share a group, and which must run in order.
    options : Options
    layout : Layout, optional
        Where the sources lie, if another program has decided that.
    training : bool
        Whether the program is for training.
    """
    costs, traits = options.costs, catalogue.traits
    graph = simplify(graph, traits, [p for p in DEFAULT_PASSES if options.does(p.__name__)])
    placed = [block.members for block in layout.blocks] if layout else []
    parts = _parts(graph, traits, training, placed, options)
    grouped = []
    for part in parts:
        groups = schedule(part.ops, catalogue.signature, options.does("group"), _is_host(traits))
        shares = options.does("split_by_sharing")
        grouped.append(split_by_sharing(groups, traits, costs) if shares else groups)
    routes = [op for op in graph.ops if op.is_route]
    flat = list(chain.from_iterable(grouped))
    if options.does("order_members"):
        flat = order_members(flat, routes)
    # the program for training is given the layout of the other: both read the same variables
    if layout is None:
        carriers = {s: number for number, part in enumerate(parts) for s in part.states}
        layout = arrange_sources(flat, graph, catalogue, carriers)
    arranged, space = arrange(flat, routes, layout, catalogue, costs)
    stages = _stages(graph, parts, [len(g) for g in grouped], arranged, space)
    return verify(Program(layout, tuple(stages)))


def _parts(
    graph: Graph,
    traits: TraitsOf,
    training: bool,
    placed: Sequence[Sequence[Signal]],
    options: Options,
) -> list[Part]:
    """What runs at once for all steps, and what is looped over them."""
    if not options.does("split_stages"):
        return [Part(True, graph.ops, tuple(graph.next))]
    divides = options.does("divide_loops")
    return split(graph, traits, training, placed, options.costs, divides)


def _is_host(traits: TraitsOf) -> Callable[[Op], bool]:
    """Tell which ops are calls of Python: they are not to be scattered over a compiled program."""
    return lambda op: not traits(op).compiled


def for_training(graph: Graph, catalogue: Catalogue) -> Graph:
    """The graph in training: where neurons give rates, what spikes need to keep stands still."""
    changed = [catalogue.for_training(op) for op in graph.ops]
    held: dict[Signal, View] = {}
    for _, kept in changed:
        held.update(kept)

    def patched(view: View) -> View:
        if view.signal not in held:
            return view
        old = held[view.signal]
        return View(old.signal, old.positions()[view.positions()], view.shape)

    ops = tuple(replace(op, reads=tuple(map(patched, op.reads))) for op, _ in changed)
    following = {signal: patched(view) for signal, view in graph.next.items()}
    outputs = tuple(replace(o, view=patched(o.view)) for o in graph.outputs)
    return replace(graph, ops=ops, next=following, outputs=outputs)


def _stages(
    graph: Graph, parts: Sequence[Part], sizes: Sequence[int], groups: list[Group], space: Addresses
) -> list[Stage]:
    """Assign what is carried and what is recorded to the stages that can."""
    parts = list(parts) or [Part(False, ())]
    sizes = list(sizes) or [0]
    made: dict[Block, int] = {}
    split_groups, start = [], 0
    for i, size in enumerate(sizes):
        mine = groups[start : start + size]
        start += size
        split_groups.append(mine)
        made.update((b, i) for g in mine for b in g.writes)
    carried = _carried(graph, space, parts)
    made.update((block, i) for i, pairs in enumerate(carried) for block, _ in pairs)
    outputs: list[list[tuple[Output, Read]]] = [[] for _ in parts]
    for output in graph.outputs:
        read = space.read(space.runs(output.view))
        # in the last of the stages that make a part of it: there all of it is known
        outputs[max((made.get(b, 0) for b in read.blocks), default=0)].append((output, read))
    stages = []
    for i, part in enumerate(parts):
        # a loop hands out rows of all steps only of what is read outside of it
        later = [r for gs in split_groups[i + 1 :] for g in gs for r in g.reads]
        later += [r for rs in outputs[i + 1 :] for _, r in rs]
        wanted = dict.fromkeys(b for r in later for b in r.blocks if made.get(b) == i)
        stages.append(
            Stage(
                part.looped,
                tuple(split_groups[i]),
                tuple(carried[i]),
                tuple(outputs[i]),
                tuple(wanted) if part.looped else (),
            )
        )
    return stages


def _carried(
    graph: Graph, space: Addresses, parts: Sequence[Part]
) -> list[list[tuple[Block, Read]]]:
    """For each part, state blocks that change, and how they are assembled for the next step."""
    carriers = {state: i for i, part in enumerate(parts) for state in part.states}
    result: list[list[tuple[Block, Read]]] = [[] for _ in parts]
    for block in space.blocks:
        if block.role not in (Role.STATE, Role.ADAPTED):
            continue
        views = [graph.next.get(s, View(s)) for s in block.members]
        read = space.read(space.runs(*views))
        # state that becomes itself needs no loop to carry it
        if read.whole is not block:
            result[_carrier(block, carriers)].append((block, read))
    return result


def _carrier(block: Block, carriers: Mapping[Signal, int]) -> int:
    """The part that carries a block; its members agree, or stand still."""
    (number,) = {carriers[s] for s in block.members if s in carriers}
    return number
