"""The one place that decides which runtime takes the next chunk of time."""

from __future__ import annotations

from collections.abc import Callable

from .base import Runtime
from .numpy.first_steps import FirstSteps


def next_runtime(
    first: int,
    predicts: bool,
    spikes: bool,
    in_numpy: FirstSteps,
    compiled: Callable[[], Runtime],
) -> Runtime:
    """The runtime that takes the next chunk, which begins after `first` steps.

    NumPy takes all steps of small programs with Python in their loop. Of others it takes the first
    ones of a simulation, unless that is a prediction: of predictions there may be many, and each
    would begin in NumPy again. The program of rates is always compiled.

    Parameters
    ----------
    first : int
        Steps simulated before.
    predicts : bool
        Whether `predict` asks, and not `run`.
    spikes : bool
        Whether neurons spike, and do not give their rates; see `Simulator.predict`.
    in_numpy : FirstSteps
    compiled : callable
        Makes the runtime that compiles, if it has not been made.
    """
    if not spikes:
        return compiled()
    if in_numpy.takes_all or (not predicts and in_numpy.include(first)):
        return in_numpy
    return compiled()
