"""Nengo's linear filters in discrete time."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from nengo.synapses import LinearFilter

System = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Filter:
    """What is known of a filter.

    Attributes
    ----------
    synapse : LinearFilter
    text : str
        What it is as a str.
    system : tuple of ndarray
    one : dict of float or None
        The coefficients ``a`` and ``b`` of ``y = a y + b u`` if it is of first order, as Nengo's
        OneX: what it gives out is all its state.
    """

    synapse: LinearFilter
    text: str
    system: System
    one: dict[str, float] | None


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
        self._filters: dict[int, Filter] = {}  # while one is there, nothing else has its id

    def filter(self, synapse: LinearFilter) -> Filter:
        """What is known of a filter; to look it up by what it is takes longer than by its id."""
        found = self._filters.get(id(synapse))
        if found is None:
            A, B, C, D = system = self.of(synapse)
            one = None
            if len(A) == 1 and (D == 0).all():
                one = {"a": A.item(), "b": C.item() * B.item()}
            found = self._filters[id(synapse)] = Filter(synapse, str(synapse), system, one)
        return found

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
