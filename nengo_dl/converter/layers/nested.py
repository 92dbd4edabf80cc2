"""Models within models."""

from __future__ import annotations

import keras
import nengo

from ..graph import Graph
from ..models import check_shapes
from .base import LayerConverter, register


@register(keras.Model)
class ConvertModel(LayerConverter):
    """A subnetwork, whose inputs are Nodes that the input objects are connected to."""

    allow_fallback = False
    along_time = True

    @property
    def graph(self) -> Graph:
        """The calls in the model."""
        graph = self.converter.graph_of(self.layer)
        if graph is None:
            raise TypeError(f"{self.layer.name!r} is converted as a whole")
        return graph

    def convert(self, node_id: int) -> nengo.Network:
        graph = self.graph
        check_shapes(graph.inputs, self.converter.temporal_model)
        with nengo.Network(label=self.label(node_id)) as network:
            self.converter.configure(network)
            nodes = [_inlet(self, t) for t in graph.inputs]
        for tensor, node in zip(graph.given(self.call(node_id)), nodes, strict=True):
            self.connect(self.converter.frame.value(tensor), node)
        path = f"{self.converter.frame.path}{self.label(node_id)}/"
        self.converter.convert_graph(graph, network, path, nodes)
        return network


def _inlet(part: LayerConverter, tensor: keras.KerasTensor) -> nengo.Node:
    size = part.converter.size_of(tensor)
    return nengo.Node(size_in=size, label=tensor.name)


@register(keras.Sequential)
class ConvertSequential(ConvertModel):
    """As a functional model."""
