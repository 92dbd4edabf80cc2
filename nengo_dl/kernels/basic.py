"""Sums and products.

sum        y = Σ_k x_k                 (elements without a k-th term read a zero)
multiply   y = a · x                   (NumPy broadcasting)
dot        y = A x                     (batched over the ops of a group)
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import reduce
from operator import add

import numpy as np

from ..compiler import costs
from ..compiler.arrange import depth_of
from ..compiler.ir import ROUTE, SUM, Group, Interleaving, Op, Role
from ..compiler.traits import Product
from .abilities import InlinesByGroup, NamesResiduals, StepsInNumPy
from .arrays import Action, Arrays, Gradient, Tensor, Tensors
from .base import Kernel
from .context import Context
from .later import ops
from .registry import kernel


@kernel(SUM)
class Sum(Kernel, NamesResiduals, StepsInNumPy):
    """Sums of views; those of about equally many terms share a group."""

    mergeable = False  # they differ in where their terms go
    any_order = True
    inlines = True

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        # learned weights are large, and their own array: nothing is to be put next to them
        learned = any(v.signal.role is Role.ADAPTED for v in op.reads)
        depth = depth_of(op)
        # all are padded to the longest of their group, which has less than twice their terms
        about = depth if depth < 4 else 2 ** depth.bit_length()
        return (about, op.writes[0].dtype, op.writes[0].shape if learned else None)

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        # one argument (L, terms, N) that was gathered at once, or one for each term
        gathered = len(group.read_shapes[0]) == 2
        return [ops.sum(reads[0], axis=1) if gathered else reduce(add, reads)]

    def residuals(self, group: Group) -> int:
        return 0  # it is linear

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        (out,) = writes
        first, *rest = reads[0] if reads[0].ndim == 2 else reads

        def compute() -> None:
            np.copyto(out, first)
            for term in rest:
                np.add(out, term, out)

        return compute


@kernel(ROUTE)
class Route(Kernel):
    """Sums of which no element has two terms: whoever reads one reads its sources instead."""

    mergeable = False


@kernel("multiply")
class Multiply(Kernel, StepsInNumPy):
    """Elementwise products."""

    product = Product.ELEMENTWISE
    any_order = True
    inlines = True

    def flat(self, op: Op) -> bool:
        # what is broadcast does not lie element by element beside what it multiplies
        return op.reads[0].shape == op.reads[1].shape == op.writes[0].shape

    def signature(self, op: Op) -> Hashable:
        return None if self.flat(op) else op.writes[0].shape

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        rank = max(len(r.shape) for r in reads)
        a, x = (_with_rank(r, rank) for r in reads)
        return [a * x]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        rank = max(r.ndim for r in reads)
        a, x = (r.reshape(r.shape[0], *[1] * (rank - r.ndim), *r.shape[1:]) for r in reads)
        out = writes[0].reshape(np.broadcast_shapes(a.shape, x.shape))
        return lambda: np.multiply(a, x, out)


def _with_rank(array: Tensor, rank: int) -> Tensor:
    """Broadcast as NumPy does it, with batch and group axes staying in front."""
    missing = rank - len(array.shape)
    return ops.reshape(array, (-1, array.shape[1], *[1] * missing, *array.shape[2:]))


@kernel("dot")
class Dot(Kernel, InlinesByGroup, StepsInNumPy):
    """Matrix times vector."""

    product = Product.MATRIX

    def inlined(self, group: Group, batch: int) -> bool:
        bounds = costs.current()
        # In such a kernel a product is plain loops on one core: good enough for vectors, and for
        # few numbers. Libraries take over where rows of a batch would share a matrix.
        small = group.reads[0].size * batch <= bounds.inlined_numbers
        if batch == 1 or group.interleaving is not None or small:
            return True
        members, n = group.read_shapes[1]
        m = group.writes[0].size // members  # of all matrices for one vector
        if any(b.role is Role.ADAPTED for b in group.reads[0].blocks):
            return False
        if members == 1:
            return m == 1 or n == 1
        small = m * n <= bounds.small_matrix_elements
        return n == 1 or (small and (m == 1 or n <= bounds.product_columns))

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        a, x = reads
        if group.interleaving is not None:
            return [_along_members(a, x, group.interleaving, ctx)]
        if x.shape[1] < a.shape[1]:  # several matrices for each vector are one taller matrix
            a = ops.reshape(a, (a.shape[0], x.shape[1], -1, a.shape[3]))
        if a.shape[0] != 1:  # a matrix for each batch item
            return [ops.squeeze(ops.matmul(a, ops.expand_dims(x, -1)), -1)]
        # a scalar product
        if a.shape[1] == a.shape[2] == x.shape[0] == 1 and not ctx.training:
            return [_sum_of_all(a[0, 0] * x[:, 0])]
        if a.shape[1] == 1:
            x, a = ops.squeeze(x, 1), ops.squeeze(a, (0, 1))
            # TensorFlow keeps each function with a gradient of its own for ever
            y = _rows_times(x, a) if ctx.training else ops.matmul(x, ops.transpose(a, (1, 0)))
            return [ops.expand_dims(y, 1)]
        _, _, m, n = a.shape
        if n == 1:
            # once, in this shape: whoever reads it as one long row would have to divide positions
            return [ctx.once(ops.squeeze(a, -1) * x)]
        if not ctx.training and m * n <= costs.current().small_matrix_elements:
            # elementwise: XLA fuses that with what reads it, but no call of a library
            if n <= costs.current().product_columns:
                return [ctx.once(_sum_of_columns(a, x))]
            if m == 1 and ctx.inline or _is_summed(x, m):
                return [_summed_by_product(a * ops.expand_dims(x, 2))]
        return [ops.einsum("gmn,bgn->bgm", ops.squeeze(a, 0), x)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        a, x = reads
        a = a.reshape(len(x), -1, a.shape[2])
        out = writes[0].reshape(a.shape[:2])
        if a.shape[2] == 1:
            column = a[:, :, 0]
            return lambda: np.multiply(column, x, out)
        # of many small products, the calls of Python would take most of the time
        if len(x) > costs.current().numpy_products:
            return lambda: np.matmul(a, x[..., None], out=out[..., None])
        products = list(zip(a, x, out, strict=True))

        def compute() -> None:
            for matrix, vector, result in products:
                np.dot(matrix, vector, result)

        return compute


def _along_members(a: Tensor, x: Tensor, interleaving: Interleaving, ctx: Context) -> Tensor:
    """Products of matrices (1, m, n, G) and vectors (L, n, G): (L, G, m), or (L, m, G) as held."""
    if interleaving.writes is not None:
        x = ctx.once(x)
        return reduce(add, (a[:, :, i] * x[:, i : i + 1] for i in range(x.shape[1])))
    y = ops.sum(a * ops.expand_dims(x, 1), axis=2)
    return ops.transpose(ctx.once(y), (0, 2, 1))


def _is_summed(x: Tensor, m: int) -> bool:
    """Whether products of (m, n) matrices with x (L, G, n) are faster as products, then sums."""
    rows, members, n = x.shape
    if rows is None or m > 1:
        return bool(rows == 1)
    bounds = costs.current()
    few = rows <= bounds.product_items * members
    return bool(few or rows * members * n >= bounds.product_terms)


def _sum_of_columns(a: Tensor, x: Tensor) -> Tensor:
    """Σ_n a_n x_n, for vectors a_n and numbers x_n."""
    # so that each column is contiguous
    columns = ops.transpose(a, (3, 0, 1, 2))
    return reduce(add, (columns[i] * x[..., i : i + 1] for i in range(x.shape[-1])))


def _summed_by_product(terms: Tensor) -> Tensor:
    """Sum along the last axis, as a product with ones: XLA does not vectorise a plain sum."""
    *shape, n = terms.shape
    ones = ops.ones((n, 1), terms.dtype)
    shape[0] = -1 if shape[0] is None else shape[0]
    return ops.reshape(ops.matmul(ops.reshape(terms, (-1, n)), ones), shape)


def _sum_of_all(terms: Tensor) -> Tensor:
    """Sum of terms (1, n): the sums of rows, then their sum; XLA adds a single row one by one."""
    n = terms.shape[1]
    # two levels also keep rounding small, which grows with the length of a running sum
    row = costs.current().product_row_terms
    whole = n - n % row
    rows = ops.reshape(terms[:, :whole], (1, whole // row, row))
    total = ops.sum(terms[:, whole:], axis=1)
    return total + ops.sum(_summed_by_product(rows), axis=1) if whole else total


def _rows_times(x: Tensor, a: Tensor) -> Tensor:
    """Multiply x (L, n) by the transposed a (m, n).

    The gradient of a transposition would transpose the gradient of the matrix, which costs as
    much as the product; the products below do not.
    """

    @ops.custom_gradient
    def product(x: Tensor, a: Tensor) -> tuple[Tensor, Gradient]:
        def grad(upstream: Tensor) -> tuple[Tensor, Tensor]:
            return ops.matmul(upstream, a), ops.matmul(ops.transpose(upstream, (1, 0)), x)

        return ops.matmul(x, ops.transpose(a, (1, 0))), grad

    return product(x, a)
