"""Spikes whose rates are chosen from data: ``scale_firing_rates="auto"``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from ...neurons import QuantizedReLU
from ...utils import warn
from ..arguments import Inputs, check_flags
from ..seams import Converted
from .base import Recipe
from .readout import starts
from .scaling import can_be_scaled, is_line, largest_error, rates, spiking, through_step
from .statistics import Activations, check_calibration, missing_calibration, statistics_of
from .thresholds import Method, method_of, thresholds_of

READOUT_ITEMS = 200  # of the calibration data, with which the readout is chosen


class Calibrated(Recipe):
    """Turns all activations into spikes, at rates that fit the activations on typical data.

    Each channel gets a threshold, the activation at which it fires at `max_rate`. Rectified lines
    become `IntegrateAndFire` neurons that begin with half a threshold; `QCFS` layers keep the
    threshold that they were trained with, and become `SignedIntegrateAndFire` neurons, which
    represent them exactly after as many steps as they have levels. An instance is for one
    converter.

    Parameters
    ----------
    method : str or callable, default "local"
        How thresholds follow from activations: ``"local"`` balances clipping and coarseness
        (`LocalBalance`), ``"percentile"`` takes the 99.9 % quantile (`Percentile`), ``"maximum"``
        the largest activation (`Maximum`). Or any function from samples (n, channels) to thresholds
        (channels,).
    per_channel : bool, default True
        Whether each channel gets a threshold of its own, or all of a layer the same.
    signed : bool, default False
        Whether neurons may take back spikes that came too early, by negative ones; then fewer steps
        are enough.
    max_rate : float, default 1000
        Firing rate at the threshold [Hz]; 1000 is one spike in each step of a millisecond.
    max_spikes : float, default inf
        Most spikes of a neuron in a step. With 1, what is above the threshold is clipped. Neurons
        that are terms of an activation, as those of a ReLU with `max_value`, have no limit.
    initial_voltage : float or "uniform", default 0.5
        Of integrating neurons, in thresholds; a half makes them round to the nearest spike.
        ``"uniform"``: evenly spread at random, so that neurons that are pooled round differently.
    readout : int or "auto", default "auto"
        From which step on outputs are averaged in evaluations. ``"auto"``: where they are closest
        to the outputs of the Keras model on calibration data.

    Raises
    ------
    ValidationError
        If an argument is not valid, or, in the conversion, calibration data are missing or have
        the wrong shape.
    """

    def __init__(
        self,
        method: Literal["local", "percentile", "maximum"] | Method = "local",
        per_channel: bool = True,
        signed: bool = False,
        max_rate: float = 1000.0,
        max_spikes: float = np.inf,
        initial_voltage: float | Literal["uniform"] = 0.5,
        readout: int | Literal["auto"] = "auto",
    ) -> None:
        self.method = method_of(method)
        check_flags(per_channel=per_channel, signed=signed)
        self.per_channel, self.signed = per_channel, signed
        self.max_rate = _number(max_rate, "max_rate", lambda x: 0 < x < np.inf, "positive")
        self.max_spikes = _number(max_spikes, "max_spikes", lambda x: x >= 1, "of at least 1")
        self.initial_voltage = initial_voltage
        if initial_voltage != "uniform":
            expected = "from 0 to below 1, or 'uniform'"
            _number(initial_voltage, "initial_voltage", lambda x: 0 <= x < 1, expected)
        is_int = isinstance(readout, int | np.integer) and not isinstance(readout, bool)
        if readout != "auto" and not (is_int and readout >= 0):
            raise ValidationError(f"got {readout!r}, expected 'auto' or an int >= 0", "readout")
        self._readout = readout
        self._statistics: dict[int, Activations] = {}
        self._thresholds: dict[int, np.ndarray] = {}
        self._arrays: list[np.ndarray] = []
        self._starts: np.ndarray = np.zeros(0, dtype=int)
        self._trained: set[int] = set()  # layers that keep the threshold they were trained with
        self._converter: Converted | None = None

    def prepare(self, converter: Converted, calibration: Inputs | None) -> None:
        """Choose thresholds; arguments as of `Recipe`.

        Raises
        ------
        ValidationError
            If the recipe is another converter's already, or data do not fit the inputs.
        """
        if self._converter not in (None, converter):
            raise ValidationError(
                "this recipe has chosen the rates of another converter, which still needs it; give "
                "each converter a recipe of its own",
                attr="recipe",
            )
        self._converter = converter
        if calibration is None:
            return  # all may be trained; if not, `activation` says what is missing
        arrays = check_calibration(converter, calibration)
        self._arrays = [array[:READOUT_ITEMS] for array in arrays]
        self._statistics = statistics_of(converter, arrays, self.per_channel)

    def activation(self, layer: keras.Layer, neuron_type: NeuronType) -> NeuronType:
        """Spiking neurons; see `Recipe`."""
        return self._spiking(layer, neuron_type, self.max_spikes)

    def term(self, layer: keras.Layer, neuron_type: NeuronType) -> NeuronType:
        """Spiking neurons without a limit; see `Recipe`.

        The threshold is that of the sum. A term may exceed it, and must not be clipped there.
        """
        return self._spiking(layer, neuron_type, np.inf)

    def _spiking(
        self, layer: keras.Layer, neuron_type: NeuronType, max_spikes: float
    ) -> NeuronType:
        made = spiking(neuron_type, self.signed, max_spikes)
        if type(neuron_type) is QuantizedReLU:
            # whatever data say: it was trained for this threshold
            self._trained.add(id(layer))
            return made
        if not self._arrays:
            raise missing_calibration()
        if not made.spiking or is_line(made) or id(layer) not in self._statistics:
            return made
        faster = through_step(made, self._scale_of_curve(layer, made))
        return made if faster is None else faster

    def scale(self, layer: keras.Layer, activation: NeuronType) -> float | np.ndarray | None:
        """Rates at an activation of 1; see `Recipe`."""
        if id(layer) in self._trained:
            return self.max_rate
        known = id(layer) in self._statistics
        if not known or not activation.spiking or through_step(activation, 1) is not None:
            return None  # the neurons are fast enough as they are
        if not is_line(activation):
            return self._changed_curve(layer, activation)
        scales = self.max_rate / self._threshold(layer)
        return float(scales[0]) if len(scales) == 1 else scales

    def initial_state(
        self, layer: keras.Layer, neuron_type: NeuronType
    ) -> dict[str, nengo.dists.Distribution | float] | None:
        """Half a threshold, for neurons that integrate; see `Recipe`."""
        exact = id(layer) in self._trained
        if self.initial_voltage == "uniform" and not exact:
            return None  # the default of all neurons
        integrates = is_line(neuron_type) or isinstance(neuron_type, nengo.RegularSpiking)
        if not integrates or "voltage" not in neuron_type.state or neuron_type.initial_state:
            return None
        return {"voltage": nengo.dists.Choice([0.5 if exact else self.initial_voltage])}

    def readout(self, converter: Converted, n_steps: int) -> int:
        """The first step that is averaged; see `Recipe`."""
        if self._readout != "auto":
            return min(self._readout, n_steps - 1)
        if not self._arrays:
            return 0
        if len(self._starts) < n_steps:
            self._starts = starts(converter, self._arrays, n_steps)
        return int(self._starts[n_steps - 1])

    def activations_of(self, layer: keras.Layer) -> Activations | None:
        """What is known of a layer's activations; see `Recipe`."""
        return self._statistics.get(id(layer))

    def _threshold(self, layer: keras.Layer) -> np.ndarray:
        """Thresholds (channels,) of a layer; found when they are needed."""
        key = id(layer)
        if key not in self._thresholds:
            samples = np.concatenate(self._statistics[key].samples)
            self._thresholds[key] = thresholds_of(samples, self.method)
            # they are large, and the threshold is all that was wanted of them
            self._statistics[key].samples.clear()
        return self._thresholds[key]

    def _largest(self, layer: keras.Layer) -> float:
        return float(self._threshold(layer).max())

    def _scale_of_curve(self, layer: keras.Layer, neuron_type: NeuronType) -> float:
        """The factor that makes a neuron with the largest threshold fire at `max_rate`."""
        amplitude = getattr(neuron_type, "amplitude", 1)
        if isinstance(neuron_type, nengo.LIF):
            rate = rates(neuron_type, np.array([self._largest(layer)]))[0] / amplitude
        else:
            rate = self._largest(layer) / amplitude
        return self.max_rate / rate if rate > 0 else 1.0

    def _changed_curve(self, layer: keras.Layer, neuron_type: NeuronType) -> float | None:
        """A scale that changes the function of neurons, with a warning."""
        found = self._statistics[id(layer)]
        scale = self.max_rate / self._largest(layer)
        if not can_be_scaled(neuron_type):
            warn(
                f"The firing rates of layer {layer.name!r} cannot be scaled: {neuron_type} has no "
                f"amplitude that could undo it. It stays as it is"
            )
            return None
        error = largest_error(neuron_type, scale, found.lowest, found.highest)
        warn(
            f"The firing rates of layer {layer.name!r} are scaled by {scale:.4g}, which changes "
            f"the function of {neuron_type}: by up to {error:.4g} for currents from "
            f"{found.lowest:.4g} to {found.highest:.4g}. Use neurons whose rate is a line, such as "
            f"nengo_dl.IntegrateAndFire, or nengo.LIF or nengo.RegularSpiking, which are scaled "
            f"through their time constants"
        )
        return scale


def _number(value: float, name: str, is_valid: Callable[[float], bool], expected: str) -> float:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not is_valid(value):
        raise ValidationError(f"got {value!r}, expected a number {expected}", attr=name)
    return float(value)
