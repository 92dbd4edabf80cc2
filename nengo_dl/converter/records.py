"""What each layer became."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import nengo
import numpy as np

from ..utils import Connectable

EXACT, APPROXIMATE, FALLBACK = "exact", "approximate", "fallback"


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """What one call of a layer became.

    Attributes
    ----------
    name : str
        Path of the call, such as ``"dense.0"``, or ``"model.0/dense.0"`` in a nested model.
    layer : keras.Layer
        The layer of the Keras model.
    exactness : {"exact", "approximate", "fallback"}
        Whether Nengo's numbers are those of Keras, for neurons that do not spike and are not
        swapped. A fallback is a `TensorNode` with the same numbers.
    reason : str
        Why it is not exact, or what else there is to know; may be empty.
    objects : tuple
        For each output tensor, the Nengo object whose output is the layer's.
    outputs : tuple of KerasTensor
    ensembles : tuple of nengo.Ensemble
        The neurons that the layer became.
    parameters : int
        Number of the layer's weights.
    scale : float, array or None
        Firing rate [Hz] of its neurons at an activation of 1; None: not scaled.
    """

    name: str
    layer: keras.Operation
    exactness: str
    reason: str
    objects: tuple[Connectable, ...]
    outputs: tuple[keras.KerasTensor, ...]
    ensembles: tuple[nengo.Ensemble, ...]
    parameters: int
    scale: float | np.ndarray | None = None

    @property
    def class_name(self) -> str:
        """The layer's class."""
        return type(self.layer).__name__

    @property
    def obj(self) -> Connectable | None:
        """The Nengo object of the first output."""
        return self.objects[0] if self.objects else None

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return sum(ens.n_neurons for ens in self.ensembles)
