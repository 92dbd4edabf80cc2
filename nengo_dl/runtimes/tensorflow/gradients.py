"""Gradients of our own, which TensorFlow would keep for ever."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from .calls import is_known

PREFIX = "CustomGradient-"  # of names that TensorFlow gives them


@contextlib.contextmanager
def forgotten_gradients() -> Iterator[None]:
    """Forget gradients of this package that are registered within, once a function is traced.

    `tf.custom_gradient` registers each for the rest of the process, and it keeps the graph that it
    was traced in, and whatever Python it knows: our sessions.  Nothing asks for it later, as the
    function contains what it has traced.
    """
    registry = _registry()
    before = set(registry)
    try:
        yield
    finally:
        # others may register gradients in their threads meanwhile
        for name in set(registry) - before:
            if name.startswith(PREFIX) and _is_ours(registry[name]["type"]):
                del registry[name]


def _registry() -> MutableMapping[str, Any]:
    """TensorFlow's gradients by name, which are not public; none if it is another version."""
    if not is_known():
        return {}
    from tensorflow.python.framework import ops

    return ops.gradient_registry._registry


def _is_ours(function: Callable) -> bool:
    """Whether the gradient that TensorFlow has wrapped twice is of this package."""
    for name in ("tape_grad_fn", "grad_fn"):
        function = inspect.getclosurevars(function).nonlocals.get(name, function)
    return function.__module__.startswith("nengo_dl.")
