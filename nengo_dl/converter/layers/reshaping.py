"""Layers that rearrange elements, repeat them, or leave some out."""

from __future__ import annotations

from typing import Any

import keras

from .base import LayerConverter, register


@register(keras.layers.Reshape)
class ConvertReshape(LayerConverter):
    """Nothing: Nengo's values are flat."""

    def convert(self, node_id: int) -> Any:
        return self.get_input_obj(node_id)


@register(keras.layers.Flatten)
class ConvertFlatten(ConvertReshape):
    """Nothing, or the channels last."""
