"""Whether targets have the shapes that losses and metrics compare with outputs.

Keras broadcasts: a target of one element for an output of two is right to it. What a user wrote
may take targets of any shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import keras
import numpy as np
from nengo.exceptions import ValidationError

from ...plan import Plan

Loss: TypeAlias = keras.losses.Loss | Callable
Measure: TypeAlias = Loss | keras.metrics.Metric | str  # a loss or a metric, or the name of one

#: Functions that compare each element of a target with that of the output.
ELEMENTWISE = frozenset(
    {"mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"}
    | {"mean_squared_logarithmic_error", "huber", "log_cosh", "poisson", "cosine_similarity"}
    | {"hinge", "squared_hinge", "categorical_hinge", "kl_divergence", "dice", "tversky"}
    | {"binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy"}
    | {"categorical_focal_crossentropy", "nan_mse", "categorical_accuracy", "binary_accuracy"}
    | {"top_k_categorical_accuracy"}
)
#: Functions that take the number of a class for each vector of an output.
OF_CLASSES = frozenset(
    {"sparse_categorical_crossentropy", "sparse_categorical_accuracy"}
    | {"sparse_top_k_categorical_accuracy"}
)
METRICS = {
    "MeanSquaredError": "mean_squared_error",
    "RootMeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "CosineSimilarity": "cosine_similarity",
    "LogCoshError": "log_cosh",
    "Hinge": "hinge",
    "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge",
    "Poisson": "poisson",
    "KLDivergence": "kl_divergence",
    "BinaryCrossentropy": "binary_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "BinaryAccuracy": "binary_accuracy",
    "CategoricalAccuracy": "categorical_accuracy",
    "SparseCategoricalAccuracy": "sparse_categorical_accuracy",
    "TopKCategoricalAccuracy": "top_k_categorical_accuracy",
    "SparseTopKCategoricalAccuracy": "sparse_top_k_categorical_accuracy",
}


def known_functions(measures: Mapping[str, Iterable[Measure]]) -> dict[str, list[str]]:
    """Names of what losses and metrics of each probe compute: of those above."""
    found = {name: map(_known_function, listed) for name, listed in measures.items()}
    return {name: list(filter(None, functions)) for name, functions in found.items()}


def _known_function(measure: Measure) -> str | None:
    if isinstance(measure, keras.metrics.Metric):
        return METRICS.get(type(measure).__name__) if _is_ours(type(measure)) else None
    function = getattr(measure, "fn", None) if isinstance(measure, keras.losses.Loss) else measure
    name = getattr(function, "__name__", None)
    return name if name in ELEMENTWISE | OF_CLASSES and _is_ours(function) else None


def _is_ours(definition: object) -> bool:
    """Whether Keras or this package defines it, and not the user."""
    return definition.__module__.startswith(("keras.", "nengo_dl."))


def check_targets(
    shapes: Mapping[str, Sequence[int]],
    functions: Mapping[str, Iterable[str]],
    plan: Plan,
    steps: int,
) -> None:
    """Raise ValidationError for targets that would be broadcast.

    Parameters
    ----------
    shapes : dict of str to sequence of int
        Of the targets (b, n, *shape), by the name of the probe.
    functions : dict of str to iterable of str
        What `known_functions` gave.
    plan : Plan
    steps : int
        Of the inputs.
    """
    for name, shape in shapes.items():
        output = plan.outputs[name]
        expected = (shape[0], 1 if output.last_only else steps, *output.view.shape)
        for function in functions.get(name, ()):
            _check_shape(name, tuple(shape), expected, function)


def _check_shape(name: str, shape: tuple[int, ...], output: tuple[int, ...], function: str) -> None:
    """Keras adds an axis to what has one less, if that has one element."""
    if function in OF_CLASSES:
        wanted = (*output[:-1], 1)
        reason = f"{function} takes the number of a class for each item and step"
    else:
        wanted = output
        reason = (
            f"{function} compares them element by element; np.broadcast_to repeats targets, and a "
            f"loss function of your own may take others"
        )
    if shape not in (wanted, wanted[:-1] if wanted[-1] == 1 else wanted):
        raise ValidationError(
            f"targets for {name!r} have shape {shape}, expected {wanted}: the output has shape "
            f"{output}, and {reason}",
            attr=f"y[{name}]",
        )


def check_classes(
    y: Mapping[str, np.ndarray], measures: Mapping[str, Iterable[Measure]], plan: Plan
) -> None:
    """Raise ValidationError for numbers of classes that do not exist.

    Parameters
    ----------
    y : dict of str to array
        Targets by the name of the probe.
    measures : dict of str to iterable
        The losses and metrics of each probe.
    plan : Plan
    """
    for name, check in class_checks(measures, plan).items():
        if name in y:
            check(np.asarray(y[name]))


def class_checks(
    measures: Mapping[str, Iterable[Measure]], plan: Plan
) -> dict[str, Callable[[np.ndarray], None]]:
    """What raises ValidationError for numbers of classes that do not exist, by name of the probe.

    There is none for probes whose losses and metrics take no such numbers, or any.
    """
    found: dict[str, Callable[[np.ndarray], None]] = {}
    for name, listed in measures.items():
        for measure in listed:
            if _known_function(measure) == "sparse_categorical_crossentropy":
                count = plan.outputs[name].view.shape[-1]
                ignored = getattr(measure, "ignore_class", None)
                found[name] = partial(_check_labels, name=name, count=count, ignored=ignored)
    return found


def _check_labels(labels: np.ndarray, name: str, count: int, ignored: int | None) -> None:
    wrong = (labels < 0) | (labels >= count) | (labels != np.floor(labels))
    if ignored is not None:
        wrong &= labels != ignored
    if wrong.any():
        raise ValidationError(
            f"targets for {name!r} hold {labels[wrong][0]:g}, expected numbers of classes, from 0 "
            f"to {count - 1}: the output has {count} elements",
            attr=f"y[{name}]",
        )
