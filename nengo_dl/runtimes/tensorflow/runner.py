"""Runs a simulation in chunks of time: one compilation serves runs of any length."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from ...compiler.ir import Block, Output, Stage
from ...compiler.tensors import Tensor
from .calls import Compiled, StepCounts
from .chunk import Span
from .keras.layer import TensorGraph
from .shared_functions import chunk_function
from .state_buffer import Carried, StateBuffer
from .strategy import Refusal, Scope, Strategy
from .tune import divide_items

logger = logging.getLogger(__name__)


Inputs = tuple[tuple[Block, tuple[int, ...]], ...]  # the shape of each

# steps in the chunk, inputs, and whether the minibatch is split
Key = tuple[int, Inputs, bool]


class Runner:
    """Compiled functions that simulate a chunk of time.

    Parameters
    ----------
    graph : TensorGraph

    Attributes
    ----------
    strategy : Strategy
        How the last of them runs; another one if inputs stand still, or XLA has refused something.
    compile_count : int
        Functions compiled so far.
    """

    def __init__(self, graph: TensorGraph) -> None:
        self.graph = graph
        self.compile_count = 0
        self.strategy = graph.strategy("simulate")
        self._refused: frozenset[Refusal] = frozenset()
        self._functions: dict[Key, Compiled] = {}
        self._strategies: dict[Key, Strategy] = {}
        self.state = StateBuffer(graph.carry(), graph.plan)
        self._counts = StepCounts()
        self._converted: dict[Block, tuple[np.ndarray, tf.Tensor]] = {}
        self.longest = self._longest()
        self.work = self._work()

    def chunk(self, steps: int, first: int) -> int:
        """As of `Runtime`."""
        return min(steps, self.longest)

    def run(
        self,
        carry: Mapping[Block, Tensor],
        inputs: Mapping[Block, np.ndarray],
        constant: set[Block],
        first: int,
        steps: int,
        split: bool = False,
    ) -> tuple[dict[Output, np.ndarray], Carried]:
        """Simulate one chunk, as of `Runtime`."""
        length = self._length(steps)
        arrays = [
            x if b in constant else _padded(x, length, self.graph.plan.dtype)
            for b, x in inputs.items()
        ]
        split = split and self.graph.replicas.several
        key = (length, tuple((b, x.shape) for b, x in zip(inputs, arrays, strict=True)), split)
        self.strategy = self._strategy(key)
        args = [*self.state.tensors(carry), *map(self._tensor, inputs, arrays)]
        args.append(self._counts.tensor(first, steps))
        with self.graph.host.raising():
            values = self._call(key, args) or []  # None where nothing comes out
        if split:
            values = self._joined(values, self.graph.replicas.gather)
        outputs = self._outputs
        shown = [_rows(value, length, steps) for value in values[: len(outputs)]]
        recording = self.strategy.recording
        results = recording.divide(dict(zip(outputs, shown, strict=True)))  # type: ignore[union-attr]  # there, to simulate
        return results, self.state.arrays(values[len(outputs) :])

    @property
    def _outputs(self) -> list[Output]:
        """What the compiled functions record."""
        return self.strategy.recording.outputs  # type: ignore[union-attr]  # there, to simulate

    def _tensor(self, block: Block, array: np.ndarray) -> tf.Tensor:
        """An input as a tensor; the last one, if it is that of the same array."""
        known, tensor = self._converted.get(block, (None, None))
        if array is not known or array.flags.writeable:
            tensor = tf.convert_to_tensor(array)
            self._converted[block] = array, tensor
        return tensor

    def _strategy(self, key: Key) -> Strategy:
        """How to run chunks of given inputs."""
        if key not in self._strategies:
            self._strategies[key] = self._chosen(key)
        return self._strategies[key]

    def _chosen(self, key: Key) -> Strategy:
        length, inputs, _ = key
        rows = [(block, shape[0], shape[1]) for block, shape in inputs]
        still: frozenset[Block] = frozenset()
        # one row for all items is multiplied once anyway
        enough = length >= self.graph.costs.still_steps
        if enough and any(steps == 1 and items > 1 for _, steps, items in rows):
            still = frozenset(block for block, steps, _ in rows if steps == 1)
        return self.graph.strategy("simulate", refused=self._refused, still=still)

    def _call(self, key: Key, args: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        if self.strategy.scope is not Scope.CALL:
            return self._function(key, args)(*args)
        try:
            return self._function(key, args)(*args)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            self._go_on_without(self._refusal(error), str(error).splitlines()[0])
            self.strategy = self._strategy(key)
            return self._call(key, args)

    def _refusal(self, error: Exception) -> Refusal:
        """What XLA refuses, if that can be it."""
        if self.strategy.single_kernels:
            return Refusal.SINGLE_KERNELS
        has_user_code = any(g.traits.user_code for g in self.strategy.program.groups)
        # Python raised it, or there is no code of the user's: no other strategy would help
        if self.graph.host.error is not None or not has_user_code:
            raise error
        return Refusal.USER_CODE

    def _go_on_without(self, refusal: Refusal, reason: str) -> None:
        """Choose another strategy."""
        self._refused |= {refusal}
        self._functions.clear()
        self._strategies.clear()
        if refusal is Refusal.SINGLE_KERNELS:
            logger.info("XLA cannot make one kernel of a loop: %s", reason)
            return
        warnings.warn(
            f"XLA cannot compile this network ({reason}); it runs without, more slowly",
            stacklevel=6,
        )

    def _function(self, key: Key, args: list[tf.Tensor]) -> Compiled:
        if key not in self._functions:
            make = partial(self._make, key, args)
            shapes = [(tuple(a.shape), a.dtype.name) for a in args]
            split = key[-1]  # then it belongs to the replicas
            self._functions[key] = (
                make() if split else chunk_function(self.graph, self.strategy, (key, shapes), make)
            )
        return self._functions[key]

    def _make(self, key: Key, args: list[tf.Tensor]) -> tf.types.experimental.ConcreteFunction:
        """A function of flat arguments of fixed shapes: the cheapest there is to call."""
        length, inputs, split = key
        carried = self.state.count
        how, plan = self.strategy, self.graph.plan
        jit = True if how.scope is Scope.CALL else None
        parts = divide_items(plan.batch, how.parts)
        axes = [0] * carried + [1] * len(inputs) + [None]  # of items, in the arguments

        def simulate(args, items):
            self.compile_count += 1  # this is Python: it runs once per trace
            carry = self.state.split(args[:carried])
            arrays = {block: x for (block, _), x in zip(inputs, args[carried:-1], strict=True)}
            first, steps = args[-1][0], tf.cast(args[-1][1], tf.int32)
            # then there is no loop, and XLA is to know so
            whole = length == plan.unroll
            span = Span(first, length, length if whole else steps)
            outputs, after = self.graph.simulate(arrays, carry, span, how, items)
            return [outputs[o.key] for o in self._outputs] + self.state.join(after)

        def function_of(items):
            # no named arguments: TensorFlow would look for them in each call, at a millisecond
            return tf.function(
                lambda *args: simulate(args, items), jit_compile=jit, autograph=False
            )

        def simulate_split(*args):
            return self.graph.replicas.each(
                lambda items: function_of(items)(*_of_items(args, axes, items))
            )

        def simulate_parts(*args):
            functions = {n: function_of(range(n)) for n in set(map(len, parts))}
            return self._joined(
                [functions[len(items)](*_of_items(args, axes, items)) for items in parts]
            )

        if split:
            function = tf.function(simulate_split, autograph=False)
        elif len(parts) > 1:
            function = tf.function(simulate_parts, autograph=False)
        else:
            function = function_of(range(plan.batch))
        return function.get_concrete_function(*[tf.TensorSpec(a.shape, a.dtype) for a in args])

    def _joined(
        self,
        parts: Sequence[Sequence[tf.Tensor]],
        join: Callable[[Sequence[tf.Tensor], int], tf.Tensor] = tf.concat,
    ) -> list[tf.Tensor]:
        """Results of all parts of a minibatch, put together along the axis of the items."""
        values = []
        for number, own in enumerate(zip(*parts, strict=True)):
            axis = 1 if number < len(self._outputs) else 0
            shared = axis == 1 and not self._outputs[number].batched
            values.append(own[0] if shared else join(own, axis))
        return values

    def _length(self, steps: int) -> int:
        """Room for `steps`: always the same, unless rows beyond them would cost too much."""
        if self.work * self.longest <= self.strategy.costs.padded_elements:
            return self.longest
        most = self.strategy.costs.longer_function * steps
        # one that is compiled already, unless it computes much in vain
        fitting = [n for n, *_ in self._functions if steps <= n <= most]
        if fitting:
            return min(fitting)
        length = self.graph.plan.unroll
        # by powers of two, so that few functions serve all numbers of steps
        while length < steps:
            length *= 2
        return min(length, self.longest)

    def _work(self) -> int:
        """Elements that stages outside the loop touch for each step, or as much work."""
        stages = [s for s in self.graph.plan.program.stages if not s.looped]
        reads = [r for s in stages for g in s.groups for r in g.reads]
        fixed = sum(r.size for r in reads if r.fixed) // self.strategy.costs.product_elements
        return (fixed + sum(r.size for r in reads if not r.fixed)) * self.graph.plan.batch

    def _longest(self) -> int:
        """Steps in a chunk, within the memory bound; a multiple of `plan.unroll`."""
        plan = self.graph.plan
        bytes_per_step = sum(_traffic(s) for s in plan.program.stages)
        bytes_per_step += sum(b.size for b in (*plan.inputs.values(), *plan.hidden))
        bytes_per_step *= plan.batch * np.dtype(plan.dtype).itemsize
        bounds, calls = self.strategy.costs, self.strategy.calls_in_loops
        longest = bounds.chunk_steps_on_host if calls else bounds.chunk_steps
        steps = int(np.clip(bounds.chunk_bytes // max(bytes_per_step, 1), 1, longest))
        return max(steps // plan.unroll, 1) * plan.unroll


def _rows(value: tf.Tensor, length: int, steps: int) -> np.ndarray:
    """Rows of the steps that count, in memory of their own: a view would keep all of the chunk."""
    rows = memoryview(value)
    return np.array(rows[:steps] if value.shape[0] == length else rows)


def _of_items(
    arrays: Sequence[tf.Tensor], axes: Sequence[int | None], items: range
) -> list[tf.Tensor]:
    """The rows of some items; of arrays that have no axis of items, or one row for all, that."""

    def part(array: tf.Tensor, axis: int | None) -> tf.Tensor:
        if axis is None or array.shape[axis] == 1:
            return array
        rows = slice(items.start, items.stop)
        return array[rows] if axis == 0 else array[:, rows]

    return [part(*pair) for pair in zip(arrays, axes, strict=True)]


def _traffic(stage: Stage) -> int:
    """Elements that a stage keeps for each step of a chunk."""
    size = sum(r.size for o, r in stage.outputs if not (o.last_only and stage.looped))
    size += sum(b.size for b in stage.exports)
    if not stage.looped:
        size += sum(b.size for g in stage.groups for b in g.writes)
    return size


def _padded(array: np.ndarray, length: int, dtype: str) -> np.ndarray:
    if array.shape[0] == length:
        return np.ascontiguousarray(array, dtype=dtype)
    room = np.zeros((length, *array.shape[1:]), dtype=dtype)
    room[: array.shape[0]] = array
    return room
