"""Python iterators as TensorFlow's Datasets, whose items may differ in their numbers of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import keras
import numpy as np
import tensorflow as tf
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ..backend import HostCalls, Nested

#: Makes nested tuples and dicts of arrays of what a generator gives.
Reader = Callable[[Nested], tuple]


def is_py_dataset(x: object) -> bool:
    """Whether this gives minibatches by number."""
    return isinstance(x, keras.utils.PyDataset)


def is_dataset(x: object) -> bool:
    """Whether this is a Dataset that can be mapped."""
    return isinstance(x, tf.data.Dataset)


class NamedItems(keras.utils.PyDataset):
    """A PyDataset whose items are brought to data by name.

    Parameters
    ----------
    given : keras.utils.PyDataset
    read : callable
        Brings an item to that form.
    """

    def __init__(self, given: keras.utils.PyDataset, read: Reader) -> None:
        super().__init__(given.workers, given.use_multiprocessing, given.max_queue_size)
        self._given, self._read = given, read

    def __len__(self) -> int:
        return len(self._given)

    def __getitem__(self, index: int) -> tuple:
        return self._read(self._given[index])

    @property
    def num_batches(self) -> int | None:
        """As of what was given."""
        return self._given.num_batches

    def on_epoch_begin(self) -> None:
        """As of what was given."""
        self._given.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """As of what was given."""
        self._given.on_epoch_end()


def dataset_of(iterator: Iterator[Nested], read: Reader, host: HostCalls) -> tf.data.Dataset:
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
    dataset = tf.data.Dataset.from_generator(lambda: items, output_signature=specs)
    # there is nothing to tune, and an iterator with a tuner may take a minute to be freed
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    return dataset.with_options(untuned)


def _rest(
    iterator: Iterator[Nested], read: Reader, host: HostCalls, specs: Nested
) -> Iterator[Nested]:
    try:
        for number, item in enumerate(iterator, start=2):
            yield _like(specs, read(item), number)
    except Exception as error:
        host.error = error
        raise


def _like(specs: Nested, item: Nested, number: int) -> Nested:
    """Arrays of the same types as in the first item."""

    def of_type(spec: tf.TensorSpec, value: ArrayLike) -> np.ndarray:
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
