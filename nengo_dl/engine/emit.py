"""From groups to tensors: arguments are assembled from blocks, and kernels compute new blocks.

Within this module every block is an array (L, size): L rows, or one row that all share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from keras import ops

from ..compiler.ir import Block, Group, Piece, Read
from ..kernels.registry import CATALOGUE, Context

Blocks = dict[Block, Any]


def run_groups(
    groups: Iterable[Group],
    blocks: Blocks,
    rows: Any,
    ctx: Context,
    arguments: Mapping[Read, Any] = MappingProxyType({}),
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
        for read, shape in zip(group.reads, group.read_shapes, strict=True):
            array = arguments.get(read)
            array = assemble(read, blocks, rows, ctx.dtype) if array is None else array
            reads.append(ops.reshape(array, (_rows(array), *shape)))
        results = CATALOGUE.kernel(group.kind).compute(group, reads, ctx)
        for block, result in zip(group.writes, results, strict=True):
            blocks[block] = ops.reshape(result, (_rows(result), block.size))


def _rows(array: Any) -> int:
    """The first axis; -1 where it is not known yet, which only arrays with elements can tell."""
    return -1 if array.shape[0] is None else array.shape[0]


def assemble(read: Read, blocks: Blocks, rows: Any, dtype: str) -> Any:
    """The elements that a read names: tensor (L or 1, size)."""
    parts = [_slice(piece, blocks, dtype) for piece in read.pieces]
    if not parts:
        return ops.zeros((1, 0), dtype)
    if len(parts) > 1:
        parts = [_with_rows(p, rows) for p in parts] if _differ(parts) else parts
        whole = ops.concatenate(parts, axis=1)
    else:
        whole = parts[0]
    return whole if read.gather is None else ops.take(whole, read.gather.astype(np.int32), axis=1)


def _slice(piece: Piece, blocks: Blocks, dtype: str) -> Any:
    if piece.block is None:
        return ops.zeros((1, piece.stop - piece.start), dtype)
    array = blocks[piece.block]
    return array if piece.whole else array[:, piece.start : piece.stop]


def _differ(parts: list) -> bool:
    return len({p.shape[0] for p in parts}) > 1


def _with_rows(array: Any, rows: Any) -> Any:
    if array.shape[0] != 1 or (isinstance(rows, int) and rows == 1):
        return array
    return ops.broadcast_to(array, (rows, array.shape[1]))
