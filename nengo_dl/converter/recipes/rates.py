"""Firing rates that the user chose: one number, or one for each layer."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from ..arguments import Inputs
from ..seams import Converted
from .base import Recipe


class Rates(Recipe):
    """Scales firing rates as told.

    Parameters
    ----------
    scale_firing_rates : float or dict
        Firing rate [Hz] at an activation of 1, for all layers, or by Keras layer. Layers that a
        dict leaves out are not scaled.

    Raises
    ------
    ValidationError
        If a number is not positive, or a key is no layer of the model.
    """

    def __init__(self, scale_firing_rates: float | Mapping[keras.Layer, float]) -> None:
        self.scales = scale_firing_rates
        self._scaled: set[int] = set()
        if isinstance(scale_firing_rates, Mapping):
            numbers = list(scale_firing_rates.values())
        else:
            numbers = [scale_firing_rates]
        for number in numbers:
            _check(number)

    def prepare(self, converter: Converted, calibration: Inputs | None) -> None:
        """Check the keys; arguments as of `Recipe`.

        Raises
        ------
        ValidationError
            If a key is no layer of the model.
        """
        super().prepare(converter, calibration)
        # one instance may serve several converters, one after the other
        self._scaled.clear()
        if not isinstance(self.scales, Mapping):
            return
        layers = _all_layers(converter.model)
        for key in self.scales:
            if not any(key is layer for layer in layers):
                raise ValidationError(
                    f"{getattr(key, 'name', key)!r} is not a layer of model "
                    f"{converter.model.name!r}; keys must be its layers",
                    attr="scale_firing_rates",
                )

    def scale(self, layer: keras.Layer, activation: NeuronType) -> float | None:
        """As of `Recipe`."""
        if not isinstance(self.scales, Mapping):
            return self.scales
        self._scaled.add(id(layer))
        return self.scales.get(layer)

    def unused_layers(self) -> list[keras.Layer]:
        """Keys of the dict that no neurons were made for; see `Recipe`."""
        keys = self.scales if isinstance(self.scales, Mapping) else ()
        return [layer for layer in keys if id(layer) not in self._scaled]


def _check(number: float) -> None:
    is_number = isinstance(number, int | float | np.number) and not isinstance(number, bool)
    if not is_number or not np.isfinite(number) or number <= 0:
        raise ValidationError(
            f"got {number!r}, expected a positive number [Hz], a dict from layers to such "
            f"numbers, or 'auto'",
            attr="scale_firing_rates",
        )


def _all_layers(model: keras.Model) -> list[keras.Layer]:
    """Layers, and those of nested models and of wrappers."""
    return [layer for layer in model._flatten_layers() if layer is not model]
