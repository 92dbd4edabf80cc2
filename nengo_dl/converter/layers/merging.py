"""Layers that combine their inputs element by element, or put them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import nengo
import numpy as np

from ...utils import Connectable, Tensor
from ..conversion import Conversion
from ..graph import Call
from ..nodes import ConstantNode
from .base import LayerConverter, elements, register


class ConvertSum(LayerConverter):
    """A Node that receives all inputs, each with a factor."""

    along_time = True
    takes_constants = True

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        possible, why = items_fit(layer, converter)
        return super().convertible(layer, converter) if possible else (possible, why)

    def convert(self, node_id: int) -> nengo.Node:
        shape, label = self.output_shape(node_id), self.label(node_id)
        node = nengo.Node(size_in=int(np.prod(shape)), label=label)
        items = terms(self, node_id)
        for i, ((pre, index), factor) in enumerate(
            zip(items, self.factors(len(items)), strict=True)
        ):
            if pre is None:
                pre = ConstantNode(np.broadcast_to(index, shape).ravel(), label=f"{label}.{i}")
                source = pre
            else:
                source = chosen(pre, np.broadcast_to(index, shape))
            transform = None if factor == 1 else factor
            synapse = self.converter.synapse_of(pre)
            self.connect(source, node, transform=transform, synapse=synapse)
        return node

    def factors(self, n: int) -> Sequence[float]:
        """The factor of each of `n` inputs.

        Parameters
        ----------
        n : int
        """
        return [1.0] * n


def chosen(pre: Connectable, index: np.ndarray) -> Any:
    """An object, or elements of it."""
    flat = index.ravel()
    return pre if np.array_equal(flat, np.arange(pre.size_out)) else pre[flat]


def terms(part: LayerConverter, node_id: int) -> list[tuple[Connectable | None, np.ndarray]]:
    """What is combined: objects and their elements, or None and a constant for an item."""
    skip = 2 if part.converter.temporal_model else 1
    found = []
    for item in combined(part.call(node_id)):
        if isinstance(item, keras.KerasTensor):
            value = part.converter.frame.value(item)
            found.append((value, elements(item.shape[skip:])))
        else:
            found.append((None, keras.ops.convert_to_numpy(item).reshape(item.shape[skip:])))
    return found


def combined(call: Call) -> list[Tensor]:
    """The tensors and constants of a call, in order."""
    args, kwargs = call.arguments.args, call.arguments.kwargs
    return list(args[0] if args else kwargs["inputs"])


def items_fit(layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
    """Whether what is combined is one thing for each item (and, in a temporal model, each step).

    Keras takes the first axis of all, constants too, for the batch, and where ranks differ, puts
    axes after it.
    """
    skip = 2 if converter.temporal_model else 1
    for call in converter.frame.graph.calls_of(layer):
        if skip == 2 and len({len(item.shape) for item in combined(call)}) > 1:
            return False, "the ranks of its inputs differ, so that time is not the same axis"
        for item in combined(call):
            shape = tuple(item.shape)
            is_constant = not isinstance(item, keras.KerasTensor)
            if is_constant and (len(shape) < skip or set(shape[:skip]) != {1}):
                return False, (
                    f"a constant has shape {shape}, whose first axis Keras takes for the batch; "
                    f"give it the shape (1, ...)"
                )
    return True, None


@register(keras.layers.Add)
class ConvertAdd(ConvertSum):
    """The sum."""


@register(keras.layers.Average)
class ConvertAverage(ConvertSum):
    """The mean."""

    def factors(self, n: int) -> Sequence[float]:
        """As of `ConvertSum`."""
        return [1.0 / n] * n


@register(keras.layers.Subtract)
class ConvertSubtract(ConvertSum):
    """The difference."""

    def factors(self, n: int) -> Sequence[float]:
        """As of `ConvertSum`."""
        return [1.0, -1.0]


@register(keras.layers.Multiply)
class ConvertMultiply(LayerConverter):
    """A product with constants: a diagonal transform."""

    along_time = True
    takes_constants = True

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        for call in converter.frame.graph.calls_of(layer):
            if len(call.inputs) > 1:
                return False, "a product of two inputs is not linear"
        possible, why = items_fit(layer, converter)
        return super().convertible(layer, converter) if possible else (possible, why)

    def convert(self, node_id: int) -> nengo.Node:
        shape = self.output_shape(node_id)
        node = nengo.Node(size_in=int(np.prod(shape)), label=self.label(node_id))
        factor: Any = 1.0
        for pre, item in terms(self, node_id):
            if pre is None:
                factor = factor * item
            else:
                source, synapse = chosen(pre, np.broadcast_to(item, shape)), pre
        self.connect(
            source,
            node,
            transform=np.broadcast_to(factor, shape).ravel(),
            synapse=self.converter.synapse_of(synapse),
        )
        return node


@register(keras.layers.Concatenate)
class ConvertConcatenate(LayerConverter):
    """A Node whose parts receive the inputs."""

    along_time = True

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        for call in converter.frame.graph.calls_of(layer):
            axis = layer.axis % len(call.outputs[0].shape)
            if axis == 0 or (converter.temporal_model and axis == 1):
                return False, f"axis={layer.axis!r} is not one of the axes of an item"
        return super().convertible(layer, converter)

    def convert(self, node_id: int) -> nengo.Node:
        shape = self.output_shape(node_id)
        skip = 2 if self.converter.temporal_model else 1
        axis = self.layer.axis % (len(shape) + skip) - skip
        out, start = elements(shape), 0
        node = nengo.Node(size_in=out.size, label=self.label(node_id))
        for i, tensor in enumerate(self.call(node_id).inputs):
            end = start + tensor.shape[axis + skip]
            part = np.take(out, np.arange(start, end), axis=axis).ravel()
            self.add_connection(node_id, node[part], input_idx=i)
            start = end
        return node
