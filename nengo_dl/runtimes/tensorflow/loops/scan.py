"""The loop over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import tensorflow as tf

from ....kernels.context import as_they_are
from ..backend import Result, Scalar, by_xla

Tensors = list[tf.Tensor]
# step(i, carry, x) -> (carry, y); i counts from 0
Step = Callable[[Scalar, Tensors, Tensors], tuple[Tensors, Tensors]]
FixedStep = Callable[[Scalar, Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]
Keep = Callable[..., tuple[tf.Tensor, ...]]
KeepingStep = Callable[[Scalar, Tensors, Tensors, Tensors, Keep], tuple[Tensors, Tensors]]
Specs = Sequence[tuple[tuple[int, ...], tf.DType | str]]
TensorSpecs = Sequence[tuple[tuple[int, ...], tf.DType]]
Bounds = tuple[Scalar, Scalar, int]  # length, valid, and unroll of `scan`


def scan(
    step: Step,
    carry: Sequence[tf.Tensor],
    xs: Sequence[tf.Tensor],
    specs: Specs,
    length: Scalar,
    valid: Scalar,
    unroll: int = 1,
    backwards: bool = False,
) -> tuple[Tensors, Tensors]:
    """Apply `step` to slices of `xs` along their first axis, one after the other.

    Keras's own `scan` gives the loop no bound, without which XLA has no gradient of it.

    Parameters
    ----------
    step : callable
    carry : list of tensor
        Of fixed shapes; handed from step to step.
    xs : list of tensor (length, ...)
    specs : list of (shape, dtype)
        Of what each step gives out.
    length : int or scalar tensor
        Steps that there is room for.
    valid : int or scalar tensor
        Steps to run, at most `length`. Later rows of the results mean nothing.
    unroll : int
        Steps in the body of the loop; `valid` is a multiple of it.
    backwards : bool
        Whether to go from the last of the valid rows to the first; `i` is the row.

    Returns
    -------
    carry : list of tensor
    ys : list of tensor (length, ...)
    """
    if isinstance(length, int) and length == unroll:
        return _unrolled(step, list(carry), xs, specs, length, backwards)
    inputs = [
        tf.TensorArray(x.dtype, size=length, element_shape=x.shape[1:]).unstack(x) for x in xs
    ]
    outputs = [tf.TensorArray(dtype, size=length, element_shape=shape) for shape, dtype in specs]

    def body(i, carry, outputs):
        for _ in range(unroll):
            row = valid - 1 - i if backwards else i
            carry, ys = step(row, carry, [x.read(row) for x in inputs])
            outputs = [ta.write(row, y) for ta, y in zip(outputs, ys, strict=True)]
            i = i + 1
        return i, carry, outputs

    _, carry, outputs = tf.while_loop(
        lambda i, *_: i < valid,
        body,
        (tf.constant(0), list(carry), outputs),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    stacked = [ta.stack() for ta in outputs]
    for y, (shape, _) in zip(stacked, specs, strict=True):
        y.set_shape((length if isinstance(length, int) else None, *shape))
    return list(carry), stacked


def scan_again(
    step: FixedStep,
    carry: Sequence[tf.Tensor],
    xs: Sequence[tf.Tensor],
    fixed: Sequence[tf.Tensor],
    specs: Specs,
    length: Scalar,
    valid: Scalar,
    unroll: int = 1,
    alone: bool = False,
) -> tuple[Tensors, Tensors]:
    """Like `scan`, with a gradient that computes each step again.

    TensorFlow's own gradient of a loop keeps all intermediate values of all steps.  This one keeps
    what each step begins with, and goes back with a step and its gradient at a time, which XLA
    fuses.  [Griewank & Walther 2000, ACM TOMS 26, 19, for one level of checkpoints]

    Parameters
    ----------
    step : callable
        ``step(i, carry, x, fixed) -> (carry, y)``; it must do the same when it is called again.
    fixed : list of tensor
        All floating-point tensors, not in `carry` or `xs`, for which a gradient is wanted.
    alone : bool
        Whether XLA compiles the loop by itself, and that of the gradient.
    """

    def one(
        i: Scalar, state: Tensors, x: Tensors, values: Tensors, keep: Keep
    ) -> tuple[Tensors, Tensors]:
        return step(i, state, x, values)

    return _scan_back(one, [carry, xs, fixed], specs, None, (length, valid, unroll), alone)


def scan_keeping(
    step: KeepingStep,
    carry: Sequence[tf.Tensor],
    xs: Sequence[tf.Tensor],
    fixed: Sequence[tf.Tensor],
    specs: Specs,
    residuals: Specs,
    length: Scalar,
    valid: Scalar,
    unroll: int = 1,
    alone: bool = False,
) -> tuple[Tensors, Tensors]:
    """Like `scan_again`, for steps that say what their gradient needs: that is kept instead.

    Parameters
    ----------
    step : callable
        ``step(i, carry, x, fixed, keep) -> (carry, y)``. It hands to `keep` all values on which
        its gradient depends, and goes on with those that `keep` returns: in the gradient these are
        the values of that step, while `carry` and `x` are zeros.
    residuals : list of (shape, dtype)
        Of what is handed to `keep`.
    """
    bounds = length, valid, unroll
    return _scan_back(step, [carry, xs, fixed], specs, residuals, bounds, alone)


def _scan_back(
    step: KeepingStep,
    arguments: Sequence[Sequence[tf.Tensor]],
    specs: Specs,
    residuals: Specs | None,
    bounds: Bounds,
    alone: bool,
) -> tuple[Tensors, Tensors]:
    """Scan with a gradient that goes back step by step; without `residuals`, runs them again."""
    length, _, unroll = bounds
    call = by_xla if alone else _directly
    if not any(arguments) or (isinstance(length, int) and length == unroll):
        carry, xs, fixed = map(list, arguments)

        def forwards(i: Scalar, state: Tensors, x: Tensors) -> tuple[Tensors, Tensors]:
            return step(i, state, x, fixed, as_they_are)

        return call(lambda: scan(forwards, carry, xs, specs, *bounds))
    sizes = [len(part) for part in arguments]

    @tf.custom_gradient
    def run(*tensors: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable]:
        if alone:  # XLA's functions are not to be made for TensorFlow's own gradients, too
            tensors = tuple(map(tf.stop_gradient, tensors))
        first, series, constant = _divide(tensors, sizes)
        states = [(tuple(c.shape), c.dtype) for c in first]
        inputs = [(tuple(x.shape[1:]), x.dtype) for x in series]

        def keeping(i: Scalar, state: Tensors, x: Tensors) -> tuple[Tensors, Tensors]:
            kept: Tensors = []

            def keep(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
                kept.extend(values)
                return values

            after, ys = step(i, state, x, constant, keep)
            return after, [*ys, *(state if residuals is None else kept)]

        def recall(row: Tensors) -> tuple[Tensors, Tensors, Keep]:
            """What a step is called with in the gradient."""
            if residuals is None:
                state, x = _divide(row, [len(states), len(inputs)])
                return state, x, as_they_are
            left = iter(row)
            state, x = ([tf.zeros(*spec) for spec in part] for part in (states, inputs))
            return state, x, lambda *values: tuple(islice(left, len(values)))

        all_specs = [*specs, *(states if residuals is None else residuals)]
        after, ys = call(lambda: scan(keeping, first, series, all_specs, *bounds))
        ys, kept = ys[: len(specs)], ys[len(specs) :]
        # to run steps again takes their inputs, too; kept values stand for all arguments
        memory = [*kept, *series] if residuals is None else kept

        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor | None]:
            back = _Backwards(step, recall, constant, (states, inputs), residuals is not None)
            return call(lambda: back.scan(memory, upstream, bounds))

        return (*after, *ys), gradient

    results = run(*(tensor for part in arguments for tensor in part))
    return list(results[: sizes[0]]), list(results[sizes[0] :])


@dataclass(frozen=True)
class _Backwards:
    """The gradient of a loop.

    Attributes
    ----------
    step : callable
    recall : callable
        Gives the arguments of a step of what was kept of it.
    fixed : list of tensor
    specs : (TensorSpecs, TensorSpecs)
        Of the carry, and of the rows of the series.
    selects : bool
        Whether to find out which states have a gradient, for which a step is traced once more.
    """

    step: KeepingStep
    recall: Callable[[Tensors], tuple[Tensors, Tensors, Keep]]
    fixed: Tensors
    specs: tuple[TensorSpecs, TensorSpecs]
    selects: bool

    def scan(
        self, memory: Tensors, upstream: Sequence[tf.Tensor], bounds: Bounds
    ) -> list[tf.Tensor | None]:
        """Gradients of the first carry, of the series and of what is fixed; None for integers."""
        n_states, n_inputs = map(len, self.specs)
        final, rows = list(upstream[:n_states]), list(upstream[n_states:])
        inputs = _floating(self.specs[1])
        states = _floating(self.specs[0])
        if self.selects:
            states = self._reached(states, [tf.zeros(m.shape[1:], m.dtype) for m in memory])

        def back(i: Scalar, carry: Tensors, row: Tensors) -> tuple[Tensors, Tensors]:
            known, ys = _divide(row, [len(memory), len(rows)])
            later, sums = carry[: len(states)], carry[len(states) :]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                after, now, state, x = self._run(tape, i, known)
            wanted = [state[k] for k in states], [x[k] for k in inputs], self.fixed
            found = tape.gradient(
                [[after[k] for k in states], now], wanted, output_gradients=[later, ys]
            )
            d_state, d_x = (_or_zeros(d, v) for d, v in zip(found[:2], wanted[:2], strict=True))
            sums = [s if d is None else s + d for s, d in zip(sums, found[2], strict=True)]
            return [*d_state, *sums], d_x

        # gradients of what is fixed add up over the steps, those of states go back through them
        start = [final[k] for k in states] + [tf.zeros_like(f) for f in self.fixed]
        d_specs = [self.specs[1][k] for k in inputs]
        carry, d_series = scan(back, start, [*memory, *rows], d_specs, *bounds, backwards=True)
        d_state = _spread(carry[: len(states)], states, n_states)
        return [*d_state, *_spread(d_series, inputs, n_inputs), *carry[len(states) :]]

    def _run(
        self, tape: tf.GradientTape, i: Scalar, known: Tensors
    ) -> tuple[Tensors, Tensors, Tensors, Tensors]:
        """Results of a step, and its arguments, which the tape watches."""
        state, x, keep = self.recall(known)
        tape.watch([a for a in [*state, *x, *self.fixed] if a.dtype.is_floating])
        after, now = self.step(i, state, x, self.fixed, keep)
        return after, now, state, x

    def _reached(self, states: list[int], known: Tensors) -> list[int]:
        """Those of the states that give a gradient on, or receive one.

        The refractory time of a neuron does not: a loop over zeros would cost as much as others.
        """
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            after, now, state, x = self._run(tape, tf.constant(0), known)
        inputs = _floating(self.specs[1])
        all_results = [*(after[k] for k in states), *now]
        all_sources = [*(state[k] for k in states), *(x[k] for k in inputs), *self.fixed]

        def depend(results: Tensors, sources: Tensors) -> bool:
            return any(d is not None for d in tape.gradient(results, sources))

        return [
            k for k in states if depend(all_results, [state[k]]) or depend([after[k]], all_sources)
        ]


def _floating(specs: TensorSpecs) -> list[int]:
    return [i for i, (_, dtype) in enumerate(specs) if dtype.is_floating]


def _directly(function: Callable[[], Result]) -> Result:
    return function()


def _divide(values: Sequence[tf.Tensor], sizes: Sequence[int]) -> list[Tensors]:
    parts, start = [], 0
    for size in sizes:
        parts.append(list(values[start : start + size]))
        start += size
    return parts


def _or_zeros(gradients: Sequence[tf.Tensor | None], values: Sequence[tf.Tensor]) -> Tensors:
    return [tf.zeros_like(v) if g is None else g for g, v in zip(gradients, values, strict=True)]


def _spread(
    values: Sequence[tf.Tensor], places: Sequence[int], size: int
) -> list[tf.Tensor | None]:
    """A list of `size`, with values in their places and None elsewhere."""
    found = dict(zip(places, values, strict=True))
    return [found.get(i) for i in range(size)]


def _unrolled(
    step: Step,
    carry: Tensors,
    xs: Sequence[tf.Tensor],
    specs: Specs,
    length: int,
    backwards: bool,
) -> tuple[Tensors, Tensors]:
    rows: list[Tensors] = []
    order = range(length)[::-1] if backwards else range(length)
    for i in order:
        carry, ys = step(tf.constant(i), carry, [x[i] for x in xs])
        rows.append(ys)
    rows = rows[::-1] if backwards else rows
    stacked = [tf.stack(column) for column in zip(*rows, strict=True)]
    return carry, stacked or [tf.zeros((length, *s), d) for s, d in specs]
