"""What computing costs: one record of times, from which follows which runtime takes which steps.

The times decide, and nothing that is measured while a simulation runs: so results depend on the
network alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ir import Group, Program


@dataclass(frozen=True)
class Costs:
    """Times on one machine; ``python -m nengo_dl.benchmarks.single_steps`` compares them.

    Attributes
    ----------
    numpy_group_us : float
        Time of one group of operators in a step of NumPy, however small its arrays [µs].
    numpy_argument_us : float
        Time of each argument that a group reads, besides [µs].
    numpy_element_ns : float
        Time of each element that a group computes [ns].
    numpy_factor_ns : float
        Time of each element of a parameter or a constant, as in matrices [ns].
    compile_ms : float
        Time to trace and compile the smallest program [ms].
    compile_group_ms : float
        Time to trace and compile one group more [ms].
    fewest_steps : int
        If NumPy could take fewer steps, it takes none: its arrays would be made in vain.
    most_steps : int or None
        A bound of the steps that NumPy takes; None for no bound.
    longest_chunk_ms : float
        Time that a chunk of steps may take in NumPy before progress is shown, or Ctrl-C heard [ms].
    """

    numpy_group_us: float = 4.0
    numpy_argument_us: float = 1.0
    numpy_element_ns: float = 3.0
    numpy_factor_ns: float = 0.25
    compile_ms: float = 200.0
    compile_group_ms: float = 25.0
    fewest_steps: int = 8
    most_steps: int | None = None
    longest_chunk_ms: float = 50.0

    def numpy_step_us(self, program: Program) -> float:
        """Time of one step of one batch item in NumPy [µs]."""
        return sum(map(self._numpy_group_us, program.groups))

    def _numpy_group_us(self, group: Group) -> float:
        factors = sum(r.size for r in group.reads if r.fixed)
        elements = sum(r.size for r in group.reads if not r.fixed)
        elements += sum(b.size for b in group.writes)
        fixed = self.numpy_group_us + self.numpy_argument_us * len(group.reads)
        return fixed + (self.numpy_factor_ns * factors + self.numpy_element_ns * elements) / 1000

    def compile_us(self, program: Program) -> float:
        """Time until XLA has compiled a program [µs]."""
        return 1000 * (self.compile_ms + self.compile_group_ms * len(program.groups))

    def first_steps(self, program: Program) -> int:
        """Steps that cost as much in NumPy as it costs to compile the program."""
        steps = int(self.compile_us(program) / max(self.numpy_step_us(program), 1.0))
        if self.most_steps is not None:
            steps = min(steps, self.most_steps)
        return steps if steps >= self.fewest_steps else 0

    def longest_chunk(self, program: Program) -> int:
        """Steps in a chunk of time that NumPy takes."""
        return max(int(1000 * self.longest_chunk_ms / max(self.numpy_step_us(program), 1.0)), 1)


CPU = Costs()
