"""Keras and TensorFlow, imported when they are first needed, and what has to wait for them.

They take seconds to import. Who builds a network and lets NumPy step it waits for neither.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from nengo.exceptions import SimulationError

from ..kernels.later import Later
from .precision import Precisions

_lock = threading.RLock()
_process: list[int] = []  # that has used TensorFlow first


_PRECISIONS = Precisions()


class _Told:
    """What Keras was told, and what it will be once it is there: a seed."""

    keras: ModuleType | None = None
    seed: int | None = None


def is_imported() -> bool:
    """Whether somebody has imported Keras or TensorFlow, or is about to."""
    return "keras" in sys.modules or "tensorflow" in sys.modules


def load() -> ModuleType:
    """Import Keras, and with it TensorFlow, and tell it what has waited; Keras is returned."""
    if _Told.keras is not None:
        return _Told.keras
    with _lock:
        module = import_module(".quiet", __package__).keras
        if _Told.keras is None:
            _PRECISIONS.tell(module)
            if _Told.seed is not None:
                _seed(module, _Told.seed)
            _Told.keras = module
    return module


def _load_tensorflow() -> ModuleType:
    load()
    return import_module("tensorflow")


if TYPE_CHECKING:
    import keras
    import tensorflow as tf
else:
    keras = Later(load)
    tf = Later(_load_tensorflow)


def require_tensorflow(now: bool = True) -> None:
    """Raise SimulationError unless Keras runs on TensorFlow, and TensorFlow in this process.

    Parameters
    ----------
    now : bool
        Whether it is needed now. If it need not be there yet, it is not imported.
    """
    if not (now or is_imported()):
        _check_back_end(os.environ.get("KERAS_BACKEND") or "tensorflow")
        return
    if not _process:
        _process.append(os.getpid())
    if _process[0] != os.getpid():
        raise SimulationError(
            f"TensorFlow was used in process {_process[0]}, before the fork to process "
            f"{os.getpid()}, where its threads are missing: it would hang. Begin processes by "
            f"multiprocessing.get_context('spawn'), or make no Simulator before the fork"
        )
    _check_back_end(load().backend.backend())


def _check_back_end(name: str) -> None:
    if name != "tensorflow":
        raise SimulationError(
            f"nengo_dl.Simulator runs on Keras's TensorFlow back end, but Keras is set to "
            f"{name!r}. Set the environment variable KERAS_BACKEND=tensorflow before Keras is "
            f"first imported."
        )


def seed_tensorflow(seed: int) -> None:
    """Seed TensorFlow and Keras, but not the user's Python and NumPy; once they are there."""
    if is_imported():
        _seed(load(), seed)
    else:
        _Told.seed = seed


def _seed(module: ModuleType, seed: int) -> None:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        module.utils.set_random_seed(seed % 2**32)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def precision(dtype: str, block: bool = False) -> contextlib.AbstractContextManager:
    """Let Keras make numbers of the simulation's precision, also if it is imported within.

    Parameters
    ----------
    dtype : str
    block : bool
        Whether this is for a `with` block of the user's; see `Precisions`.
    """
    if is_imported():
        load()
    return _PRECISIONS.block(dtype) if block else _PRECISIONS.call(dtype)


def on_device(device: str | None) -> contextlib.AbstractContextManager:
    """Place what is computed on a device; None leaves that to TensorFlow."""
    return contextlib.nullcontext() if device is None else tf.device(device)
