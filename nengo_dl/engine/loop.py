"""The loop over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# step(i, carry, x) -> (carry, y): lists of tensors; i counts from 0
Step = Callable[[Any, list, list], tuple[list, list]]


def scan(
    step: Step,
    carry: Sequence[Any],
    xs: Sequence[Any],
    specs: Sequence[tuple[tuple[int, ...], Any]],
    length: Any,
    valid: Any,
    unroll: int = 1,
    done: Any = None,
) -> tuple[list, list]:
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
        Steps in the body of the loop.
    done : scalar tensor, optional
        Steps of the first turn of the loop that were made before: there are fewer than `unroll`,
        and together with `valid` at most `length`. Without it, `valid` is a multiple of `unroll`.
        A step then has the same place in the body, and so the same rounding, wherever runs begin
        and end; places before the first step and after the last change nothing.

    Returns
    -------
    carry : list of tensor
    ys : list of tensor (length, ...)
    """
    if done is None and isinstance(length, int) and length == unroll:
        return _unrolled(step, list(carry), xs, specs, length)
    inputs = [
        tf.TensorArray(x.dtype, size=length, element_shape=x.shape[1:]).unstack(x) for x in xs
    ]
    outputs = [tf.TensorArray(dtype, size=length, element_shape=shape) for shape, dtype in specs]

    def body(i, carry, outputs):
        for _ in range(unroll):
            row = i if done is None else tf.maximum(i, 0)
            following, ys = step(row, carry, [x.read(row) for x in inputs])
            if done is not None:
                counts = (i >= 0) & (i < valid)
                pairs = zip(following, carry, strict=True)
                following = [tf.where(counts, new, old) for new, old in pairs]
            carry = following
            outputs = [ta.write(row, y) for ta, y in zip(outputs, ys, strict=True)]
            i = i + 1
        return i, carry, outputs

    _, carry, outputs = tf.while_loop(
        lambda i, *_: i < valid,
        body,
        (tf.constant(0) if done is None else -done, list(carry), outputs),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    stacked = [ta.stack() for ta in outputs]
    for y, (shape, _) in zip(stacked, specs, strict=True):
        y.set_shape((length if isinstance(length, int) else None, *shape))
    return list(carry), stacked


def _unrolled(step: Step, carry: list, xs: Sequence, specs: Sequence, length: int):
    rows: list[list] = []
    for i in range(length):
        carry, ys = step(tf.constant(i), carry, [x[i] for x in xs])
        rows.append(ys)
    stacked = [tf.stack(column) for column in zip(*rows, strict=True)]
    return carry, stacked or [tf.zeros((length, *s), d) for s, d in specs]
