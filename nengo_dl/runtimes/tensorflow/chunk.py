"""Which steps a chunk of time has."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from .backend import Scalar


@dataclass(frozen=True)
class Span:
    """The steps of a chunk.

    Attributes
    ----------
    first : scalar tensor int64
        Steps that came before.
    length : int or scalar tensor
        T, the steps that there is room for.
    valid : int or scalar tensor
        The steps to simulate; rows of the results beyond it mean nothing.
    by_item : bool
        Whether inputs lie in memory item by item, so that putting them in the order of steps
        moves them.
    """

    first: tf.Tensor
    length: Scalar
    valid: Scalar
    by_item: bool = False
