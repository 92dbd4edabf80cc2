"""What kernels may know about the simulation that they are part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def as_they_are(*arrays: Any) -> tuple:
    """Return what is given."""
    return arrays


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
    host
        `host(function, arrays, shapes)` calls a Python function on NumPy arrays, once a step.
    steppers
        `steppers(op)` is the host object that runs an operator of Nengo's.
    called
        Makes the inputs whose Python is called within each step; see `source.Called`.
    item : int
        The first of the batch items that are computed.
    one : scalar tensor or None
        A one of which the compiler of the program does not know that it is one; see `once`.
    rows, valid : int or scalar tensor, or None
        Outside loops: rows that results have, steps times items, and how many of them, from the
        first, are of steps that are simulated. None in loops.
    keep : callable
        `keep(*arrays)` takes what the gradient of a step needs, and returns it: see `Kernel.kept`.
    inline : bool
        Whether all of a loop becomes one kernel of XLA:CPU; see `Kernel.inlined`.
    """

    dt: float
    dtype: str
    batch: int
    training: bool
    host: Callable
    steppers: Callable
    called: Any = None
    item: int = 0
    one: Any = None
    rows: Any = None
    valid: Any = None
    keep: Callable = as_they_are
    inline: bool = False

    def once(self, x: Any) -> Any:
        """Compute x, and keep it for all that read it.

        XLA computes again whatever it can, in each of the loops that read it, but never a
        division. Where several results need the same lengthy `x`, that takes a multiple of the
        time; division by a one that XLA cannot see through changes nothing else.
        """
        return x if self.one is None else x / self.one
