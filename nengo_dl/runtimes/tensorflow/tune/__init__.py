"""Program to program: how a CPU holds arrays and divides work, which changes no result.

Each pass takes and returns a `Stage`. They run for one target, and only here: the compiler makes
programs for any machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....compiler.costs import CPU, Costs
from ....compiler.ir import Program, Stage
from ....compiler.verify import verify
from ....kernels.registry import CATALOGUE
from .interleave import interleave
from .join import Recording, join_outputs
from .minibatch import count_parts, divide_items
from .pack import pack
from .single_kernel import mark_single_kernel


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a program is tuned for.

    Attributes
    ----------
    batch : int
        Items in a minibatch.
    cores : int
        Cores that compute side by side; 1 on other devices than CPUs.
    single_kernels : bool
        Whether loops can be a single kernel of the machine's code.
    costs : Costs
    """

    batch: int = 1
    cores: int = 1
    single_kernels: bool = False
    costs: Costs = CPU

    def part(self, count: int) -> Target:
        """The target of one of so many parts of a minibatch: the last, which is never smaller."""
        return replace(self, batch=len(divide_items(self.batch, count)[-1]))


def tune(program: Program, target: Target) -> Program:
    """Hold what loops carry and make as is fastest."""
    stages = tuple(_tuned(stage, target) for stage in program.stages)
    return verify(replace(program, stages=stages))


def divides_minibatch(program: Program, target: Target) -> int:
    """Into how many parts to divide a minibatch; 1 if items know of each other."""
    if not all(CATALOGUE.traits(op).keeps_items_apart for op in program.ops):
        return 1
    return count_parts(program.stages, target.batch, target.cores, target.costs)


def _tuned(stage: Stage, target: Target) -> Stage:
    def held(whole: bool) -> Stage:
        packed = pack(stage, CATALOGUE.packs, target.batch, whole, target.costs)
        return interleave(packed, CATALOGUE, target.costs)

    if target.single_kernels:
        marked = mark_single_kernel(held(whole=True), CATALOGUE, target.batch, target.costs)
        if marked.inline:
            return marked
    return held(whole=False)


__all__ = [
    "Recording",
    "Target",
    "divide_items",
    "divides_minibatch",
    "join_outputs",
    "tune",
]
