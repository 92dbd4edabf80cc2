"""What kernels may know about the simulation that they are part of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..compiler.ir import Block, Op
from .arrays import HostFunction, Tensor, Tensors


def as_they_are(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Return what is given."""
    return arrays


class CallsHost(Protocol):
    """Emits a call of Python, which is the runtime's."""

    def __call__(
        self,
        function: HostFunction,
        arrays: Sequence[Tensor | int],
        shapes: Sequence[tuple[int, ...]],
        /,
    ) -> Tensors:
        """The arrays of given shapes that the function returns, once a step."""
        ...


class CallsSources(Protocol):
    """Makes inputs within each step; see `source.Called`."""

    def rows(self, feed: Hashable, step: int) -> np.ndarray:
        """Make the values of a step: array (1 or B, size)."""
        ...

    def row(self, feed: Hashable, step: int, item: int) -> np.ndarray:
        """Those of one item."""
        ...


@dataclass(frozen=True)
class Context:
    """What kernels may know about the simulation.

    Attributes
    ----------
    dt : float
        Step length [s].
    dtype : str
        Precision of the simulation.
    batch : int
        Minibatch size B.
    training : bool
        Whether the call trains.
    host : callable
        `host(function, arrays, shapes)` calls a Python function on NumPy arrays, once a step.
    steppers : callable
        `steppers(op)` is the host object that runs an operator of Nengo's.
    called : CallsSources
        Makes the inputs whose Python is called within each step; see `source.Called`.
    item : int
        The first of the batch items that are computed.
    one : scalar tensor or None
        A one of which the compiler of the program does not know that it is one; see `once`.
    rows, valid : int or scalar tensor, or None
        Outside loops: rows that results have, steps times items, and how many of them, from the
        first, are of steps that are simulated. None in loops.
    keep : callable
        `keep(*arrays)` takes what the gradient of a step needs, and returns it: see
        `NamesResiduals`.
    known : dict of Block to tensor (L, size)
        Results that a gradient has from the first time that they were computed, for kernels which
        need them less than others do.
    inline : bool
        Whether all of a loop becomes one kernel of XLA:CPU; see `Kernel.inlines`.
    """

    dt: float
    dtype: str
    batch: int
    training: bool
    host: CallsHost
    steppers: Callable[[Op], HostFunction]
    called: CallsSources = None  # type: ignore[assignment]  # where no program has such inputs
    item: int = 0
    one: Tensor | None = None
    rows: int | Tensor | None = None
    valid: int | Tensor | None = None
    keep: Callable[..., tuple[Tensor, ...]] = as_they_are
    known: Mapping[Block, Tensor] = field(default_factory=dict)
    inline: bool = False

    def once(self, x: Tensor) -> Tensor:
        """Compute x, and keep it for all that read it.

        XLA computes again whatever it can, in each of the loops that read it, but never a
        division. Where several results need the same lengthy `x`, that takes a multiple of the
        time; division by a one that XLA cannot see through changes nothing else.
        """
        # x / 1 is x to the bit, in any precision
        return x if self.one is None else x / self.one
