"""Checks of what is passed on to Keras: early, so that nobody meets its tracebacks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, SupportsFloat

import numpy as np
from nengo.exceptions import ValidationError

from ..runtimes.later import keras
from . import arguments
from .types import Callbacks, Loss, Metric

#: Arguments of `keras.Model.compile`, in its order.
COMPILE: tuple[str, ...] = (
    "optimizer",
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "run_eagerly",
)
COMPILE += ("steps_per_execution", "jit_compile", "auto_scale_loss")
#: Numbers of `keras.Model.fit`, `evaluate` and `predict`, and the lowest that means something.
NUMBERS = {"epochs": 0, "initial_epoch": 0, "steps_per_epoch": 1, "validation_steps": 1, "steps": 1}


def by_name(args: Sequence[object], named: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `compile` by name, those given by position in Keras's order.

    Parameters
    ----------
    args : tuple
        Given by position.
    named : dict
        Given by name; None stands for what was not given.
    """
    if len(args) > len(COMPILE):
        raise TypeError(f"compile takes at most {len(COMPILE)} arguments by position: {COMPILE}")
    found = dict(named)
    for name, value in zip(COMPILE, args, strict=False):
        if found.get(name) is not None:
            raise TypeError(f"compile got {name!r} twice, by position and by name")
        found[name] = value
    return found


def check_optimizer(given: keras.optimizers.Optimizer | str | Mapping[str, Any] | None) -> None:
    """Raise ValidationError unless Keras knows the optimizer."""
    if given is not None and not isinstance(given, keras.optimizers.Optimizer):
        _identified(given, "optimizer", keras.optimizers.get, "keras.optimizers.SGD(0.1)")


def check_loss(given: Loss, probe: str) -> None:
    """Raise ValidationError unless this is a loss, or the name of one.

    Parameters
    ----------
    given
        Of one probe.
    probe : str
        Its name.
    """
    _check_measure(given, probe, "loss", keras.losses.get, "keras.losses.MeanSquaredError()")


def check_metric(given: Metric, probe: str) -> None:
    """Raise ValidationError unless this is a metric, or the name of one; as `check_loss`."""
    if not (isinstance(given, str) and given in ("accuracy", "acc")):
        example = "keras.metrics.MeanSquaredError()"
        _check_measure(given, probe, "metrics", keras.metrics.get, example)


def _check_measure(
    given: Loss | Metric, probe: str, attr: str, get: Callable[[Any], object], example: str
) -> None:
    if isinstance(given, type) or not callable(given):
        _identified(given, attr, get, f"{example}, or a function of (y_true, y_pred)", probe)
    # objects of Keras's take more, and check it themselves
    elif inspect.isroutine(given):
        _check_takes_two(given, probe, attr)


def _check_takes_two(function: Callable, probe: str, attr: str) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some functions written in C
        return
    try:
        signature.bind("y_true", "y_pred")
    except TypeError:
        raise ValidationError(
            f"the function {function.__name__!r} for {probe!r} is called with (y_true, y_pred), "
            f"but takes {signature}",
            attr=attr,
        ) from None


def _identified(
    given: object, attr: str, get: Callable[[Any], object], example: str, probe: str = ""
) -> None:
    """Raise ValidationError unless `get` of Keras makes something of a name or a dict."""
    known = False
    if isinstance(given, str | Mapping):
        try:
            known = get(given) is not None
        except (TypeError, ValueError):
            known = False
    if not known:
        purpose = f" for {probe!r}" if probe else ""
        if isinstance(given, type):
            given = f"{given.__name__}, a class: add ()"
        else:
            given = repr(given)
        raise ValidationError(
            f"expected a name that Keras knows, or an object such as {example}{purpose}, got "
            f"{given}",
            attr=attr,
        )


def check_loss_weights(weights: Mapping[str, Any]) -> None:
    """Raise ValidationError for factors that are no finite numbers; `weights` are by probe."""
    for name, weight in weights.items():
        if np.ndim(weight) or isinstance(weight, str) or not _is_finite(weight):
            raise ValidationError(
                f"expected a finite number for {name!r}, got {weight!r}", attr="loss_weights"
            )


def _is_finite(value: SupportsFloat) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        return False


def check_compiling(options: Mapping[str, Any]) -> None:
    """Raise ValidationError for values of `compile` that Keras takes, but nothing follows from."""
    if options.get("jit_compile", "auto") not in (True, False, None, "auto"):
        raise ValidationError(
            f'expected True, False or "auto", got {options["jit_compile"]!r}', attr="jit_compile"
        )
    if options.get("steps_per_execution") is not None:
        arguments.whole(options["steps_per_execution"], "steps_per_execution", 1)


def check_call(options: Mapping[str, Any]) -> None:
    """Raise ValidationError for options of `fit`, `evaluate` and `predict` that make no sense."""
    for name, lowest in NUMBERS.items():
        if options.get(name) is not None:
            arguments.whole(options[name], name, lowest)
    split = options.get("validation_split")
    if split is not None and not (isinstance(split, Real) and 0 <= float(split) < 1):
        raise ValidationError(
            f"expected a share of the items, from 0 to below 1, got {split!r}",
            attr="validation_split",
        )
    epochs = options.get("validation_freq")
    if epochs is not None and (np.ndim(epochs) == 0 or isinstance(epochs, str)):
        arguments.whole(epochs, "validation_freq", 1)
    check_callbacks(options.get("callbacks"))


def check_callbacks(given: Callbacks | None) -> None:
    """Raise ValidationError unless these are callbacks of Keras's, or what behaves as such."""
    for callback in () if given is None else keras.tree.flatten(given):
        is_object = hasattr(callback, "set_model") and not isinstance(callback, type)
        if callback is not None and not is_object:
            name = getattr(callback, "__name__", None)
            advice = f"; make an object of it: {name}(...)" if isinstance(callback, type) else ""
            raise ValidationError(
                f"expected keras.callbacks.Callback objects, got {callback!r}{advice}",
                attr="callbacks",
            )
