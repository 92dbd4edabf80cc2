"""Batch normalisations that become part of the weights before them.

With the moving averages, a normalisation is  s x + t  for each channel; of a product with kernel W
and bias b it makes another, with  s W  and  s b + t.
"""

from __future__ import annotations

import keras

from .conversion import Conversion
from .graph import Call, Graph


def find_foldings(graph: Graph, converter: Conversion) -> dict[int, Call]:
    """The normalisation that each product takes in, by the id of the product's call.

    Only for inference: in training, the weights would not be those of Keras.

    Parameters
    ----------
    graph : Graph
    converter : Converter
    """
    if not converter.inference_only:
        return {}
    makers = {id(tensor): call for call in graph.calls for tensor in call.outputs}
    found = {}
    for call in graph.calls:
        if type(call.layer) is keras.layers.BatchNormalization:
            maker = makers.get(id(call.inputs[0]))
            if maker is not None and _folds(graph, converter, maker, call):
                found[id(maker)] = call
    return found


def _folds(graph: Graph, converter: Conversion, maker: Call, call: Call) -> bool:
    layer, tensor = maker.layer, call.inputs[0]
    known = converter.converters.get(type(layer))
    if known is None or not known.folds or not maker.is_plain:
        return False
    # another reader would get what the normalisation has changed
    is_read_once = len(graph.readers(tensor)) == 1 and all(t is not tensor for t in graph.outputs)
    return (
        is_read_once
        and _is_linear(layer, converter)
        and _channel_axis(layer, tensor) == call.layer.axis % len(tensor.shape)
        and known.convertible(layer, converter)[0]
        and converter.converters[type(call.layer)].convertible(call.layer, converter)[0]
    )


def _is_linear(layer: keras.Layer, converter: Conversion) -> bool:
    linear = (None, keras.activations.linear)
    return layer.activation in linear and not any(f in converter.swap_activations for f in linear)


def _channel_axis(layer: keras.Layer, tensor: keras.KerasTensor) -> int:
    is_first = getattr(layer, "data_format", None) == "channels_first"
    return 1 if is_first else len(tensor.shape) - 1
