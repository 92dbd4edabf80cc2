"""One simulator is used by one thread at a time, in the process that made it."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from nengo.exceptions import SimulationError

from .signals import LiveSignals


class Turns:
    """Who may use a simulator.

    Attributes
    ----------
    depth : int
        Calls that are in each other, as that of a method in a callback of another.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()
        self.depth = 0

    def check_process(self) -> None:
        """Raise SimulationError in a process that was forked off after the simulator was made."""
        if os.getpid() != self._process:
            raise SimulationError(
                f"The Simulator was made in process {self._process}, before a fork, and cannot be "
                f"used in process {os.getpid()}, where TensorFlow's threads are missing: it would "
                f"hang. Begin processes by multiprocessing.get_context('spawn'), and make "
                f"Simulators in them"
            )

    def take(self) -> None:
        """Begin a call, or raise SimulationError if another thread is in one."""
        # no waiting: the other thread may be waiting for this one
        if not self._lock.acquire(blocking=False):
            raise SimulationError(
                "The Simulator is in use in another thread. Wait until its call has returned, or "
                "make a Simulator for each thread"
            )
        self.depth += 1

    def give_back(self) -> None:
        """End a call."""
        self.depth -= 1
        self._lock.release()


class _Exclusive(Protocol):
    """What a method needs of its object, to be `exclusive`: a simulator has it."""

    turns: Turns
    closed: bool
    signals: LiveSignals


Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
Owner = TypeVar("Owner", bound=_Exclusive)


def exclusive(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """Let one thread at a time call such methods of a simulator.

    What was written to its signals counts from here on, and they are up to date after the call.
    """

    @functools.wraps(method)
    def call(self: Owner, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        turns = self.turns
        turns.take()
        outermost = turns.depth == 1 and not self.closed
        try:
            if outermost:
                self.signals.write()
            return method(self, *args, **kwargs)
        finally:
            # after an error too: steps may have been taken before it
            if outermost and not self.closed:
                self.signals.refresh()
            turns.give_back()

    return call
