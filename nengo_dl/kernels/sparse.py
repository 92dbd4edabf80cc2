"""Sparse matrix times vector:  y_i = Σ_k a_k x_{c_k}  over the stored elements k of row i.

XLA has no sparse product. Rows of about equal length are padded to the longest of them (the sliced
ELLPACK format [Monakov et al. 2010]) and lie side by side, so that many are summed at a time: on a
CPU that takes a fifth of the time of a segment sum. Memory is that of the non-zeros.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from ..compiler import costs
from ..compiler.ir import Group, Op
from ..compiler.traits import Product
from .abilities import StepsInNumPy
from .arrays import Action, Arrays, Tensors
from .base import Kernel
from .context import Context
from .later import ops
from .registry import kernel


@kernel("sparse_dot")
class SparseDot(Kernel, StepsInNumPy):
    """Elements of all members of a group are summed in one go."""

    product = Product.SPARSE

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return None

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        values, x = reads
        rows, columns = _joined(group)
        size = sum(op.writes[0].size for op in group.ops)
        order, slices = _sliced(rows, columns, size)
        # the element after the last is the zero that pads short rows
        values = ops.pad(values, [[0, 0], [0, 1]])
        sums = [
            ops.sum(ops.take(values, elements, axis=1) * ops.take(x, sources, axis=1), axis=1)
            for elements, sources in slices
        ]
        if len(sums) == 1:
            return sums
        # the argsort of an order is its inverse
        return [ops.take(ops.concatenate(sums, axis=1), np.argsort(order), axis=1)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        (values, x), (out,) = reads, writes
        rows, columns = _joined(group)

        def compute() -> None:
            # adds up in double precision, whatever the precision of the simulation
            out[:] = np.bincount(rows, values * x[columns], len(out))

        return compute


def _sliced(
    rows: np.ndarray, columns: np.ndarray, size: int
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Rows by length, and for each slice of them its stored elements and their columns.

    Both are arrays (longest of the slice, rows of the slice). A single slice is in order.
    """
    counts = np.bincount(rows, minlength=size)
    ends = _ends_of_slices(counts)
    # stable: rows of one length stay in order, so that gathers go forward through memory
    order = np.argsort(counts, kind="stable") if len(ends) > 1 else np.arange(size)
    starts = np.cumsum(counts) - counts
    stored = np.argsort(rows, kind="stable").astype(np.int32)  # row after row
    slices = []
    for mine in np.split(order, ends[:-1]):
        longest = counts[mine].max(initial=0)
        place = np.arange(longest)[:, None]
        padding = place >= counts[mine]
        at = np.where(padding, 0, starts[mine] + place)
        elements = np.where(padding, len(rows), stored[at] if len(stored) else 0)
        sources = np.where(padding, 0, columns[stored[at]] if len(stored) else 0)
        slices.append((elements.astype(np.int32), sources.astype(np.int32)))
    return order, slices


def _ends_of_slices(counts: np.ndarray) -> list[int]:
    """Where slices of the rows, by length, end, so that little is padded in each."""
    lengths, n_rows = np.unique(counts, return_counts=True)
    ends: list[int] = []
    end = len(counts)
    longest = padding = stored = 0
    bounds = costs.current()
    # from the longest rows on: a slice ends where padding would cost more than another gather
    for length, n in zip(lengths[::-1].tolist(), n_rows[::-1].tolist(), strict=True):
        padding += (longest - length) * n
        worth = stored // bounds.sparse_padding
        if not ends or padding > max(bounds.sparse_padding_elements, worth):
            ends.append(end)
            longest, padding, stored = length, 0, 0
        stored += length * n
        end -= n
    return ends[::-1] or [0]


def _joined(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in the arrays of the group."""
    rows, columns, row, column = [], [], 0, 0
    for op in group.ops:
        rows.append(op.attrs["rows"] + row)
        columns.append(op.attrs["columns"] + column)
        row += op.writes[0].size
        column += op.reads[1].size
    return np.concatenate(rows).astype(np.int32), np.concatenate(columns).astype(np.int32)
