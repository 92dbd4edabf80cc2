"""What a converter tells about itself: a table, a diagnosis, an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .arguments import Inputs
from .conversion import Conversion
from .diagnosis import Diagnosis, diagnose
from .evaluation import Evaluation, Metric, evaluate
from .recipes.base import Recipe
from .recipes.statistics import Activations
from .records import LayerRecord
from .tables import as_text

if TYPE_CHECKING:
    from rich.table import Table


class Reports(Conversion):
    """Methods of `Converter`."""

    def __str__(self) -> str:
        return as_text(self.table())

    def __rich__(self) -> Table:
        return self.table()

    def table(self) -> Table:
        """What each layer became, as a table for `rich`; ``print(converter)`` shows it.

        Firing rates are those that neurons will have on the calibration data, if there are any.
        """
        from rich.markup import escape
        from rich.table import Table

        kind = type(self.recipe).__name__
        title = escape(f"Model {self.model.name!r}, recipe {kind}")
        table = Table(title=title, title_justify="left")
        table.add_column("Layer")
        table.add_column("Became")
        table.add_column("Numbers")
        for name in ("Neurons", "Parameters", "Mean rate", "Largest"):
            table.add_column(name, justify="right")
        for record in self.records:
            mean, largest = _rates(self.recipe, record)
            table.add_row(
                escape(f"{record.name} ({record.class_name})"),
                _became(record),
                escape(_numbers(record)),
                f"{record.neurons:,}" if record.neurons else "",
                f"{record.parameters:,}" if record.parameters else "",
                mean,
                largest,
            )
        counts = _counts(self.records)
        table.caption = (
            f"{len(self.records)} layers ({counts}); "
            f"{sum(r.neurons for r in self.records):,} neurons"
        )
        return table

    def diagnose(
        self,
        x: Inputs,
        n_steps: int = 64,
        start: int | None = None,
        minibatch_size: int | None = None,
    ) -> Diagnosis:
        """Find out which layer differs from that of the Keras model, and how.

        All layers run twice: in the network, where errors add up, and each for itself, with the
        exact activations as its inputs.

        Parameters
        ----------
        x : array or list of array (B, ...)
            For each input of the model; some tens of items are enough.
        n_steps : int, default 64
            How long each item is shown.
        start : int, optional
            The first step that counts in the averages of outputs. By default, as the recipe says.
        minibatch_size : int, optional
            By default, as memory allows.

        Returns
        -------
        Diagnosis
            ``print`` shows a table; ``worst`` is the layer that loses most; ``plot()`` draws it.

        Raises
        ------
        ValidationError
            If data do not fit the inputs of the model, or an argument is not valid.
        """
        return diagnose(self, x, n_steps, start, minibatch_size)

    def evaluate(
        self,
        x: Inputs,
        y: ArrayLike | None = None,
        n_steps: int | Sequence[int] = (4, 8, 16, 32, 64),
        metric: Metric | None = None,
        minibatch_size: int | None = None,
    ) -> Evaluation:
        """Measure what the spiking network gets right, and what that costs, against steps.

        Parameters
        ----------
        x : array or list of array (B, ...)
            For each input of the model.
        y : array (B,), (B, 1) or one-hot (B, classes), optional
            What is right. By default, what the Keras model says. It is about the first output.
        n_steps : int or sequence of int
            Numbers of steps; (4, 8, 16, 32, 64) by default.
        metric : callable, optional
            Takes `y` and the averaged outputs (B, size); by default, the share of right answers.
        minibatch_size : int, optional
            By default, as memory allows.

        Returns
        -------
        Evaluation
            ``print`` shows tables; ``plot()`` draws them.

        Raises
        ------
        ValidationError
            If data do not fit the inputs of the model, or an argument is not valid.
        """
        return evaluate(self, x, y, n_steps, metric, minibatch_size)


def _became(record: LayerRecord) -> str:
    if not record.ensembles:
        return type(record.obj).__name__ if record.obj is not None else "nothing"
    kinds = {type(ens.neuron_type).__name__: None for ens in record.ensembles}
    return ", ".join(kinds)


def _numbers(record: LayerRecord) -> str:
    spikes = any(ens.neuron_type.spiking for ens in record.ensembles)
    kind = f"{record.exactness} (mean of spikes)" if spikes else record.exactness
    return f"{kind}: {record.reason}" if record.reason else kind


def _rates(recipe: Recipe, record: LayerRecord) -> tuple[str, str]:
    """Mean and largest rate [Hz] of a layer's neurons, if they spike and activations are known."""
    found: Activations | None = recipe.activations_of(record.layer)
    spiking = [ens for ens in record.ensembles if ens.neuron_type.spiking]
    if found is None or not spiking:
        return "", ""
    if isinstance(record.scale, np.ndarray):
        scale = recipe.scale(record.layer, spiking[0].neuron_type)  # one for each channel
        factor = 1.0 if scale is None else scale
    else:
        factor = 1 / getattr(spiking[0].neuron_type, "amplitude", 1)
    return f"{np.mean(found.mean * factor):.1f} Hz", f"{np.max(found.largest * factor):.0f} Hz"


def _counts(records: Sequence[LayerRecord]) -> str:
    kinds: dict[str, int] = {}
    for record in records:
        kinds[record.exactness] = kinds.get(record.exactness, 0) + 1
    return ", ".join(f"{n} {kind}" for kind, n in kinds.items())
