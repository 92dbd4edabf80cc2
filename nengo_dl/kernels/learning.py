"""Learning rules: what is added to the weights in the next step.

PES   -(κ dt / n) e ⊗ a                          [MacNeil & Eliasmith 2011, PLoS ONE 6(9)]
BCM   κ dt  post (post - θ) ⊗ pre                [Bienenstock, Cooper & Munro 1982]
Oja   κ dt (post ⊗ pre - β post² W)              [Oja 1982]
Voja  κ dt l (s post ⊗ x - post E)               [Voelker, Crawford & Eliasmith 2014]
RLS   -e ⊗ (P a) / (1 + aᵀ P a), P -= P a aᵀ P / (1 + aᵀ P a)
Each batch item learns by itself.
"""

from __future__ import annotations

import numpy as np

from ..compiler.ir import Group, Op
from .abilities import InlinesByGroup, StepsInNumPy
from .arrays import Action, Arrays, Tensor, Tensors
from .base import Kernel
from .constants import constant
from .context import Context
from .later import ops
from .registry import kernel


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    return ops.expand_dims(rows, -1) * ops.expand_dims(columns, -2)


def _matrices(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What is written, as one matrix for each op of the group."""
    return array.reshape(*rows.shape, columns.shape[1])


def _outer_into(out: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    # into its place: each array as large as the weights costs as much as the product
    np.multiply(rows[:, :, None], columns[:, None, :], out=out)


class _Rule(Kernel):
    """Rules with different rates share a group."""

    inlines = True

    def signature(self, op: Op) -> None:
        return None

    @staticmethod
    def attr(group: Group, name: str, ctx: Context) -> Tensor:
        # rates are constants of the program, one for each op, and broadcast over items and neurons
        return constant([op.attrs[name] for op in group.ops], ctx.dtype)[None, :, None]

    @staticmethod
    def column(group: Group, name: str, ctx: Context) -> np.ndarray:
        """An attribute of each op, for the arrays of `in_numpy`."""
        return np.array([[op.attrs[name]] for op in group.ops], ctx.dtype)


@kernel("pes")
class PES(_Rule, StepsInNumPy):
    """Prescribed error sensitivity."""

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        pre, error = reads
        # scaled before the outer product: as many numbers as rows, not as weights
        return [_outer(self.attr(group, "scale", ctx) * error, pre)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        pre, error = reads
        scale = self.column(group, "scale", ctx)
        out = _matrices(writes[0], error, pre)
        return lambda: _outer_into(out, scale * error, pre)


@kernel("bcm")
class BCM(_Rule, StepsInNumPy):
    """Bienenstock-Cooper-Munro."""

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        pre, post, theta = reads
        return [_outer(self.attr(group, "scale", ctx) * post * (post - theta), pre)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        pre, post, theta = reads
        scale = self.column(group, "scale", ctx)
        out = _matrices(writes[0], post, pre)
        return lambda: _outer_into(out, scale * post * (post - theta), pre)


@kernel("oja")
class Oja(_Rule, StepsInNumPy):
    """Hebbian learning with forgetting."""

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        pre, post, weights = reads
        scale = self.attr(group, "scale", ctx)
        forget = self.attr(group, "beta", ctx) * scale * post * post
        return [_outer(scale * post, pre) - ops.expand_dims(forget, -1) * weights]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        pre, post, weights = reads
        scale = self.column(group, "scale", ctx)
        forget = self.column(group, "beta", ctx) * scale
        out = _matrices(writes[0], post, pre)
        forgotten = np.empty_like(out)

        def compute() -> None:
            np.multiply((forget * post * post)[:, :, None], weights, out=forgotten)
            _outer_into(out, scale * post, pre)
            np.subtract(out, forgotten, out=out)

        return compute


@kernel("voja")
class Voja(_Rule, StepsInNumPy):
    """Vector Oja: encoders of active neurons move towards the input."""

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        pre, post, encoders, learning, gain = reads
        scale = self.attr(group, "scale", ctx) * learning
        change = _outer(gain * post, pre) - ops.expand_dims(post, -1) * encoders
        return [ops.expand_dims(scale, -1) * change]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        pre, post, encoders, learning, gain = reads
        scale = self.column(group, "scale", ctx)
        out = _matrices(writes[0], post, pre)
        forgotten = np.empty_like(out)

        def compute() -> None:
            np.multiply(post[:, :, None], encoders, out=forgotten)
            _outer_into(out, gain * post, pre)
            np.subtract(out, forgotten, out=out)
            np.multiply((scale * learning)[:, :, None], out, out=out)

        return compute


@kernel("rls")
class RLS(_Rule, InlinesByGroup, StepsInNumPy):
    """Recursive least squares."""

    def inlined(self, group: Group, batch: int) -> bool:
        return batch == 1

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        pre, error, inverse = reads
        # P stays symmetric, so that P a is both factors of P a aᵀ P: vectors, and no second product
        projected = ops.squeeze(ops.matmul(inverse, ops.expand_dims(pre, -1)), -1)
        norm = 1 / (1 + ops.sum(pre * projected, axis=-1, keepdims=True))
        delta = _outer(error, -norm * projected)
        return [delta, inverse - _outer(projected, norm * projected)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        pre, error, inverse = reads
        delta, following = _matrices(writes[0], error, pre), writes[1].reshape(inverse.shape)
        projected = np.empty_like(pre)

        def compute() -> None:
            np.matmul(inverse, pre[:, :, None], out=projected[:, :, None])
            norm = 1 / (1 + np.sum(pre * projected, axis=1, keepdims=True))
            _outer_into(delta, error, -norm * projected)
            _outer_into(following, projected, norm * projected)
            np.subtract(inverse, following, out=following)

        return compute
