"""Convolution in 1 to 3 dimensions, and its transpose (the gradient with respect to its input)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compiler.catalogue import Product
from ..compiler.ir import Group, Op
from .context import Context
from .later import ops
from .registry import Kernel, kernel


@kernel("convolution")
class Convolution(Kernel):
    """One convolution for each op: their kernels differ, and XLA runs one after the other."""

    product = Product.CONVOLUTION

    def compute(self, group: Group, reads: Sequence[Any], ctx: Context) -> Sequence[Any]:
        weights, x = reads
        if len(group.ops) == 1:  # the gradients of slices and stacks would copy all arrays
            y = _convolve(ops.squeeze(x, 1), ops.squeeze(weights, (0, 1)), group.ops[0])
            return [ops.expand_dims(y, 1)]
        results = []
        for i, op in enumerate(group.ops):
            results.append(_convolve(x[:, i], weights[0, i], op))
        return [ops.stack(results, axis=1)]


def _convolve(x: Any, weights: Any, op: Op) -> Any:
    """Convolve x (L, *shape) with weights (*kernel, channels in, channels out)."""
    attrs = op.attrs
    rank = len(attrs["strides"])
    if not attrs["channels_last"]:  # XLA's CPU convolutions want channels last
        x = ops.moveaxis(x, 1, -1)
    if attrs["transposed"]:
        shape = op.writes[0].shape
        spatial = shape[:-1] if attrs["channels_last"] else shape[1:]
        x = _spread(x, weights.shape[:rank], spatial, attrs["strides"], attrs["padding"])
        weights = ops.flip(weights, axis=tuple(range(rank)))
        strides, padding = 1, "valid"
    else:
        strides, padding = attrs["strides"], attrs["padding"]
    y = ops.conv(x, weights, strides, padding, data_format="channels_last")
    return y if attrs["channels_last"] else ops.moveaxis(y, -1, 1)


def _spread(
    x: Any, kernel: Sequence[int], spatial: Sequence[int], strides: Sequence[int], padding: str
) -> Any:
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


def _dilated(x: Any, axis: int, stride: int) -> Any:
    """Put stride - 1 zeros between the elements along an axis."""
    if stride == 1:
        return x
    shape = list(x.shape)
    wide = ops.expand_dims(x, axis + 1)
    wide = ops.pad(wide, [[0, (stride - 1) * (i == axis + 1)] for i in range(len(wide.shape))])
    shape[0], shape[axis] = -1, shape[axis] * stride
    return _padded(ops.reshape(wide, shape), axis, 0, 1 - stride)


def _padded(x: Any, axis: int, left: int, right: int) -> Any:
    """Add zeros at both ends of an axis, or cut off where the numbers are negative."""
    cut = [slice(None)] * len(x.shape)
    cut[axis] = slice(max(-left, 0), x.shape[axis] - max(-right, 0))
    pad = [[0, 0]] * len(x.shape)
    pad[axis] = [max(left, 0), max(right, 0)]
    return ops.pad(x[tuple(cut)], pad)
