"""`Converter.diagnose`: which layer of a spiking network differs from its Keras layer, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import keras
import nengo
import numpy as np
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from ..utils import Connectable, Synapse
from .arguments import Inputs
from .conversion import Conversion
from .decoupling import Decoupled
from .recipes.readout import first_averaged
from .recipes.statistics import as_arrays
from .records import LayerRecord
from .running import (
    Reduction,
    around,
    check_size,
    check_start,
    check_steps,
    check_still,
    run,
    show,
)
from .tables import as_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

STEP = 0.001  # [s]


@dataclass(eq=False)
class LayerDiagnosis:
    """One layer, on some items; outputs are averaged over steps.

    Attributes
    ----------
    name : str
        As in `Converter.records`.
    layer : keras.Layer
    expected : array (B, N)
        Activations of the Keras model.
    actual : array (B, N)
        Outputs in the network, whose errors add up from layer to layer.
    alone : array (B, N)
        Outputs of this layer when its inputs are the exact activations.
    input_error : float
        The largest error among its inputs.
    neurons : int
    silent : float
        Share of neurons that spike for no item; NaN where a layer has no spiking neurons, or
        several for an element.
    saturated : float
        Share of neurons that spike at least once in each step, mean over items; or NaN.
    """

    name: str
    layer: keras.Layer
    expected: np.ndarray
    actual: np.ndarray
    alone: np.ndarray
    input_error: float = 0.0
    neurons: int = 0
    silent: float = np.nan
    saturated: float = np.nan

    @property
    def error(self) -> float:
        """Root mean square of the error, divided by that of the activations."""
        return _error(self.actual, self.expected)

    @property
    def own_error(self) -> float:
        """The same, with exact inputs."""
        return _error(self.alone, self.expected)

    @property
    def correlation(self) -> float:
        """Of outputs with activations; NaN where these are all the same."""
        return _correlation(self.actual, self.expected)

    @property
    def own_correlation(self) -> float:
        """The same, with exact inputs."""
        return _correlation(self.alone, self.expected)

    @property
    def loss(self) -> float:
        """What the layer itself is to blame for.

        The larger of its own error, and of what it adds to the error of its inputs: that also
        counts spikes which come unevenly.
        """
        return max(self.own_error, self.error - self.input_error)


@dataclass(eq=False)
class Diagnosis:
    """All layers, in order.

    Attributes
    ----------
    layers : list of LayerDiagnosis
    n_steps, start : int
        Outputs are averaged over steps from `start` to before `n_steps`.
    """

    layers: list[LayerDiagnosis]
    n_steps: int
    start: int

    @property
    def worst(self) -> LayerDiagnosis:
        """The layer that loses most, by its `loss`."""
        return max(self.layers, key=lambda layer: layer.loss)

    def __getitem__(self, name: str) -> LayerDiagnosis:
        """The layer of a name."""
        for layer in self.layers:
            if name in (layer.name, layer.layer.name):
                return layer
        raise KeyError(f"{name!r} is none of {', '.join(layer.name for layer in self.layers)}")

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """Draw errors and correlations; see `nengo_dl.converter.drawing.diagnosis`."""
        from .drawing import diagnosis

        return diagnosis(self, path)

    def __str__(self) -> str:
        return as_text(self.table())

    def table(self) -> Table:
        """A table for `rich`."""
        from rich.markup import escape
        from rich.table import Table

        title = f"Outputs of layers, averaged over steps {self.start} to {self.n_steps - 1}"
        table = Table(title=title, title_justify="left")
        table.add_column("Layer")
        columns = ("Error", "alone", "Correlation", "alone", "Neurons", "Silent", "Saturated")
        for name in columns:
            table.add_column(name, justify="right")
        worst = self.worst
        for row in self.layers:
            table.add_row(
                escape(f"{row.name} ({type(row.layer).__name__})"),
                f"{row.error:.1%}",
                f"{row.own_error:.1%}",
                f"{row.correlation:.4f}",
                f"{row.own_correlation:.4f}",
                f"{row.neurons:,}" if row.neurons else "",
                "" if np.isnan(row.silent) else f"{row.silent:.1%}",
                "" if np.isnan(row.saturated) else f"{row.saturated:.1%}",
                style="bold" if row is worst else None,
            )
        table.caption = (
            f"{escape(worst.name)} loses most: its error is {worst.own_error:.1%} with exact "
            f"inputs, and {worst.error:.1%} in the network, "
            f"behind inputs with {worst.input_error:.1%}"
        )
        return table


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    size = np.sqrt(np.mean(np.square(expected, dtype=float)))
    difference = np.sqrt(np.mean(np.square(actual - expected, dtype=float)))
    return float(difference / size) if size > 0 else float(difference)


def _correlation(actual: np.ndarray, expected: np.ndarray) -> float:
    a, b = actual - actual.mean(dtype=float), expected - expected.mean(dtype=float)
    norm = np.sqrt(np.sum(a * a) * np.sum(b * b))
    return float(np.sum(a * b) / norm) if norm > 0 else np.nan


def diagnose(
    converter: Conversion,
    x: Inputs,
    n_steps: int = 64,
    start: int | None = None,
    minibatch_size: int | None = None,
) -> Diagnosis:
    """See `Converter.diagnose`."""
    check_still(converter, "diagnose")
    n_steps = check_steps(n_steps)
    arrays = as_arrays(converter.model.inputs, x, "x")
    check_size(minibatch_size)
    start = (
        first_averaged(converter.recipe, converter, n_steps)
        if start is None
        else check_start(start, n_steps)
    )
    records = _records(converter)
    if not records:
        raise ValidationError(
            f"no layer of model {converter.model.name!r} became an object of its own, so that "
            f"there is none to look at",
            attr="model",
        )
    expected, input_of, folded = _exact(converter, arrays, {record.name for record in records})
    reduce = partial(_mean_from, start=start)
    actual = _in_network(converter, arrays, records, n_steps, minibatch_size, reduce)
    alone = _alone(converter, arrays, records, expected, n_steps, minibatch_size, reduce)
    rows: dict[str, LayerDiagnosis] = {}
    for record, made, own in zip(records, actual, alone, strict=True):
        name, layer = folded.get(record.name, (record.name, record.layer))
        row = LayerDiagnosis(name, layer, expected[record.name], made, own)
        # rows of all inputs are there: each call comes after those that it depends on
        before = [rows[name].error for name in input_of[record.name] if name in rows]
        row.input_error = max(before, default=0.0)
        _look_at_neurons(row, record)
        rows[record.name] = row
    return Diagnosis(list(rows.values()), n_steps, start)


def _mean_from(outputs: np.ndarray, start: int) -> np.ndarray:
    return outputs[:, start:].mean(axis=1)


def _records(converter: Conversion) -> list[LayerRecord]:
    """Records of layers whose output is an object of their own; inputs left out."""
    seen, found = {converter.inputs[t] for t in converter.model.inputs}, []
    for record in converter.records:
        if isinstance(record.obj, nengo.Node | Neurons) and record.obj not in seen:
            seen.add(record.obj)
            found.append(record)
    return found


def _exact(
    converter: Conversion, arrays: list[np.ndarray], names: set[str]
) -> tuple[dict[str, np.ndarray], dict[str, list[str]], dict[str, tuple[str, keras.Layer]]]:
    """What the Keras model does, by name of the layer.

    Activations (B, N); the layers whose outputs are its inputs; and, for a normalisation that the
    weights before it have taken in, the name of both and the layer with the weights.
    """
    absorbing = {record.name for record in converter.records if not record.objects}
    found: dict[str, np.ndarray] = {}
    made_by: dict[int, list[str]] = {}
    input_of: dict[str, list[str]] = {}
    waiting: dict[int, tuple[str, keras.Layer]] = {}
    folded: dict[str, tuple[str, keras.Layer]] = {}
    for name, call, outputs in converter.activations(arrays):
        before = [n for t in call.inputs for n in made_by.get(id(t), [])]
        # normalisations that weights have taken in, and others without an object, have no row
        if name in names:
            found[name] = np.asarray(outputs[0]).reshape(len(arrays[0]), -1)
            input_of[name] = before
        for tensor in call.inputs:
            if id(tensor) in waiting:
                first, layer = waiting[id(tensor)]
                folded[name] = f"{first} + {name}", layer
        for tensor in call.outputs:
            made_by[id(tensor)] = [name] if name in names else before
            if name in absorbing:
                waiting[id(tensor)] = name, call.layer
    return found, input_of, folded


def _in_network(
    converter: Conversion,
    arrays: list[np.ndarray],
    records: list[LayerRecord],
    n_steps: int,
    size: int | None,
    reduce: Reduction,
) -> list[np.ndarray]:
    with around(converter.net) as outer:
        probes = [nengo.Probe(r.obj, synapse=_synapse(converter, r.obj)) for r in records]
    return run(converter, arrays, n_steps, outer, probes, size, reduce).probes


def _synapse(converter: Conversion, obj: Connectable) -> Synapse:
    return converter.synapse if isinstance(obj, Neurons) else None


def _alone(
    converter: Conversion,
    arrays: list[np.ndarray],
    records: list[LayerRecord],
    expected: dict[str, np.ndarray],
    n_steps: int,
    size: int | None,
    reduce: Reduction,
) -> list[np.ndarray]:
    decoupled = Decoupled(converter.net, [record.obj for record in records])
    with decoupled.network:
        probes = [
            nengo.Probe(decoupled.copy_of(r.obj), synapse=_synapse(converter, r.obj))
            for r in records
        ]
    data = {decoupled.teachers[r.obj]: expected[r.name] for r in records}
    for tensor, array in zip(converter.model.inputs, arrays, strict=True):
        data[decoupled.copy_of(converter.inputs[tensor])] = array.reshape(len(array), -1)
    return show(decoupled.network, data, n_steps, probes, size, reduce)


def _look_at_neurons(row: LayerDiagnosis, record: LayerRecord) -> None:
    """Note how many neurons never spike, and how many do in each step."""
    row.neurons = record.neurons
    if len(record.ensembles) != 1 or record.neurons != row.actual.shape[1]:
        return
    neuron_type = record.ensembles[0].neuron_type
    if not neuron_type.spiking:
        return
    is_array = isinstance(record.scale, np.ndarray)
    rates = row.actual * (record.scale if is_array else 1 / getattr(neuron_type, "amplitude", 1))
    row.silent = float(np.mean(np.all(rates == 0, axis=0)))
    row.saturated = float(np.mean(rates >= (1 - 1e-6) / STEP))
