"""Convolution in 1 to 3 dimensions, and its transpose (the gradient with respect to its input)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from ..compiler.ir import Group
from .registry import Context, Kernel, kernel


@kernel("convolution")
class Convolution(Kernel):
    """One convolution for each op: their kernels differ, and XLA runs one after the other."""

    def compute(self, group: Group, reads: Sequence[Any], ctx: Context) -> Sequence[Any]:
        weights, x = reads
        results = []
        for i, op in enumerate(group.ops):
            results.append(_convolve(x[:, i], weights[0, i], op))
        return [ops.stack(results, axis=1)]


def _convolve(x: Any, weights: Any, op: Any) -> Any:
    attrs = op.attrs
    rank = len(attrs["strides"])
    first = tuple(range(rank + 2))
    if not attrs["channels_last"]:  # XLA's CPU convolutions want channels last
        x = ops.transpose(x, (0, *first[2:], 1))
    if attrs["transposed"]:
        # Keras's transposed convolution wants (…, output channels, input channels)
        weights = ops.transpose(weights, (*first[:rank], rank + 1, rank))
        y = _transposed(x, weights, op)
    else:
        y = ops.conv(x, weights, strides=attrs["strides"], padding=attrs["padding"],
                     data_format="channels_last")
    if not attrs["channels_last"]:
        y = ops.transpose(y, (0, rank + 1, *first[1:-1]))
    return y


def _transposed(x: Any, weights: Any, op: Any) -> Any:
    attrs = op.attrs
    shape = op.writes[0].shape
    spatial = shape[:-1] if attrs["channels_last"] else shape[1:]
    extra = None
    if attrs["padding"] == "valid":
        size = x.shape[1:-1]
        extra = tuple(
            n - ((m - 1) * s + k)
            for n, m, s, k in zip(spatial, size, attrs["strides"], weights.shape, strict=False)
        )
        extra = None if not any(extra) else extra
    return ops.conv_transpose(
        x,
        weights,
        strides=attrs["strides"],
        padding=attrs["padding"],
        output_padding=extra,
        data_format="channels_last",
    )
