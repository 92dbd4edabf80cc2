"""Noise and other inputs that no user feeds, drawn on the host within a call from Keras."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from ....compiler.ir import Block
from ...plan import Maker
from ...replicas import Replicas
from ..backend import Scalar


class Draws:
    """Draws for all items of a minibatch at once; each replica takes the rows of its own.

    Parameters
    ----------
    replicas : Replicas
    dtype : str
    """

    def __init__(self, replicas: Replicas, dtype: str) -> None:
        self.replicas, self.dtype = replicas, dtype
        self._ahead: dict[range, dict[Block, tf.Tensor]] = {}
        self._lock = threading.Lock()  # replicas call from threads of their own
        self.begin()

    def begin(self) -> None:
        """Forget what one replica drew and another did not take, as a call was broken off."""
        self._taken: Counter[tuple[Block, int]] = Counter()  # draws by block and replica
        self._drawn: dict[tuple[Block, int], np.ndarray] = {}

    def __call__(
        self, makers: Mapping[Block, Maker], items: range, first: Scalar, length: Scalar
    ) -> dict[Block, tf.Tensor]:
        """Emit the drawing of inputs: tensors (T, b, size).

        Parameters
        ----------
        makers : dict of Block to callable
            `make(first, n) -> array (n, 1 or B, size)`.
        items : range
            The b items that are asked for.
        first, length : int or scalar tensor
            Steps before, and T.
        """
        if items in self._ahead:
            return self._ahead[items]
        return {b: self._emit(b, make, items, first, length) for b, make in makers.items()}

    @contextlib.contextmanager
    def ahead(
        self, makers: Mapping[Block, Maker], items: range, first: Scalar, length: Scalar
    ) -> Iterator[None]:
        """Draw now what is asked for within this context."""
        self._ahead[items] = self(makers, items, first, length)
        try:
            yield
        finally:
            del self._ahead[items]

    def _emit(
        self, block: Block, make: Maker, items: range, first: Scalar, length: Scalar
    ) -> tf.Tensor:
        def draw(start: np.ndarray, n: np.ndarray) -> np.ndarray:
            rows = self._rows(block, make, items, int(start), int(n))
            shape = (int(n), len(items), block.size)
            return np.broadcast_to(rows, shape).astype(self.dtype)

        rows = tf.numpy_function(draw, [first, length], tf.as_dtype(self.dtype))
        steps = length if isinstance(length, int) else None
        return tf.ensure_shape(rows, (steps, len(items), block.size))

    def _rows(self, block: Block, make: Maker, items: range, first: int, n: int) -> np.ndarray:
        if len(items) == self.replicas.batch:
            return make(first, n)
        # whoever comes first draws for all: the same numbers, however many replicas there are
        with self._lock:
            number = self._taken[block, items.start]
            self._taken[block, items.start] += 1
            if (block, number) not in self._drawn:
                self._drawn[block, number] = make(first, n)
            rows = self._drawn[block, number]
            others = [self._taken[block, i.start] for i in self.replicas.local_items]
            if min(others) > number:  # the last one that comes
                del self._drawn[block, number]
        return rows if rows.shape[1] == 1 else rows[:, items.start : items.stop]
