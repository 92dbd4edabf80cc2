"""What XLA has compiled, kept in a folder for the next process that runs the same script.

TensorFlow does that, and looks up what to compile by all of its text. It asks neither for what
processor a file was compiled nor by which version: each pair of these has a folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

from nengo.exceptions import ValidationError

from ..utils import warn

FOLDER = "NENGO_DL_COMPILATION_CACHE"
FLAGS = "TF_XLA_FLAGS"  # TensorFlow reads it once, when its first operation runs


def use_cache() -> None:
    """Let TensorFlow keep what it compiles, if the user says where.

    The environment variable ``NENGO_DL_COMPILATION_CACHE`` names the folder.  It counts unless an
    operation of TensorFlow's has run; that it was imported does not matter.

    Raises
    ------
    ValidationError
        If there can be no such folder, or nothing can be written there.
    """
    given = os.environ.get(FOLDER)
    if not given:
        return
    if _has_begun():
        warn(f"{FOLDER} has no effect, as TensorFlow was used before nengo_dl was imported")
        return
    folder = Path(given).expanduser().resolve() / _machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValidationError(f"{given!r} cannot be a folder: {error}", attr=FOLDER) from None
    if not os.access(folder, os.W_OK):
        raise ValidationError(f"nothing can be written into {str(folder)!r}", attr=FOLDER)
    own = f"--tf_xla_persistent_cache_directory='{folder}'"
    devices = "--tf_xla_persistent_cache_device_types=CPU"
    # the first of two flags that say the same would not count
    os.environ[FLAGS] = f"{own} {devices} {os.environ.get(FLAGS, '')}".strip()


def _has_begun() -> bool:
    """Whether TensorFlow has run an operation, which there is no public way to ask."""
    eager = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(eager, "context_safe", lambda: None)()
    return getattr(context, "_initialized", False)


def _machine() -> str:
    """A name for what compiled code depends on besides its source."""
    distribution = packages_distributions().get("tensorflow", ["tensorflow"])[0]
    parts = [version(distribution), platform.machine(), _processor(), os.environ.get("XLA_FLAGS")]
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def _processor() -> str:
    """Instructions that the processor has, or its name where the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
