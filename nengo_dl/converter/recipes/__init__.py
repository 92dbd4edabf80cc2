"""Recipes: how values become spikes, one file for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import keras
from nengo.exceptions import ValidationError

from .base import Recipe
from .calibrated import Calibrated
from .rates import Rates
from .thresholds import LocalBalance, Maximum, Percentile

__all__ = ["Calibrated", "LocalBalance", "Maximum", "Percentile", "Rates", "Recipe", "choose"]


def choose(
    recipe: Recipe | None,
    scale_firing_rates: float | Literal["auto"] | Mapping[keras.Layer, float] | None,
) -> Recipe:
    """The recipe that the arguments of the converter ask for.

    Raises
    ------
    ValidationError
        If both arguments say something, or one is not valid.
    """
    if recipe is not None and not isinstance(recipe, Recipe):
        raise ValidationError(f"got {recipe!r}, expected an instance of Recipe", attr="recipe")
    if recipe is not None and scale_firing_rates is not None:
        raise ValidationError(
            "the recipe chooses firing rates; give either recipe or scale_firing_rates",
            attr="recipe",
        )
    if recipe is not None:
        return recipe
    if scale_firing_rates is None:
        return Recipe()
    if isinstance(scale_firing_rates, str):
        if scale_firing_rates != "auto":
            raise ValidationError(
                f"got {scale_firing_rates!r}, expected 'auto', a positive number [Hz], or a dict "
                f"from layers to such numbers",
                attr="scale_firing_rates",
            )
        return Calibrated()
    if isinstance(scale_firing_rates, Mapping):
        return Rates(dict(scale_firing_rates))
    return Rates(scale_firing_rates)
