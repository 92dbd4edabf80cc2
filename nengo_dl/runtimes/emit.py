"""From groups to tensors: arguments are assembled from blocks, and kernels compute new blocks.

Within this module every block is an array (L, size): L rows, or one row that all share.  Blocks
that a loop holds interleaved are arrays (L, elements, members).  All is in `keras.ops`, and so for
runtimes on any back end of Keras's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..compiler.ir import Block, Group, Piece, Read
from ..compiler.tensors import Scalar
from ..kernels.arrays import Tensor
from ..kernels.context import Context
from ..kernels.later import ops
from ..kernels.registry import CATALOGUE

Blocks = dict[Block, Tensor]


def run_groups(
    groups: Iterable[Group],
    blocks: Blocks,
    rows: Scalar,
    ctx: Context,
    arguments: Mapping[Read, Tensor] = MappingProxyType({}),
) -> None:
    """Compute groups in order; `blocks` receives what they write.

    Parameters
    ----------
    groups
    blocks : dict of Block to tensor (L or 1, size)
    rows : int or scalar tensor
        L.
    ctx : Context
    arguments : dict of Read to tensor, optional
        What has been assembled before.
    """
    for group in groups:
        reads = []
        for slot, read in enumerate(group.reads):
            array = arguments.get(read)
            if array is None:
                array = argument(group, slot, blocks, rows, ctx.dtype)
            reads.append(array)
        results = CATALOGUE.kernel(group.kind).compute(group, reads, ctx)
        # what is made interleaved stays so until someone reads it in its own order
        held = group.interleaving is not None and group.interleaving.writes is not None
        for block, result in zip(group.writes, results, strict=True):
            flat = (_rows(result), block.size)
            blocks[block] = result if held else ops.reshape(result, flat)


def argument(group: Group, slot: int, blocks: Blocks, rows: Scalar, dtype: str) -> Tensor:
    """An argument of a group in the shape that its kernel wants."""
    read = group.reads[slot]
    if group.interleaving is None:
        array = assemble(read, blocks, rows, dtype)
        return ops.reshape(array, (_rows(array), *group.read_shapes[slot]))
    held = _held(read, blocks)
    if held is not None:
        return held
    return interleaved(assemble(read, blocks, rows, dtype), group.interleaving.reads[slot])


def interleaved(array: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Move the members of an array (L, members * ...) of the given shape to its last axis."""
    return ops.moveaxis(ops.reshape(array, (_rows(array), *shape)), 1, -1)


def in_own_order(array: Tensor) -> Tensor:
    """A block as (L, size), if it was interleaved."""
    if len(array.shape) == 2:
        return array
    _, elements, members = array.shape
    return ops.reshape(ops.transpose(array, (0, 2, 1)), (_rows(array), elements * members))


def as_held(read: Read, blocks: Blocks, rows: Scalar, dtype: str) -> Tensor:
    """Like `assemble`, but a whole block that is interleaved stays so."""
    held = _held(read, blocks)
    return assemble(read, blocks, rows, dtype) if held is None else held


def _held(read: Read, blocks: Blocks) -> Tensor | None:
    """The interleaved block that a read is all of."""
    if read.whole is None:
        return None
    array = blocks[read.whole]
    return array if len(array.shape) == 3 else None


def _rows(array: Tensor) -> int:
    """The first axis; -1 where it is not known yet, which only arrays with elements can tell."""
    return -1 if array.shape[0] is None else array.shape[0]


def per_item(array: Tensor, batch: int) -> Tensor:
    """An array with a row for each batch item, also where all share one."""
    if array.shape[0] == batch:
        return array
    return ops.broadcast_to(array, (batch, *array.shape[1:]))


def assemble(read: Read, blocks: Blocks, rows: Scalar, dtype: str) -> Tensor:
    """The elements that a read names: tensor (L or 1, size)."""
    parts = [_slice(piece, blocks, dtype) for piece in read.pieces]
    if not parts:
        return ops.zeros((1, 0), dtype)
    if len(parts) > 1:
        # a row that all share is repeated only beside rows that differ
        parts = [_with_rows(p, rows) for p in parts] if _differ(parts) else parts
        whole = ops.concatenate(parts, axis=1)
    else:
        whole = parts[0]
    if read.repeats is not None:
        return _repeated(whole, *read.repeats)
    return whole if read.gather is None else ops.take(whole, read.gather.astype(np.int32), axis=1)


def _repeated(array: Tensor, size: int, times: int) -> Tensor:
    """Each part of a size, several times: XLA never makes such an array."""
    parts = array.shape[1] // size
    copies = ops.tile(ops.reshape(array, (_rows(array), parts, 1, size)), (1, 1, times, 1))
    return ops.reshape(copies, (_rows(array), parts * times * size))


def _slice(piece: Piece, blocks: Blocks, dtype: str) -> Tensor:
    if piece.block is None:
        return ops.zeros((1, piece.stop - piece.start), dtype)
    array = in_own_order(blocks[piece.block])
    return array if piece.whole else array[:, piece.start : piece.stop]


def _differ(parts: Sequence[Tensor]) -> bool:
    return len({p.shape[0] for p in parts}) > 1


def _with_rows(array: Tensor, rows: Scalar) -> Tensor:
    if array.shape[0] != 1 or (isinstance(rows, int) and rows == 1):
        return array
    return ops.broadcast_to(array, (rows, array.shape[1]))
