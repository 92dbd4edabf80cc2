"""Layers that scale and shift each element by constants."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from ...utils import Connectable
from ..conversion import Conversion
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
        # a Node of zeros would be computed in each step
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
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        if not is_frozen(layer, converter):
            return False, (
                "in training it depends on the batch; set layer.trainable=False, or "
                "inference_only=True, to convert it with its moving averages"
            )
        if not isinstance(layer.axis, int):
            return False, f"axis={layer.axis!r}, only a single axis can be converted"
        for call in converter.frame.graph.calls_of(layer):
            if converter.temporal_model and layer.axis % len(call.inputs[0].shape) == 1:
                return False, f"its axis={layer.axis!r} is that of time"
        return super().convertible(layer, converter)

    def convert(self, node_id: int) -> Connectable:
        if self.converter.frame.is_absorbed(self.call(node_id)):
            return self.get_input_obj(node_id)
        return super().convert(node_id)

    def by_channel(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift (channels,)."""
        layer = self.layer
        # in float64, as these are multiplied into weights: to round once is enough
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
        is_wrapped = self.source is not self.layer  # then the axis counts without that of time
        skipped = 2 if self.converter.temporal_model and not is_wrapped else 1
        axis = self.layer.axis % (len(shape) + skipped) - skipped
        wide = [1] * len(shape)
        wide[axis] = -1
        return scale.reshape(wide), shift.reshape(wide)


@register(keras.layers.Rescaling)
class ConvertRescaling(ConvertAffine):
    """scale · x + offset."""

    along_time = True

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        for call in converter.frame.graph.calls_of(layer):
            rank = len(call.inputs[0].shape) - (2 if converter.temporal_model else 1)
            for name, array in zip(("scale", "offset"), _of_rescaling(layer), strict=True):
                if array.ndim > rank:
                    return False, f"its {name} has shape {array.shape}, which is more than an item"
        return super().convertible(layer, converter)

    def factors(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """As of `ConvertAffine`."""
        return _of_rescaling(self.layer)


def _of_rescaling(layer: keras.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset, without axes of 1 in front."""
    scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
    if scale.ndim and keras.config.image_data_format() == "channels_first":
        scale = scale.reshape(*scale.shape, *[1] * (3 - scale.ndim))
    while scale.ndim and scale.shape[0] == 1:
        scale = scale[0]
    while offset.ndim and offset.shape[0] == 1:
        offset = offset[0]
    return scale, offset


@register(keras.layers.Normalization)
class ConvertNormalization(ConvertAffine):
    """(x - mean) / standard deviation, or the inverse."""

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        if layer.mean is None:
            return False, "its mean is not known; call its adapt(data) first"
        return super().convertible(layer, converter)

    def factors(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """As of `ConvertAffine`."""
        mean = np.asarray(self.layer.mean, dtype=float)[0]
        deviation = np.sqrt(np.asarray(self.layer.variance, dtype=float))[0]
        deviation = np.maximum(deviation, keras.config.epsilon())
        return (deviation, mean) if self.layer.invert else (1 / deviation, -mean / deviation)
