"""Steps and items of a chunk of time as the rows of one array."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from .backend import Scalar


@dataclass(frozen=True)
class Rows:
    """Blocks (t, b, size) as arrays (L, size), and back; see `execute` for t and b.

    Attributes
    ----------
    length : int or scalar tensor
        T, the number of steps.
    batch : int
        B, the number of items. L is T · B, or 1 for what all share.
    by_item : bool
        Whether all steps of an item follow each other, instead of all items of a step.
    """

    length: Scalar
    batch: int
    by_item: bool = False

    def flat(self, array: tf.Tensor) -> tf.Tensor:
        """The rows of a block."""
        if array.shape[0] == 1 and array.shape[1] == 1:
            return tf.squeeze(array, 0)
        size = array.shape[2]
        if not isinstance(self.length, int) or array.shape != (self.length, self.batch, size):
            array = tf.broadcast_to(array, (self.length, self.batch, size))
        return tf.reshape(_swapped(array) if self.by_item else array, (-1, size))

    def block(self, array: tf.Tensor) -> tf.Tensor:
        """The block of rows."""
        if array.shape[0] == 1:
            return tf.expand_dims(array, 0)
        if self.by_item:
            return _swapped(tf.reshape(array, (self.batch, self.length, array.shape[1])))
        return tf.reshape(array, (self.length, self.batch, array.shape[1]))


def _swapped(array: tf.Tensor) -> tf.Tensor:
    return tf.transpose(array, (1, 0, 2))
