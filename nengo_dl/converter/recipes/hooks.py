"""Calls the hooks of a recipe, which may be the user's, and checks what they give."""

from __future__ import annotations

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from ..activations import with_parameters
from .base import Recipe


def neurons_of(
    recipe: Recipe, layer: keras.Layer, neuron_type: NeuronType, is_term: bool = False
) -> NeuronType:
    """The neurons that a recipe chooses for a layer.

    Parameters
    ----------
    recipe : Recipe
    layer : keras.Layer
    neuron_type : nengo.neurons.NeuronType
        That of the layer's activation.
    is_term : bool
        Whether the activation is a sum, of which this is a term.
    """
    hook = "term" if is_term else "activation"
    found = getattr(recipe, hook)(layer, neuron_type)
    if not isinstance(found, NeuronType) or isinstance(found, nengo.Direct):
        expected = "a neuron type such as nengo.RectifiedLinear()"
        raise _error(recipe, hook, layer, found, expected)
    return found


def scale_of(
    recipe: Recipe, layer: keras.Layer, neuron_type: NeuronType, shape: tuple[int, ...], first: bool
) -> float | np.ndarray | None:
    """The scale that a recipe chooses: None, a number, or one for each element of the output.

    Parameters
    ----------
    recipe : Recipe
    layer : keras.Layer
    neuron_type : nengo.neurons.NeuronType
        What the recipe chose.
    shape : tuple of int
        Of one item of the layer's output.
    first : bool
        Whether channels are its first axis; else, they are its last.
    """
    found = recipe.scale(layer, neuron_type)
    if found is None:
        return None
    try:
        scale = np.asarray(found, dtype=float)
        wide = scale.reshape(-1, *[1] * (len(shape) - 1)) if first and scale.ndim == 1 else scale
        every = np.broadcast_to(wide, shape).ravel()
    except (TypeError, ValueError):
        every = np.zeros(1)
    if not np.all(np.isfinite(every) & (every > 0)):
        expected = f"None, or a positive number [Hz] for all, each channel or each of {shape}"
        raise _error(recipe, "scale", layer, found, expected)
    return float(scale) if scale.ndim == 0 else every


def with_state(recipe: Recipe, layer: keras.Layer, neuron_type: NeuronType) -> NeuronType:
    """The neuron type, with the initial state that a recipe chooses.

    Parameters
    ----------
    recipe : Recipe
    layer : keras.Layer
    neuron_type : nengo.neurons.NeuronType
        What the recipe chose, scaled.
    """
    found = recipe.initial_state(layer, neuron_type)
    if found is None:
        return neuron_type
    if not isinstance(found, dict) or set(found) - set(neuron_type.state):
        names = ", ".join(map(repr, neuron_type.state)) or "none"
        expected = f"None, or a dict of state variables of {neuron_type}: {names}"
        raise _error(recipe, "initial_state", layer, found, expected)
    states = {
        name: nengo.dists.Choice([value]) if isinstance(value, int | float | np.number) else value
        for name, value in found.items()
    }
    return with_parameters(neuron_type, initial_state=states)


def _error(
    recipe: Recipe, hook: str, layer: keras.Layer, found: object, expected: str
) -> ValidationError:
    return ValidationError(
        f"the recipe gave {found!r} for layer {layer.name!r}, expected {expected}",
        attr=hook,
        obj=recipe,
    )
