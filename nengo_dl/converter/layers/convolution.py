"""Convolutions: plain, transposed, depthwise and separable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import keras
import nengo
import numpy as np

from ...utils import Connectable
from .base import LayerConverter, Unsupported, elements, register
from .dense import REGULARISED
from .products import LARGEST_RANK, broadcast_bias, convolve, dilate, padded, spread


class ConvertConv(LayerConverter):
    """A trainable `nengo.Convolution`; biases come from a Node, by way of one for each filter."""

    unsupported_args: ClassVar[Unsupported] = ("quantization_mode",)
    unsupported_training_args: ClassVar[Unsupported] = (*REGULARISED, "lora_rank")
    has_weights = True
    folds = True

    def convert(self, node_id: int) -> Connectable:
        output = self.add_nengo_obj(node_id, activation=self.layer.activation)
        self.multiply(node_id, output)
        bias = self.folded_bias(node_id)
        if bias is not None:
            channels = self.channels_last(np.zeros(self.output_shape(node_id), dtype=int))
            channels = channels + np.arange(bias.size)
            if self.is_channels_first:
                channels = np.moveaxis(channels, -1, 0)
            broadcast_bias(self, node_id, output, bias, channels)
        return output

    def multiply(self, node_id: int, output: Connectable) -> None:
        """Connect the input to the output.

        Parameters
        ----------
        node_id : int
        output : NengoObject
            What `add_nengo_obj` made.
        """
        kernel = self.folded(node_id, np.asarray(self.layer.kernel))
        groups = getattr(self.layer, "groups", 1)
        if self.is_channels_first and self._is_nengos:
            self._channels_first(node_id, output, kernel, groups)
        else:
            out = self.channels_last(elements(self.output_shape(node_id)))
            self.add_convolution(node_id, output, kernel, groups, out)

    @property
    def _is_nengos(self) -> bool:
        layer = self.layer
        return (
            max(layer.dilation_rate) == 1
            and layer.padding != "causal"
            and (layer.rank <= LARGEST_RANK)
        )

    def _channels_first(
        self, node_id: int, output: Connectable, kernel: np.ndarray, groups: int
    ) -> None:
        """As Nengo has it, with no need to choose elements."""
        shape = self.input_shape(node_id)
        transform = nengo.Convolution(
            n_filters=kernel.shape[-1],
            input_shape=shape,
            kernel_size=kernel.shape[: len(shape) - 1],
            strides=self.layer.strides,
            padding=self.layer.padding,
            channels_last=False,
            init=kernel,
            groups=groups,
        )
        trainable = bool(self.layer.trainable)
        self.add_connection(node_id, output, trainable=trainable, transform=transform)

    def add_convolution(
        self, node_id: int, output: Connectable, kernel: np.ndarray, groups: int, out: np.ndarray
    ) -> None:
        """Connect the input to elements of an object.

        Parameters
        ----------
        node_id : int
        output : NengoObject
        kernel : array (*spatial, channels / groups, filters)
        groups : int
            Channels and filters are split into as many parts.
        out : array of int (*spatial, filters)
            Elements of `output`.
        """
        layer = self.layer
        index = self.channels_last(elements(self.input_shape(node_id)))
        pre, padding = self.get_input_obj(node_id), layer.padding
        is_dilated = max(layer.dilation_rate) > 1
        if padding == "causal" or (padding == "same" and is_dilated):
            index, padding = _padded(index, kernel.shape, layer.dilation_rate, padding), "valid"
        if is_dilated:
            dilate(self, pre, index, output, kernel, layer.dilation_rate, groups, out)
        else:
            convolve(self, pre, index, output, kernel, layer.strides, padding, groups, out)

    @property
    def is_channels_first(self) -> bool:
        """Whether channels come before the spatial axes."""
        return self.layer.data_format == "channels_first"

    def channels_last(self, array: np.ndarray) -> np.ndarray:
        """Move the channels to the end, if they are not there.

        Parameters
        ----------
        array : array
            In the shape of one item of the layer's input or output.
        """
        return np.moveaxis(array, 0, -1) if self.is_channels_first else array


def _padded(index: np.ndarray, kernel: tuple, dilation: Sequence[int], padding: str) -> np.ndarray:
    """Pad as much as keeps the shape: in front only if causal, else on both sides."""
    for axis, d in enumerate(dilation):
        total = d * (kernel[axis] - 1)
        before = total if padding == "causal" else total // 2
        index = padded(index, axis, before, total - before)
    return index


@register(keras.layers.Conv1D)
class ConvertConv1D(ConvertConv):
    """In one dimension."""


@register(keras.layers.Conv2D)
class ConvertConv2D(ConvertConv):
    """In two dimensions."""


@register(keras.layers.Conv3D)
class ConvertConv3D(ConvertConv):
    """In three dimensions."""


DEPTHWISE = (
    "depthwise_regularizer",
    "pointwise_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "depthwise_constraint",
    "pointwise_constraint",
    "bias_constraint",
)


def _by_channel(kernel: np.ndarray) -> np.ndarray:
    """(*size, channels, multiplier) → (*size, 1, channels · multiplier): as many groups."""
    return kernel.reshape(*kernel.shape[:-2], 1, -1)


@register(keras.layers.DepthwiseConv1D)
@register(keras.layers.DepthwiseConv2D)
class ConvertDepthwiseConv(ConvertConv):
    """A convolution with one group for each channel."""

    unsupported_args = ()
    unsupported_training_args = DEPTHWISE

    def multiply(self, node_id: int, output: Connectable) -> None:
        """As of `ConvertConv`."""
        kernel = np.asarray(self.layer.kernel)
        by_channel = self.folded(node_id, _by_channel(kernel))
        out = self.channels_last(elements(self.output_shape(node_id)))
        self.add_convolution(node_id, output, by_channel, kernel.shape[-2], out)


@register(keras.layers.SeparableConv1D)
@register(keras.layers.SeparableConv2D)
class ConvertSeparableConv(ConvertConv):
    """A depthwise convolution, and a product for each position."""

    unsupported_args = ()
    unsupported_training_args = DEPTHWISE

    def multiply(self, node_id: int, output: Connectable) -> None:
        """As of `ConvertConv`."""
        depthwise = np.asarray(self.layer.depthwise_kernel)
        pointwise = self.folded(node_id, np.asarray(self.layer.pointwise_kernel))
        out = self.channels_last(elements(self.output_shape(node_id)))
        shape = (*out.shape[:-1], depthwise.shape[-2] * depthwise.shape[-1])
        between = nengo.Node(size_in=int(np.prod(shape)), label=f"{self.label(node_id)}.depthwise")
        groups = depthwise.shape[-2]
        self.add_convolution(node_id, between, _by_channel(depthwise), groups, elements(shape))
        convolve(self, between, elements(shape), output, pointwise, out=out)


@register(keras.layers.Conv1DTranspose)
@register(keras.layers.Conv2DTranspose)
@register(keras.layers.Conv3DTranspose)
class ConvertConvTranspose(ConvertConv):
    """A convolution, with the mirrored kernel, of the input with zeros in between."""

    def multiply(self, node_id: int, output: Connectable) -> None:
        """As of `ConvertConv`."""
        layer, kernel = self.layer, np.asarray(self.layer.kernel)
        axes = tuple(range(layer.rank))
        mirrored = self.folded(node_id, np.swapaxes(np.flip(kernel, axes), -1, -2))
        out = self.channels_last(elements(self.output_shape(node_id)))
        index = self.channels_last(elements(self.input_shape(node_id)))
        for axis in axes:
            index = _stretched(index, axis, out.shape[axis], kernel.shape[axis], layer)
        pre = self.get_input_obj(node_id)
        if max(layer.dilation_rate) > 1:
            dilate(self, pre, index, output, mirrored, layer.dilation_rate, 1, out)
        else:
            convolve(self, pre, index, output, mirrored, out=out)


def _stretched(
    index: np.ndarray, axis: int, size: int, kernel: int, layer: keras.Layer
) -> np.ndarray:
    """The input of the plain convolution, along one axis.

    Input m gives, by kernel element j, to output  m · stride + j · dilation - before; `before` is
    what the convolution that is transposed pads in front.
    """
    stride, reach = layer.strides[axis], (kernel - 1) * layer.dilation_rate[axis]
    length = (index.shape[axis] - 1) * stride + 1
    total = max(length + reach - size, 0) if layer.padding == "same" else 0
    left = reach - total // 2
    return padded(spread(index, axis, stride), axis, left, size + reach - left - length)
