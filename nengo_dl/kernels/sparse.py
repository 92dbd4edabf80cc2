"""Sparse matrix times vector:  y_i = Σ_k a_k x_{c_k}  over the stored elements k of row i.

XLA has no sparse product, so it is a gather and a segment sum; memory is that of the non-zeros.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from keras import ops

from ..compiler.ir import Group, Op
from .registry import Context, Kernel, kernel


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
        terms = values * ops.take(x, columns, axis=1)
        sums = ops.segment_sum(ops.transpose(terms), rows, num_segments=size)
        return [ops.transpose(sums)]


def _joined(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in the arrays of the group."""
    rows, columns, row, column = [], [], 0, 0
    for op in group.ops:
        rows.append(op.attrs["rows"] + row)
        columns.append(op.attrs["columns"] + column)
        row += op.writes[0].size
        column += op.reads[1].size
    return np.concatenate(rows).astype(np.int32), np.concatenate(columns).astype(np.int32)
