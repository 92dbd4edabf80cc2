"""Copies of layers, so that training the network leaves the model's weights alone."""

from __future__ import annotations

import keras

from .conversion import Conversion


def copy_of(layer: keras.Operation, converter: Conversion) -> keras.Operation:
    """A copy with the same weights: one for each layer, so that its calls share them.

    What has no weights, and cannot be copied, is used itself, and so are operations.

    Parameters
    ----------
    layer : keras.Layer or Keras operation
    converter : Converter
        Keeps the copies.
    """
    if not isinstance(layer, keras.layers.Layer):
        return layer
    if id(layer) not in converter.copies:
        converter.copies[id(layer)] = _copied(layer)
    return converter.copies[id(layer)]


def _copied(layer: keras.Layer) -> keras.Layer:
    try:
        made = type(layer).from_config(layer.get_config())
        # there are no weights to set before
        if layer.built and not made.built:
            made.build_from_config(layer.get_build_config())
        made.set_weights(layer.get_weights())
    except Exception:  # of a user's own class
        # without weights, training changes nothing that both could share
        if layer.weights:
            raise
        return layer
    return made
