"""Python iterators as TensorFlow's Datasets, whose items may differ in their numbers of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from nengo.exceptions import ValidationError

from ..backend import HostCalls


def is_dataset(x: Any) -> bool:
    """Whether this is a Dataset that can be mapped."""
    return isinstance(x, tf.data.Dataset)


def dataset_of(iterator: Iterator, read: Callable[[Any], tuple], host: HostCalls) -> Any:
    """A Dataset of what `read` makes of the items, to be gone through once.

    Parameters
    ----------
    iterator : iterator
    read : callable
        Gives nested tuples and dicts of arrays, which differ in nothing but the lengths of axes.
    host : HostCalls
        Is told what `read` and the iterator raise.

    Raises
    ------
    ValidationError
        If there is no item.
    """
    first = next(iterator, None)
    if first is None:
        raise ValidationError("the generator has no items, expected at least one", attr="x")
    begun = keras.tree.map_structure(np.asarray, read(first))
    specs = keras.tree.map_structure(lambda a: tf.TensorSpec([None] * a.ndim, a.dtype), begun)
    items = chain([begun], _rest(iterator, read, host, specs))
    return tf.data.Dataset.from_generator(lambda: items, output_signature=specs)


def _rest(
    iterator: Iterator, read: Callable[[Any], tuple], host: HostCalls, specs: Any
) -> Iterator[Any]:
    try:
        for number, item in enumerate(iterator, start=2):
            yield _like(specs, read(item), number)
    except Exception as error:
        host.error = error
        raise


def _like(specs: Any, item: Any, number: int) -> Any:
    """Arrays of the same types as in the first item."""

    def of_type(spec: tf.TensorSpec, value: Any) -> np.ndarray:
        array = np.asarray(value, spec.dtype.as_numpy_dtype)
        if array.ndim != spec.shape.rank:
            raise ValueError("another number of axes")
        return array

    try:
        return keras.tree.map_structure(of_type, specs, item)
    except ValueError as error:
        raise ValidationError(
            f"item {number} of the generator has other data than the first: expected the same "
            f"inputs, targets and weights, with as many axes",
            attr="x",
        ) from error
