"""Keras and TensorFlow, imported without what TensorFlow prints for information."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # of TensorFlow's: what less important messages it leaves out

# Passes on all but messages of the level "information", in a process of its own: so nothing is
# lost if this one ends while TensorFlow is imported, on a processor that it does not support.
_FILTER = r"""
import re, sys
info = re.compile(rb"I\d{4} |To enable the following instr|WARNING: All log messages before absl::")
for line in sys.stdin.buffer:
    if not info.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""


@contextlib.contextmanager
def without_information() -> Iterator[None]:
    """Leave out, for now, what is only information among what TensorFlow prints.

    Nothing is left out if the user set the environment variable ``TF_CPP_MIN_LOG_LEVEL``, or has
    imported TensorFlow.  Otherwise the variable is set to 1, for what TensorFlow prints later.
    """
    frozen = getattr(sys, "frozen", False)  # then there is no interpreter to start
    if LEVEL in os.environ or "tensorflow" in sys.modules or frozen:
        yield
        return
    os.environ[LEVEL] = "1"
    try:
        kept = os.dup(2)
        passing = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _FILTER], stdin=subprocess.PIPE, stderr=kept
        )
    except OSError:  # there is no standard error, or no other process can be started
        yield
        return
    into: IO[bytes] = passing.stdin  # type: ignore[assignment]  # a pipe, as asked for
    os.dup2(into.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        into.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            passing.wait(timeout=5)


with without_information():
    import keras

__all__ = ["keras"]
