"""Inputs that stand still: what depends on them alone is computed once, and not in every step.

Who classifies images shows each of them for many steps.  The first product, and all else up to the
first state, is then the same in all of them; its gradient is the sum over time of what follows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from .ir import Block, Group, Output, Program, Read, Role, Stage
from .verify import verify


def hold_still(program: Program, inputs: Collection[Block]) -> Program:
    """Put all that stands still into a stage of its own, before all others.

    Parameters
    ----------
    program : Program
        Python of it, and the user's own code, runs in each step.
    inputs : collection of Block
        Those that have one row for all steps.
    """
    still = _standing_sources(program, inputs)
    groups, outputs, rest = [], [], []
    # forwards: what stands still may make its readers stand still, too
    for stage in program.stages:
        mine = []
        for group in stage.groups:
            if not group.runs_each_step and _all_in(group.reads, still):
                mine.append(group)
                still.update(group.writes)
        shown = [(o, r) for o, r in stage.outputs if _all_in([r], still)]
        groups += mine
        outputs += shown
        left = _without(stage, mine, shown, still)
        if left.groups or left.carried or left.outputs:
            rest.append(left)
    if not groups and not outputs:
        return program
    once = Stage(False, tuple(groups), outputs=tuple(outputs), still=True)
    return verify(replace(program, stages=(once, *rest)))


def _standing_sources(program: Program, inputs: Collection[Block]) -> set[Block]:
    """Blocks that existed before the step, and are the same in all steps."""
    moving = {block for stage in program.stages for block, _ in stage.carried}
    moving.update(program.layout.of(Role.TIME))
    moving.update(b for b in program.layout.of(Role.INPUT) if b not in inputs)
    return {b for b in program.layout.blocks if b not in moving}


def _all_in(reads: Collection[Read], blocks: Collection[Block]) -> bool:
    return all(block in blocks for read in reads for block in read.blocks)


def _without(
    stage: Stage,
    groups: Collection[Group],
    outputs: Collection[tuple[Output, Read]],
    still: Collection[Block],
) -> Stage:
    """What is left of a stage."""
    return replace(
        stage,
        groups=tuple(g for g in stage.groups if g not in groups),
        outputs=tuple(pair for pair in stage.outputs if pair not in outputs),
        exports=tuple(b for b in stage.exports if b not in still),
    )
