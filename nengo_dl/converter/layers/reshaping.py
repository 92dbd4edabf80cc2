"""Layers that rearrange elements, repeat them, leave some out, or add zeros.

What such a layer does is found out by letting it rearrange the numbers of its elements.
"""

from __future__ import annotations

import keras
import numpy as np

from ...utils import Connectable
from ..conversion import Conversion
from .base import LayerConverter, elements, register


class ConvertRearrangement(LayerConverter):
    """A Node whose input is indexed; nothing at all where the elements keep their order."""

    def convert(self, node_id: int) -> Connectable:
        index = self.rearranged(elements(self.input_shape(node_id)))
        pre = self.get_input_obj(node_id)
        if np.array_equal(index.ravel(), np.arange(pre.size_out)):
            return pre
        return self.add_index(node_id, index)

    def rearranged(self, index: np.ndarray) -> np.ndarray:
        """The layer's output, for elements as its input; -1 where it adds a zero.

        Parameters
        ----------
        index : array of int
            Elements, in the shape of the layer's input.
        """
        numbers = keras.ops.convert_to_tensor(index[None] + 1, dtype="float64")
        found = keras.ops.convert_to_numpy(self.layer.call(numbers))
        return np.rint(found[0]).astype(int) - 1


@register(keras.layers.Flatten)
class ConvertFlatten(ConvertRearrangement):
    """Moves channels to the end, if they come first."""


@register(keras.layers.Reshape)
class ConvertReshape(ConvertRearrangement):
    """Nothing: Nengo's values are flat."""


class ConvertZeroPadding(ConvertRearrangement):
    """Adds zeros around."""


class ConvertUpSampling(ConvertRearrangement):
    """Repeats elements."""


@register(keras.layers.ZeroPadding1D)
class ConvertZeroPadding1D(ConvertZeroPadding):
    """In one dimension."""


@register(keras.layers.ZeroPadding2D)
class ConvertZeroPadding2D(ConvertZeroPadding):
    """In two dimensions."""


@register(keras.layers.ZeroPadding3D)
class ConvertZeroPadding3D(ConvertZeroPadding):
    """In three dimensions."""


@register(keras.layers.UpSampling1D)
class ConvertUpSampling1D(ConvertUpSampling):
    """In one dimension."""


@register(keras.layers.UpSampling3D)
class ConvertUpSampling3D(ConvertUpSampling):
    """In three dimensions."""


@register(keras.layers.UpSampling2D)
class ConvertUpSampling2D(ConvertUpSampling):
    """Repeats elements; does not interpolate between them."""

    unsupported_args = (("interpolation", "nearest"),)


@register(keras.layers.CenterCrop)
class ConvertCenterCrop(ConvertRearrangement):
    """Leaves elements out; does not enlarge."""

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        for call in converter.frame.graph.calls_of(layer):
            shape = call.inputs[0].shape[1:]
            height, width = shape[:2] if layer.data_format == "channels_last" else shape[1:]
            if height < layer.height or width < layer.width:
                return False, f"its input {shape} is smaller, and is resized"
        return super().convertible(layer, converter)


for _name in ("Permute", "RepeatVector", "Cropping1D", "Cropping2D", "Cropping3D"):
    register(getattr(keras.layers, _name))(ConvertRearrangement)


class ConvertNothing(LayerConverter):
    """Nothing: what the layer does, it does in training only."""

    reason = "does nothing in inference; not applied in training"
    along_time = True

    def convert(self, node_id: int) -> Connectable:
        return self.get_input_obj(node_id)


_ONLY_IN_TRAINING = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "AugMix",
    "CutMix",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
)
for _name in _ONLY_IN_TRAINING:
    register(getattr(keras.layers, _name))(ConvertNothing)


@register(keras.layers.Identity)
class ConvertIdentity(ConvertNothing):
    """Nothing."""

    reason = ""


@register(keras.layers.ActivityRegularization)
class ConvertActivityRegularization(ConvertNothing):
    """Nothing; its loss is for training only."""

    unsupported_training_args = (("l1", 0.0), ("l2", 0.0))
