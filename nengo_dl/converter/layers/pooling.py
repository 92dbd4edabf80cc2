"""Pooling: averages are sparse transforms; maxima are averages, or made of rectifiers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import nengo
import numpy as np

from ..conversion import Conversion
from ..neurons import largest
from ..records import APPROXIMATE, EXACT
from .base import LayerConverter, elements, register

Windows = Sequence[tuple[int, int]]  # from, to


class ConvertPooling(LayerConverter):
    """A Node that receives averages."""

    def convert(self, node_id: int) -> nengo.Node:
        index, out, windows = self._places(node_id)
        node = nengo.Node(size_in=out.size, label=self.label(node_id))
        self.add_connection(node_id, node, transform=averages(index, out, windows))
        return node

    def _places(self, node_id: int) -> tuple[np.ndarray, np.ndarray, Sequence[Windows]]:
        """Elements of the input and of the output (*spatial, channels), and the windows."""
        index = self._channels_last(elements(self.input_shape(node_id)))
        windows = [self.windows(axis, n) for axis, n in enumerate(index.shape[:-1])]
        counts = tuple(len(w) for w in windows)
        shape = (index.shape[-1], *counts) if self._first else (*counts, index.shape[-1])
        return index, self._channels_last(elements(shape)), windows

    def windows(self, axis: int, size: int) -> Windows:
        """What is averaged along a spatial axis, for each output.

        Parameters
        ----------
        axis : int
            Which of the spatial axes, from 0.
        size : int
            Elements of the input along it.

        Returns
        -------
        list of (int, int)
            Where the window of each output begins and ends.
        """
        raise NotImplementedError

    @property
    def _first(self) -> bool:
        return self.layer.data_format == "channels_first"

    def _channels_last(self, array: np.ndarray) -> np.ndarray:
        return np.moveaxis(array, 0, -1) if self._first else array


def averages(index: np.ndarray, out: np.ndarray, windows: Sequence[Windows]) -> nengo.Sparse:
    """The transform that averages windows.

    Parameters
    ----------
    index, out : array of int (*spatial, channels)
        Elements of the input and of the output.
    windows : list of list of (int, int)
        For each spatial axis, and each output along it, where its window begins and ends.
    """
    rows, columns, values = [], [], []
    for place, box in boxes(index, out, windows):
        rows.append(np.tile(out[place], len(box)))
        columns.append(box.ravel())
        values.append(np.full(box.size, 1.0 / len(box)))
    places = np.stack([np.concatenate(rows), np.concatenate(columns)], axis=1)
    return nengo.Sparse((out.size, index.size), indices=places, init=np.concatenate(values))


def candidates(index: np.ndarray, out: np.ndarray, windows: Sequence[Windows]) -> np.ndarray:
    """Elements (n, size) of which each output is the largest; small windows repeat one.

    Arguments as of `averages`.
    """
    found = [(out[place], box) for place, box in boxes(index, out, windows)]
    chosen = np.empty((max(len(box) for _, box in found), out.size), dtype=int)
    for places, box in found:
        chosen[:, places] = box[0]
        chosen[: len(box), places] = box
    return chosen


def boxes(
    index: np.ndarray, out: np.ndarray, windows: Sequence[Windows]
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each place of the output, and the elements (n, channels) in its window."""
    for place in np.ndindex(*out.shape[:-1]):
        bounds = [windows[axis][i] for axis, i in enumerate(place)]
        yield place, index[tuple(slice(a, b) for a, b in bounds)].reshape(-1, index.shape[-1])


class ConvertAvgPool(ConvertPooling):
    """Average pooling; what "same" pads does not count."""

    def windows(self, axis: int, size: int) -> Windows:
        """As of `ConvertPooling`."""
        width, stride = self.layer.pool_size[axis], self.layer.strides[axis]
        if self.layer.padding == "valid":
            return [(i, i + width) for i in range(0, size - width + 1, stride)]
        count = -(-size // stride)
        before = max((count - 1) * stride + width - size, 0) // 2
        starts = [i * stride - before for i in range(count)]
        return [(max(a, 0), min(a + width, size)) for a in starts]


@register(keras.layers.AveragePooling1D)
class ConvertAvgPool1D(ConvertAvgPool):
    """In one dimension."""


@register(keras.layers.AveragePooling2D)
class ConvertAvgPool2D(ConvertAvgPool):
    """In two dimensions."""


@register(keras.layers.AveragePooling3D)
class ConvertAvgPool3D(ConvertAvgPool):
    """In three dimensions."""


class ConvertGlobalAvgPool(ConvertPooling):
    """The average over all positions."""

    def windows(self, axis: int, size: int) -> Windows:
        """As of `ConvertPooling`."""
        return [(0, size)]


class ConvertAdaptiveAvgPool(ConvertPooling):
    """Average pooling to a given number of outputs."""

    def windows(self, axis: int, size: int) -> Windows:
        """As of `ConvertPooling`."""
        n = self.layer.output_size[axis]
        return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


def _maximum(base: type[ConvertPooling]) -> type[ConvertPooling]:
    """Maximum pooling over the windows of average pooling."""

    class ConvertMaxPool(base):  # type: ignore[valid-type, misc]  # an argument as a base
        """The true maximum, or an average in its place, as the user says."""

        def __init__(self, layer: keras.Layer, converter: Conversion) -> None:
            super().__init__(layer, converter)
            if converter.true_max_pool:
                self.exactness = EXACT
                self.reason = "a maximum by rectifiers; of spikes, as the synapse filters them"
            else:
                self.exactness = APPROXIMATE
                self.reason = "an average in the place of a maximum, as max_to_avg_pool says"

        @classmethod
        def convertible(cls, layer: keras.Layer, converter: Conversion) -> tuple[bool, str | None]:
            if not (converter.max_to_avg_pool or converter.true_max_pool):
                return False, (
                    "a maximum is not linear; with true_max_pool=True rectifiers compute it, "
                    "with max_to_avg_pool=True it becomes an average"
                )
            return super().convertible(layer, converter)

        def convert(self, node_id: int) -> nengo.Node:
            if not self.converter.true_max_pool:
                return super().convert(node_id)
            return largest(self, node_id, candidates(*self._places(node_id)))

    return ConvertMaxPool


_FAMILIES = {"": ConvertAvgPool, "Global": ConvertGlobalAvgPool, "Adaptive": ConvertAdaptiveAvgPool}
for _prefix, _base in _FAMILIES.items():
    for _rank in (1, 2, 3):
        if _prefix:
            register(getattr(keras.layers, f"{_prefix}AveragePooling{_rank}D"))(_base)
        register(getattr(keras.layers, f"{_prefix}MaxPooling{_rank}D"))(_maximum(_base))
