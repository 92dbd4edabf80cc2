"""Ctrl-C between two results, never within one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C until the end of the block; pressed again, it works at once."""
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or before is None:  # only the main thread is interrupted, and only by Python
        yield
        return
    pressed = []

    def hold(*args: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(args)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)
