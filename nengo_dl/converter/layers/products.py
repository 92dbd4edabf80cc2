"""Products with weights that positions share: convolutions, and dense layers of any rank.

All are `nengo.Convolution`, so that the weights stay as few, and as trainable, as in Keras. What it
lacks is done by choosing elements of its input, by their numbers (-1: a zero):

- causal padding:  zeros in front, and no padding after;
- a transposed convolution:  stride - 1 zeros between the inputs, and the mirrored kernel;
- dilation d:  every d-th position, then every d-th from the second on, and so on, side by side;
  outputs that mix two of these are left out;
- three dimensions:  see `flat_convolve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nengo
import numpy as np

from ...utils import Connectable
from .base import LayerConverter, elements

LARGEST_RANK = 2  # of convolutions that Nengo's simulator computes


def convolve(
    part: LayerConverter,
    pre: Connectable,
    index: np.ndarray,
    obj: Connectable,
    kernel: np.ndarray,
    strides: Sequence[int] | None = None,
    padding: str = "valid",
    groups: int = 1,
    out: np.ndarray | None = None,
) -> None:
    """Connect two objects by a convolution with trainable weights.

    Parameters
    ----------
    part : LayerConverter
    pre : NengoObject
    index : array of int (*spatial, channels)
        Which elements of `pre` are the input; -1 stands for a zero.
    obj : NengoObject
    kernel : array (*kernel_size, channels / groups, filters)
    strides, padding, groups
        As of `nengo.Convolution`; strides are 1 by default.
    out : array of int (*spatial, filters), optional
        Which elements of `obj` receive the output. By default, all in their order.
    """
    rank = index.ndim - 1
    strides = (1,) * rank if strides is None else tuple(strides)
    if rank > LARGEST_RANK:
        for axis, stride in enumerate(strides if padding == "same" else ()):
            index = pad_same(index, axis, kernel.shape[axis], stride)
        flat_convolve(part, pre, index, obj, kernel, strides, groups, out)
        return
    transform = nengo.Convolution(
        n_filters=kernel.shape[-1],
        input_shape=index.shape,
        kernel_size=kernel.shape[:rank],
        strides=strides,
        padding=padding,
        init=kernel,
        groups=groups,
    )
    pre = chosen(part, pre, index)
    flat = None if out is None else np.ravel(out)
    if flat is not None and not np.array_equal(flat, np.arange(obj.size_in)):
        obj = obj[flat]
    part.connect(pre, obj, bool(part.layer.trainable), transform=transform)


def chosen(part: LayerConverter, pre: Connectable, index: np.ndarray) -> Any:
    """The object itself, elements of it, or a Node where zeros are added."""
    flat = np.ravel(index)
    if np.array_equal(flat, np.arange(pre.size_out)):
        return pre
    if np.all(flat >= 0):
        return pre[flat]
    node = nengo.Node(size_in=len(flat), label=f"{part.layer.name}.padding")
    part.select(pre, node, index)
    return node


def dilate(
    part: LayerConverter,
    pre: Connectable,
    index: np.ndarray,
    obj: Connectable,
    kernel: np.ndarray,
    dilation: Sequence[int],
    groups: int,
    out: np.ndarray,
) -> None:
    """The same for a kernel whose elements lie apart, without padding, with strides of 1."""
    sizes = index.shape[:-1]
    wide = [(0, -size % d) for size, d in zip(sizes, dilation, strict=True)]
    index = np.pad(index, [*wide, (0, 0)], constant_values=-1)
    for axis, d in enumerate(dilation):
        index = side_by_side(index, axis, d)
    spatial = [n - k + 1 for n, k in zip(index.shape, kernel.shape, strict=False)][: len(sizes)]
    between = _between(part, (*spatial, kernel.shape[-1]))
    convolve(part, pre, index, between, kernel, groups=groups)
    found = elements((*spatial, kernel.shape[-1]))
    for axis, (d, n) in enumerate(zip(dilation, out.shape, strict=False)):
        place = np.arange(n)
        block = index.shape[axis] // d
        found = np.take(found, place % d * block + place // d, axis=axis)
    connect_chosen(part, between, found, obj, out)


def side_by_side(index: np.ndarray, axis: int, d: int) -> np.ndarray:
    """Every d-th element along an axis, first from the first on, then from the second on."""
    order = np.arange(index.shape[axis]).reshape(-1, d).T.ravel()
    return np.take(index, order, axis=axis)


def _between(part: LayerConverter, shape: Sequence[int]) -> nengo.Node:
    """A Node for what is computed, and not all of it needed."""
    return nengo.Node(size_in=int(np.prod(shape)), label=f"{part.layer.name}.computed")


def connect_chosen(
    part: LayerConverter,
    pre: Connectable,
    index: np.ndarray,
    obj: Connectable,
    out: np.ndarray | None,
) -> None:
    """Connect some elements of an object to some of another."""
    target = np.arange(obj.size_in) if out is None else np.ravel(out)
    in_order = np.array_equal(target, np.arange(obj.size_in))
    part.connect(pre[np.ravel(index)], obj if in_order else obj[target])


def flat_convolve(
    part: LayerConverter,
    pre: Connectable,
    index: np.ndarray,
    obj: Connectable,
    kernel: np.ndarray,
    strides: Sequence[int],
    groups: int,
    out: np.ndarray | None,
) -> None:
    """A convolution in three dimensions, without padding, by one in two.

    For each output along the first axis, the slices that its kernel covers become channels; these
    outputs lie below each other, and rows that mix two of them are left out.
    """
    depth, rows = kernel.shape[0], kernel.shape[1]
    count = (index.shape[0] - depth) // strides[0] + 1
    height = (index.shape[1] - rows) // strides[1] + 1
    index = np.pad(
        index, [(0, 0), (0, -index.shape[1] % strides[1]), (0, 0), (0, 0)], constant_values=-1
    )
    stacked = [_slices(index[i * strides[0] :][:depth], groups) for i in range(count)]
    tall = np.concatenate(stacked, axis=0)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    width = (tall.shape[1] - kernel.shape[2]) // strides[2] + 1
    total = (tall.shape[0] - rows) // strides[1] + 1
    between = _between(part, (total, width, kernel.shape[-1]))
    convolve(part, pre, tall, between, flat, strides[1:], groups=groups)
    step = index.shape[1] // strides[1]
    wanted = (np.arange(count)[:, None] * step + np.arange(height)).ravel()
    found = elements((total, width, kernel.shape[-1]))[wanted]
    connect_chosen(part, between, found, obj, out)


def _slices(index: np.ndarray, groups: int) -> np.ndarray:
    """(depth, height, width, channels) → (height, width, groups · depth · channels / groups)."""
    depth, height, width, channels = index.shape
    split = index.reshape(depth, height, width, groups, channels // groups)
    return split.transpose(1, 2, 3, 0, 4).reshape(height, width, -1)


def spread(index: np.ndarray, axis: int, stride: int) -> np.ndarray:
    """Put stride - 1 zeros between the elements along an axis."""
    shape = list(index.shape)
    shape[axis] = (shape[axis] - 1) * stride + 1
    found = np.full(shape, -1)
    where = [slice(None)] * index.ndim
    where[axis] = slice(None, None, stride)
    found[tuple(where)] = index
    return found


def pad_same(index: np.ndarray, axis: int, kernel: int, stride: int) -> np.ndarray:
    """Pad along an axis as "same" says."""
    size = index.shape[axis]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return padded(index, axis, total // 2, total - total // 2)


def padded(index: np.ndarray, axis: int, before: int, after: int) -> np.ndarray:
    """Add zeros at both ends of an axis, or cut off where the numbers are negative."""
    cut = [slice(None)] * index.ndim
    cut[axis] = slice(max(-before, 0), index.shape[axis] - max(-after, 0))
    width = [(0, 0)] * index.ndim
    width[axis] = (max(before, 0), max(after, 0))
    return np.pad(index[tuple(cut)], width, constant_values=-1)


def broadcast_bias(
    part: LayerConverter, node_id: int, obj: Connectable, biases: np.ndarray, index: np.ndarray
) -> None:
    """Add trainable biases that elements share.

    Parameters
    ----------
    part : LayerConverter
    node_id : int
    obj : NengoObject
    biases : array
    index : array of int
        The number of the bias that each element of `obj` receives.
    """
    relay = nengo.Node(size_in=biases.size, label=f"{part.label(node_id)}.bias_relay")
    part.add_bias(node_id, relay, biases, bool(part.layer.trainable))
    flat = np.ravel(index)
    places = np.stack([np.arange(len(flat)), flat], axis=1)
    part.connect(relay, obj, transform=nengo.Sparse((len(flat), biases.size), places, 1.0))
