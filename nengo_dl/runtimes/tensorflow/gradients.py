"""Gradients that TensorFlow would keep for ever."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import tensorflow as tf

from .calls import Function, is_known

PREFIX = "CustomGradient-"  # of names that TensorFlow gives them


def traced(make: Callable[[], Function]) -> Function:
    """Trace a function that contains its gradients, and forget those that were registered for it.

    `tf.custom_gradient` registers each for the rest of the process, with the graph that it was
    traced in and whatever Python it knows: our sessions.  Nothing asks for it later.

    Parameters
    ----------
    make : callable
        Traces the function.
    """
    registry = _registry()
    before = set(registry)
    function = make()
    for name in set(registry) - before:
        # those of other graphs are traced in other threads
        if name.startswith(PREFIX) and function.graph in _graphs(registry[name]["type"]):
            del registry[name]
    return function


def _registry() -> MutableMapping[str, Any]:
    """TensorFlow's gradients by name, which are not public; none if it is another version."""
    if not is_known():
        return {}
    from tensorflow.python.framework import ops

    return ops.gradient_registry._registry


def _graphs(gradient: Callable) -> set[tf.Graph]:
    """Graphs of what a registered gradient knows, and those around them."""
    inner = inspect.getclosurevars(gradient).nonlocals.get("tape_grad_fn", gradient)
    values = inspect.getclosurevars(inner).nonlocals.values()
    known = [x for v in values for x in (v if isinstance(v, list | tuple) else [v])]
    graphs = (x.graph for x in known if tf.is_symbolic_tensor(x))
    return {around for graph in graphs for around in _around(graph)}


def _around(graph: tf.Graph | None) -> Iterator[tf.Graph]:
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)
