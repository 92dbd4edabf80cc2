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

#: Names of all passes that can be left out.
PASSES = (
    "hold_still",
    "take_last",
    "pack",
    "interleave",
    "single_kernels",
    "divide_minibatch",
    "join_outputs",
)


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
    skipped : frozenset of str
        Names of passes that are left out, of `PASSES`.
    """

    batch: int = 1
    cores: int = 1
    single_kernels: bool = False
    costs: Costs = CPU
    skipped: frozenset[str] = frozenset()

    def does(self, name: str) -> bool:
        """Whether a pass is applied."""
        return name not in self.skipped

    def part(self, count: int) -> Target:
        """The target of one of so many parts of a minibatch: the last, which is never smaller."""
        return replace(self, batch=len(divide_items(self.batch, count)[-1]))


def tune(program: Program, target: Target) -> Program:
    """Hold what loops carry and make as is fastest."""
    stages = tuple(_tuned(stage, target) for stage in program.stages)
    return verify(replace(program, stages=stages))


def divides_minibatch(program: Program, target: Target) -> int:
    """Into how many parts to divide a minibatch; 1 if items know of each other."""
    if not target.does("divide_minibatch"):
        return 1
    if not all(CATALOGUE.traits(op).keeps_items_apart for op in program.ops):
        return 1
    return count_parts(program.stages, target.batch, target.cores, target.costs)


def record(program: Program, target: Target) -> Recording:
    """What to record of a program that simulates, so that XLA hands out few arrays."""
    if target.does("join_outputs"):
        return join_outputs(program, target.costs)
    outputs = (output for stage in program.stages for output, _ in stage.outputs)
    return Recording(program, {output: (output, slice(None)) for output in outputs})


def _tuned(stage: Stage, target: Target) -> Stage:
    def held(whole: bool) -> Stage:
        made = stage
        if target.does("pack"):
            made = pack(made, CATALOGUE.packs, target.batch, whole, target.costs)
        if target.does("interleave"):
            made = interleave(made, CATALOGUE, target.costs)
        return made

    if target.single_kernels and target.does("single_kernels"):
        # tried first: in one kernel, states are packed that are better apart where it is divided
        marked = mark_single_kernel(held(whole=True), CATALOGUE, target.batch, target.costs)
        if marked.inline:
            return marked
    return held(whole=False)


__all__ = [
    "PASSES",
    "Recording",
    "Target",
    "divide_items",
    "divides_minibatch",
    "record",
    "tune",
]
