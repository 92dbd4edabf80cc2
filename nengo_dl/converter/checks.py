"""Checks a converted network against its Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError

from ..simulator.simulator import Simulator
from .arguments import Inputs
from .recipes.statistics import as_arrays
from .seams import Converted

EPOCHS, LEARNING_RATE = 3, 0.1


def verify(
    converter: Converted, training: bool, inputs: Inputs | None, atol: float, rtol: float
) -> bool:
    """See `Converter.verify`."""
    for name, value in (("atol", atol), ("rtol", rtol)):
        if not isinstance(value, int | float | np.number) or not value >= 0:
            raise ValidationError(f"got {value!r}, expected a number of at least 0", attr=name)
    model = converter.model
    arrays = _inputs(converter, inputs)
    batch = len(arrays[0])
    # one minibatch of all items, as Keras gets it: a gradient is a mean over its items
    with Simulator(converter.net, minibatch_size=batch, progress_bar=False) as sim:
        if training:
            _train(converter, sim, arrays)
        given = data_for(converter, arrays)
        found = sim.predict(given, n_steps=None if given else 1)
        packed = keras.tree.pack_sequence_as(model.input, arrays)
        expected = keras.tree.flatten(model.predict(packed, batch_size=batch, verbose=0))
        for tensor, array in zip(model.outputs, expected, strict=True):
            actual = found[converter.outputs[tensor]]
            _compare(tensor.name, actual.reshape(batch, -1), array.reshape(batch, -1), atol, rtol)
    return True


def _inputs(converter: Converted, inputs: Inputs | None) -> list[np.ndarray]:
    if inputs is not None:
        return _checked(converter.model, inputs, 2 if converter.temporal_model else 1)
    shapes = [list(t.shape[1:]) for t in converter.model.inputs]
    if converter.temporal_model:
        shapes = [[shape[0] or 10, *shape[1:]] for shape in shapes]
    return [np.ones((2, *shape)) for shape in shapes]


def _checked(model: keras.Model, inputs: Inputs, first: int) -> list[np.ndarray]:
    """Arrays for the inputs of the model, whose shapes are known from an axis on."""
    if isinstance(inputs, Mapping):
        return as_arrays(model.inputs, inputs, "inputs")
    arrays = list(map(np.asarray, inputs if isinstance(inputs, list | tuple) else [inputs]))
    shapes = [tuple(t.shape) for t in model.inputs]
    given = [x.shape for x in arrays]
    agree = len(given) == len(shapes) and all(
        len(x) == len(shape) and x[first:] == shape[first:]
        for x, shape in zip(given, shapes, strict=True)
    )
    if not agree:
        raise ValidationError(
            f"got arrays of shape {given}, expected one for each input of model {model.name!r}: "
            f"{shapes}",
            attr="inputs",
        )
    return as_arrays(model.inputs, arrays, "inputs")


def data_for(converter: Converted, arrays: list[np.ndarray]) -> dict[nengo.Node, np.ndarray]:
    """Arrays (B, ...) of Keras, as data (B, steps, size) for the input Nodes.

    Parameters
    ----------
    converter : Converter
    arrays : list of array (B, ...)
        One for each input of the model.
    """
    data = {}
    for tensor, array in zip(converter.model.inputs, arrays, strict=True):
        steps = array.shape[1] if converter.temporal_model else 1
        data[converter.inputs[tensor]] = np.reshape(array, (len(array), steps, -1))
    return data


def _train(converter: Converted, sim: Simulator, arrays: list[np.ndarray]) -> None:
    """Train both models towards ones."""
    model, batch = converter.model, len(arrays[0])
    ours = sum(int(np.prod(w.shape)) for w in sim.keras_model.trainable_weights)
    theirs = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    # outputs would differ too, but nobody could tell why
    if ours != theirs:
        raise ValueError(
            f"the converted network has {ours} trainable parameters, the Keras model {theirs}"
        )
    packed = keras.tree.pack_sequence_as(model.input, arrays)
    targets = [np.ones(x.shape) for x in keras.tree.flatten(model(packed))]
    options: dict[str, Any] = {"epochs": EPOCHS, "verbose": 0}
    model.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE), loss="mse")
    aimed = keras.tree.pack_sequence_as(model.output, targets)
    model.fit(packed, aimed, batch_size=batch, **options)
    sim.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE), loss="mse")
    probes = [converter.outputs[t] for t in model.outputs]
    steps = [t.shape[1] if converter.temporal_model else 1 for t in targets]
    wanted = {p: t.reshape(batch, n, -1) for p, t, n in zip(probes, targets, steps, strict=True)}
    sim.fit(data_for(converter, arrays), wanted, **options)


def _compare(name: str, actual: np.ndarray, expected: np.ndarray, atol: float, rtol: float) -> None:
    if np.allclose(actual, expected, atol=atol, rtol=rtol):
        return
    difference = np.max(np.abs(actual - expected))
    raise ValueError(
        f"output {name!r} of the converted network differs from that of the Keras model: the "
        f"largest difference is {difference:g}"
    )
