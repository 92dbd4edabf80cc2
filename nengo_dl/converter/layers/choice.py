"""Which converter a layer gets."""

from __future__ import annotations

import keras

from ...utils import warn
from ..conversion import Conversion
from .base import LayerConverter
from .refused import refusal


def choose_converter(converter: Conversion, layer: keras.Operation, plain: bool) -> LayerConverter:
    """The converter of a layer: that of its type, or a `TensorNode` instead.

    Parameters
    ----------
    converter : nengo_dl.Converter
    layer : keras.Layer or Keras operation
    plain : bool
        Whether it is called with tensors alone.

    Raises
    ------
    TypeError
        If the layer cannot be converted.
    """
    # first of all: no argument, and no fallback, could help
    if (refused := refusal(layer)) is not None:
        raise TypeError(f"{_name(layer)} cannot be converted: {refused}")
    found = converter.converters.get(type(layer))
    if found is None and isinstance(layer, keras.Model):
        found = converter.converters[keras.Model]
    convertible, why = _convertible(converter, found, layer, plain)
    if found is None or not convertible:
        return _fallback(converter, layer, why, found)
    return found(layer, converter)


def _convertible(
    converter: Conversion, found: type[LayerConverter] | None, layer: keras.Operation, plain: bool
) -> tuple[bool, str | None]:
    if found is None:
        return False, "there is no converter for its type"
    if converter.temporal_model and not found.along_time:
        return False, "it may combine steps of time, which a temporal model has one by one"
    if not plain and not found.takes_constants:
        return False, "it is called with more arguments than its inputs"
    return found.convertible(layer, converter)


def _fallback(
    converter: Conversion,
    layer: keras.Operation,
    why: str | None,
    found: type[LayerConverter] | None,
) -> LayerConverter:
    """The converter for a layer that has no equivalent."""
    what = f"{_name(layer)} cannot be converted"
    if (found is not None and not found.allow_fallback) or converter.temporal_model:
        raise TypeError(f"{what}: {why}")
    fallback = converter.converters[None]
    possible, reason = fallback.convertible(layer, converter)
    if not possible:
        raise TypeError(f"{what}: {why}, {reason}")
    if not converter.allow_fallback:
        raise TypeError(f"{what}: {why}. Change the layer, or set allow_fallback=True")
    warn(f"{what}: {why}; it becomes a TensorNode, which only nengo_dl.Simulator runs")
    made = fallback(layer, converter)
    made.reason = why or ""
    return made


def _name(layer: keras.Operation) -> str:
    return f"layer {layer.name!r} ({type(layer).__name__})"
