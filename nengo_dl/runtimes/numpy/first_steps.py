"""Steps that NumPy takes, and not the compiled program: who takes only a few does not wait for XLA.

How many these are follows from the program and from what computing costs, and from nothing else:
results do not depend on how a simulation is cut into runs, nor on what was compiled before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ...compiler import costs
from ...compiler.ir import Block, Output, Program
from ...compiler.tensors import Tensor
from ...kernels.host import Steppers
from .. import switches
from ..memory import Memory
from ..plan import Plan
from .loop import NumpyLoop, numpy_loop


class FirstSteps:
    """Simulates the first steps, where that is quicker than to compile the program.

    All steps are, of small programs with Python in the loop.

    Parameters
    ----------
    plan : Plan
    memory : Memory
    steppers : Steppers

    Attributes
    ----------
    end : float
        Steps of the simulation that are taken here; infinity for all.
    in_loop : NumpyLoop or None
        What takes all steps, also of predictions.
    """

    def __init__(self, plan: Plan, memory: Memory, steppers: Steppers) -> None:
        self.plan, self.memory, self.steppers = plan, memory, steppers
        self.in_loop = numpy_loop(plan, memory, steppers) if switches.XLA else None
        self.end: float = math.inf if self.in_loop is not None else self._end()
        longest = costs.current().longest_chunk(plan.program)
        self._longest = max(longest // plan.unroll, 1) * plan.unroll

    def include(self, first: int) -> bool:
        """Whether the next step after the `first` is one of them."""
        return first < self.end and self._loop is not None

    def chunk(self, steps: int, first: int) -> int:
        """As of `Runtime`."""
        return min(steps, self._longest, self.end - first)  # type: ignore[return-value]  # no float but infinity

    def run(
        self,
        carry: Mapping[Block, Tensor],
        inputs: Mapping[Block, np.ndarray],
        constant: set[Block],
        first: int,
        steps: int,
        split: bool = False,
    ) -> tuple[dict[Output, np.ndarray], dict[Block, np.ndarray]]:
        """As of `Runtime`; items are never split."""
        loop = self._loop
        return loop.run(carry, inputs, constant, first, steps)  # type: ignore[union-attr]  # `include` has looked

    @property
    def takes_all(self) -> bool:
        """Whether all steps are taken here, also of predictions."""
        return self.in_loop is not None

    def _end(self) -> int:
        plan = self.plan
        known = switches.XLA and plan.batch == 1 and plan.dtype in ("float32", "float64")
        if not known or plan.learning_phase or not _is_compiled(plan.program):
            return 0
        steps = costs.current().first_steps(plan.program)
        return steps // plan.unroll * plan.unroll  # chunks are multiples of it

    @cached_property
    def _loop(self) -> NumpyLoop | None:
        """Made for the first run that needs it."""
        if self.in_loop is not None:
            return self.in_loop
        try:
            # errors as in compiled programs
            return NumpyLoop(self.plan, self.memory, self.steppers, all="ignore")
        except NotImplementedError:
            return None


def _is_compiled(program: Program) -> bool:
    """Whether XLA compiles all of a program; of the user's own tensor code only it can tell."""
    return all(g.traits.compiled and not g.traits.user_code for g in program.groups)
