"""Calls of compiled functions for little more than what TensorFlow itself needs.

A step of a small network takes XLA a few microseconds. Whatever is done for each call besides, and
be it for each argument, takes as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from ...compiler import costs
from .. import switches

# TensorFlow whose functions are known to be called like this, through interfaces that are private.
# To add another one, let tests/runtimes/test_calls.py pass with it.
KNOWN = ("2.21.",)


Function: TypeAlias = tf.types.experimental.ConcreteFunction
Compiled = Callable[..., Sequence[tf.Tensor]]  # of flat arguments, such as `quick` makes


def is_known() -> bool:
    """Whether private interfaces of TensorFlow are known to be there."""
    return tf.__version__.startswith(KNOWN)


def are_quick() -> bool:
    """Whether functions can be called like this."""
    return switches.QUICK_CALLS and is_known()


def is_watched() -> bool:
    """Whether a debugger of TensorFlow's adds operations to what is traced."""
    from tensorflow.python.eager import context

    return bool(context.context().op_callbacks)


def device() -> str | None:
    """Where the user wants operations to run."""
    from tensorflow.python.eager import context

    return context.context().device_name


def quick(
    function: Function,
    captured: Sequence[tf.Tensor] | None = None,
) -> Compiled:
    """A concrete function, called with tensors that are known to fit, and no gradient asked for.

    Parameters
    ----------
    function : tf.types.experimental.ConcreteFunction
        Of flat arguments, compiled by XLA, that returns a list.
    captured : sequence of tensor, optional
        What it reads in place of what it captured, if `are_quick`.
    """
    if not are_quick():
        return function
    from tensorflow.python.eager import context
    from tensorflow.python.eager.execute import execute

    flat = function.inference_fn
    captured = function.captured_inputs if captured is None else captured
    how = context.context()
    name, count = flat.name.decode("utf-8"), len(flat.function_type.flat_outputs)
    attributes = tuple(chain(*how.function_call_options.as_attrs().items()))

    def call(*args: tf.Tensor) -> Sequence[tf.Tensor]:
        # within a graph, this call is to be a part of it
        if not how.executing_eagerly():
            return flat.call_flat(*args, *captured)
        return execute(name, count, [*args, *captured], attributes, how)

    call.function = function  # type: ignore[attr-defined]  # which frees what it made when it goes
    return call


def with_captured(function: Function, captured: Sequence[tf.Tensor] | None) -> Callable:
    """A concrete function that returns what its Python did.

    Parameters
    ----------
    function : tf.types.experimental.ConcreteFunction
        Of flat arguments.
    captured : sequence of tensor or None
        As of `quick`.
    """
    if captured is None:
        return function
    flat, structured = function.inference_fn, function.function_type.pack_output

    def call(*args: tf.Tensor) -> object:
        return structured(flat.call_flat(*args, *captured))

    call.function = function  # type: ignore[attr-defined]  # which frees what it made when it goes
    return call


class StepCounts:
    """How many steps came before a chunk, and how many it has, as a tensor.

    Chunks of the same length often follow each other, so those of the next ones are made with it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tf.Tensor] = {}
        self._expected = (0, 0)
        self._ahead = costs.current().step_counts_ahead

    def tensor(self, first: int, steps: int) -> tf.Tensor:
        """Both numbers: tensor (2,) int64."""
        key = first, steps
        if key not in self._known:
            ahead = self._ahead if key == self._expected else 1
            firsts = first + steps * np.arange(ahead)
            rows = np.stack([firsts, np.full(ahead, steps)], axis=1)
            keys = [(int(n), steps) for n in firsts]
            self._known = dict(zip(keys, tf.unstack(tf.constant(rows)), strict=True))
        self._expected = first + steps, steps
        return self._known[key]
