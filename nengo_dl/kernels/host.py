"""Python in the loop: node functions with inputs, and whatever operator of Nengo has no kernel.

Each is called once a step and batch item, in order, with NumPy arrays.  No gradient flows through.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from nengo.base import Process
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal, SignalDict
from nengo.exceptions import SimulationError
from nengo.utils.functions import function_name

from ..compiler.ir import Group, Op
from ..utils import blame, continue_with, own_generator
from .abilities import HostStepper, Randomness, StepsInNumPy, StepsOnHost
from .arrays import Action, Arrays, HostFunction, Tensor, Tensors
from .base import Kernel
from .context import Context
from .later import ops
from .registry import CATALOGUE, kernel

#: The steppers of ops, by op and batch item.
Line = dict[tuple[Op, int], HostStepper]


@kernel("python")
class PythonFunction(Kernel, StepsInNumPy):
    """Functions of nodes; those that are ready together are one call out of the loop."""

    sequential = True
    compiled = False
    passes_gradient = False
    has_effects = True
    mergeable = False

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return (op.attrs["pass_input"], bool(op.writes), op.attrs["turn"] is None)

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        steps, *inputs = reads
        inputs = [batched(x, ctx) for x in inputs]
        size = sum(op.writes[0].size for op in group.ops if op.writes)
        function = _FunctionCall(group.ops, ctx)
        outputs = ctx.host(function, [steps[0, 0], *inputs], [(ctx.batch, size)])
        return outputs if group.writes else []

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        steps, *inputs = reads
        call = _FunctionCall(group.ops, ctx)
        x = inputs[0] if inputs else None
        result = writes[0] if writes else np.zeros(0)
        return lambda: call.call_all(int(steps[0]), ctx.item, x, result)


class _FunctionCall:
    """Calls the functions of a group, for each batch item."""

    def __init__(self, nodes: Sequence[Op], ctx: Context) -> None:
        self.dt, self.batch, self.dtype = ctx.dt, ctx.batch, ctx.dtype
        self.calls = []
        read = written = 0
        for op in nodes:
            n_in = op.reads[1].size if op.attrs["pass_input"] else 0
            n_out = op.writes[0].size if op.writes else 0
            where = slice(read, read + n_in), slice(written, written + n_out)
            self.calls.append((op.attrs["function"], op.attrs["pass_time"], op.tag, *where))
            read, written = read + n_in, written + n_out
        self.n_in, self.n_out = read, written

    def __call__(self, step: np.ndarray, *inputs: np.ndarray) -> list[np.ndarray]:
        result = np.zeros((self.batch, self.n_out), dtype=self.dtype)
        for item in range(self.batch):
            self.call_all(int(step), item, inputs[0][item] if inputs else None, result[item])
        return [result]

    def call_all(self, step: int, item: int, x: np.ndarray | None, result: np.ndarray) -> None:
        """Call all functions for one batch item."""
        time = step * self.dt
        for function, pass_time, name, source, target in self.calls:
            args = (time,) if pass_time else ()
            try:
                # functions may keep or change what they are given
                value = function(*args) if x is None else function(*args, x[source].copy())
                if not _fill(result[target], value):
                    when = f"in step {step}, for item {item}"
                    result[target] = checked(value, function, result[target], when)
            except Exception as error:
                blame(error, name)
                raise


def _fill(place: np.ndarray, value: object) -> bool:
    """Write down what a function returned; whether all of it is as it should be."""
    if not place.size:
        return True
    try:
        # most values are fine: two calls of NumPy find out, and `checked` says what is wrong
        place[...] = value
        return value is not None and bool(np.isfinite(place).all())
    except (TypeError, ValueError):
        return False


def checked(
    value: object, function: Callable[..., object], place: np.ndarray, when: str
) -> np.ndarray:
    """The output of a user's function, or a SimulationError that names the function."""
    name, size = function_name(function), place.size
    try:
        if value is None or not np.isfinite(np.asarray(value).astype(place.dtype)).all():
            raise SimulationError(f"Function {name!r} returned non-finite value {value!r}, {when}")
        array = np.asarray(value, dtype=np.float64)
        return np.broadcast_to(array.ravel() if array.size == size else array, (size,))
    except (TypeError, ValueError) as error:
        raise SimulationError(
            f"Function {name!r} returned a value {value!r} of invalid type {type(value)!r}; "
            f"expected {size} numbers"
        ) from error


class Stepper:
    """Runs one operator of Nengo's for one batch item, with memory of its own.

    Parameters
    ----------
    op : Op
        An op of kind "host".
    dt : float
        Step length [s].
    rng : Randomness
        What Nengo's simulator would give the operator.
    item : int
        The number of the item.

    Attributes
    ----------
    generators : list of numpy.random.RandomState
        From which the operator draws, and no other.
    """

    def __init__(self, op: Op, dt: float, rng: Randomness, item: int) -> None:
        attrs = op.attrs
        self.inputs, self.outputs = attrs["inputs"], attrs["outputs"]
        self.zeros, self.name, self.number = attrs["zeros"], op.tag, item
        self.operator, self.dt = attrs["operator"], dt
        self.signals = SignalDict()
        operator, self.generators = _with_own_generators(attrs["operator"], item, rng)
        self.process = operator.process if isinstance(operator, SimProcess) else None
        operator.init_signals(self.signals)
        self.step = operator.make_step(self.signals, dt, rng)

    @staticmethod
    def run(steppers: Sequence[Stepper], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run a step of some items, whose rows the arrays have after the step's number."""
        _, *arrays = arrays
        results = [s.advance([a[row] for a in arrays]) for row, s in enumerate(steppers)]
        return [np.stack(values) for values in zip(*results, strict=True)]

    def advance(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run a step; the arrays returned change in the next one."""
        signals = self.signals
        for sig, array in zip(self.inputs, arrays, strict=True):
            _write(signals, sig, array)
        for sig in self.zeros:
            signals[sig][...] = 0
        try:
            # as in Nengo's simulator
            with np.errstate(invalid="raise", divide="ignore"):
                self.step()
        except Exception as error:
            blame(error, self.name)
            raise
        results = [signals[sig] for sig in self.outputs]
        gives = self.process is not None and self.process.gives  # else Nengo writes NaN
        if gives and not np.isfinite(results[0]).all():
            step = round(float(signals[self.operator.t]) / self.dt)
            raise SimulationError(
                f"The {self.name} returned non-finite value {results[0]!r}, in step {step}, for "
                f"item {self.number}"
            )
        return results


@kernel("host")
class HostOperator(Kernel, StepsInNumPy, StepsOnHost):
    """An operator of Nengo's, run by its own step function."""

    sequential = True
    compiled = False
    restarts = True
    passes_gradient = False
    has_effects = True  # nobody knows what it does
    mergeable = False
    stepper = Stepper

    def signature(self, op: Op) -> Hashable:
        return id(op)  # its memory is its own

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        (op,) = group.ops
        arrays = [reads[0][0, 0], *(batched(r, ctx)[:, 0] for r in reads[1:])]
        shapes = [(ctx.batch, *signal.shape) for signal in op.writes]
        outputs = ctx.host(ctx.steppers(op), arrays, shapes)
        return [ops.expand_dims(o, 1) for o in outputs]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        (op,) = group.ops
        inputs = [read.reshape(read.shape[1:]) for read in reads[1:]]  # of the group's one member
        stepper = ctx.steppers(op)

        def compute() -> None:
            for target, value in zip(writes, stepper(*inputs), strict=True):
                target[:] = value.ravel()

        return compute


class Steppers:
    """The steppers of all operators on the host, for each batch item.

    Parameters
    ----------
    dt : float
        Step length [s].
    rngs : callable
        `rngs(operator, item)` gives the random generator of an operator of Nengo's.
    """

    def __init__(self, dt: float, rngs: Callable[[Operator, int], Randomness]) -> None:
        self.dt, self.rngs = dt, rngs
        self._made: Line = {}
        self._before: Line = {}  # whose generators go on
        self._first = 0  # number of the first item of the minibatch
        self._lock = threading.Lock()  # replicas call from threads of their own

    def clear(self) -> None:
        """Make all anew when they are next called."""
        self._made, self._before = {}, {}

    @contextlib.contextmanager
    def aside(self, line: Line | None = None, first: int = 0) -> Iterator[None]:
        """Within this context, use others: made anew, with generators that go on from these.

        Parameters
        ----------
        line : dict, optional
            Those that were used in such a context before; it receives those that are made.
        first : int
            The item of a larger batch at which the minibatch begins. All but the first minibatch
            begin with generators of their own.
        """
        kept = self._made, self._before, self._first
        # items of later minibatches have drawn nothing yet
        before = {} if first else {**self._before, **self._made}
        self._before = before if line is None else {**before, **line}
        self._made, self._first = {}, first
        try:
            yield
        finally:
            if line is not None:
                line.update({**self._before, **self._made})
            self._made, self._before, self._first = kept

    def restart(self, items: Sequence[int]) -> None:
        """Make those of some items anew when they are next called; their generators go on."""
        with self._lock:
            for key in [key for key in self._made if key[1] in items]:
                self._before[key] = self._made.pop(key)

    def __call__(self, op: Op, items: Sequence[int]) -> HostFunction:
        """What runs an op for some batch items."""
        run = _stepper_of(op).run
        return lambda *arrays: run([self._stepper(op, item) for item in items], arrays)

    def of_item(self, op: Op, item: int) -> HostFunction:
        """What runs an op for one batch item, on arrays without a batch axis."""
        return lambda *arrays: self._stepper(op, item).advance(arrays)

    def _stepper(self, op: Op, item: int) -> HostStepper:
        stepper = self._made.get((op, item))
        return self._make(op, item) if stepper is None else stepper

    def _make(self, op: Op, item: int) -> HostStepper:
        with self._lock:
            # generators belong to items of the whole batch, however it is cut into minibatches
            number = self._first + item
            stepper = _stepper_of(op)(op, self.dt, self.rngs(op.attrs["operator"], number), number)
            before = self._before.pop((op, item), None)
            if before is not None:
                continue_with(stepper.generators, before.generators)
            self._made[op, item] = stepper
            return stepper

    def generators(self, ops: Iterable[Op], batch: int) -> list[list[np.random.RandomState]]:
        """What each of the ops that have a stepper draws from, for each item, and no other."""
        mine = [op for op in ops if CATALOGUE.stepper(op) is not None]
        return [
            [rng for item in range(batch) for rng in self._stepper(op, item).generators]
            for op in mine
        ]


def _stepper_of(op: Op) -> type[HostStepper]:
    made = CATALOGUE.stepper(op)
    if made is None:
        raise TypeError(f"{op.tag or op.kind} has no state on the host")
    return made


def _with_own_generators(
    operator: Operator, item: int, rng: Randomness
) -> tuple[Operator, list[np.random.RandomState]]:
    """A copy of an operator that has random generators of its own, and these.

    Nengo's neurons share theirs between simulators; here the first batch item hears what Nengo's
    first run hears, every time, and the others something else.
    """
    shared = getattr(operator, "state_extra", None)
    if shared:
        twin = copy.copy(operator)
        twin.state_extra = {name: own_generator(rng, item) for name, rng in shared.items()}
        return twin, list(twin.state_extra.values())
    if isinstance(operator, SimProcess):
        twin = copy.copy(operator)
        twin.process = _Drawing(operator.process, rng)
        return twin, [twin.process.rng]
    return operator, []


class _Drawing:
    """A process whose step draws from a generator that can be asked for.

    Processes that only take what they are given, to record it, return nothing.
    """

    def __init__(self, process: Process, rng: Randomness) -> None:
        self.rng: np.random.RandomState = process.get_rng(rng)
        self._process = process
        self.gives = True  # whether its last step returned something

    def get_rng(self, _: Randomness) -> np.random.RandomState:
        return self.rng

    def make_step(self, *args: Any, **kwargs: Any) -> Callable[..., object]:
        step = self._process.make_step(*args, **kwargs)

        def noting(*now: float | np.ndarray) -> object:
            value = step(*now)
            self.gives = value is not None
            return value

        return noting


def _write(signals: SignalDict, sig: Signal, value: np.ndarray) -> None:
    if sig.sparse:
        return  # Nengo's sparse weights do not change
    target = signals[sig]
    target.setflags(write=True)
    target[...] = value.reshape(sig.shape)


def batched(array: Tensor, ctx: Context) -> Tensor:
    """One row for each batch item."""
    if array.shape[0] == ctx.batch:
        return array
    return ops.broadcast_to(array, (ctx.batch, *array.shape[1:]))
