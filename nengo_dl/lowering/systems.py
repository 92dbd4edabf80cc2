"""Nengo's linear filters in discrete time."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from nengo.synapses import LinearFilter

System = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Systems:
    """State-space systems (A, B, C, D) of filters, discretised once for all that are equal.

    Parameters
    ----------
    dt : float
        Step length [s].
    """

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self._known: dict[Hashable, System] = {}

    def of(self, synapse: LinearFilter) -> System:
        """The system of a filter."""
        if type(synapse)._get_ss is not LinearFilter._get_ss:
            own: System = synapse._get_ss(self.dt)
            return own
        num, den = np.asarray(synapse.num), np.asarray(synapse.den)
        key = (synapse.analog, synapse.method, num.tobytes(), den.tobytes())
        if key not in self._known:
            self._known[key] = synapse._get_ss(self.dt)
        return self._known[key]
