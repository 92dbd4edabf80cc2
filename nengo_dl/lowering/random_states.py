"""NumPy's generators of the kind that Nengo seeds for each object, without what takes long."""

from __future__ import annotations

import sys

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import ArrayLike, DTypeLike

KEPT = 4  # are in use at once


class _NoSeed(ISeedSequence):
    """What a generator begins with that is seeded next; looking for entropy takes long."""

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> np.ndarray:
        return np.ones(n_words, dtype)


def _references(state: np.random.RandomState) -> int:
    """References to the numbers that a generator draws from, as seen from here."""
    bits = state._bit_generator
    return sys.getrefcount(bits)


ALONE = _references(np.random.RandomState(np.random.MT19937(_NoSeed())))  # type: ignore[arg-type]


class _AnyRandomState(type):
    def __instancecheck__(cls, obj: object) -> bool:
        return isinstance(obj, np.random.RandomState)


class RandomState(np.random.RandomState, metaclass=_AnyRandomState):
    """NumPy's, with the same numbers; it is made, and shuffles columns, in a fraction of the time.

    To allocate a generator takes thirty times as long as to seed one: when nobody holds one any
    longer, the next takes its place.

    Parameters
    ----------
    seed : int
    """

    _free: list[np.random.BitGenerator] = []

    def __init__(self, seed: int) -> None:
        try:
            bits = self._free.pop()
        except IndexError:
            bits = np.random.MT19937(_NoSeed())  # type: ignore[arg-type]
        super().__init__(bits)
        self.seed(seed)

    def __del__(self) -> None:
        # copies, and generators of the newer kind, may go on to draw from the same
        if _references(self) == ALONE and len(self._free) < KEPT:
            self._free.append(self._bit_generator)

    def shuffle(self, x: ArrayLike) -> None:
        """Shuffle in place; a column as the vector that it is."""
        if isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] == 1:
            x = x[:, 0]
        super().shuffle(x)
