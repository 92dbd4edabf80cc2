"""How values become spikes: the hooks that the converter calls for each layer with neurons."""

from __future__ import annotations

import keras
import nengo
import numpy as np
from nengo.neurons import NeuronType

from ...utils import warn
from ..arguments import Inputs
from ..seams import Converted
from .statistics import Activations


class Recipe:
    """Decides how activations become neurons. This one leaves everything as it is.

    Overwrite what is to be different, and give an instance to `nengo_dl.Converter` as `recipe`.
    """

    def prepare(self, converter: Converted, calibration: Inputs | None) -> None:
        """Look at the model and the data, once, before any layer is converted.

        Parameters
        ----------
        converter : nengo_dl.Converter
            ``converter.model`` is the model; ``converter.activations(x)`` gives what each of its
            layers does with data.
        calibration : array or list of array (B, ...), or None
            One array for each input of the model, as Keras takes them.
        """
        if calibration is not None:
            warn(
                f"calibration was given, but the recipe {type(self).__name__} does not look at it; "
                f"scale_firing_rates='auto' does"
            )

    def unused_layers(self) -> list[keras.Layer]:
        """Layers that the recipe was told about and that turned out to have no neurons.

        The converter warns of them. None by default.
        """
        return []

    def activation(self, layer: keras.Layer, neuron_type: NeuronType) -> NeuronType:
        """Choose the neurons of a layer.

        Parameters
        ----------
        layer : keras.Layer
        neuron_type : nengo.neurons.NeuronType
            That of the layer's activation, after the user's swaps.
        """
        return neuron_type

    def term(self, layer: keras.Layer, neuron_type: NeuronType) -> NeuronType:
        """Choose the neurons of one term, where the activation of a layer is a sum of rectifiers.

        So it is for a ReLU with `max_value`, ``hard_tanh`` and others. By default, as `activation`.

        Parameters
        ----------
        layer : keras.Layer
        neuron_type : nengo.neurons.NeuronType
            That of the term, after the user's swaps.
        """
        return self.activation(layer, neuron_type)

    def scale(self, layer: keras.Layer, activation: NeuronType) -> float | np.ndarray | None:
        """Choose the firing rate [Hz] of neurons at an activation of 1.

        Gains and biases are multiplied by it, and outputs divided, so that the function of linear
        neurons stays the same.

        Parameters
        ----------
        layer : keras.Layer
        activation : nengo.neurons.NeuronType
            What `activation` or `term` returned.

        Returns
        -------
        float, array or None
            An array has one number for each channel, or the shape of the layer's output.
            None: 1.
        """
        return None

    def initial_state(
        self, layer: keras.Layer, neuron_type: NeuronType
    ) -> dict[str, nengo.dists.Distribution | float] | None:
        """Choose the initial state of neurons, such as ``{"voltage": nengo.dists.Choice([0.5])}``.

        Parameters
        ----------
        layer : keras.Layer
        neuron_type : nengo.neurons.NeuronType
            What `activation` or `term` returned.

        Returns
        -------
        dict or None
            Distributions or numbers by state variable. None: those of the neuron type.
        """
        return None

    def readout(self, converter: Converted, n_steps: int) -> int:
        """Choose from which step on (counted from 0) outputs are averaged in evaluations.

        Parameters
        ----------
        converter : nengo_dl.Converter
        n_steps : int
            How long the network runs.

        Returns
        -------
        int
            Less than `n_steps`.
        """
        return 0

    def activations_of(self, layer: keras.Layer) -> Activations | None:
        """What is known of a layer's activations on calibration data: `Activations`, or None.

        Parameters
        ----------
        layer : keras.Layer
        """
        return None
