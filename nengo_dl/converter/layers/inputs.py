"""Inputs of the model."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from .base import LayerConverter, register


@register(keras.layers.InputLayer)
class ConvertInput(LayerConverter):
    """A Node that data are given for."""

    allow_fallback = False
    along_time = True

    def convert(self, node_id: int) -> nengo.Node:
        return nengo.Node(np.zeros(int(np.prod(self.output_shape(node_id)))), label=self.layer.name)
