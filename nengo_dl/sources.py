"""Where the inputs of a simulation come from when the user gives no data: constants, functions of
time, and processes.  All are evaluated on the host, ahead of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.builder.processes import SimProcess
from nengo.exceptions import SimulationError
from nengo.utils.functions import function_name


class Constant:
    """One row, for all steps and items."""

    def __init__(self, value: np.ndarray, dtype: str) -> None:
        self.value = np.asarray(value, dtype=dtype).reshape(1, 1, -1)

    def rows(self, first: int, n: int) -> np.ndarray:
        """Values of steps first + 1 to first + n: array (n or 1, B or 1, size)."""
        return self.value


class TimeFunction:
    """A function of time: all items see the same values."""

    def __init__(self, function: Callable, size: int, dt: float, dtype: str, name: str) -> None:
        self.function, self.size, self.dt, self.dtype = function, size, dt, dtype
        self.name = name

    def rows(self, first: int, n: int) -> np.ndarray:
        values = np.zeros((n, 1, self.size), dtype=self.dtype)
        for i in range(n):
            value = self.function((first + i + 1) * self.dt)
            if self.size:
                values[i, 0] = self._checked(value)
        return values

    def _checked(self, value: Any) -> np.ndarray:
        what = f"{self.name}: function {function_name(self.function)!r} returned"
        try:
            if value is None or not np.all(np.isfinite(value)):
                raise SimulationError(f"{what} non-finite value {value!r}")
            return np.broadcast_to(np.asarray(value, dtype=np.float64), (self.size,))
        except (TypeError, ValueError) as error:
            raise SimulationError(
                f"{what} {value!r} of type {type(value).__name__}; expected {self.size} numbers"
            ) from error


class ProcessSource:
    """A process: one step function, with state and random numbers of its own, for each item.

    Parameters
    ----------
    op : SimProcess
    dt : float
        Step length [s].
    dtype : str
    rngs : list of numpy.random.RandomState
        One for each batch item.
    """

    def __init__(
        self, op: SimProcess, dt: float, dtype: str, rngs: Sequence[np.random.RandomState]
    ) -> None:
        self.op, self.dt, self.dtype = op, dt, dtype
        self.items = [self._make_step(rng) for rng in rngs]

    def _make_step(self, rng: np.random.RandomState) -> Callable:
        shape = self.op.output.shape
        state = {name: np.array(sig.initial_value) for name, sig in self.op.state.items()}
        return self.op.process.make_step((0,), shape, self.dt, rng, state)

    def rows(self, first: int, n: int) -> np.ndarray:
        values = np.zeros((n, len(self.items), self.op.output.size), dtype=self.dtype)
        for item, step in enumerate(self.items):
            for i in range(n):
                values[i, item] = np.ravel(self._checked(step((first + i + 1) * self.dt)))
        return values

    def _checked(self, value: Any) -> Any:
        if value is None:
            raise SimulationError(f"Process {self.op.process} returned None")
        return value


class Series:
    """Data that the user gave: (B, T, size), from step `first` of the simulation on."""

    def __init__(self, data: np.ndarray, first: int) -> None:
        self.data, self.first = data, first

    def rows(self, first: int, n: int) -> np.ndarray:
        start = first - self.first
        return np.swapaxes(self.data[:, start : start + n], 0, 1)
