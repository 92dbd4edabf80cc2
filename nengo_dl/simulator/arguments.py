"""Checks of what users give the simulator besides data: early, and in their words."""

from __future__ import annotations

from numbers import Integral, Real

import nengo
import numpy as np
from nengo.builder import Model
from nengo.exceptions import ValidationError

LARGEST_SEED = 2**32 - 1


def check_network(network: nengo.Network | None, model: Model | None) -> None:
    """Raise ValidationError unless there is a network, or a built model, to simulate."""
    if model is not None and not isinstance(model, Model):
        raise ValidationError(
            f"expected a nengo.builder.Model, got {_described(model)}", attr="model"
        )
    if network is None and model is None:
        raise ValidationError("give a network, or a built model", attr="network")
    if network is None or isinstance(network, nengo.Network):
        return
    if isinstance(getattr(network, "net", None), nengo.Network):
        advice = "; give its network, the attribute 'net'"
    elif isinstance(network, Model):
        advice = "; give it as Simulator(None, model=...)"
    elif hasattr(network, "layers") and hasattr(network, "predict"):
        advice = (
            "; a Keras model becomes a part of a network as nengo_dl.Layer(model)(x), and each of "
            "its layers can be one"
        )
    else:
        advice = ""
    raise ValidationError(
        f"expected a nengo.Network, got {_described(network)}{advice}", attr="network"
    )


def step_length(dt: float) -> float:
    """The length of a step [s], or ValidationError."""
    if isinstance(dt, bool | np.bool_) or not isinstance(dt, Real) or not 0 < dt < np.inf:
        raise ValidationError(
            f"expected the length of a step, a positive number of seconds, got {dt!r}", attr="dt"
        )
    if isinstance(dt, Integral) and dt > 1:
        raise ValidationError(
            f"got {dt}, which would be steps of {dt} seconds. If it is the number of items, name "
            f"the argument: minibatch_size={dt}; if it is seconds, give {float(dt)}",
            attr="dt",
        )
    return float(dt)


def seconds(value: float, name: str) -> float:
    """A length of time [s], or ValidationError."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise ValidationError(f"expected a number of seconds, got {value!r}", attr=name)
    if not np.isfinite(value):
        raise ValidationError(f"expected a finite number of seconds, got {value!r}", attr=name)
    return float(value)


def whole(value: float, name: str, lowest: float = 0, expected: str = "", advice: str = "") -> int:
    """A whole number (also a float that is one) of at least `lowest`, or ValidationError."""
    if type(value) is int and value >= lowest:  # as in each single step
        return value
    number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not number or not np.isfinite(value) or int(value) != value or value < lowest:
        expected = expected or ("an integer of at least 0" if lowest == 0 else "a positive integer")
        raise ValidationError(f"expected {expected}, got {value!r}{advice}", attr=name)
    return int(value)


def items(minibatch_size: int | None) -> int:
    """How many items a simulator has, 1 if None is given, or ValidationError."""
    return 1 if minibatch_size is None else whole(minibatch_size, "minibatch_size", 1)


def steps(value: int, lowest: float = 0) -> int:
    """A number of steps, or ValidationError."""
    advice = " (a time in seconds is for `run`)"
    number = whole(value, "n_steps", -np.inf, "a whole number of steps", advice)
    if number < lowest:
        raise ValidationError(f"must not be negative, got {value!r}", attr="n_steps")
    return number


def seed_of(value: int) -> int:
    """A seed of random numbers, or ValidationError."""
    seed = whole(value, "seed")
    if seed > LARGEST_SEED:
        raise ValidationError(f"must be at most {LARGEST_SEED}, got {seed}", attr="seed")
    return seed


def _described(value: object) -> str:
    return f"{value!r} of type {type(value).__name__}"
