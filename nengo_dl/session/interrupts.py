"""Ctrl-C between two results, never within one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

try:  # what `signal` wraps: it looks for no names of handlers, which takes as long as a step
    import _signal as handlers
except ImportError:  # not every Python has it
    handlers = signal


@contextlib.contextmanager
def uninterrupted() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C; pressed again, it works at once.

    Gives a function that raises KeyboardInterrupt if Ctrl-C was pressed: to be called where nothing
    is half done. What is still held at the end of the block is raised there.
    """
    before = handlers.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or before is None:  # only the main thread is interrupted, and only by Python
        yield lambda: None
        return
    pressed = []

    def hold(*args: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(args)

    def check() -> None:
        if pressed:
            pressed.clear()
            raise KeyboardInterrupt

    handlers.signal(signal.SIGINT, hold)
    try:
        yield check
    finally:
        handlers.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)
