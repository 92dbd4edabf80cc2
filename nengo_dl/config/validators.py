"""What values the settings accept: as tests, and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..utils import is_bool, is_positive

DTYPES = ("float16", "float32", "float64")


class Rule(NamedTuple):
    """What values an option accepts: as a test, and in words."""

    accepts: Callable[[Any], bool]
    expects: str


def _is_steps(value: object) -> bool:
    whole = isinstance(value, (int, np.integer)) and not is_bool(value) and bool(value > 0)
    return whole or (isinstance(value, str) and value == "auto")


def _is_callables(value: object) -> bool:
    return isinstance(value, Sequence) and all(callable(f) for f in value)


def _is_names(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(name, str) for name in value)
    )


def _is_dtype(value: object) -> bool:
    if not isinstance(value, str):
        raise TypeError(
            f"dtype is {value!r}, of type {type(value).__name__}; "
            f"expected one of the strings {', '.join(map(repr, DTYPES))}"
        )
    return value in DTYPES


def optional(accepts: Callable[[Any], bool], expects: str) -> Rule:
    """Accept None too."""
    return Rule(lambda value: value is None or accepts(value), f"{expects} or None")


BOOL = Rule(is_bool, "True or False")
OPTIONAL_BOOL = optional(is_bool, "True, False")
CALLABLE = optional(callable, "a callable")
NAMES = Rule(_is_names, "a sequence of names")
CALLABLES = optional(_is_callables, "a sequence of callables")
SMOOTHING = optional(is_positive, "a number greater than 0,")
CHECKPOINTS = optional(_is_steps, "a whole number greater than 0, 'auto'")
MEMORY = optional(is_positive, "a number of bytes greater than 0,")
TRAINABLE_SYNAPSES = optional(
    lambda value: is_bool(value) or isinstance(value, str) and value == "per_dimension",
    "True, False, 'per_dimension'",
)
DTYPE = Rule(_is_dtype, f"one of {', '.join(map(repr, DTYPES))}")
