"""Layers that scale and shift each element by constants."""

from __future__ import annotations

from typing import Any

import keras
import nengo
import numpy as np

from ..nodes import ConstantNode
from .base import LayerConverter, is_frozen, register


class ConvertAffine(LayerConverter):
    """A Node that receives  scale · x + shift."""

    def convert(self, node_id: int) -> nengo.Node:
        shape = self.output_shape(node_id)
        scale, shift = (np.broadcast_to(a, shape).ravel() for a in self.factors(shape))
        label = self.label(node_id)
        node = nengo.Node(size_in=scale.size, label=label)
        self.add_connection(node_id, node, transform=scale)
        if np.any(shift):
            self.connect(ConstantNode(shift, label=f"{label}.bias"), node)
        return node

    def factors(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift of each element.

        Parameters
        ----------
        shape : tuple of int
            Of an item, without the axis of items.

        Returns
        -------
        array, array
            In shapes that broadcast to `shape`.
        """
        raise NotImplementedError


@register(keras.layers.BatchNormalization)
class ConvertBatchNormalization(ConvertAffine):
    """With the moving mean and variance:  γ (x - μ) / √(σ² + ε) + β."""

    along_time = True

    @classmethod
    def convertible(cls, layer: Any, converter: Any) -> tuple[bool, str | None]:
        if not is_frozen(layer, converter):
            return False, (
                "in training it depends on the batch; set layer.trainable=False, or "
                "inference_only=True, to convert it with its moving averages"
            )
        if not isinstance(layer.axis, int):
            return False, f"axis={layer.axis!r}, only a single axis can be converted"
        return super().convertible(layer, converter)

    def convert(self, node_id: int) -> Any:
        if self.converter.frame.is_absorbed(self.call(node_id)):
            return self.get_input_obj(node_id)
        return super().convert(node_id)

    def by_channel(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift (channels,)."""
        layer = self.layer
        mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
        scale = 1 / np.sqrt(variance.astype(float) + layer.epsilon)
        if layer.scale:
            scale = scale * np.asarray(layer.gamma)
        shift = -mean * scale
        if layer.center:
            shift = shift + np.asarray(layer.beta)
        return scale, shift

    def factors(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """As of `ConvertAffine`."""
        scale, shift = self.by_channel()
        skipped = 2 if self.converter.temporal_model else 1
        axis = self.layer.axis % (len(shape) + skipped) - skipped
        wide = [1] * len(shape)
        wide[axis] = -1
        return scale.reshape(wide), shift.reshape(wide)


@register(keras.layers.Rescaling)
class ConvertRescaling(ConvertAffine):
    """scale · x + offset."""

    along_time = True

    def factors(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """As of `ConvertAffine`."""
        scale, offset = np.asarray(self.layer.scale), np.asarray(self.layer.offset)
        if scale.ndim and keras.config.image_data_format() == "channels_first":
            scale = scale.reshape(*scale.shape, *[1] * (3 - scale.ndim))
        return scale, offset


@register(keras.layers.Normalization)
class ConvertNormalization(ConvertAffine):
    """(x - mean) / standard deviation, or the inverse."""

    @classmethod
    def convertible(cls, layer: Any, converter: Any) -> tuple[bool, str | None]:
        if layer.mean is None:
            return False, "its mean is not known; call its adapt(data) first"
        return super().convertible(layer, converter)

    def factors(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """As of `ConvertAffine`."""
        mean = np.asarray(self.layer.mean, dtype=float)[0]
        deviation = np.sqrt(np.asarray(self.layer.variance, dtype=float))[0]
        deviation = np.maximum(deviation, keras.config.epsilon())
        return (deviation, mean) if self.layer.invert else (1 / deviation, -mean / deviation)
