"""Signals of Nengo's, made in a fraction of the time: there are several for each object."""

from __future__ import annotations

import numpy as np
from nengo.builder.signal import Signal
from nengo.rc import rc


class Signals:
    """Makes the signals of one build; those that begin with zeros share them."""

    def __init__(self) -> None:
        self._zeros: dict[object, np.ndarray] = {}

    def __call__(
        self,
        initial_value: np.ndarray | None = None,
        shape: int | tuple[int, ...] | None = None,
        name: str | None = None,
        readonly: bool = False,
    ) -> Signal:
        """What Nengo's class makes of these arguments."""
        if initial_value is None and shape is not None:
            value = self.zeros(shape)
        elif shape is None and initial_value is not None and _is_plain(initial_value):
            value = _read_only(initial_value)
        else:
            return Signal(initial_value, shape, name, readonly=readonly)  # may raise
        return view(value, name, readonly)

    def zeros(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """Zeros that nobody changes, in the precision of the build."""
        found = self._zeros.get(shape)
        if found is None:
            found = self._zeros[shape] = _read_only(np.zeros(shape, rc.float_dtype))
        return found


def view(value: np.ndarray, name: str | None = None, readonly: bool = False) -> Signal:
    """A signal that begins with a value, which is read-only, a view, and has no NaN."""
    signal = Signal.__new__(Signal)
    signal._name, signal._initial_value = name, value
    signal._base, signal._offset, signal._readonly = None, 0, readonly
    return signal


def _is_plain(value: object) -> bool:
    return type(value) is np.ndarray and value.dtype.kind == "f" and not np.isnan(value).any()


def _read_only(value: np.ndarray) -> np.ndarray:
    # of numbers without dimensions, NumPy would make vectors
    value = (np.ascontiguousarray(value) if value.ndim else value).view()
    value.setflags(write=False)
    return value
