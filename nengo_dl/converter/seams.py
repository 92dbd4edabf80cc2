"""What recipes and measurements ask of a converter: they are imported by it, and not it by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import keras
import nengo

from ..utils import Synapse, Tensor
from .activations import Swaps
from .arguments import Inputs
from .graph import Call
from .mapping import KerasTensorDict
from .records import LayerRecord


class Converted(Protocol):
    """A Keras model, and the network that it becomes; attributes as of `Converter`.

    A recipe is asked before there are `net`, `inputs` and `outputs`: in `Recipe.prepare` it has
    the model and its activations alone.
    """

    model: keras.Model
    net: nengo.Network
    inputs: KerasTensorDict
    outputs: KerasTensorDict
    records: list[LayerRecord]
    synapse: Synapse
    swap_activations: Swaps
    temporal_model: bool

    def activations(self, x: Inputs) -> Iterator[tuple[str, Call, list[Tensor]]]:
        """What each layer gives in Keras, one after the other."""
