"""How many synaptic operations a spike causes: the weights, other than zero, that it passes.

Nodes that only add up their inputs are no targets: what counts is what they pass on to, so that a
spike behind pooling has the fan-out of the convolution after it.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import nengo
import numpy as np
import scipy.sparse
from nengo.base import NengoObject
from nengo.ensemble import Neurons
from nengo.transforms import ChannelShape, Convolution, ConvolutionTranspose, Dense, Sparse


class FanOut:
    """Synaptic operations by object of a network.

    Parameters
    ----------
    network : nengo.Network
    """

    def __init__(self, network: nengo.Network) -> None:
        self._outgoing: dict[NengoObject | Neurons, list[nengo.Connection]] = defaultdict(list)
        for conn in network.all_connections:
            self._outgoing[conn.pre_obj].append(conn)
        self._read = {probe.obj for probe in network.all_probes}
        self._known: dict[NengoObject | Neurons, np.ndarray] = {}

    def of(self, obj: NengoObject | Neurons) -> np.ndarray:
        """Targets that each element of an object's output reaches; array (size_out,)."""
        if obj not in self._known:
            found = np.zeros(obj.size_out)
            for conn in self._outgoing[obj]:
                found[conn.pre_slice] += weights_to(conn, self._arriving(conn.post_obj))
            self._known[obj] = found
        return self._known[obj]

    def _arriving(self, obj: NengoObject | Neurons) -> np.ndarray:
        """For each element of an object's input: how many operations a value there is worth."""
        if not _passes_on(obj):
            return np.ones(obj.size_in)
        return self.of(obj) + (obj in self._read)


def _passes_on(obj: NengoObject | Neurons) -> bool:
    return type(obj) is nengo.Node and obj.output is None


def weights_to(conn: nengo.Connection, values: np.ndarray) -> np.ndarray:
    """For each element before a connection, the sum of values that its weights reach.

    Parameters
    ----------
    conn : nengo.Connection
    values : array (size,)
        Of the object after the connection.
    """
    values = values[conn.post_slice]
    transform = conn.transform
    if isinstance(transform, Dense):
        return _dense(transform, values)
    if isinstance(transform, Convolution):
        return _convolution(transform, values)
    if isinstance(transform, ConvolutionTranspose):
        return _transposed(transform, values)
    if isinstance(transform, Sparse):
        return _sparse(transform, values)
    return values  # no transform


def _dense(transform: Dense, values: np.ndarray) -> np.ndarray:
    weights = transform.init
    if isinstance(weights, nengo.dists.Distribution):
        weights = np.ones(transform.shape)
    mask = np.asarray(weights) != 0
    return mask.T @ values if mask.ndim == 2 else mask * values


def _sparse(transform: Sparse, values: np.ndarray) -> np.ndarray:
    matrix = transform.sample()
    if not scipy.sparse.issparse(matrix):
        matrix = scipy.sparse.coo_matrix((matrix.data, np.transpose(matrix.indices)), matrix.shape)
    return (matrix.tocsr() != 0).astype(float).T @ values


def _mask(transform: Convolution | ConvolutionTranspose) -> np.ndarray:
    """Whether weights of a kernel (*kernel_size, channels in, channels out) are other than zero."""
    kernel = transform.init
    if isinstance(kernel, nengo.dists.Distribution):
        return np.ones(transform.kernel_shape, dtype=bool)
    return np.asarray(kernel) != 0


def _last(shape: ChannelShape) -> tuple[int, ...]:
    return (*shape.spatial_shape, shape.n_channels)


def _channels_last(values: np.ndarray, shape: ChannelShape) -> np.ndarray:
    values = values.reshape(shape.shape)
    return values if shape.channels_last else np.moveaxis(values, 0, -1)


def _flat(values: np.ndarray, shape: ChannelShape) -> np.ndarray:
    return (values if shape.channels_last else np.moveaxis(values, -1, 0)).ravel()


def _convolution(transform: Convolution, values: np.ndarray) -> np.ndarray:
    given, made = transform.input_shape, transform.output_shape
    values = _channels_last(values, made)
    found = np.zeros(_last(given))
    mask = _mask(transform)
    for offset in product(*map(range, transform.kernel_size)):
        sources, targets = _overlap(transform, offset, given.spatial_shape, made.spatial_shape)
        found[sources] += _mixed(mask[offset], values[targets], transform.groups)
    return _flat(found, given)


def _mixed(mask: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """Sums over the channels after a convolution, for each channel before it."""
    if groups == 1:
        return values @ mask.T
    parts = zip(np.split(mask, groups, axis=-1), np.split(values, groups, axis=-1), strict=True)
    return np.concatenate([part @ weights.T for weights, part in parts], axis=-1)


def _overlap(
    transform: Convolution | ConvolutionTranspose, offset: tuple, given: tuple, made: tuple
) -> tuple:
    """Slices of the inputs that one place of a kernel multiplies, and of the outputs they reach."""
    sources, targets = [], []
    sizes = zip(offset, given, made, transform.kernel_size, transform.strides, strict=True)
    for k, n_in, n_out, size, stride in sizes:
        total = max((n_out - 1) * stride + size - n_in, 0) if transform.padding == "same" else 0
        shift = k - total // 2
        first = max(0, -(shift // stride))
        last = min(n_out - 1, (n_in - 1 - shift) // stride)
        n = max(last - first + 1, 0)
        start = first * stride + shift
        sources.append(slice(start, start + n * stride, stride) if n else slice(0, 0))
        targets.append(slice(first, first + n))
    return tuple(sources), tuple(targets)


def _transposed(transform: ConvolutionTranspose, values: np.ndarray) -> np.ndarray:
    given, made = transform.input_shape, transform.output_shape
    values = _channels_last(values, made)
    found = np.zeros(_last(given))
    mask = _mask(transform)
    for offset in product(*map(range, transform.kernel_size)):
        targets, sources = _overlap(transform, offset, made.spatial_shape, given.spatial_shape)
        found[sources] += values[targets] @ mask[offset].T
    return _flat(found, given)
