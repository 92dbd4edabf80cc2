"""Memory that the process keeps between calls, instead of asking the system for it each time.

A compiled call takes its temporary arrays as one piece.  glibc maps pieces of over 32 MB anew for
each call, and the system fills every page with zeros when it is first touched: a minibatch of
`dense` in `benchmarks.training`, with surrogate gradients, spent 57 of 112 ms of processor time on
that, and takes two thirds of its time where the memory is kept.
"""

from __future__ import annotations

import ctypes
import os

from ...compiler.costs import Costs
from .. import switches

# Parameters of glibc's mallopt, from its malloc.h
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3


def keep_freed_memory(costs: Costs) -> bool:
    """Let the C library keep what is freed, for the whole process; whether it does now.

    It does not where `switches.KEEP_MEMORY` is off, where the user has told glibc what to do by
    environment variables, and where the C library is another one.
    """
    if not switches.KEEP_MEMORY or _is_told(os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # not Linux, or not glibc
        return False
    bound = costs.kept_memory_bytes
    # Setting one of them ends the adaption of both.
    return bool(mallopt(_MMAP_THRESHOLD, bound) and mallopt(_TRIM_THRESHOLD, bound))


def _is_told(environment: os._Environ[str] | dict[str, str]) -> bool:
    names = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")
    tunables = environment.get("GLIBC_TUNABLES", "")
    return "glibc.malloc" in tunables or any(name in environment for name in names)
