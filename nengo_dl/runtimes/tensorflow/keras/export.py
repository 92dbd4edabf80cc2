"""What Keras can write down of a simulation, and what to use for what it cannot."""

from __future__ import annotations

import re

import keras
import tensorflow as tf
from nengo.exceptions import SimulationError

from ..backend import uncompilable_ops

PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}  # operations that call it
ARGUMENT = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.-]*")  # names that TensorFlow accepts for arguments


def not_a_config(what: str = "") -> SimulationError:
    """What to raise where Keras asks for the configuration of a simulation."""
    return SimulationError(
        f"A simulation cannot be saved, loaded or cloned as a Keras model{what}: Keras cannot "
        f"write down the network. Save its parameters by Simulator.save_params (or with "
        f"save_weights_only=True), and load them into a Simulator of the same network, which is "
        f"also how to copy one; keras_model.export writes what TensorFlow can serve by itself"
    )


def check_exportable(model: keras.Model) -> None:
    """Raise SimulationError for what would not run without this process."""
    unusable = [name for name in model.input_names if not ARGUMENT.fullmatch(name)]
    if unusable:
        raise SimulationError(
            f"{', '.join(map(repr, unusable))} cannot be the name of an argument of what is "
            f"exported; give the node a label of letters of ASCII, digits and ._-"
        )
    graph = model.get_layer(index=-1)
    specs = {x.name: tf.TensorSpec(x.shape, x.dtype) for x in model.inputs}
    call = tf.function(lambda inputs: graph(inputs, training=False), autograph=False)
    if uncompilable_ops(call.get_concrete_function(specs)) & PYTHON:
        what = ", ".join(graph.obstacles) or "noise or an input process"
        raise SimulationError(
            f"The simulation cannot be exported: it calls Python in this process, for {what}"
        )
