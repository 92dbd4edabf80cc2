"""Synaptic filters, discretised as Nengo does it (zero-order hold).

lowpass         x' = a x + b u;                y = x'
linear_filter   x' = A x + B u;                y = C x'  or, with feed-through,  y = C x + D u
triangle        y' = y + n0 u - Σ history;     the history is a ring of the last taps
The result is what the filter gives out in the next step.

Trained time constants are given by their logarithms, so that every value makes a stable filter:
decay             q = dt / max(e^p, least);   a = e^{-q};   b = 1 - a;   r = q a
trained_lowpass   x' = a x + b u;             y = x'
trained_alpha     x1' = a x1 + b u;           x2' = a x2 + b u + r (x1 - u);     y = x2'
which is the exact solution of  τ dx1/dt = u - x1,  τ dx2/dt = x1 - x2  for u constant over a step.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from ..compiler.ir import Group, Op
from .abilities import NamesResiduals, StepsInNumPy
from .arrays import Action, Arrays, Tensors
from .base import Kernel
from .constants import constant
from .context import Context
from .later import ops
from .registry import kernel


@kernel("lowpass")
class Lowpass(Kernel, NamesResiduals, StepsInNumPy):
    """Filters with one state variable and no feed-through; coefficients may differ by op."""

    any_order = True
    inlines = True

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return None

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        x, u = reads
        a, b = (_per_element(group, name, ctx.dtype) for name in ("a", "b"))
        return [a * x + b * u]

    def residuals(self, group: Group) -> int:
        return 0

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        (x, u), (out,) = reads, writes
        a, b = (
            np.ravel(_per_element(group, name, ctx.dtype)).astype(ctx.dtype) for name in ("a", "b")
        )
        scaled = np.empty_like(out)

        def compute() -> None:
            np.multiply(a, x, out)
            np.multiply(b, u, scaled)
            np.add(out, scaled, out)

        return compute


def _per_element(group: Group, name: str, dtype: str) -> float | np.ndarray:
    values = [op.attrs[name] for op in group.ops]
    # a number is a constant of the compiled loop; an array would be read in each step
    if all(v == values[0] for v in values):
        return float(values[0])
    return group.per_element(values).astype(dtype)


@kernel("linear_filter")
class LinearFilter(Kernel, NamesResiduals, StepsInNumPy):
    """Any other linear system with one input and one output for each element."""

    inlines = True

    def signature(self, op: Op) -> Hashable:
        return bool(op.attrs["feeds_through"])

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        x, u = reads
        A, B, C, D = (constant([op.attrs[name] for op in group.ops], ctx.dtype) for name in "ABCD")
        following = ops.einsum("gij,lgjd->lgid", A, x) + B[None, :, :, None] * u[:, :, None, :]
        if not group.ops[0].attrs["feeds_through"]:
            return [ops.einsum("gi,lgid->lgd", C, following), following]
        # Nengo's form of systems with feed-through: of the state before the step
        return [ops.einsum("gi,lgid->lgd", C, x) + D[None, :, None] * u, following]

    def residuals(self, group: Group) -> int:
        return 0

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        x, u = reads
        following, y = writes[1].reshape(x.shape), writes[0].reshape(u.shape)
        A, B, C, D = (np.array([op.attrs[n] for op in group.ops], ctx.dtype) for n in "ABCD")
        B, C, D = B[:, :, None], C[:, None, :], D[:, None]
        driven, passed = np.empty_like(x), np.empty_like(u)
        feeds_through = group.ops[0].attrs["feeds_through"]
        shown = x if feeds_through else following

        def compute() -> None:
            np.matmul(A, x, out=following)
            np.multiply(B, u[:, None, :], out=driven)
            np.add(following, driven, out=following)
            np.matmul(C, shown, out=y[:, None, :])
            if feeds_through:
                np.multiply(D, u, out=passed)
                np.add(y, passed, out=y)

        return compute


@kernel("triangle")
class Triangle(Kernel, StepsInNumPy):
    """Finite, linearly falling impulse response."""

    inlines = True

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        y, history, where, u = reads
        attrs = group.ops[0].attrs
        # the history of before this input: its own slope begins with the next step
        y = y + attrs["n0"] * u - ops.sum(history, axis=2)
        where = ops.mod(where + 1, attrs["n_taps"])
        taps = constant(np.arange(attrs["n_taps"])[:, None], ctx.dtype)
        # a comparison with all places: elementwise, where a scatter is a loop of its own on XLA:CPU
        here = ops.equal(ops.expand_dims(where, 2), taps)
        slope = ops.expand_dims(attrs["slope"] * u, 2)
        return [y, ops.where(here, slope, history), where]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        y, history, where, u = reads
        y_after, history_after, where_after = (
            w.reshape(r.shape) for w, r in zip(writes, reads[:3], strict=True)
        )
        n_taps, n0, slope = (group.ops[0].attrs[name] for name in ("n_taps", "n0", "slope"))
        members, scratch = np.arange(len(u)), np.empty_like(u)

        def compute() -> None:
            np.multiply(u, n0, out=y_after)
            np.add(y, y_after, out=y_after)
            np.sum(history, axis=1, out=scratch)
            np.subtract(y_after, scratch, out=y_after)
            np.add(where, 1, out=where_after)
            np.remainder(where_after, n_taps, out=where_after)
            np.multiply(u, slope, out=scratch)
            history_after[:] = history
            history_after[members, where_after[:, 0].astype(np.intp)] = scratch

        return compute


@kernel("decay")
class Decay(Kernel):
    """Coefficients a, b and r of filters, from logarithms of their time constants in seconds."""

    def flat(self, op: Op) -> bool:
        return True

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        (log_tau,) = reads
        # bounded, as τ may underflow to 0 in training, and q a would be ∞ · 0
        step = ctx.dt / ops.maximum(ops.exp(log_tau), group.ops[0].attrs["least"])
        left = ops.exp(-step)
        # b is not 1 - a: for slow filters a is nearly 1, and most digits would cancel
        return [left, -ops.expm1(-step), step * left]


@kernel("trained_lowpass")
class TrainedLowpass(Kernel):
    """First-order filters; a coefficient for each element."""

    def flat(self, op: Op) -> bool:
        return True

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        x, u, a, b = reads
        return [a * x + b * u]


@kernel("trained_alpha")
class TrainedAlpha(Kernel):
    """Two first-order filters of one time constant in a row."""

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        x, u, a, b, r = reads
        x1, x2 = x[:, :, 0], x[:, :, 1]
        second = a * x2 + b * u + r * (x1 - u)
        return [second, ops.stack([a * x1 + b * u, second], axis=2)]
