"""The user's tensor code: its layers, its mistakes, and whether XLA can compile it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import keras
import numpy as np
import tensorflow as tf
from nengo.exceptions import ValidationError

from ...compiler.ir import Group, Program
from ...kernels.context import Context
from ...kernels.registry import CATALOGUE
from ...utils import warn
from .backend import uncompilable_ops

CALLS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}  # operations that call Python


def layers_in(program: Program) -> list[keras.layers.Layer]:
    """Keras layers in TensorNodes; each once."""
    found = [op.attrs["layer"] for g in program.groups if g.traits.user_code for op in g.ops]
    return list({id(layer): layer for layer in found if layer is not None}.values())


def uncompilable_code(program: Program, ctx: Context) -> frozenset[int]:
    """Identities of the attributes of TensorNodes that XLA cannot compile.

    Layers are built, and each TensorNode is traced by itself: a mistake in it shows here.
    """
    groups = [g for g in program.groups if g.traits.user_code]
    known = {id(v.value) for layer in layers_in(program) for v in layer.variables}
    found = set()
    for group in groups:
        (op,), traced = group.ops, _traced(group, ctx)
        if op.attrs["layer"] is None:
            _warn_of_untrained(op.tag, traced, known)
        if uncompilable_ops(traced):
            found.add(id(op.attrs))
    return frozenset(found)


def begin_anew(program: Program, restart: Callable[[], None]) -> None:
    """Emit that Python of the user's begins anew, if a program has some that may keep a state."""
    ops = [op for g in program.groups if g.traits.restarts for op in g.ops]
    if all(op.attrs.get("turn") is None for op in ops):
        return

    def call() -> np.ndarray:
        restart()
        return np.zeros((), np.int32)

    tf.numpy_function(call, [], tf.int32)


def calls_python(group: Group, ctx: Context) -> bool:
    """Whether the user's tensor code calls Python when it runs."""
    return bool(uncompilable_ops(_traced(group, ctx)) & CALLS)


def _traced(group: Group, ctx: Context) -> tf.types.experimental.ConcreteFunction:
    """The function of a TensorNode; its layer is built if it is not."""
    (op,) = group.ops
    layer, shape_in = op.attrs["layer"], op.attrs["shape_in"]
    shapes = [(ctx.batch if shape_in is not None else 1, *s) for s in group.read_shapes]
    if op.attrs["pass_time"]:
        shapes[0] = (1, *group.read_shapes[0])
    if layer is not None and not layer.built:
        _build(layer, op.attrs["pass_time"], None if shape_in is None else (ctx.batch, *shape_in))
    kernel = CATALOGUE.kernel(group.kind)

    def compute(*reads: tf.Tensor) -> Sequence[tf.Tensor]:
        if layer is not None:
            return kernel.compute(group, reads, ctx)
        with tf.variable_creator_scope(lambda *_, **__: _refuse_variable(op.tag)):
            return kernel.compute(group, reads, ctx)

    function = tf.function(compute, autograph=False)
    return function.get_concrete_function(*[tf.TensorSpec(s, ctx.dtype) for s in shapes])


def _refuse_variable(name: str) -> None:
    """Raise ValidationError where a function makes variables, anew in each call."""
    raise ValidationError(
        f"{name}: the function makes a variable, such as a weight of a Keras layer, whenever it is "
        f"called. Make the layer once, outside of the function, and give the layer itself as "
        f"tensor_func: then its weights are trained and saved",
        attr="tensor_func",
    )


def _warn_of_untrained(
    name: str, traced: tf.types.experimental.ConcreteFunction, known: Collection[int]
) -> None:
    """Warn of variables that a function reads, and that no layer of the simulation has."""
    used = sorted(v.name.partition(":")[0] for v in traced.graph.variables if id(v) not in known)
    if used:
        warn(
            f"{name}: the function uses {', '.join(map(repr, used))}, which fit does not train, "
            f"and save_params does not save. Make it a weight of a Keras layer, and give the layer "
            f"as tensor_func"
        )


def _build(layer: keras.layers.Layer, pass_time: bool, shape: tuple[int, ...] | None) -> None:
    """Let a layer make its weights."""
    args = [keras.KerasTensor(())] if pass_time else []
    if shape is not None:
        args.append(keras.KerasTensor(shape))
    layer(args[0] if len(args) == 1 else args, training=False)
