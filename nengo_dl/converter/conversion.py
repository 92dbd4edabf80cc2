"""What a conversion is to its parts: protocols of `Converter` and `LayerConverter`.

Both import what makes their objects, which therefore cannot import them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import nengo
import numpy as np

from ..utils import Connectable
from .activations import Activation
from .frame import Frame
from .graph import Graph
from .recipes.base import Recipe
from .seams import Converted


class Conversion(Converted, Protocol):
    """A `Converter` as converters of layers see it; attributes as there."""

    recipe: Recipe
    allow_fallback: bool
    inference_only: bool
    max_to_avg_pool: bool
    true_max_pool: bool
    copies: dict[int, keras.Layer]

    @property
    def converters(self) -> Mapping[type | None, Any]:
        """Subclasses of `LayerConverter` by class of layer."""

    @property
    def frame(self) -> Frame:
        """The graph that is being converted."""

    def configure(self, network: nengo.Network) -> None:
        """Let parameters of a network be declared trainable."""

    def convert_graph(
        self, graph: Graph, network: nengo.Network, path: str = "", nodes: Sequence[nengo.Node] = ()
    ) -> Frame:
        """Convert all calls of a graph into a network."""

    def graph_of(self, layer: keras.Operation) -> Graph | None:
        """The graph of a nested model; None for a layer that is converted as a whole."""

    def get_converter(self, layer: keras.Layer) -> Any:
        """The `LayerConverter` of a layer, of the class for such layers."""

    def synapse_of(self, pre: Connectable) -> nengo.synapses.Synapse | None:
        """The synapse of a connection from an object."""

    def size_of(self, tensor: keras.KerasTensor) -> int:
        """Number of elements that a tensor has in one step."""


class Part(Protocol):
    """A `LayerConverter` as the makers of neurons see it; members as there."""

    layer: keras.Layer
    source: keras.Layer
    converter: Conversion

    @property
    def activation_map(self) -> Mapping[Activation, Activation]:
        """What activation functions become."""

    def applied(self, activation: Activation) -> Activation:
        """What an activation that is a layer applies, where that is known; or itself."""

    def label(self, node_id: int) -> str:
        """Name of a call."""

    def output_shape(self, node_id: int) -> Any:
        """Shape of the output, or list of those of all outputs."""

    def get_input_obj(self, node_id: int) -> Connectable:
        """The Nengo object that the first input of the layer became."""

    def add_bias(
        self, node_id: int, obj: Connectable, biases: np.ndarray, trainable: bool = True
    ) -> None:
        """Add constants to what an object receives."""

    def connect(self, pre: Connectable, obj: Connectable, **kwargs: Any) -> nengo.Connection:
        """Connect two objects; what neurons give out passes the converter's synapse."""

    def select(self, pre: Connectable, node: nengo.Node, index: np.ndarray) -> None:
        """Connect some elements of an object to a Node; -1 stands for a zero."""

    def set_trainable(self, obj: Connectable, trainable: bool) -> None:
        """Say whether training may change the parameters of an object."""
