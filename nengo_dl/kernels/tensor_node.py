"""The user's own tensor code, called once a step with the whole batch."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from nengo.exceptions import ValidationError

from ..compiler.ir import Group, Op
from .arrays import Tensors
from .base import Kernel
from .context import Context
from .host import batched
from .later import ops
from .registry import kernel


@kernel("tensor_node")
class TensorNodeKernel(Kernel):
    """Calls `func` as the TensorNode was told to, and checks what comes back."""

    user_code = True
    sequential = True
    has_effects = True
    mergeable = False
    keeps_items_apart = False

    def signature(self, op: Op) -> Hashable:
        return id(op)

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        (op,) = group.ops
        reads, args = list(reads), []
        if op.attrs["pass_time"]:
            args.append(ops.reshape(reads.pop(0)[0], ()))  # one clock for all items
        if op.attrs["shape_in"] is not None:
            args.append(ops.reshape(batched(reads[0], ctx), (ctx.batch, *op.attrs["shape_in"])))
        output = op.attrs["call"](args, ctx.training, ctx.dtype)
        size = op.writes[0].size
        check_output(output, ctx.batch, size, ctx.dtype, op.tag)
        return [ops.reshape(output, (ctx.batch, 1, size))]


def check_output(
    output: Any, batch: int | None, size: int | None, dtype: str | None, name: str
) -> None:
    """Raise ValidationError unless `output` is a tensor (batch, …) of `size` elements an item."""
    shape = getattr(output, "shape", None)
    if not ops.is_tensor(output) or shape is None:
        raise ValidationError(
            f"{name}: the function must return a tensor, got {type(output).__name__}",
            attr="tensor_func",
        )
    if batch is not None and (len(shape) == 0 or shape[0] not in (batch, None)):
        raise ValidationError(
            f"{name}: the first axis of the output must be the minibatch size {batch}, "
            f"got shape {tuple(shape)}",
            attr="tensor_func",
        )
    per_item: int | None = 1
    for n in shape[1:]:
        per_item = None if n is None or per_item is None else per_item * n
    if size is not None and per_item is not None and per_item != size:
        raise ValidationError(
            f"{name}: expected {size} output elements for each batch item, got {per_item} "
            f"(shape {tuple(shape)})",
            attr="tensor_func",
        )
    given = getattr(output.dtype, "name", output.dtype)
    if dtype is not None and given != dtype:
        raise ValidationError(
            f"{name}: expected output dtype {dtype}, got {given}", attr="tensor_func"
        )
