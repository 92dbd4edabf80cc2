"""The state of a conversion: one frame for the model, and one for each nested model."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from ..utils import Connectable
from .graph import Call, Graph


class Frame:
    """One graph that is being converted.

    Attributes
    ----------
    graph : Graph
    network : nengo.Network
        What it becomes.
    path : str
        Comes before the names of its layers.
    outlets : dict
        The object that gives out what another has received, where these are two.
    foldings : dict
        The normalisation that a product takes in, by the id of the product's call.
    scale : float, array or None
        Of the last neurons that were made.
    fallback : str
        Why a part of the present layer became a TensorNode.
    """

    def __init__(self, graph: Graph, network: nengo.Network, path: str = "") -> None:
        self.graph, self.network, self.path = graph, network, path
        self._values: dict[int, Connectable] = {}
        self.outlets: dict[Connectable, Connectable] = {}
        self.foldings: dict[int, Call] = {}
        self.begin()

    def begin(self) -> None:
        """Forget what was noted about the last layer."""
        self.scale: float | np.ndarray | None = None
        self.fallback = ""

    def value(self, tensor: keras.KerasTensor) -> Connectable:
        """The object whose output a tensor is."""
        return self._values[id(tensor)]

    def set(self, tensor: keras.KerasTensor, obj: Connectable) -> Connectable:
        """Remember the object of a tensor; return the one that it is read from."""
        # readers connect to what gives out; what receives is behind it
        self._values[id(tensor)] = found = self.outlets.get(obj, obj)
        return found

    def __contains__(self, tensor: object) -> bool:
        return id(tensor) in self._values

    def is_absorbed(self, call: Call) -> bool:
        """Whether a call is a normalisation that the weights before it have taken in."""
        return any(call is other for other in self.foldings.values())
