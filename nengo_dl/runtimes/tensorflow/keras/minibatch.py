"""A minibatch as Keras hands it over: inputs, targets and weights by name, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ....compiler.ir import Block
from ...by_position import check_complete, of_minibatch, unknown
from ...plan import Plan
from ..backend import Nested, check_finite
from .padding import room_for_steps

Tensors = dict[str, tf.Tensor]  # by the name of a node or a probe
#: Data as users give them: by name, or in the order of nodes or probes.
Data: TypeAlias = Mapping[str, tf.Tensor] | list[tf.Tensor] | tuple[tf.Tensor, ...] | tf.Tensor


@dataclass(frozen=True, kw_only=True)
class Minibatch:
    """Data of b items for n steps.

    Attributes
    ----------
    x : dict of str to tensor (b, n or 1, size)
        By the name of the node, and `n_steps` (b, 1).
    y : dict of str to tensor, or None
        Targets by the name of the probe.
    weight : dict of str to tensor, or None
        Of items, or of items and steps, by the name of the probe.
    items, steps : int
        b and n.
    """

    x: Tensors
    y: Tensors | None
    weight: Tensors | None
    items: int
    steps: int

    def still(self, plan: Plan) -> frozenset[Block]:
        """Inputs that have one row for all steps."""
        return frozenset(b for name, b in plan.inputs.items() if self.x[name].shape[1] == 1)

    def with_room(self, room: int) -> Minibatch:
        """The same with inputs of more steps, which mean nothing."""
        x = {k: v if k == "n_steps" else room_for_steps(v, room) for k, v in self.x.items()}
        return replace(self, x=x)


def inputs_by_name(x: Data, plan: Plan) -> Tensors:
    """Inputs of a minibatch; those without names are the nodes in order, and then `n_steps`."""
    names = [*plan.inputs, "n_steps"]
    if not isinstance(x, Mapping):
        x = of_minibatch(x, names, "x")
    for name in x:
        if name not in names:
            raise unknown(name, "input", list(plan.inputs), "x")
    check_complete(x, list(plan.inputs))
    return {name: x[name] for name in names if name in x}


def inputs_of_call(x: Data, plan: Plan) -> Tensors:
    """Inputs of a call of the Keras model, by name, and `n_steps` if they show it.

    Raises
    ------
    ValidationError
        If something is missing, or is known already and not finite.
    """
    x = inputs_by_name(x, plan)
    for name in plan.inputs:
        if _is_known(x[name]):
            array = np.asarray(x[name]).astype(plan.dtype, copy=False)
            if array.ndim == 3:
                check_finite(array, name)
    first = next(iter(x.values()))
    if "n_steps" not in x and not keras.backend.is_keras_tensor(first):
        items, steps = tf.unstack(tf.shape(first)[:2])
        counts = tf.fill((items, 1), steps)  # an array among arrays: Keras takes no mixture
        x["n_steps"] = counts if tf.is_tensor(first) else counts.numpy()
    return x


def _is_known(value: object) -> bool:
    """Whether this has values, and is no part of a graph nor of several replicas."""
    if isinstance(value, tf.Tensor):
        return not tf.is_symbolic_tensor(value)
    return isinstance(value, np.ndarray | list | tuple)


def targets_by_name(
    y: Data | None, losses: Sequence[str], plan: Plan, attr: str = "y"
) -> Tensors | None:
    """Targets, or weights; those without names are of the probes with a loss, or of all."""
    if y is None:
        return None
    if isinstance(y, Mapping):
        for name in y:
            if name not in plan.outputs:
                kind = "target" if attr == "y" else attr
                raise unknown(name, kind, list(plan.outputs), attr)
    else:
        y = of_minibatch(y, list(plan.outputs), attr, losses)
    return {name: value for name, value in y.items() if value is not None}


def read(data: Nested, losses: Sequence[str], plan: Plan) -> Minibatch:
    """Bring what Keras's iterators give into one form, and check it.

    Raises
    ------
    ValidationError
        If something is missing, has no name, or does not fit.
    """
    data = keras.tree.map_structure(_or_none, data)
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    x = inputs_by_name(x, plan)
    x = {k: _tensor(v, "int32" if k == "n_steps" else plan.dtype) for k, v in x.items()}
    y = targets_by_name(y, losses, plan)
    y = y if y is None else {name: tf.convert_to_tensor(v) for name, v in y.items()}
    items, steps = _shape(x, plan)
    if "n_steps" not in x:
        x["n_steps"] = tf.fill((items, 1), steps)
    weight = _weights(weight, y, losses, plan)
    for name, value in (y or {}).items():
        if value.shape.rank == 0 or value.shape[0] != items:
            raise ValidationError(
                f"targets for {name!r} have shape {tuple(value.shape)} in a minibatch of {items} "
                f"items",
                attr="y",
            )
    return Minibatch(x=x, y=y or None, weight=weight, items=items, steps=steps)


def _or_none(value: tf.Tensor) -> tf.Tensor | None:
    return None if isinstance(value, tf.experimental.Optional) else value


def _tensor(value: ArrayLike | tf.Tensor, dtype: str) -> tf.Tensor:
    tensor = tf.convert_to_tensor(value)
    return tensor if tensor.dtype == dtype else tf.cast(tensor, dtype)


def _weights(
    weight: Data | None, y: Tensors | None, losses: Sequence[str], plan: Plan
) -> Tensors | None:
    """Weights by name: one tensor for all targets, or one each."""
    if weight is None or not y:
        return None
    if not isinstance(weight, Mapping | list | tuple):
        weight = dict.fromkeys(y, weight)
    weight = targets_by_name(weight, losses, plan, "sample_weight") or {}
    return {name: tf.convert_to_tensor(v) for name, v in weight.items()}


def _shape(x: Tensors, plan: Plan) -> tuple[int, int]:
    """Items and steps of the inputs."""
    for name, block in plan.inputs.items():
        given = tuple(x[name].shape)
        if len(given) != 3 or given[2] != block.size or 0 in given[:2]:
            raise ValidationError(
                f"a minibatch has data of shape {given} for {name!r}, expected "
                f"(items, steps, {block.size}), at least one of each",
                attr="x",
            )
    items = {name: value.shape[0] for name, value in x.items()}
    if len(set(items.values())) > 1:
        found = ", ".join(f"{name}: {n}" for name, n in items.items())
        raise ValidationError(f"inputs of a minibatch differ in their items ({found})", attr="x")
    present = next(iter(items.values()))
    if present > plan.batch:
        raise ValidationError(
            f"a minibatch of a Dataset or generator has {present} items, expected at most the "
            f"minibatch size of the simulator, {plan.batch}",
            attr="x",
        )
    return present, _steps(x, plan)


def _steps(x: Tensors, plan: Plan) -> int:
    lengths = {name: x[name].shape[1] for name in plan.inputs}
    shown = {n for n in lengths.values() if n > 1} or set(lengths.values())
    if len(shown) > 1:
        found = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise ValidationError(f"inputs of a minibatch differ in their steps ({found})", attr="x")
    if "n_steps" not in x:
        steps = shown.pop()
    else:
        stated = set(x["n_steps"].numpy().ravel().tolist())
        steps = stated.pop()
        if stated or (shown and shown - {1, steps}):
            raise ValidationError(
                f"a minibatch has data of {max(shown, default=steps)} steps, but n_steps is "
                f"{', '.join(map(str, [steps, *stated]))}",
                attr="n_steps",
            )
    if steps < 1 or steps % plan.unroll:
        raise ValidationError(
            f"the number of steps ({steps}) must be a positive multiple of unroll_simulation "
            f"({plan.unroll})",
            attr="n_steps",
        )
    return steps
