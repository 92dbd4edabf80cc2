"""Convolution in 1 to 3 dimensions, and its transpose (the gradient with respect to its input)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..compiler.ir import Group, Op
from ..compiler.traits import Product
from .abilities import StepsInNumPy
from .arrays import Action, Arrays, Tensor, Tensors
from .base import Kernel
from .context import Context
from .later import ops
from .registry import kernel


@kernel("convolution")
class Convolution(Kernel, StepsInNumPy):
    """One convolution for each op: their kernels differ, and XLA runs one after the other."""

    product = Product.CONVOLUTION

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        weights, x = reads
        if len(group.ops) == 1:  # the gradients of slices and stacks would copy all arrays
            y = _convolve(ops.squeeze(x, 1), ops.squeeze(weights, (0, 1)), group.ops[0])
            return [ops.expand_dims(y, 1)]
        results = []
        for i, op in enumerate(group.ops):
            results.append(_convolve(x[:, i], weights[0, i], op))
        return [ops.stack(results, axis=1)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        attrs = group.ops[0].attrs
        if attrs["transposed"] or attrs["groups"] > 1:
            return None
        weights, x = reads
        out = writes[0].reshape(len(group.ops), *group.ops[0].writes[0].shape)
        actions = [
            _in_numpy(*arrays, attrs["strides"], attrs["padding"], attrs["channels_last"])
            for arrays in zip(weights, x, out, strict=True)
        ]

        def compute() -> None:
            for action in actions:
                action()

        return actions[0] if len(actions) == 1 else compute


def _in_numpy(
    weights: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    strides: Sequence[int],
    padding: str,
    channels_last: bool,
) -> Action:
    """A convolution as one product, of what lies under the kernel at each place of the output."""
    *kernel, _, channels = weights.shape
    rank, first = len(kernel), 0 if channels_last else 1
    spatial = out.shape[first : first + rank]
    x = x if channels_last else np.moveaxis(x, 0, -1)
    pads = [(0, 0)] * rank
    if padding == "same":
        reach = [(m - 1) * s + k for m, s, k in zip(spatial, strides, kernel, strict=True)]
        # as Nengo and TensorFlow: of an odd number of zeros, the one more lies behind
        missing = [max(r - n, 0) for r, n in zip(reach, x.shape, strict=False)]
        pads = [(n // 2, n - n // 2) for n in missing]
    # made once: steps write the inner part, and the frame stays zero
    padded = np.pad(np.zeros_like(x), [*pads, (0, 0)])
    inner = tuple(slice(a, a + n) for (a, _), n in zip(pads, x.shape, strict=False))
    axes: Any = tuple(range(rank))  # of which NumPy's annotations know one
    windows = sliding_window_view(padded, kernel, axis=axes)
    windows = windows[tuple(slice(None, m * s, s) for m, s in zip(spatial, strides, strict=True))]
    windows = np.moveaxis(windows, rank, -1)  # (*spatial, *kernel, channels in)
    # the windows overlap in memory; copied, they are a matrix, and the product is one of BLAS
    columns = np.empty(windows.shape, x.dtype)
    rows, matrix = columns.reshape(-1, weights.size // channels), weights.reshape(-1, channels)
    result = (
        out.reshape(-1, channels) if channels_last else np.empty((len(rows), channels), x.dtype)
    )
    shown = out.reshape(channels, -1)

    def compute() -> None:
        padded[inner] = x
        np.copyto(columns, windows)
        np.dot(rows, matrix, result)
        if not channels_last:
            shown[:] = result.T

    return compute


def _convolve(x: Tensor, weights: Tensor, op: Op) -> Tensor:
    """Convolve x (L, *shape) with weights (*kernel, channels in, channels out)."""
    attrs = op.attrs
    rank = len(attrs["strides"])
    if not attrs["channels_last"]:  # XLA's CPU convolutions want channels last
        x = ops.moveaxis(x, 1, -1)
    if attrs["transposed"]:
        shape = op.writes[0].shape
        spatial = shape[:-1] if attrs["channels_last"] else shape[1:]
        x = _spread(x, weights.shape[:rank], spatial, attrs["strides"], attrs["padding"])
        # a convolution here does not flip its kernel; its transpose does
        weights = ops.flip(weights, axis=tuple(range(rank)))
        strides, padding = 1, "valid"
    else:
        strides, padding = attrs["strides"], attrs["padding"]
    y = ops.conv(x, weights, strides, padding, data_format="channels_last")
    return y if attrs["channels_last"] else ops.moveaxis(y, -1, 1)


def _spread(
    x: Tensor, kernel: Sequence[int], spatial: Sequence[int], strides: Sequence[int], padding: str
) -> Tensor:
    """The input whose plain convolution with the flipped kernel is the transposed one.

    Output n collects input m through kernel element n - m · stride + before, where `before` is
    what the convolution that is transposed pads in front.
    """
    for axis, (k, n, stride) in enumerate(zip(kernel, spatial, strides, strict=True), start=1):
        m = x.shape[axis]
        x = _dilated(x, axis, stride)
        total = max((m - 1) * stride + k - n, 0) if padding == "same" else 0
        left = k - 1 - total // 2
        right = n + k - 1 - left - ((m - 1) * stride + 1)
        x = _padded(x, axis, left, right)
    return x


def _dilated(x: Tensor, axis: int, stride: int) -> Tensor:
    """Put stride - 1 zeros between the elements along an axis."""
    if stride == 1:
        return x
    shape = list(x.shape)
    # zeros along an axis of their own, which then becomes a part of the one before
    wide = ops.expand_dims(x, axis + 1)
    wide = ops.pad(wide, [[0, (stride - 1) * (i == axis + 1)] for i in range(len(wide.shape))])
    shape[0], shape[axis] = -1, shape[axis] * stride  # nobody knows L outside of loops
    return _padded(ops.reshape(wide, shape), axis, 0, 1 - stride)


def _padded(x: Tensor, axis: int, left: int, right: int) -> Tensor:
    """Add zeros at both ends of an axis, or cut off where the numbers are negative."""
    cut = [slice(None)] * len(x.shape)
    cut[axis] = slice(max(-left, 0), x.shape[axis] - max(-right, 0))
    pad = [[0, 0]] * len(x.shape)
    pad[axis] = [max(left, 0), max(right, 0)]
    return ops.pad(x[tuple(cut)], pad)
