"""What activations of each layer are like on calibration data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ..arguments import Inputs
from ..seams import Converted

# Bounds of memory, and so no fields of `Costs`, which choose the faster of two ways.
CHUNK = 64  # items of data that go through the model at once
VALUES = 2**19  # of each layer that are kept


@dataclass
class Activations:
    """Of one layer, in all its calls.

    Attributes
    ----------
    samples : list of array (n, channels)
        Absolute values.
    largest, mean : array (channels,)
        Of absolute values.
    lowest, highest : float
    """

    samples: list[np.ndarray] = field(default_factory=list)
    largest: np.ndarray | float = 0.0
    lowest: float = np.inf
    highest: float = -np.inf
    total: np.ndarray | float = 0.0
    count: int = 0

    @property
    def mean(self) -> np.ndarray | float:
        """Mean absolute value of each channel."""
        return self.total / max(self.count, 1)

    def add(self, values: np.ndarray, most: int, rng: np.random.RandomState) -> None:
        """Add values (n, channels), of which at most `most` are kept as samples."""
        self.lowest = min(self.lowest, float(values.min()))
        self.highest = max(self.highest, float(values.max()))
        values = np.abs(values)
        self.largest = np.maximum(self.largest, values.max(axis=0))
        self.total, self.count = (
            self.total + values.sum(axis=0, dtype=float),
            self.count + len(values),
        )
        # whole rows: channels of one position belong together
        rows = max(1, most // values.shape[1])
        if len(values) > rows:
            values = values[rng.choice(len(values), rows, replace=False)]
        self.samples.append(values)


def missing_calibration() -> ValidationError:
    """What is raised where a recipe needs calibration data, and has none."""
    return ValidationError(
        "this recipe looks at activations; give typical data for the model's inputs (no labels "
        "are needed), such as a few hundred items: Converter(..., calibration=x)",
        attr="calibration",
    )


def check_calibration(converter: Converted, calibration: Inputs | None) -> list[np.ndarray]:
    """Calibration data as one array for each input.

    Raises
    ------
    ValidationError
        If there are none, or their shapes are not those of the inputs.
    """
    tensors = converter.model.inputs
    if calibration is None:
        raise missing_calibration()
    return as_arrays(tensors, calibration, "calibration")


def as_arrays(tensors: Sequence[keras.KerasTensor], data: Inputs, attr: str) -> list[np.ndarray]:
    """Data for Keras tensors, one array (B, ...) for each, checked.

    Parameters
    ----------
    tensors : list of KerasTensor
    data : array, list, tuple, or dict by name
    attr : str
        What the data are, for messages.
    """
    if isinstance(data, Mapping):
        missing = [t.name for t in tensors if t.name not in data]
        if missing or len(data) != len(tensors):
            raise ValidationError(
                f"got data for {', '.join(map(repr, data))}, expected "
                f"{', '.join(repr(t.name) for t in tensors)}",
                attr=attr,
            )
        given: list[ArrayLike] = [data[t.name] for t in tensors]
    else:
        given = list(data) if isinstance(data, list | tuple) else [data]
    if len(given) != len(tensors):
        raise ValidationError(
            f"got {len(given)} arrays, the model has {len(tensors)} inputs: "
            f"{', '.join(repr(t.name) for t in tensors)}",
            attr=attr,
        )
    arrays = [_as_array(tensor, value, attr) for tensor, value in zip(tensors, given, strict=True)]
    for tensor, array in zip(tensors, arrays, strict=True):
        _check_array(tensor, array, attr)
    if len({len(array) for array in arrays}) > 1:
        raise ValidationError(
            f"inputs differ in their number of items: {[len(a) for a in arrays]}", attr=attr
        )
    return arrays


def _as_array(tensor: keras.KerasTensor, value: ArrayLike, attr: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise ValidationError(
            f"data for input {tensor.name!r} cannot be made an array: {error}", attr=attr
        ) from error


def _check_array(tensor: keras.KerasTensor, array: np.ndarray, attr: str) -> None:
    shape = tuple(tensor.shape[1:])
    fits = array.ndim == len(shape) + 1 and all(
        known in (None, n) for known, n in zip(shape, array.shape[1:], strict=True)
    )
    if array.dtype.kind not in "biuf":
        raise ValidationError(
            f"data for input {tensor.name!r} are {array.dtype} of shape {array.shape}, expected "
            f"numbers in an array (data sets and generators are not taken: make them arrays)",
            attr=attr,
        )
    if not fits or not len(array):
        raise ValidationError(
            f"data for input {tensor.name!r} have shape {array.shape} ({array.dtype}), expected "
            f"numbers (items, {', '.join(map(str, shape))}), as Keras takes them",
            attr=attr,
        )
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise ValidationError(f"data for input {tensor.name!r} are not all finite", attr=attr)


def chunks(arrays: list[np.ndarray], size: int = CHUNK) -> Iterator[list[np.ndarray]]:
    """Some items of all arrays after the other."""
    for start in range(0, len(arrays[0]), size):
        yield [array[start : start + size] for array in arrays]


def by_channel(values: np.ndarray, layer: keras.Layer, per_channel: bool) -> np.ndarray:
    """Values (B, ...) as (n, channels); as (n, 1), if all are to be alike."""
    if not per_channel:
        return values.reshape(-1, 1)
    inner = getattr(layer, "layer", layer)  # of a wrapper, which has one more axis in front
    axis = 1 if inner is layer else 2
    if getattr(inner, "data_format", None) == "channels_first" and values.ndim > axis + 1:
        values = np.moveaxis(values, axis, -1)
    return values.reshape(-1, values.shape[-1])


def statistics_of(
    converter: Converted, arrays: list[np.ndarray], per_channel: bool, seed: int = 0
) -> dict[int, Activations]:
    """Activations by id of the layer, of all that may have neurons.

    Parameters
    ----------
    converter : Converter
    arrays : list of array (B, ...)
        For each input of the model.
    per_channel : bool
        Whether channels are to be kept apart.
    seed : int
        Of the choice of samples.
    """
    rng = np.random.RandomState(seed)
    found: dict[int, Activations] = {}
    swaps = converter.swap_activations
    # linear layers get neurons only where the user swaps that for an activation
    linear = any(f in swaps for f in (None, keras.activations.linear))
    # as many of each chunk, so that the first ones do not stand for all
    most = VALUES * CHUNK // max(len(arrays[0]), CHUNK)
    for part in chunks(arrays):
        for _, call, outputs in converter.activations(part):
            if not (linear or _may_have_neurons(call.layer)):
                continue
            for output in outputs:
                values = np.asarray(output)
                if values.dtype.kind == "f" and values.ndim > 1:
                    values = by_channel(values, call.layer, per_channel)
                    found.setdefault(id(call.layer), Activations()).add(values, most, rng)
    return found


def _may_have_neurons(layer: keras.Layer) -> bool:
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", "") != "linear"
