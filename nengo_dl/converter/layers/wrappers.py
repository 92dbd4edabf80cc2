"""`TimeDistributed`: a layer that is applied to each step of a sequence."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np

from ...utils import Connectable
from ..conversion import Conversion
from .activation import ConvertActivation
from .base import CONVERTERS, LayerConverter, register
from .convolution import ConvertConv, ConvertConvTranspose
from .dense import ConvertDense
from .pooling import ConvertAvgPool
from .reshaping import ConvertNothing, ConvertRearrangement

#: What does the same to all steps at once as to each of them.
POINTWISE = (ConvertDense, ConvertActivation, ConvertNothing)
#: What has one more spatial axis, of windows of length 1.
WINDOWED = (ConvertConv, ConvertAvgPool)


@register(keras.layers.TimeDistributed)
class ConvertTimeDistributed(LayerConverter):
    """What the wrapped layer becomes, for all steps at once; in a temporal model, for one.

    Arguments as of `LayerConverter`.
    """

    along_time = True

    def __init__(self, layer: keras.Layer, converter: Conversion) -> None:
        super().__init__(layer, converter)
        inner = layer.layer
        found = CONVERTERS[type(inner)]
        # steps are one more axis here: to move elements about, or for windows of length 1
        if not converter.temporal_model and issubclass(found, ConvertRearrangement):
            inner = layer
        elif not converter.temporal_model and issubclass(found, WINDOWED):
            inner = with_steps(inner)
        self.inner = found(inner, converter)
        # what the wrapped layer becomes stands where the wrapper is called, and has its name
        self.inner.call = self.call  # type: ignore[method-assign]  # of this instance alone
        self.inner.label = self.label  # type: ignore[method-assign]  # likewise
        self.inner.source = layer
        self.has_weights = self.inner.has_weights
        self.exactness, self.reason = self.inner.exactness, self.inner.reason

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        inner, found = layer.layer, CONVERTERS.get(type(layer.layer))
        name = type(inner).__name__
        if found is None:
            return False, f"there is no converter for the {name} that it wraps"
        possible, why = found.convertible(inner, converter)
        if not possible:
            return False, f"of the {name} that it wraps: {why}"
        if converter.temporal_model:
            return True, None
        is_known = issubclass(found, (*POINTWISE, ConvertRearrangement, *WINDOWED))
        is_first = getattr(inner, "data_format", None) == "channels_first"
        if not is_known or issubclass(found, ConvertConvTranspose) or is_first:
            return False, f"a {name} that steps share can be converted in a temporal model only"
        return True, None

    def convert(self, node_id: int) -> Connectable:
        return self.inner.convert(node_id)


def with_steps(layer: keras.Layer) -> SimpleNamespace:
    """What a converter asks of a convolution or pooling, with steps as one more spatial axis."""
    names = ("name", "trainable", "activation", "use_bias", "bias", "groups", "data_format")
    found = {name: getattr(layer, name) for name in (*names, "padding") if hasattr(layer, name)}
    for name in ("strides", "dilation_rate", "pool_size"):
        if hasattr(layer, name):
            found[name] = (1, *getattr(layer, name))
    for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
        if hasattr(layer, name):
            found[name] = np.asarray(getattr(layer, name))[None]
    return SimpleNamespace(rank=getattr(layer, "rank", 0) + 1, **found)
