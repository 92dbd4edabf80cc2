"""Layers without a Nengo equivalent: TensorNodes that call a copy of the layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import nengo
import numpy as np

from ...tensor_node import TensorNode
from ...utils import Connectable, Tensor
from ..conversion import Conversion
from ..copies import copy_of
from ..graph import Call
from ..records import FALLBACK
from .base import LayerConverter, register


@register(None)
class ConvertFallback(LayerConverter):
    """A TensorNode; calls of the same layer share the weights of one copy."""

    exactness = FALLBACK

    @classmethod
    def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
        try:
            copy_of(layer, converter)
        except Exception as error:
            what = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            return False, (
                f"and it cannot become a TensorNode, as it cannot be copied ({what}); "
                f"its get_config may be incomplete"
            )
        return True, None

    def convert(self, node_id: int) -> Connectable | Sequence[Connectable]:
        call = self.call(node_id)
        layer = copy_of(self.layer, self.converter)
        is_simple = call.is_plain and len(call.inputs) == len(call.outputs) == 1
        if is_simple and self.input_shape(node_id) and self.output_shape(node_id):
            return self._simple(node_id, layer)
        return self._general(node_id, layer, call)

    def _simple(self, node_id: int, layer: keras.Operation) -> TensorNode:
        node = TensorNode(
            layer,
            shape_in=self.input_shape(node_id),
            shape_out=self.output_shape(node_id),
            pass_time=False,
            label=self.label(node_id),
        )
        self.add_connection(node_id, node)
        return node

    def _general(
        self, node_id: int, layer: keras.Operation, call: Call
    ) -> Connectable | Sequence[Connectable]:
        """All inputs beside each other go in, and all outputs come out; Nodes separate these."""
        sizes = [self.converter.size_of(t) for t in call.inputs]
        node = TensorNode(
            CallOfLayer(layer, call, sizes, name=f"{self.layer.name}_call"),
            shape_in=(sum(sizes),),
            shape_out=(sum(self.converter.size_of(t) for t in call.outputs),),
            pass_time=False,
            label=self.label(node_id),
        )
        ends = np.cumsum(sizes)
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True)):
            self.add_connection(node_id, node[end - size : end], input_idx=i)
        if len(call.outputs) == 1:
            return node
        return self._separated(node, call.outputs, node_id)

    def _separated(
        self, node: TensorNode, tensors: Sequence[keras.KerasTensor], node_id: int
    ) -> list[nengo.Node]:
        found, start = [], 0
        for i, tensor in enumerate(tensors):
            size = self.converter.size_of(tensor)
            part = nengo.Node(size_in=size, label=f"{self.label(node_id)}.{i}")
            self.connect(node[start : start + size], part)
            found.append(part)
            start += size
        return found


class CallOfLayer(keras.layers.Layer):
    """Repeats the call of an operation on flat values.

    Parameters
    ----------
    operation : keras.Layer or Keras operation
    call : Call
        Its arguments.
    sizes : list of int
        Elements of each input.
    """

    def __init__(
        self, operation: keras.Operation, call: Call, sizes: Sequence[int], **kwargs: Any
    ) -> None:
        super().__init__(dtype=getattr(operation, "dtype_policy", None), **kwargs)
        self.operation, self.recorded = operation, call
        self.sizes = [int(n) for n in sizes]
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        values, start = {}, 0
        for tensor, size in zip(self.recorded.inputs, self.sizes, strict=True):
            part = keras.ops.reshape(x[:, start : start + size], (-1, *tensor.shape[1:]))
            values[id(tensor)] = keras.ops.cast(part, tensor.dtype)
            start += size
        results = self.recorded.repeat_with(
            self.operation, lambda tensor: values[id(tensor)], training
        )
        flat = [keras.ops.reshape(r, (-1, int(np.prod(r.shape[1:])))) for r in results]
        return keras.ops.concatenate([keras.ops.cast(r, x.dtype) for r in flat], axis=1)
