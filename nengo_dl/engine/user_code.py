"""The user's tensor code: its layers, its mistakes, and whether XLA can compile it."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ..compiler.ir import Group, Program
from ..kernels.context import Context
from ..kernels.registry import CATALOGUE
from .backend import uncompilable_ops

CALLS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}  # operations that call Python


def layers_in(program: Program) -> list[keras.layers.Layer]:
    """Keras layers in TensorNodes; each once."""
    found = [op.attrs["layer"] for op in program.ops if op.kind == "tensor_node"]
    return list({id(layer): layer for layer in found if layer is not None}.values())


def uncompiled_groups(program: Program, ctx: Context) -> list[Group]:
    """Groups that XLA cannot compile.

    Layers are built, and each TensorNode is traced by itself: a mistake in it shows here.
    """
    return [g for g in program.groups if not _is_compiled(g, ctx)]


def begin_anew(program: Program, restart: Callable[[], None]) -> None:
    """Emit that Python of the user's begins anew, if a program has some that may keep a state."""
    ops = [op for g in program.groups for op in g.ops]
    if not any(op.kind in ("host", "source") and op.attrs["turn"] is not None for op in ops):
        return

    def call() -> np.ndarray:
        restart()
        return np.zeros((), np.int32)

    tf.numpy_function(call, [], tf.int32)


def calls_python(group: Group, ctx: Context) -> bool:
    """Whether the user's tensor code calls Python when it runs."""
    return bool(_obstacles(group, ctx) & CALLS)


def _is_compiled(group: Group, ctx: Context) -> bool:
    if group.kind != "tensor_node":
        return CATALOGUE.is_compiled(group.ops[0])
    return not _obstacles(group, ctx)


def _obstacles(group: Group, ctx: Context) -> set[str]:
    """Types of operations in a TensorNode that XLA cannot compile."""
    (op,) = group.ops
    layer, shape_in = op.attrs["layer"], op.attrs["shape_in"]
    shapes = [(ctx.batch if shape_in is not None else 1, *s) for s in group.read_shapes]
    if op.attrs["pass_time"]:
        shapes[0] = (1, *group.read_shapes[0])
    if layer is not None and not layer.built:
        _build(layer, op.attrs["pass_time"], None if shape_in is None else (ctx.batch, *shape_in))
    kernel = CATALOGUE.kernel(group.kind)
    function = tf.function(lambda *reads: kernel.compute(group, reads, ctx), autograph=False)
    traced = function.get_concrete_function(*[tf.TensorSpec(s, ctx.dtype) for s in shapes])
    return uncompilable_ops(traced)


def _build(layer: keras.layers.Layer, pass_time: bool, shape: tuple[int, ...] | None) -> None:
    """Let a layer make its weights."""
    args = [keras.KerasTensor(())] if pass_time else []
    if shape is not None:
        args.append(keras.KerasTensor(shape))
    layer(args[0] if len(args) == 1 else args)
