"""The compiler on one screen: from the graph of a step to a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from .compiler.arrange import Addresses, arrange, arrange_sources
from .compiler.chain import Part
from .compiler.graph import ordered
from .compiler.inline import inline
from .compiler.interleave import interleave
from .compiler.ir import (
    Block,
    Graph,
    Group,
    Layout,
    Output,
    Program,
    Read,
    Role,
    Signal,
    Stage,
    View,
)
from .compiler.members import order_members, split_by_sharing
from .compiler.pack import pack
from .compiler.parts import count_parts, divide_items
from .compiler.schedule import schedule
from .compiler.simplify import find_routes, simplify
from .compiler.split import split
from .compiler.verify import verify


def build_program(
    graph: Graph,
    catalogue: Any,
    settings: Any,
    layout: Layout | None = None,
    training: bool = False,
) -> Program:
    """Compile the graph of one step.

    Parameters
    ----------
    graph : Graph
    catalogue
        The registry of kernels: which ops may share a group, and which must run in order.
    settings : Settings
        Whether to simplify and to group, the minibatch size, and the cores that compute.
    layout : Layout, optional
        Where the sources lie, if another program has decided that.
    training : bool
        Whether the program is for training.
    """
    graph = simplify(graph) if settings.simplifies else find_routes(ordered(graph))
    placed = [block.members for block in layout.blocks] if layout else []
    is_sequential, is_host = catalogue.is_sequential, catalogue.runs_on_host
    parts = split(graph, is_sequential, training, placed, is_host)
    grouped = [
        split_by_sharing(
            schedule(part.ops, catalogue.signature, settings.groups, catalogue.runs_on_host)
        )
        for part in parts
    ]
    routes = [op for op in graph.ops if op.kind == "route"]
    flat = order_members(list(chain.from_iterable(grouped)), routes)
    if layout is None:
        carriers = {s: number for number, part in enumerate(parts) for s in part.states}
        layout = arrange_sources(flat, graph, catalogue.is_flat, carriers)
    groups, space = arrange(flat, routes, layout, catalogue.is_flat)
    stages = _stages(graph, parts, [len(g) for g in grouped], groups, space)
    plain = verify(Program(layout, tuple(stages)))
    if training or any(map(is_host, graph.ops)):
        return plain
    divides = all(map(catalogue.keeps_items_apart, graph.ops))
    count = count_parts(stages, settings.batch, settings.cores) if divides else 1
    items = len(divide_items(settings.batch, count)[-1])  # the last part is never smaller
    stages = [_tuned(stage, catalogue, items) for stage in stages]
    return verify(Program(layout, tuple(stages), plain, count))


def _tuned(stage: Stage, catalogue: Any, batch: int) -> Stage:
    """Let a stage hold arrays as its loop is fastest, be that one kernel or many."""

    def held(whole: bool) -> Stage:
        tuned = pack(stage, catalogue.packs, batch, whole)
        tuned = interleave(tuned, catalogue.works_in_any_order)
        return inline(tuned, partial(catalogue.inlines, batch=batch), batch)

    tuned = held(whole=True)
    return tuned if tuned.inline or batch == 1 else held(whole=False)  # the same for one item


def for_training(graph: Graph, catalogue: Any) -> Graph:
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
        outputs[max((made.get(b, 0) for b in read.blocks), default=0)].append((output, read))
    stages = []
    for i, part in enumerate(parts):
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
        if read.whole is not block:
            result[_carrier(block, carriers)].append((block, read))
    return result


def _carrier(block: Block, carriers: Mapping[Signal, int]) -> int:
    """The part that carries a block; its members agree, or stand still."""
    (number,) = {carriers[s] for s in block.members if s in carriers}
    return number
