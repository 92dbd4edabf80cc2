"""Which models can be converted, and in what form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from nengo.exceptions import ValidationError

from ..utils import warn
from .graph import Call, is_model


def functional(model: keras.Model) -> keras.Model:
    """A functional model of the same layers.

    Parameters
    ----------
    model : keras.Model
        Functional, Sequential, or a subclass whose ``call`` Keras can trace.

    Raises
    ------
    TypeError
        If it is no model, or cannot be traced.
    ValidationError
        If it is not built yet.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Converter needs a keras.Model, got {model!r}")
    if not model.built:
        raise ValidationError(
            f"model {model.name!r} is not built, so its weights and shapes are not known; call "
            f"model.build(input_shape), or begin it with keras.Input",
            attr="model",
        )
    if not is_model(model):
        return _traced(model)
    if isinstance(model, keras.Sequential):
        warn(
            f"Model {model.name!r} is Sequential; it was made a functional model of the same "
            f"layers, which is converter.model"
        )
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return model


def _traced(model: keras.Model) -> keras.Model:
    """Call a subclassed model with symbolic tensors, which record what it does."""
    try:
        inputs = _symbolic_inputs(model)
        # not `model(...)`: that would be one operation, and hide the layers within
        outputs = model.call(inputs)
        return keras.Model(inputs, outputs, name=model.name)
    except Exception as error:
        raise TypeError(
            f"model {model.name!r} is a subclass of keras.Model ({type(model).__name__}) whose "
            f"call Keras cannot trace ({type(error).__name__}: {error}). Write it as a functional "
            f"model: keras.Model(inputs, outputs)"
        ) from error


def _symbolic_inputs(model: keras.Model) -> Any:
    """Symbolic tensors like those that the model was built with; those of a dict have its names."""
    if getattr(model, "inputs", None):
        given = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        return keras.tree.map_structure(
            lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), given
        )
    shapes = (model.get_build_config() or {}).get("input_shape")
    if isinstance(shapes, dict) and all(isinstance(key, str) for key in shapes):
        return {key: _input(shape, key) for key, shape in shapes.items()}
    return keras.tree.map_shape_structure(_input, shapes)


def _input(shape: Sequence[int | None], name: str | None = None) -> keras.KerasTensor:
    return keras.Input(tuple(shape[1:]), name=name)


def check_shapes(inputs: Sequence[keras.KerasTensor], temporal: bool) -> None:
    """Raise ValidationError unless the shapes of the inputs are fully known.

    Parameters
    ----------
    inputs : list of KerasTensor
        Of a model.
    temporal : bool
        Whether the axis after the batch is time, which need not be known.
    """
    for tensor in inputs:
        shape = tuple(tensor.shape[1:])
        if temporal and not shape:
            raise ValidationError(
                f"input {tensor.name!r} of a temporal model has no axis of time", attr="model"
            )
        if None in (shape[1:] if temporal else shape):
            raise ValidationError(
                f"input {tensor.name!r} has shape {shape}, whose size is not known. Give "
                f"keras.Input a full shape; if the first axis is time, use temporal_model=True",
                attr="model",
            )


def check_known(call: Call, temporal: bool) -> None:
    """Raise ValidationError unless the shapes of what a layer gives out are fully known.

    Parameters
    ----------
    call : Call
    temporal : bool
        Whether the axis after the batch is time.
    """
    for tensor in call.outputs:
        shape = tuple(tensor.shape[1:])
        if temporal and len(call.outputs[0].shape) < 2:
            raise ValidationError(
                f"layer {call.layer.name!r} gives out no axis of time, but the model is temporal",
                attr="model",
            )
        if None in (shape[1:] if temporal else shape):
            raise ValidationError(
                f"layer {call.layer.name!r} ({type(call.layer).__name__}) gives out shape {shape}, "
                f"whose size is not known; give its arguments full shapes",
                attr="model",
            )
