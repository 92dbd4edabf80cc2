"""Where inputs come from when the user gives no data: constants, functions of time, processes.

All are evaluated on the host, ahead of the simulation.  What changes as they go on are the random
generators in `generators`, and the arrays in `memory`: with these, they can be continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.builder.processes import SimProcess
from nengo.exceptions import SimulationError, ValidationError
from nengo.utils.functions import function_name

from .lowering.roles import description_of
from .utils import blame, own_generator


class Source:
    """What makes the values of an input."""

    generators: Sequence[np.random.RandomState] = ()
    memory: Sequence[np.ndarray] = ()

    def rows(self, first: int, n: int) -> np.ndarray:
        """Values of steps first + 1 to first + n: array (n or 1, B or 1, size)."""
        raise NotImplementedError


class Constant(Source):
    """One row, for all steps and items."""

    def __init__(self, value: np.ndarray, dtype: str) -> None:
        self.value = np.asarray(value, dtype=dtype).reshape(1, 1, -1)

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        return self.value


class TimeFunction(Source):
    """A function of time: all items see the same values."""

    def __init__(self, function: Callable, size: int, dt: float, dtype: str, name: str) -> None:
        self.function, self.size, self.dt, self.dtype = function, size, dt, dtype
        self.name = name

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        try:
            values = [_own(self.function((first + i + 1) * self.dt)) for i in range(n)]
        except Exception as error:
            blame(error, f"function {function_name(self.function)!r} of {self.name}")
            raise
        if self.size == 0:
            return np.zeros((n, 1, 0), dtype=self.dtype)
        return self._together(values).astype(self.dtype).reshape(n, 1, self.size)

    def _together(self, values: list) -> np.ndarray:
        """All values in one array, checked at once; one by one if something is wrong."""
        try:
            array = np.array(values, dtype=np.float64)
            if array.size == len(values) * self.size and np.isfinite(array).all():
                return array
        except (TypeError, ValueError):
            pass  # what is wrong, and with which, the checks below will tell
        return np.array([self._checked(value) for value in values])

    def _checked(self, value: Any) -> np.ndarray:
        what = f"{self.name}: function {function_name(self.function)!r} returned"
        try:
            finite = value is not None and np.all(np.isfinite(value))
            array = np.asarray(value, dtype=np.float64) if finite else None
        except (TypeError, ValueError) as error:
            raise SimulationError(
                f"{what} {value!r} of type {type(value).__name__}; expected {self.size} numbers"
            ) from error
        if array is None:
            raise SimulationError(f"{what} non-finite value {value!r}")
        if array.size not in (1, self.size):
            raise ValidationError(
                f"{what} {array.size} numbers, shape {array.shape}; expected {self.size}",
                attr="output",
            )
        return np.broadcast_to(array.ravel(), (self.size,))


def _own(value: Any) -> Any:
    """A function may return the same array each time, and change it."""
    return value.copy() if isinstance(value, np.ndarray | list) else value


class ProcessSource(Source):
    """A process: one step function, with state and random numbers of its own, for each item.

    Parameters
    ----------
    op : SimProcess
    dt : float
        Step length [s].
    dtype : str
    generators : callable
        `generators(op, items)` gives the generator from which each item draws.
    items : sequence of int
        Numbers of the batch items.
    """

    def __init__(
        self, op: SimProcess, dt: float, dtype: str, generators: Callable, items: Sequence[int]
    ) -> None:
        self.op, self.dt, self.dtype = op, dt, dtype
        self._generators = generators
        self.generators = [op.process.get_rng(rng) for rng in generators(op, items)]
        self.memory: list[np.ndarray] = []
        self.items = [self._make_step(rng) for rng in self.generators]

    def for_items(self, items: Sequence[int]) -> ProcessSource:
        """Return the same process for other items of a larger batch, from its beginning."""
        return ProcessSource(self.op, self.dt, self.dtype, self._generators, items)

    def _make_step(self, rng: np.random.RandomState) -> Callable:
        shape = self.op.output.shape
        state = {name: np.array(sig.initial_value) for name, sig in self.op.state.items()}
        self.memory += state.values()
        return self.op.process.make_step((0,), shape, self.dt, rng, state)

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        times = [(first + i + 1) * self.dt for i in range(n)]
        try:
            rows = [self._together([_own(step(t)) for t in times]) for step in self.items]
        except Exception as error:
            blame(error, description_of(self.op))
            raise
        return np.stack(rows, axis=1).astype(self.dtype, copy=False)

    def _together(self, values: list) -> np.ndarray:
        """All values in one array (n, size), checked at once."""
        size = self.op.output.size
        try:
            array = np.array(values, dtype=np.float64)
            if array.size == len(values) * size and np.isfinite(array).all():
                return array.reshape(len(values), size)
        except (TypeError, ValueError):
            pass  # what is wrong, and when, the checks below will tell
        array = [np.broadcast_to(np.ravel(self._checked(v)), (size,)) for v in values]
        return np.array(array, dtype=np.float64)

    def _checked(self, value: Any) -> Any:
        if value is None or not np.all(np.isfinite(value)):
            raise SimulationError(f"Process {self.op.process} returned non-finite value {value!r}")
        return value


class UniformNumbers(Source):
    """Numbers in [0, 1) from a generator as it was when the model was built.

    The first batch item hears what Nengo's simulator would draw, the others something else.
    """

    def __init__(
        self, rng: np.random.RandomState, size: int, dtype: str, minibatch_size: int
    ) -> None:
        self.size, self.dtype = size, dtype
        self.generators = [own_generator(rng, item) for item in range(minibatch_size)]

    def rows(self, first: int, n: int) -> np.ndarray:
        """Values of the next n steps: array (n, B, size)."""
        drawn = [rng.random_sample((n, self.size)) for rng in self.generators]
        return np.stack(drawn, axis=1).astype(self.dtype)


class Series(Source):
    """Data that the user gave: (B, T, size), from step `first` of the simulation on."""

    def __init__(self, data: np.ndarray, first: int) -> None:
        self.data, self.first = data, first

    @classmethod
    def of(cls, rows: np.ndarray, first: int) -> Series:
        """Make a series of what another source gave: array (n, B or 1, size)."""
        return cls(np.swapaxes(rows, 0, 1), first)

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        start = first - self.first
        return np.swapaxes(self.data[:, start : start + n], 0, 1)
