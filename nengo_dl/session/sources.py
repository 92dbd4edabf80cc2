"""Where inputs come from when the user gives no data: constants, functions of time, processes.

All are evaluated on the host: a chunk of time ahead, or within each step where the user's Python
may share objects.  What changes as they go on are the random generators in `generators`, and the
arrays in `memory`: with these, they can be continued.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.exceptions import SimulationError, ValidationError
from nengo.utils.functions import function_name
from numpy.typing import ArrayLike

from ..lowering.roles import Feed, description_of
from ..utils import blame, continue_with, own_generator

Key = TypeVar("Key")
Value: TypeAlias = ArrayLike | None  # what the user's Python returned, not yet checked


class Source:
    """What makes the values of an input.

    Attributes
    ----------
    items : range or None
        The items of a larger batch that its rows are of; None if all items are alike.
    """

    generators: Sequence[np.random.RandomState] = ()
    memory: Sequence[np.ndarray] = ()
    items: range | None = None

    def rows(self, first: int, n: int) -> np.ndarray:
        """Values of steps first + 1 to first + n: array (n or 1, B or 1, size)."""
        raise NotImplementedError

    def begun(self, items: range | None) -> Source:
        """The same source from its beginning, for some items."""
        return self

    def twin(self, items: range | None = None) -> Source:
        """A source that goes on by itself.

        Steps are made anew; generators and memory are as here, or for other items as in the
        beginning.
        """
        twin = self.begun(self.items if items is None else items)
        if twin is not self and twin.items == self.items:
            continue_with(twin.generators, self.generators)
            for mine, there in zip(self.memory, twin.memory, strict=True):
                there[...] = mine
        return twin


class PythonSource(Source):
    """A source that calls Python in each step: `call` makes what `gathered` puts together."""

    def call(self, step: int) -> Value | list[Value]:
        """Call Python for a step; steps count from 1."""
        raise NotImplementedError

    def gathered(self, values: list, first: int) -> np.ndarray:
        """What `call` returned for the steps after the `first`: array (n, B or 1, size)."""
        raise NotImplementedError

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        return self.gathered([self.call(first + i + 1) for i in range(n)], first)


Sources = Mapping[Feed, Source]


def draw(
    sources: Mapping[Key, Source], together: Sequence[Key], first: int, n: int
) -> dict[Key, np.ndarray]:
    """Rows of all sources; those that stand `together` take turns within each step.

    Parameters
    ----------
    sources : dict of Source
    together : sequence
        Keys of those whose Python may share objects, in the order in which it is to be called.
    first, n : int
        As of `Source.rows`.
    """
    turns = {k: s for k in together if isinstance(s := sources.get(k), PythonSource)}
    made: dict[Key, np.ndarray] = {}
    if len(turns) > 1:
        calls: list[tuple[Callable[[int], Value | list[Value]], list]]
        calls = [(source.call, []) for source in turns.values()]
        for step in range(first + 1, first + n + 1):
            for call, values in calls:
                values.append(call(step))
        for (key, source), (_, values) in zip(turns.items(), calls, strict=True):
            made[key] = source.gathered(values, first)
    return {k: made[k] if k in made else source.rows(first, n) for k, source in sources.items()}


class Constant(Source):
    """One row, for all steps and items."""

    def __init__(self, value: np.ndarray, dtype: str) -> None:
        self.value = np.asarray(value, dtype=dtype).reshape(1, 1, -1)

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        return self.value


class Held(Source):
    """Data of one step that the user gave, for all steps: (B, 1, size)."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def rows(self, first: int, n: int) -> np.ndarray:
        """As of `Source`."""
        return np.swapaxes(self.data, 0, 1)


class TimeFunction(PythonSource):
    """A function of time: all items see the same values."""

    def __init__(
        self, function: Callable[[float], Value], size: int, dt: float, dtype: str, name: str
    ) -> None:
        self.function, self.size, self.dt, self.dtype = function, size, dt, dtype
        self.name = name

    def call(self, step: int) -> Value:
        """As of `PythonSource`."""
        try:
            return _own(self.function(step * self.dt))
        except Exception as error:
            blame(error, f"function {function_name(self.function)!r} of {self.name}")
            raise

    def gathered(self, values: list, first: int) -> np.ndarray:
        """As of `PythonSource`."""
        n = len(values)
        if self.size == 0:
            return np.zeros((n, 1, 0), dtype=self.dtype)
        return self._together(values, first).astype(self.dtype, copy=False).reshape(n, 1, -1)

    def _together(self, values: list, first: int) -> np.ndarray:
        """All values in one array, checked at once; one by one if something is wrong."""
        try:
            array = _cast(np.array(values, dtype=np.float64), self.dtype)
            if array.size == len(values) * self.size and np.isfinite(array).all():
                return array
        except (TypeError, ValueError):
            pass  # what is wrong, and with which, the checks below will tell
        return np.array([self._checked(v, first + i + 1) for i, v in enumerate(values)])

    def _checked(self, value: Value, step: int) -> np.ndarray:
        what = f"{self.name}: function {function_name(self.function)!r} returned"
        try:
            finite = value is not None and np.isfinite(_cast(value, self.dtype)).all()
            array = np.asarray(value, dtype=np.float64) if finite else None
        except (TypeError, ValueError) as error:
            raise SimulationError(
                f"{what} {value!r} of type {type(value).__name__}; expected {self.size} numbers"
            ) from error
        if array is None:
            raise SimulationError(f"{what} non-finite value {value!r}, in step {step}")
        if array.size not in (1, self.size):
            raise ValidationError(
                f"{what} {array.size} numbers, shape {array.shape}; expected {self.size}",
                attr="output",
            )
        return np.broadcast_to(array.ravel(), (self.size,))


def _cast(value: ArrayLike, dtype: str) -> np.ndarray:
    """An array of the simulation's precision, in which large numbers are infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(dtype, copy=False)


def _own(value: Value) -> Value:
    """A function may return the same array each time, and change it."""
    return value.copy() if isinstance(value, np.ndarray | list) else value


class ProcessSource(PythonSource):
    """A process: one step function, with state and random numbers of its own, for each item.

    Parameters
    ----------
    op : SimProcess
    dt : float
        Step length [s].
    dtype : str
    generators : callable
        `generators(op, items)` gives the generator from which each item draws.
    items : range
        Numbers of the batch items.
    """

    items: range

    def __init__(
        self,
        op: SimProcess,
        dt: float,
        dtype: str,
        generators: Callable[[Operator, Iterable[int]], list],
        items: range,
    ) -> None:
        self.op, self.dt, self.dtype, self.items = op, dt, dtype, items
        self._generators = generators
        self.generators = [op.process.get_rng(rng) for rng in generators(op, items)]
        self.memory: list[np.ndarray] = []
        self.steps = [self._make_step(rng) for rng in self.generators]

    def begun(self, items: range | None) -> ProcessSource:
        """As of `Source`."""
        mine = self.items if items is None else items
        return ProcessSource(self.op, self.dt, self.dtype, self._generators, mine)

    def _make_step(self, rng: np.random.RandomState) -> Callable[[float], Value]:
        shape = self.op.output.shape
        state = {name: np.array(sig.initial_value) for name, sig in self.op.state.items()}
        self.memory += state.values()
        return self.op.process.make_step((0,), shape, self.dt, rng, state)

    def call(self, step: int) -> list[Value]:
        """As of `PythonSource`: a value for each item."""
        time = step * self.dt
        try:
            return [_own(function(time)) for function in self.steps]
        except Exception as error:
            blame(error, description_of(self.op))
            raise

    def gathered(self, values: list, first: int) -> np.ndarray:
        """As of `PythonSource`."""
        return self._together(values, first).astype(self.dtype, copy=False)

    def _together(self, values: list, first: int) -> np.ndarray:
        """All values in one array (n, B, size), checked at once."""
        n, size = len(values), self.op.output.size
        shape = (n, len(self.items), size)
        try:
            array = _cast(np.array(values, dtype=np.float64), self.dtype)
            if array.size == np.prod(shape) and np.isfinite(array).all():
                return array.reshape(shape)
        except (TypeError, ValueError):
            pass  # what is wrong, and when, the checks below will tell
        array = np.empty(shape)
        for i, row in enumerate(values):
            for item, value in enumerate(row):
                array[i, item] = np.ravel(self._checked(value, first + i + 1, item))
        return array

    def _checked(self, value: Value, step: int, item: int) -> ArrayLike:
        if value is None or not np.isfinite(_cast(value, self.dtype)).all():
            raise SimulationError(
                f"The {description_of(self.op)} returned non-finite value {value!r}, in step "
                f"{step}, for item {self.items[item]}"
            )
        return value


class UniformNumbers(Source):
    """Numbers in [0, 1) from a generator as it was when the model was built.

    The first batch item hears what Nengo's simulator would draw, the others something else.
    """

    items: range

    def __init__(self, rng: np.random.RandomState, size: int, dtype: str, items: range) -> None:
        self.rng, self.size, self.dtype, self.items = rng, size, dtype, items
        self.generators = [own_generator(rng, item) for item in items]

    def begun(self, items: range | None) -> UniformNumbers:
        """As of `Source`."""
        mine = self.items if items is None else items
        return UniformNumbers(self.rng, self.size, self.dtype, mine)

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
