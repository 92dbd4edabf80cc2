"""What activation functions become: neurons, sums of rectifiers, or nothing.

Piecewise linear functions are sums of rectifiers,  f(x) = c + Σ_i w_i relu(g_i x + b_i).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import nengo
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from ..neurons import LeakyReLU
from ..runtimes.tensorflow.backend import activation_functions


@dataclass(frozen=True)
class Term:
    """One rectifier of a sum: weight · relu(gain · x + bias)."""

    gain: float = 1.0
    bias: float = 0.0
    weight: float = 1.0
    neuron_type: NeuronType = nengo.RectifiedLinear()


@dataclass(frozen=True)
class Unknown:
    """A function that no neurons have."""

    function: Any  # callable, or the user's mistake, which its call will show


@dataclass(frozen=True)
class Rectifiers:
    """A piecewise linear function: a constant and a sum of terms."""

    terms: tuple[Term, ...]
    constant: float = 0.0


#: What a layer applies: a function or a layer of Keras's, or what that becomes. None is linear.
Activation: TypeAlias = Callable | NeuronType | Rectifiers | Unknown | None


def clipped(max_value: float, negative_slope: float = 0.0) -> Rectifiers:
    """X up to a largest value, and times the slope where x is negative."""
    first = LeakyReLU(negative_slope) if negative_slope else nengo.RectifiedLinear()
    return Rectifiers((Term(neuron_type=first), Term(bias=-max_value, weight=-1.0)))


def _function_map() -> dict[Activation, Activation]:
    """Neurons, or sums of them, by function of Keras or TensorFlow."""
    of_keras, of_tensorflow = keras.activations, activation_functions()
    sixth = 1.0 / 6.0
    found: dict[Activation, Activation] = {
        of_keras.linear: None,
        of_keras.leaky_relu: LeakyReLU(0.2),
        of_keras.hard_tanh: Rectifiers((Term(bias=1.0), Term(bias=-1.0, weight=-1.0)), -1.0),
        of_keras.hard_sigmoid: Rectifiers((Term(sixth, 0.5), Term(sixth, -0.5, -1.0))),
        of_keras.soft_shrink: Rectifiers((Term(bias=-0.5), Term(-1.0, -0.5, -1.0))),
    }
    common = {
        "relu": nengo.RectifiedLinear(),
        "relu6": clipped(6.0),
        "sigmoid": nengo.Sigmoid(tau_ref=1),
        "tanh": nengo.Tanh(tau_ref=1),
    }
    for name, neurons in common.items():
        found.update({getattr(of_keras, name): neurons, of_tensorflow[name]: neurons})
        found[getattr(keras.ops, name)] = neurons
    return found


ACTIVATIONS: dict[Activation, Activation] = {None: None, **_function_map()}


class Swaps(Mapping[Activation, Activation]):
    """The user's replacements of activations, and which of them were of use.

    Parameters
    ----------
    swaps : dict or None
        Keys and values are functions, Keras layers' activations, or neuron types.

    Raises
    ------
    ValidationError
        If it is no dict, or has keys or values that can be no activation.
    """

    def __init__(self, swaps: Mapping[Activation, Activation] | None) -> None:
        if swaps is not None and not isinstance(swaps, Mapping):
            raise ValidationError(
                f"got {swaps!r}, expected a dict from activations to activations",
                attr="swap_activations",
            )
        self._swaps = dict(swaps or {})
        self._used: set[Activation] = set()
        for value in [*self._swaps, *self._swaps.values()]:
            _check_activation(value)

    def __getitem__(self, key: Activation) -> Any:
        value = self._swaps[key]
        self._used.add(key)
        return value

    def __iter__(self) -> Iterator[Activation]:
        return iter(self._swaps)

    def __len__(self) -> int:
        return len(self._swaps)

    def __contains__(self, key: object) -> bool:  # that of Mapping would count as a use
        return key in self._swaps

    def swapped(self, activation: Activation) -> Activation:
        """The replacement of an activation, or itself."""
        try:
            return self[activation]
        except (KeyError, TypeError):  # of a type that cannot be a key
            return activation

    def unused_keys(self) -> set[Activation]:
        """The keys that no layer asked for."""
        return set(self._swaps) - self._used


def _check_activation(value: object) -> None:
    if isinstance(value, type) and issubclass(value, NeuronType | keras.layers.Layer):
        raise ValidationError(
            f"{value.__name__} is a class; expected an instance, such as {value.__name__}()",
            attr="swap_activations",
        )
    if isinstance(value, nengo.Direct):
        raise ValidationError(
            "nengo.Direct() has no neurons, and layers become neurons; use another neuron type",
            attr="swap_activations",
        )
    if not (value is None or callable(value) or isinstance(value, NeuronType)):
        raise ValidationError(
            f"{value!r} is no activation; expected a function, such as "
            f"keras.activations.relu, or a neuron type, such as nengo.RectifiedLinear()",
            attr="swap_activations",
        )


def resolve(
    activation: Activation,
    known: Mapping[Activation, Activation],
    swaps: Swaps,
    applied: Callable[[Activation], Activation] = lambda x: x,
) -> Activation:
    """What an activation becomes: None (linear), a neuron type, `Rectifiers`, or `Unknown`.

    Parameters
    ----------
    activation : callable, NeuronType, Rectifiers or None
    known : dict
        What is known about functions.
    swaps : Swaps
        Asked for the activation itself, and for the neuron type that it became.
    applied : callable
        Gives what an activation that is a layer applies, where that is known.
    """
    # a user may swap a layer or what it applies, and may put a layer in its place
    activation = function = applied(swaps.swapped(applied(activation)))
    if not isinstance(activation, NeuronType | Rectifiers):
        try:
            activation = known.get(function, Unknown(function))
        except TypeError:
            return Unknown(function)
    return swaps.swapped(activation) if isinstance(activation, NeuronType) else activation


def with_parameters(neuron_type: NeuronType, **changes: object) -> NeuronType:
    """A copy of a neuron type, some of whose parameters differ."""
    state = {**neuron_type.__getstate__(), **changes}
    state.pop("_FrozenObject__argreprs", None)  # how it is shown is found out anew
    made = object.__new__(type(neuron_type))
    made.__setstate__(state)
    return made
