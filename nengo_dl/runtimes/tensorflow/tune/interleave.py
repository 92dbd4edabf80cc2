"""Many small populations, element by element instead of member by member.

Vector instructions work along the last axis of an array.  Where a group's members are many and
small, that axis is to be the one of the members: (elements, members) instead of (members,
elements).  A loop holds such arrays from where they are made to where they are read; outside of
it, and to all other readers, they lie in their own order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from ....compiler.catalogue import Catalogue, is_matrix_product
from ....compiler.costs import CPU, Costs
from ....compiler.ir import Block, Group, Interleaving, Read, Stage

Shape = tuple[int, int]


@dataclass(frozen=True)
class _Plan:
    """How a group would work along its members.

    Attributes
    ----------
    how : Interleaving
    inputs : list of (Read, shape)
        What has to be interleaved already for the group to gain by it.
    """

    how: Interleaving
    inputs: list[tuple[Read, tuple[int, ...]]]


Plans = Mapping[Group, _Plan]


def interleave(stage: Stage, catalogue: Catalogue, costs: Costs = CPU) -> Stage:
    """Let groups of many small populations, and products with them, work along their members.

    Parameters
    ----------
    stage : Stage
        Stages that are not looped stay as they are: they work along steps.
    catalogue : Catalogue
        Tells which groups are populations, and which can work on elements in any order.
    costs : Costs
    """
    small = {g for g in stage.groups if _is_small(g, catalogue, costs)}
    if not stage.looped or not small:
        return stage
    plans = {g: p for g in stage.groups if (p := _plan(g, catalogue))}
    held = _connected(plans, _held(stage, plans, costs), small)
    groups = tuple(
        replace(g, interleaving=plans[g].how) if g in plans and _holds(g, plans[g], held) else g
        for g in stage.groups
    )
    states = {b: held[b] for b, _ in stage.carried if b in held}
    return replace(stage, groups=groups, interleaved=states)


def _is_small(group: Group, catalogue: Catalogue, costs: Costs) -> bool:
    """Whether a group is what this is for."""
    shape = _shape(group.writes[0]) if catalogue.traits(group).is_population else None
    if shape is None:
        return False
    members, size = shape
    return members >= costs.interleaved_members and 1 < size < costs.row_elements


def _shape(block: Block) -> Shape | None:
    """Members, and elements of each; None if these differ."""
    sizes = {s.size for s in block.members}
    return (len(block.members), sizes.pop()) if len(sizes) == 1 else None


def _plan(group: Group, catalogue: Catalogue) -> _Plan | None:
    """How a group would work along its members; None if it cannot."""
    shape = _shape(group.writes[0])
    if shape is None:
        return None
    if is_matrix_product(group, catalogue.traits):
        return _plan_product(group, shape)
    same = all(r.size == shape[0] * shape[1] for r in group.reads)
    alike = all(_shape(b) == shape for b in group.writes)
    if not (catalogue.works_in_any_order(group) and same and alike):
        return None
    shapes = tuple(shape for _ in group.reads)
    return _Plan(Interleaving(shapes, shape), _varying(group, shapes))


def _plan_product(group: Group, shape: Shape) -> _Plan | None:
    """Encoders make interleaved arrays, decoders read them."""
    matrices, vectors = group.reads
    _, rows, columns = group.read_shapes[0]
    n_vectors = group.read_shapes[1][0]
    if not matrices.fixed:
        return None
    if rows == 1 or rows < columns:
        packed = (n_vectors, rows * len(group.ops) // n_vectors, columns)
        shapes = packed, (n_vectors, columns)
        return _Plan(Interleaving(shapes, None), _varying(group, shapes))
    if n_vectors != len(group.ops):
        return None
    return _Plan(Interleaving((group.read_shapes[0], (n_vectors, columns)), shape), [])


def _varying(
    group: Group, shapes: tuple[tuple[int, ...], ...]
) -> list[tuple[Read, tuple[int, ...]]]:
    return [(r, s) for r, s in zip(group.reads, shapes, strict=True) if not r.fixed]


def _holds(group: Group, plan: _Plan, held: Mapping[Block, Shape]) -> bool:
    """Whether all that a group reads and writes in this order is held so."""
    made = plan.how.writes is None or all(b in held for b in group.writes)
    return made and all(_is_held(r.whole, s, held) for r, s in plan.inputs)


def _is_held(block: Block | None, shape: tuple[int, ...], held: Mapping[Block, Shape]) -> bool:
    return block is not None and held.get(block) == shape


def _held(stage: Stage, plans: Plans, costs: Costs) -> dict[Block, Shape]:
    """Blocks that can be held interleaved: who makes them can, and who reads them."""
    following = {block: read.whole for block, read in stage.carried}
    makers = {g: p for g, p in plans.items() if p.how.writes is not None}
    held: dict[Block, Shape] = {}
    for group, plan in makers.items():
        if plan.how.writes is not None:
            held.update(dict.fromkeys(group.writes, plan.how.writes))
    held |= {b: held[new] for b, new in following.items() if new in held}
    # one that is refused may take along those that need it, so until nothing changes
    size = None
    while size != len(held):
        size = len(held)
        refused = set(_read_otherwise(stage, plans, held, costs))
        for group, plan in makers.items():
            if not _holds(group, plan, held):
                refused.update(group.writes)
        refused |= {b for b, new in following.items() if b in held and new not in held}
        held = {b: s for b, s in held.items() if b not in refused}
    return held


def _read_otherwise(
    stage: Stage, plans: Plans, held: Mapping[Block, Shape], costs: Costs
) -> Iterable[Block]:
    """Blocks of which a large part is read in its own order."""
    yield from stage.exports
    others: list[Read] = []
    for group in stage.groups:
        if not (group in plans and _holds(group, plans[group], held)):
            others += group.reads
    others += [r for _, r in stage.outputs]
    others += [r for b, r in stage.carried if b not in held]
    picked: Counter[Block] = Counter()
    for piece in chain.from_iterable(read.pieces for read in others):
        if piece.block is not None and piece.block in held:
            picked[piece.block] += piece.stop - piece.start
    for block, n in picked.items():
        if n * costs.picked_share > block.size:
            yield block


def _connected(plans: Plans, held: Mapping[Block, Shape], small: set[Group]) -> dict[Block, Shape]:
    """Of blocks that can be held interleaved, those that small populations read or make."""
    users = [g for g, p in plans.items() if _holds(g, p, held)]
    touched = {g: {*g.writes, *(b for r, _ in plans[g].inputs for b in r.blocks)} for g in users}
    found: set[Block] = set()
    for group in users:
        if group in small:
            found |= touched[group]
    size = None
    while size != len(found):
        size = len(found)
        for blocks in touched.values():
            if blocks & found:
                found |= blocks
    return {b: s for b, s in held.items() if b in found}
