"""What gradients keep of the steps that they go back through, and how many steps have room.

An estimate from the program alone, of the largest arrays: what optimizers and losses of the user's
hold, and what XLA saves by reusing memory, is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from ...compiler.ir import Block, Group, Program, Read, Role, Stage
from ...kernels.registry import CATALOGUE


def repeatable(part: Stage | Group) -> bool:
    """Whether it does the same when it is run again: all but Python and the user's own code."""
    if isinstance(part, Stage):
        return all(map(repeatable, part.groups))
    return part.traits.compiled and not part.traits.user_code


@dataclass(frozen=True)
class Residuals:
    """Elements that training keeps for each item of a minibatch.

    Attributes
    ----------
    step : int
        For each step that a gradient goes back through at a time.
    chunk : int
        For each chunk of time that is computed again: the state at its beginning.
    always : int
        For each step, whatever is computed again: inputs and outputs.
    """

    step: int
    chunk: int
    always: int

    def longest_chunk(self, steps: int, room: float, unroll: int = 1) -> int | None:
        """Steps of the chunks to compute again; None if that is not needed, or saves nothing.

        Chunks of k of T steps need ``step · k + chunk · T / k`` elements; k is the larger solution
        for which that is the room left. Without any, it is where that is least. Chunks are as
        equally long as can be, and multiples of `unroll`.

        Parameters
        ----------
        steps : int
            T.
        room : float
            Elements that there is memory for.
        unroll : int
            Steps in the body of a loop.
        """
        if (self.step + self.always) * steps <= room or not self.step:
            return None
        room -= self.always * steps
        least = 4.0 * self.step * self.chunk * steps
        if room > 0 and room**2 >= least:
            longest = (room + math.sqrt(room**2 - least)) / (2 * self.step)
        else:
            longest = math.sqrt(self.chunk * steps / self.step)
            if longest >= steps:
                return None
        number = max(-(-steps // max(int(longest), 1)), 2)
        equal = -(-steps // number)
        return -(-equal // unroll) * unroll


def residuals(program: Program, still: Collection[Block] = ()) -> Residuals:
    """Estimate what training a program keeps.

    Parameters
    ----------
    program : Program
    still : collection of Block
        Inputs that have one row for all steps.
    """
    moving = [stage for stage in program.stages if not (stage.still or stage.last)]
    inputs = [b for b in program.read if b.role is Role.INPUT and b not in still]
    shown = [r.size for stage in moving for o, r in stage.outputs if not o.last_only]
    return Residuals(
        step=sum(map(_in_loop, moving)) + sum(map(_at_once, moving)),
        chunk=sum(block.size for stage in moving for block, _ in stage.carried),
        always=2 * sum(b.size for b in inputs) + 2 * sum(shown),  # in both orders; with gradients
    )


def residuals_of(stage: Stage) -> list[int] | None:
    """Arrays of each group on which a gradient depends; None if on what the step begins with."""
    known = [n for group in stage.groups if (n := CATALOGUE.residuals(group)) is not None]
    return known if len(known) == len(stage.groups) else None


def _in_loop(stage: Stage) -> int:
    """What a loop keeps of a step, what it hands out, and the gradients of that."""
    if not stage.looped:
        return 0
    kept = sum(block.size for block, _ in stage.carried)
    numbers = residuals_of(stage)
    if numbers is not None:
        pairs = zip(numbers, stage.groups, strict=True)
        kept = sum(n * group.writes[0].size for n, group in pairs)
    return kept + 2 * sum(b.size for b in stage.exports if b not in stage.latest)


def _at_once(stage: Stage) -> int:
    """What is computed for all steps at once, with gradients, and arguments put together for it."""
    if stage.looped:
        return 0
    written = sum(block.size for group in stage.groups for block in group.writes)
    reads = [read for group in stage.groups for read in group.reads]
    assembled = sum(r.size for r in reads if not r.fixed and _is_put_together(r))
    return 2 * written + assembled


def _is_put_together(read: Read) -> bool:
    return len(read.pieces) > 1 or read.gather is not None
