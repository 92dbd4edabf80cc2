"""What goes into the Keras layer of a simulation, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from ...plan import Plan
from ..backend import Scalar


def symbolic_inputs(plan: Plan) -> dict[str, keras.KerasTensor]:
    """Inputs for a Keras model around the layer."""
    size = plan.replicas.size
    inputs = {
        name: keras.Input((None, block.size), size, dtype=plan.dtype, name=name)
        for name, block in plan.inputs.items()
    }
    inputs["n_steps"] = keras.Input((1,), size, dtype="int32", name="n_steps")
    return inputs


def symbolic_outputs(plan: Plan) -> dict[str, keras.KerasTensor]:
    """Shapes of what the layer returns."""
    size, specs = plan.replicas.size, {}
    for name, output in plan.outputs.items():
        batch = size if output.batched else 1
        steps = 1 if output.last_only else None
        shape = (batch, steps, *output.view.shape)
        specs[name] = keras.KerasTensor(shape, dtype=plan.dtype, name=name)
    specs["steps_run"] = keras.KerasTensor((size, 1), dtype="int32", name="steps_run")
    return specs


def present_items(inputs: Mapping[str, tf.Tensor], batch: int) -> int:
    """Items that the inputs have."""
    return inputs["n_steps"].shape[0] or batch


def not_finite(inputs: Sequence[tf.Tensor]) -> tf.Tensor | None:
    """Steps of items (B, T or 1) from which on an input was NaN or infinite.

    Parameters
    ----------
    inputs : sequence of tensor (T or 1, B, size)
    """
    wrong = None
    for x in inputs:
        here = tf.reduce_any(~tf.math.is_finite(x), axis=2)
        wrong = here if wrong is None else wrong | here
    return None if wrong is None else tf.transpose(tf.cumsum(tf.cast(wrong, tf.int32)) > 0)


def results(
    plan: Plan,
    outputs: Mapping[object, tf.Tensor],
    present: int,
    room: Scalar,
    valid: Scalar,
    wrong: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """What probes saw of the items and steps that there are.

    Parameters
    ----------
    plan : Plan
    outputs : dict of key to tensor (T or 1, B or 1, size)
    present : int
        Items b.
    room, valid : int or scalar tensor
        T, and the steps that were simulated.
    wrong : tensor (B, T or 1), optional
        Where outputs are NaN: neurons take inputs that are no numbers for none at all.

    Returns
    -------
    dict of str to tensor (b or 1, valid or 1, *shape)
        By the name of the probe, and `steps_run` (b, 1).
    """
    found = {}
    for name, output in plan.outputs.items():
        value = tf.transpose(outputs[output.key], (1, 0, 2))[:present]
        if not output.last_only:
            value = _all_steps(value, room)
            value = value if room is valid else value[:, :valid]
        if wrong is not None and output.batched:
            here = wrong[:present, -1:] if output.last_only else wrong[:present]
            value = tf.where(here[..., None], tf.constant(np.nan, value.dtype), value)
        found[name] = tf.reshape(value, (value.shape[0], -1, *output.view.shape))
    found["steps_run"] = tf.fill((present, 1), tf.cast(valid, tf.int32))
    return found


def _all_steps(value: tf.Tensor, length: Scalar) -> tf.Tensor:
    if value.shape[1] != 1 or (isinstance(length, int) and length == 1):
        return value
    return tf.broadcast_to(value, (value.shape[0], length, value.shape[2]))
