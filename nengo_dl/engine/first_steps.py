"""The first steps of a simulation, in NumPy: who takes only a few does not wait for XLA.

Which steps these are depends on nothing but their numbers, so that results do not depend on how a
simulation is cut into runs.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..compiler.ir import Program
from .numpy_loop import NumpyLoop
from .runner import Runner
from .tensor_graph import TensorGraph

FEW = 16  # steps
AFFORDABLE = 2**20  # elements that a step touches: some 10 ms at most, where compiling takes 200
FIXED = 8  # elements of matrices that cost as much as one of what is computed
CALL = 2**11  # elements that cost as much as a call of NumPy


class FirstSteps:
    """Simulates the first steps, where that is quicker than to compile the program.

    Parameters
    ----------
    graph : TensorGraph
    runner : Runner
        That of all later steps.
    """

    def __init__(self, graph: TensorGraph, runner: Runner) -> None:
        self.graph, self.runner = graph, runner
        unroll = graph.plan.unroll
        self.end = FEW // unroll * unroll  # chunks are multiples of it

    def include(self, first: int) -> bool:
        """Whether the next step after the `first` is one of them."""
        return first < self.end and self._loop is not None

    def chunk(self, steps: int, first: int) -> int:
        """As of `Runner`."""
        return min(steps, self.end - first)

    def run(self, *arguments: Any) -> tuple[dict, dict]:
        """As of `Runner`."""
        return self._loop.run(*arguments)

    @cached_property
    def _loop(self) -> NumpyLoop | None:
        """Made for the first run that needs it."""
        plan = self.graph.plan
        known = self.runner.xla and plan.batch == 1 and plan.dtype in ("float32", "float64")
        if not known or plan.learning_phase or not _is_affordable(plan.program):
            return None
        try:
            return NumpyLoop(self.graph, all="ignore")  # as compiled programs do
        except NotImplementedError:
            return None


def _is_affordable(program: Program) -> bool:
    groups = program.groups
    calls = sum(1 + len(g.reads) for g in groups)
    touched = sum(r.size // FIXED if r.fixed else r.size for g in groups for r in g.reads)
    touched += sum(b.size for g in groups for b in g.writes)
    return touched + CALL * calls <= AFFORDABLE
