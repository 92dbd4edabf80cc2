"""Layers that apply an activation."""

from __future__ import annotations

from typing import Any

import keras

from .base import LayerConverter, register


@register(keras.layers.Activation)
class ConvertActivation(LayerConverter):
    """Neurons without biases."""

    unsupported_training_args = ("activity_regularizer",)

    def convert(self, node_id: int) -> Any:
        output = self.add_nengo_obj(node_id, activation=self.layer.activation)
        self.add_connection(node_id, output)
        return output
