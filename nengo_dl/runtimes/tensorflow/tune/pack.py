"""States that need not be told apart, as one.

Each array that a loop carries is read and written in each step, by a kernel of its own.  Some
neurons have several state variables of which only one means something at a time: while no one else
reads them, a loop holds one array instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ....compiler.costs import CPU, Costs
from ....compiler.ir import Block, Group, Packing, Read, Role, Stage


def pack(
    stage: Stage,
    packs: Callable[[Group], bool],
    batch: int,
    inline: bool = False,
    costs: Costs = CPU,
) -> Stage:
    """Let a loop hold the states of neurons as one array where it can.

    Parameters
    ----------
    stage : Stage
        Stages that are not looped stay as they are.
    packs
        Whether a group's kernel can hold its states, all that it reads after the first argument,
        as one.
    batch : int
        Minibatch size.
    inline : bool
        Whether the loop is to be one kernel, which is never divided.
    costs : Costs
    """
    if not stage.looped:
        return stage
    readers = _readers(stage)
    following = {block: read.whole for block, read in stage.carried}
    groups, packings = [], []
    for group in stage.groups:
        elements = group.writes[0].size * batch
        divided = not inline and batch > 1 and elements in costs.divided_packed_elements
        if not divided and packs(group) and _is_private(group, following, readers):
            group, packing = _packed(group)
            packings.append(packing)
        groups.append(group)
    if not packings:
        return stage
    carried = _carried(stage, packings)
    return replace(stage, groups=tuple(groups), carried=carried, packings=tuple(packings))


def _readers(stage: Stage) -> Counter[Block]:
    """How many read each block."""
    reads = [r for g in stage.groups for r in g.reads]
    reads += [r for _, r in (*stage.carried, *stage.outputs)]
    return Counter([*stage.exports, *(b for r in reads for b in set(r.blocks))])


def _is_private(
    group: Group, following: dict[Block, Block | None], readers: Counter[Block]
) -> bool:
    """Whether nobody else reads a group's states, before and after the step."""
    states, after = [r.whole for r in group.reads[1:]], group.writes[1:]
    return len(states) > 1 and all(
        state in following and following[state] is new and readers[state] == readers[new] == 1
        for state, new in zip(states, after, strict=True)
    )


def _packed(group: Group) -> tuple[Group, Packing]:
    states = tuple(block for read in group.reads[1:] for block in read.blocks)  # each is whole
    first, new = states[0], group.writes[1]
    held = Block(f"packed {first.name}", Role.STATE, first.dtype, first.members, first.start)
    after = Block(f"packed {new.name}", new.role, new.dtype, new.members, new.start)
    group = replace(
        group,
        reads=(group.reads[0], Read.of(held)),
        read_shapes=group.read_shapes[:2],
        writes=(group.writes[0], after),
        packed=True,
    )
    return group, Packing(group, states, held)


def _carried(stage: Stage, packings: list[Packing]) -> tuple[tuple[Block, Read], ...]:
    inside = {state for p in packings for state in p.states}
    kept = [(block, read) for block, read in stage.carried if block not in inside]
    return (*kept, *((p.held, Read.of(p.group.writes[1])) for p in packings))
