"""`Converter.evaluate`: what spikes get right and what they cost, against the number of steps."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import nengo
import numpy as np
from keras import ops
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ..tensor_node import TensorNode
from ..utils import Tensor
from .arguments import Inputs
from .conversion import Conversion
from .energy import FIGURES
from .fanout import FanOut
from .recipes.readout import first_averaged
from .recipes.statistics import as_arrays
from .records import LayerRecord
from .running import (
    around,
    check_size,
    check_steps,
    check_still,
    expected_outputs,
    run,
)
from .tables import as_text, si

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

STEP = 0.001  # [s]
#: What a score is, of what is right (B, ...) and of averaged outputs (B, size).
Metric: TypeAlias = Callable[[np.ndarray, np.ndarray], float]


@dataclass(eq=False)
class Evaluation:
    """How good a spiking network is after some steps, and what it took; means over items.

    Attributes
    ----------
    steps : array (n,)
        Numbers of steps.
    starts : array (n,)
        From which step on outputs were averaged.
    score, keras_score : array (n,), float
        Share of right answers (or the user's metric), of the network and of the Keras model.
    layers : list of str
        Those with neurons.
    neurons : array (layers,)
        Numbers of neurons.
    spikes : array (layers, n)
        Spikes of each layer up to that step. Neurons that do not spike count as many as their
        rates say.
    synaptic_operations : array (n,)
        Spikes times the weights, other than zero, that each passes.
    updates : array (n,)
        Neurons times steps.
    multiply_adds : float
        Weights, other than zero, that the values of the Keras model pass.
    input_operations : float
        Those of them that the inputs pass, which are values in both; in each step.
    dt : float
        Length of a step [s].
    """

    steps: np.ndarray
    starts: np.ndarray
    score: np.ndarray
    keras_score: float
    layers: list[str]
    neurons: np.ndarray
    spikes: np.ndarray
    synaptic_operations: np.ndarray
    updates: np.ndarray
    multiply_adds: float
    input_operations: float
    dt: float = STEP

    @property
    def rates(self) -> np.ndarray:
        """Mean firing rates [Hz] of each layer; array (layers, n)."""
        return self.spikes / (self.neurons[:, None] * self.steps * self.dt)

    @property
    def mean_rate(self) -> np.ndarray:
        """Mean firing rate [Hz] of all neurons; array (n,)."""
        return self.spikes.sum(axis=0) / (max(self.neurons.sum(), 1) * self.steps * self.dt)

    @property
    def energies(self) -> dict[str, np.ndarray]:
        """Energy for one item [J], by published figure; arrays (n,).

        What multiplies inputs, which are values, is counted once, as for the Keras model: they
        stand still.
        """
        return {
            figure.name: figure.spiking(self.synaptic_operations, self.updates)
            + (figure.keras(self.input_operations) or 0.0)
            for figure in FIGURES
        }

    @property
    def keras_energies(self) -> dict[str, float | None]:
        """Energy of the Keras model for one item [J], by published figure."""
        return {figure.name: figure.keras(self.multiply_adds) for figure in FIGURES}

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """Draw it all against steps; see `nengo_dl.converter.drawing.evaluation`."""
        from .drawing import evaluation

        return evaluation(self, path)

    def __str__(self) -> str:
        return as_text(*self.tables())

    def tables(self) -> list[Table]:
        """Tables for `rich`: counts first, then energies with their sources."""
        from rich.table import Table

        counts = Table(title="Spikes against steps, for one item", title_justify="left")
        names = ("Steps", "Averaged from", "Score", "Mean rate", "Spikes", "Synaptic operations")
        for name in (*names, "Of Keras's"):
            counts.add_column(name, justify="right")
        for i, steps in enumerate(self.steps):
            operations = self.synaptic_operations[i]
            counts.add_row(
                str(steps),
                str(self.starts[i]),
                f"{self.score[i]:.2%}",
                f"{self.mean_rate[i]:.1f} Hz",
                f"{self.spikes[:, i].sum():,.0f}",
                f"{operations:,.0f}",
                f"{operations / self.multiply_adds:.1%}" if self.multiply_adds else "",
            )
        counts.caption = (
            f"The Keras model: {self.keras_score:.2%} with {self.multiply_adds:,.0f} "
            f"multiply-adds; {self.neurons.sum():,.0f} neurons"
        )
        return [counts, self._energy_table()]

    def _energy_table(self) -> Table:
        from rich.table import Table

        table = Table(title="Estimated energy for one item", title_justify="left")
        table.add_column("Figure")
        for steps in self.steps:
            table.add_column(f"{steps} steps", justify="right")
        table.add_column("Keras", justify="right")
        for figure in FIGURES:
            keras = self.keras_energies[figure.name]
            found = [si(energy, "J") for energy in self.energies[figure.name]]
            table.add_row(figure.name, *found, "" if keras is None else si(keras, "J"))
        sources = dict.fromkeys(
            f"{figure.name.split(',')[0]}: {figure.source}" for figure in FIGURES
        )
        table.caption = "\n".join(["Sources:", *sources])
        table.caption_justify = "left"
        return table


def accuracy(expected: np.ndarray, outputs: np.ndarray) -> float:
    """Share of items (B,) whose largest output (B, N) is the one that is expected."""
    return float(np.mean(np.argmax(outputs, axis=-1) == expected))


def evaluate(
    converter: Conversion,
    x: Inputs,
    y: ArrayLike | None = None,
    n_steps: int | Sequence[int] = (4, 8, 16, 32, 64),
    metric: Metric | None = None,
    minibatch_size: int | None = None,
) -> Evaluation:
    """See `Converter.evaluate`."""
    check_still(converter, "evaluate")
    check_size(minibatch_size)
    steps = _steps(n_steps)
    arrays = as_arrays(converter.model.inputs, x, "x")
    keras_outputs = expected_outputs(converter, arrays)[0]
    keras_outputs = keras_outputs.reshape(len(keras_outputs), -1)
    targets, metric = _targets(y, keras_outputs, metric)
    layers = [record for record in converter.records if record.ensembles]
    fan_out = FanOut(converter.net)
    with around(converter.net) as outer:
        probes = [_counter(ens, fan_out) for record in layers for ens in record.ensembles]
        # the longest run passes through all other numbers of steps
        found = run(converter, arrays, int(steps[-1]), outer, probes, minibatch_size)
    outputs = found.outputs[0]
    starts = np.array([first_averaged(converter.recipe, converter, int(n)) for n in steps])
    means = [outputs[:, s:n].mean(axis=1) for s, n in zip(starts, steps, strict=True)]
    counted = _counts(layers, found.probes, int(steps[-1]))[:, :, steps - 1]
    neurons = np.array([record.neurons for record in layers], dtype=float)
    inputs, neural = _weights(converter, layers, fan_out)
    return Evaluation(
        steps=steps,
        starts=starts,
        score=np.array([_score(metric, targets, mean) for mean in means]),
        keras_score=_score(metric, targets, keras_outputs),
        layers=[record.name for record in layers],
        neurons=neurons,
        spikes=counted[:, 0],
        synaptic_operations=counted[:, 1].sum(axis=0),
        updates=neurons.sum() * steps,
        multiply_adds=inputs + neural,
        input_operations=inputs,
    )


def _steps(n_steps: int | Sequence[int]) -> np.ndarray:
    """Different numbers of steps, in order."""
    given = np.atleast_1d(np.asarray(n_steps, dtype=object))
    if not given.size:
        raise ValidationError(f"got {n_steps!r}, expected at least one number", attr="n_steps")
    return np.unique([check_steps(n) for n in given])


def _score(metric: Metric, targets: np.ndarray, outputs: np.ndarray) -> float:
    """What a metric, which may be the user's, says."""
    found = metric(targets, outputs)
    if np.ndim(found) or not np.issubdtype(np.asarray(found).dtype, np.number):
        raise ValidationError(
            f"the metric returned {found!r}, expected one number for all items", attr="metric"
        )
    return float(found)


def _targets(
    y: ArrayLike | None, keras_outputs: np.ndarray, metric: Metric | None
) -> tuple[np.ndarray, Metric]:
    """What is expected, and how outputs are compared with it; without labels, Keras's answers."""
    n, size = keras_outputs.shape
    if metric is not None:
        if not callable(metric):
            raise ValidationError(
                f"got {metric!r}, expected a function of y and of the averaged outputs (items, "
                f"{size})",
                attr="metric",
            )
        return (keras_outputs if y is None else np.asarray(y)), metric
    if size == 1:
        raise ValidationError(
            "the model has a single output, of which none is the largest; give a metric, such as "
            "lambda y, outputs: np.mean((outputs[:, 0] > 0.5) == y)",
            attr="metric",
        )
    if y is None:
        return np.argmax(keras_outputs, axis=-1), accuracy
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == size:
        labels = np.argmax(labels, axis=-1)  # one-hot
    if labels.shape not in ((n,), (n, 1)) or labels.dtype.kind not in "biuf":
        raise ValidationError(
            f"y has shape {np.shape(y)}, expected one class for each of the {n} items, or one-hot "
            f"classes ({n}, {size}); for anything else, give a metric",
            attr="y",
        )
    if not np.all(np.isin(labels, np.arange(size))):
        raise ValidationError(
            f"y has classes from {labels.min()} to {labels.max()}, expected whole numbers from 0 "
            f"to {size - 1}, one for each output; for anything else, give a metric",
            attr="y",
        )
    return labels.reshape(n), accuracy


def _counter(ens: nengo.Ensemble, fan_out: FanOut) -> nengo.Probe:
    """A probe of the spikes of a step, and of the synaptic operations that they are."""
    height = getattr(ens.neuron_type, "amplitude", 1) / STEP
    fans = fan_out.of(ens.neurons) / height

    def count(outputs: Tensor) -> Tensor:
        outputs = ops.abs(outputs)
        operations = ops.sum(outputs * ops.cast(fans, outputs.dtype), axis=-1)
        return ops.stack([ops.sum(outputs, axis=-1) / height, operations], axis=-1)

    # two numbers a step: spikes of all neurons in all steps would fill the memory
    node = TensorNode(count, shape_in=(ens.n_neurons,), shape_out=(2,), pass_time=False)
    nengo.Connection(ens.neurons, node, synapse=None)
    return nengo.Probe(node)


def _counts(
    layers: Sequence[LayerRecord], probes: Sequence[np.ndarray], n_steps: int
) -> np.ndarray:
    """Spikes and operations of each layer up to each step; array (layers, 2, T)."""
    found, rest = [], list(probes)
    for record in layers:
        own = np.sum([rest.pop(0) for _ in record.ensembles], axis=0)
        found.append(np.cumsum(own.mean(axis=0), axis=0).T)
    return np.array(found).reshape(len(layers), 2, n_steps)


def _weights(
    converter: Conversion, layers: Sequence[LayerRecord], fan_out: FanOut
) -> tuple[float, float]:
    """Weights that inputs pass, and that neurons pass."""
    inputs = sum(fan_out.of(converter.inputs[t]).sum() for t in converter.model.inputs)
    neural = sum(fan_out.of(ens.neurons).sum() for record in layers for ens in record.ensembles)
    return float(inputs), float(neural)
