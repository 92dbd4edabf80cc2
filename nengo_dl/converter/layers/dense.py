"""Layers that are products with a matrix."""

from __future__ import annotations

import keras
import numpy as np

from ...utils import Connectable
from ..conversion import Conversion
from .base import LayerConverter, elements, register
from .products import broadcast_bias, convolve

REGULARISED = (
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


@register(keras.layers.Dense)
class ConvertDense(LayerConverter):
    """A trainable dense transform; where positions share it, a convolution of length 1."""

    unsupported_args = ("quantization_mode",)
    unsupported_training_args = (*REGULARISED, "lora_rank")
    has_weights = True
    along_time = True
    folds = True

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        for call in converter.frame.graph.calls_of(layer):
            if converter.temporal_model and len(call.inputs[0].shape) < 3:
                return False, "the axis that it combines is time; give each step an axis of its own"
        return super().convertible(layer, converter)

    def convert(self, node_id: int) -> Connectable:
        kernel = self.folded(node_id, np.asarray(self.layer.kernel))
        bias = self.folded_bias(node_id)
        shape = self.input_shape(node_id)
        if int(np.prod(shape)) > shape[-1]:
            return self._shared(node_id, kernel, bias)
        output = self.add_nengo_obj(node_id, biases=bias, activation=self.layer.activation)
        trainable = bool(self.layer.trainable)
        self.add_connection(node_id, output, trainable=trainable, transform=kernel.T)
        return output

    def _shared(self, node_id: int, kernel: np.ndarray, bias: np.ndarray | None) -> Connectable:
        output = self.add_nengo_obj(node_id, activation=self.layer.activation)
        index = elements(self.input_shape(node_id)).reshape(-1, kernel.shape[0])
        convolve(self, self.get_input_obj(node_id), index, output, kernel[None])
        if bias is not None:
            channels = np.broadcast_to(np.arange(bias.size), self.output_shape(node_id))
            broadcast_bias(self, node_id, output, bias, channels)
        return output


@register(keras.layers.EinsumDense)
class ConvertEinsumDense(LayerConverter):
    """A product along some axes: a convolution of length 1, in groups for axes that all share."""

    unsupported_args = ("quantization_mode",)
    unsupported_training_args = (*REGULARISED, "lora_rank")
    has_weights = True

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        possible, why = super().convertible(layer, converter)
        if possible and Einsum.of(layer) is None:
            return False, f"its equation {layer.equation!r} is no product for each item of a batch"
        return possible, why

    @property
    def einsum(self) -> Einsum:
        """The layer's equation, which `convertible` has found to be one."""
        found = Einsum.of(self.layer)
        if found is None:
            raise TypeError(f"{self.layer.equation!r} is no product for each item of a batch")
        return found

    def convert(self, node_id: int) -> Connectable:
        layer, einsum = self.layer, self.einsum
        output = self.add_nengo_obj(node_id, activation=layer.activation)
        shape_out = self.output_shape(node_id)
        kernel, groups = einsum.kernel(np.asarray(layer.kernel))
        convolve(
            self,
            self.get_input_obj(node_id),
            einsum.inputs(elements(self.input_shape(node_id)), kernel.shape[1] * groups),
            output,
            kernel,
            groups=groups,
            out=einsum.outputs(elements(shape_out)),
        )
        if layer.bias is not None:
            bias = np.asarray(layer.bias)
            index = np.broadcast_to(elements(bias.shape), shape_out)
            broadcast_bias(self, node_id, output, bias.ravel(), index)
        return output


class Einsum:
    """An equation such as ``abc,cd->abd``, the batch axis left out.

    Parameters
    ----------
    x, w, y : str
        Labels of the input's axes, of the kernel's, and of the output's.

    Attributes
    ----------
    positions, groups, contracted, made : str
        Labels of the input and the output; of all three; of the input and the kernel; of the
        kernel and the output.
    """

    def __init__(self, x: str, w: str, y: str) -> None:
        self.x, self.w, self.y = x, w, y
        self.positions = "".join(c for c in x if c in y and c not in w)
        self.groups = "".join(c for c in x if c in y and c in w)
        self.contracted = "".join(c for c in x if c in w and c not in y)
        self.made = "".join(c for c in w if c in y and c not in x)

    @classmethod
    def of(cls, layer: keras.Layer) -> Einsum | None:
        """That of a layer, or None where it is no product."""
        left, y = layer.equation.replace(" ", "").split("->")
        x, w = left.split(",")
        if "." in w or w.count("."):
            return None
        if "..." in x:
            rank = layer.input_spec.ndim - len(x.replace("...", ""))
            free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in layer.equation]
            x, y = (s.replace("...", "".join(free[:rank])) for s in (x, y))
        if not x or not y or x[0] != y[0] or x[0] in w:
            return None
        found = cls(x[1:], w, y[1:])
        sizes = len(found.positions + found.groups + found.contracted)
        is_product = sizes == len(set(found.x)) == len(found.x) and len(set(w)) == len(w)
        complete = len(found.groups + found.contracted + found.made) == len(w)
        return found if is_product and complete else None

    def inputs(self, index: np.ndarray, channels: int) -> np.ndarray:
        """Elements of the input as (positions, channels)."""
        order = [self.x.index(c) for c in self.positions + self.groups + self.contracted]
        return index.transpose(order).reshape(-1, channels)

    def outputs(self, index: np.ndarray) -> np.ndarray:
        """Elements of the output as (positions, filters)."""
        order = [self.y.index(c) for c in self.positions + self.groups + self.made]
        return index.transpose(order)

    def kernel(self, kernel: np.ndarray) -> tuple[np.ndarray, int]:
        """The kernel as (1, contracted, groups · made), and the number of groups."""
        sizes = dict(zip(self.w, kernel.shape, strict=True))
        order = [self.w.index(c) for c in self.contracted + self.groups + self.made]
        contracted = int(np.prod([sizes[c] for c in self.contracted]))
        groups = int(np.prod([sizes[c] for c in self.groups]))
        return kernel.transpose(order).reshape(1, contracted, -1), groups
