"""Many small populations, element by element instead of member by member.

Vector instructions work along the last axis of an array.  Where a group's members are many and
small, that axis is to be the one of the members: (elements, members) instead of (members,
elements).  A loop holds such arrays from where they are made to where they are read; outside of
it, and to all other readers, they lie in their own order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain

from .ir import Block, Group, Interleaving, Read, Stage

FEW = 40  # elements of a member; from 50 on, rows of members are as fast: measured for LIF neurons
MANY = 16  # members
SMALL_PART = 8  # of a block, what is this many times smaller may be picked out in its own order

Shape = tuple[int, int]


def interleave(stage: Stage, is_flat: Callable[[Group], bool]) -> Stage:
    """Let groups of many small populations, and products with them, work along their members.

    Parameters
    ----------
    stage : Stage
        Stages that are not looped stay as they are: they work along steps.
    is_flat
        Whether a group's kernel works on elements, and can do so in any order.
    """
    if not stage.looped or not any(_is_small(g) for g in stage.groups):
        return stage
    plans = {g: p for g in stage.groups if (p := _plan(g, is_flat))}
    held = _connected(plans, _held(stage, plans))
    groups = tuple(
        replace(g, interleaving=plans[g]) if g in plans and _holds(g, plans[g], held) else g
        for g in stage.groups
    )
    states = {b: held[b] for b, _ in stage.carried if b in held}
    return replace(stage, groups=groups, interleaved=states)


def _is_small(group: Group) -> bool:
    """Whether a group is what this is for."""
    shape = _shape(group.writes[0]) if group.kind == "neurons" else None
    return shape is not None and shape[0] >= MANY and 1 < shape[1] < FEW


def _shape(block: Block) -> Shape | None:
    """Members, and elements of each; None if these differ."""
    sizes = {s.size for s in block.members}
    return (len(block.members), *sizes) if len(sizes) == 1 else None


def _plan(group: Group, is_flat: Callable[[Group], bool]) -> Interleaving | None:
    """How a group would work along its members; None if it cannot."""
    shape = _shape(group.writes[0])
    if shape is None:
        return None
    if group.kind == "dot":
        return _plan_product(group, shape)
    same = all(r.size == shape[0] * shape[1] for r in group.reads)
    alike = all(_shape(b) == shape for b in group.writes)
    if not (is_flat(group) and same and alike):
        return None
    return Interleaving(tuple(shape for _ in group.reads), shape)


def _plan_product(group: Group, shape: Shape) -> Interleaving | None:
    """Encoders make interleaved arrays, decoders read them."""
    matrices, vectors = group.reads
    _, rows, columns = group.read_shapes[0]
    n_vectors = group.read_shapes[1][0]
    if not matrices.fixed:
        return None
    if rows == 1 or rows < columns:
        packed = (n_vectors, rows * len(group.ops) // n_vectors, columns)
        return Interleaving((packed, (n_vectors, columns)), None)
    if n_vectors != len(group.ops):
        return None
    return Interleaving((group.read_shapes[0], (n_vectors, columns)), shape)


def _inputs(group: Group, plan: Interleaving) -> list[tuple[Read, Shape]]:
    """What has to be interleaved already for a group to gain by it."""
    encodes = group.kind == "dot" and plan.writes is not None
    if encodes:
        return []
    return [(r, s) for r, s in zip(group.reads, plan.reads, strict=True) if not r.fixed]


def _holds(group: Group, plan: Interleaving, held: Mapping[Block, Shape]) -> bool:
    """Whether all that a group reads and writes in this order is held so."""
    made = plan.writes is None or all(b in held for b in group.writes)
    return made and all(held.get(r.whole) == s for r, s in _inputs(group, plan))


def _held(stage: Stage, plans: Mapping[Group, Interleaving]) -> dict[Block, Shape]:
    """Blocks that can be held interleaved: who makes them can, and who reads them."""
    following = {block: read.whole for block, read in stage.carried}
    held = {b: p.writes for g, p in plans.items() if p.writes for b in g.writes}
    held |= {b: held[new] for b, new in following.items() if new in held}
    size = None
    while size != len(held):
        size = len(held)
        refused = set(_read_otherwise(stage, plans, held))
        refused |= {
            b for g, p in plans.items() if p.writes and not _holds(g, p, held) for b in g.writes
        }
        refused |= {b for b, new in following.items() if b in held and new not in held}
        held = {b: s for b, s in held.items() if b not in refused}
    return held


def _read_otherwise(
    stage: Stage, plans: Mapping[Group, Interleaving], held: Mapping[Block, Shape]
) -> Iterable[Block]:
    """Blocks of which a large part is read in its own order."""
    yield from stage.exports
    others = [
        r for g in stage.groups if not (g in plans and _holds(g, plans[g], held)) for r in g.reads
    ]
    others += [r for _, r in stage.outputs]
    others += [r for b, r in stage.carried if b not in held]
    picked = Counter()
    for piece in chain.from_iterable(read.pieces for read in others):
        if piece.block in held:
            picked[piece.block] += piece.stop - piece.start
    yield from (block for block, n in picked.items() if n * SMALL_PART > block.size)


def _connected(
    plans: Mapping[Group, Interleaving], held: Mapping[Block, Shape]
) -> dict[Block, Shape]:
    """Of blocks that can be held interleaved, those that small populations read or make."""
    users = [g for g, p in plans.items() if _holds(g, p, held)]
    touched = {g: {r.whole for r, _ in _inputs(g, plans[g])} | set(g.writes) for g in users}
    found = {b for g in users if _is_small(g) for b in touched[g]}
    size = None
    while size != len(found):
        size = len(found)
        for blocks in touched.values():
            if blocks & found:
                found |= blocks
    return {b: s for b, s in held.items() if b in found}
