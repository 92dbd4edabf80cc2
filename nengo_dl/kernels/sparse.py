"""Sparse matrix times vector:  y_i = Σ_k a_k x_{c_k}  over the stored elements k of row i.

XLA has no sparse product. Rows are padded to the longest one and summed (the ELLPACK format): on a
CPU that takes a third of the time of a segment sum. Where a few rows are much longer than the
others, padding would cost more than it saves, and segments are summed. Memory is that of the
non-zeros either way.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from keras import ops

from ..compiler.ir import Group, Op
from .registry import Action, Arrays, Context, Kernel, kernel

MOST_PADDING = 3  # of elements with padding, for each stored one


@kernel("sparse_dot")
class SparseDot(Kernel):
    """Elements of all members of a group are summed in one go."""

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return None

    def compute(self, group: Group, reads: Sequence[Any], ctx: Context) -> Sequence[Any]:
        values, x = reads
        rows, columns = _joined(group)
        size = sum(op.writes[0].size for op in group.ops)
        longest = int(np.bincount(rows, minlength=1).max(initial=0))
        if longest * size > MOST_PADDING * max(len(rows), 1):
            terms = values * ops.take(x, columns, axis=1)
            sums = ops.segment_sum(ops.transpose(terms), rows, num_segments=size)
            return [ops.transpose(sums)]
        elements, sources = _padded(rows, columns, size, longest)
        # the element after the last is the zero that pads short rows
        padded = ops.take(ops.pad(values, [[0, 0], [0, 1]]), elements, axis=1)
        return [ops.sum(padded * ops.take(x, sources, axis=1), axis=-1)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        (values, x), (out,) = reads, writes
        rows, columns = _joined(group)

        def compute() -> None:
            out[:] = np.bincount(rows, values * x[columns], len(out))

        return compute


def _padded(
    rows: np.ndarray, columns: np.ndarray, size: int, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each row, its stored elements and their columns: two arrays (size, longest)."""
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=size)
    position = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    elements = np.full((size, longest), len(rows), dtype=np.int32)
    sources = np.zeros((size, longest), dtype=np.int32)
    elements[rows[order], position] = order
    sources[rows[order], position] = columns[order]
    return elements, sources


def _joined(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in the arrays of the group."""
    rows, columns, row, column = [], [], 0, 0
    for op in group.ops:
        rows.append(op.attrs["rows"] + row)
        columns.append(op.attrs["columns"] + column)
        row += op.writes[0].size
        column += op.reads[1].size
    return np.concatenate(rows).astype(np.int32), np.concatenate(columns).astype(np.int32)
