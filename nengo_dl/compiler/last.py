"""What only the last step of a probe needs is computed for the last step alone.

A probe may keep the last step of each call only.  What comes after the last state, for such probes,
then is one row instead of one for each step, forwards and backwards; the loop before it need not
hand out what it makes in each step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from .ir import Block, Group, Output, Program, Read, Stage
from .verify import verify

Shown = tuple[Output, Read]


def take_last(program: Program) -> Program:
    """Put all that only the last step needs into a stage of its own, after all others.

    Parameters
    ----------
    program : Program
        Python of it, and the user's own code, runs in each step.
    """
    groups, outputs = _needed_last(program)
    if not groups and not outputs:
        return program
    stages = [_without(stage, groups, outputs) for stage in program.stages]
    left = [s for s in stages if s.groups or s.carried or s.outputs]
    left = [replace(stage, latest=_latest(stage, left)) for stage in left]
    last = Stage(False, tuple(groups), outputs=tuple(outputs), last=True)
    return verify(replace(program, stages=(*left, last)))


def _latest(stage: Stage, stages: Collection[Stage]) -> tuple[Block, ...]:
    """What a stage makes, and no other one reads in each step."""
    read = {b for other in stages if other is not stage for b in _blocks(_reads(other))}
    return tuple(block for block in stage.exports if block not in read)


def _needed_last(program: Program) -> tuple[list[Group], list[Shown]]:
    """Groups and outputs for which the last step is enough, in order."""
    groups: list[Group] = []
    outputs: list[Shown] = []
    always: set[Block] = set()  # read in each step
    # backwards: what a group makes is put off only if all its readers are
    for stage in reversed(program.stages):
        if stage.looped or stage.still:
            always.update(_blocks(_reads(stage)))
            continue
        outputs = [pair for pair in stage.outputs if pair[0].last_only] + outputs
        always.update(_blocks(read for output, read in stage.outputs if not output.last_only))
        always.update(_blocks(read for _, read in stage.carried))
        for group in reversed(stage.groups):
            if not group.runs_each_step and not always.intersection(group.writes):
                groups.insert(0, group)
            else:
                always.update(_blocks(group.reads))
    return groups, outputs


def _reads(stage: Stage) -> list[Read]:
    """All that a stage reads."""
    reads = [read for group in stage.groups for read in group.reads]
    return reads + [read for _, read in (*stage.carried, *stage.outputs)]


def _blocks(reads: Iterable[Read]) -> list[Block]:
    return [block for read in reads for block in read.blocks]


def _without(stage: Stage, groups: Collection[Group], outputs: Collection[Shown]) -> Stage:
    """What is left of a stage."""
    return replace(
        stage,
        groups=tuple(g for g in stage.groups if g not in groups),
        outputs=tuple(pair for pair in stage.outputs if pair not in outputs),
    )
