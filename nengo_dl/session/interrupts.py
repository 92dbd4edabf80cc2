"""Ctrl-C between two results, and within one only if pressed twice."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

try:  # what `signal` wraps: it looks for no names of handlers, which takes as long as a step
    import _signal as handlers
except ImportError:  # not every Python has it
    handlers = signal


@contextlib.contextmanager
def uninterrupted() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C; pressed again, it works at once.

    Gives a function that lets a Ctrl-C that was held do what it does (KeyboardInterrupt, where the
    user has no handler of their own): to be called where nothing is half done. What is still held
    at the end of the block is let go there. Where Ctrl-C is ignored, as by `nohup`, so it stays.
    """
    before = handlers.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(before):  # only the main thread is interrupted, and only by Python
        yield lambda: None
        return
    pressed: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        # the second one: what the first waits for may never come
        if pressed:
            pressed.clear()
            before(number, frame)
        else:
            pressed.append((number, frame))

    def check() -> None:
        if pressed:
            before(*pressed.pop())

    handlers.signal(signal.SIGINT, hold)
    try:
        yield check
    finally:
        handlers.signal(signal.SIGINT, before)
    check()
