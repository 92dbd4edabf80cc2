"""The one place that decides which runtime takes the next chunk of time."""

from __future__ import annotations

from collections.abc import Callable

from .base import Runtime
from .numpy.first_steps import FirstSteps


def next_runtime(
    first: int, predicts: bool, in_numpy: FirstSteps, compiled: Callable[[], Runtime]
) -> Runtime:
    """The runtime that takes the next chunk, which begins after `first` steps.

    NumPy takes all steps of small programs with Python in their loop. Of others it takes the first
    ones of a simulation, unless that is a prediction: of predictions there may be many, and each
    would begin in NumPy again.

    Parameters
    ----------
    first : int
        Steps simulated before.
    predicts : bool
        Whether `predict` asks, and not `run`.
    in_numpy : FirstSteps
    compiled : callable
        Makes the runtime that compiles, if it has not been made.
    """
    if in_numpy.takes_all or (not predicts and in_numpy.include(first)):
        return in_numpy
    return compiled()
