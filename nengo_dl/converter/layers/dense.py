"""Layers that are products with a matrix."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .base import LayerConverter, register


@register(keras.layers.Dense)
class ConvertDense(LayerConverter):
    """A trainable dense transform."""

    unsupported_training_args = (
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )
    has_weights = True

    def convert(self, node_id: int) -> Any:
        kernel = np.asarray(self.layer.kernel)
        bias = np.asarray(self.layer.bias) if self.layer.use_bias else None
        output = self.add_nengo_obj(node_id, biases=bias, activation=self.layer.activation)
        self.add_connection(node_id, output, trainable=True, transform=kernel.T)
        return output
