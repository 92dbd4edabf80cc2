"""Inputs whose Python is called within each step, as it may share objects with other Python.

Where the user gives no values, these inputs are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

import numpy as np

from ..compiler.ir import Group, Op
from .abilities import StepsInNumPy
from .arrays import Action, Arrays, Tensors
from .base import Kernel
from .context import Context
from .host import batched
from .later import ops
from .registry import kernel


class MakesRows(Protocol):
    """A source of the present call."""

    def rows(self, first: int, n: int) -> np.ndarray:
        """Values of the n steps after the `first`: array (n or 1, 1 or B, size)."""
        ...


class Called:
    """The rows that sources make, one step at a time.

    Parameters
    ----------
    source_of : callable
        `source_of(feed)` is the source of an input in the present call.
    """

    def __init__(self, source_of: Callable[[Any], MakesRows]) -> None:
        self._source_of = source_of
        self._rows: dict[Hashable, np.ndarray] = {}

    def rows(self, feed: Hashable, step: int) -> np.ndarray:
        """Make the values of a step: array (1 or B, size)."""
        rows: np.ndarray = self._source_of(feed).rows(step - 1, 1)[0]
        return rows

    def row(self, feed: Hashable, step: int, item: int) -> np.ndarray:
        """Those of one item, made with those of the first, which asks first."""
        # one call makes the rows of all items: Python of the user's may count its calls
        if item == 0:
            self._rows[feed] = self.rows(feed, step)
        rows = self._rows[feed]
        row: np.ndarray = rows[item if len(rows) > 1 else 0]
        return row


@kernel("source")
class CalledSources(Kernel, StepsInNumPy):
    """What the user gives, or what Python makes; those whose turns follow each other are one call.

    Functions of time are called once a step, for all items.
    """

    sequential = True
    compiled = False
    restarts = True
    has_effects = True
    mergeable = False

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return len(op.reads), len(op.writes)

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        steps, *given = reads
        shape = (ctx.batch, sum(size for _, size in _sizes(group)))
        values = batched(given[0], ctx) if given else ops.full(shape, np.nan, ctx.dtype)

        def call(step: np.ndarray, given: np.ndarray) -> list[np.ndarray]:
            result = given.copy()
            for op, part in _parts(group):
                if _is_missing(given[:, part]):
                    result[:, part] = ctx.called.rows(op.attrs["feed"], int(step))
            return [result]

        (made,) = ctx.host(call, [steps[0, 0], values], [shape])
        return [ops.where(ops.isnan(values), made, values)] if group.writes else []

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        steps, *given = reads
        result = writes[0] if writes else np.zeros(0)
        values = given[0] if given else np.full(result.shape, np.nan)
        parts = [(op.attrs["feed"], part) for op, part in _parts(group)]

        def call() -> None:
            for feed, part in parts:
                missing = _is_missing(values[part])
                result[part] = (
                    ctx.called.row(feed, int(steps[0]), ctx.item) if missing else values[part]
                )

        return call


def _is_missing(given: np.ndarray) -> bool:
    """Whether the user gave no values; of what has no elements, nobody can give some."""
    return given.size == 0 or bool(np.isnan(given.flat[0]))


def _sizes(group: Group) -> list[tuple[Op, int]]:
    return [(op, op.writes[0].size if op.writes else 0) for op in group.ops]


def _parts(group: Group) -> list[tuple[Op, slice]]:
    """Each input of a group, and where its values lie."""
    parts, end = [], 0
    for op, size in _sizes(group):
        parts.append((op, slice(end, end + size)))
        end += size
    return parts
