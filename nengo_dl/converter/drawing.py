"""The plots that everyone who converts a network makes."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from .energy import FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    # both draw themselves by what is here
    from .diagnosis import Diagnosis, LayerDiagnosis
    from .evaluation import Evaluation

BLUE, ORANGE, GREY = "#1f6fb2", "#d9822b", "#6e7781"


def _pyplot() -> ModuleType:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plots need Matplotlib: pip install matplotlib") from error
    return pyplot


def _finished(figure: Figure, path: str | os.PathLike | None) -> Figure:
    if path is not None:
        figure.savefig(path)
        _pyplot().close(figure)
    return figure


def evaluation(result: Evaluation, path: str | os.PathLike | None = None) -> Figure:
    """Draw scores, rates, operations and energies against the number of steps.

    Parameters
    ----------
    result : Evaluation
    path : str or Path, optional
        Where to save the figure, which is then closed.

    Returns
    -------
    matplotlib.figure.Figure
    """
    plt = _pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), sharex=True, layout="constrained")
    (score, rates), (operations, energy) = axes
    steps = result.steps
    score.axhline(100 * result.keras_score, color=GREY, ls="--", lw=1, label="Keras")
    score.plot(steps, 100 * result.score, "o-", color=BLUE, label="spikes")
    score.set_title("Score [%]")
    score.legend()
    for name, values in zip(result.layers, result.rates, strict=True):
        rates.plot(steps, values, "o-", ms=3, lw=1, label=name)
    rates.set_title("Mean firing rate of each layer [Hz]")
    rates.set_ylim(0)
    if result.layers:
        rates.legend(fontsize="small")
    operations.axhline(
        result.multiply_adds, color=GREY, ls="--", lw=1, label="multiply-adds of Keras"
    )
    operations.plot(
        steps, result.synaptic_operations, "o-", color=ORANGE, label="synaptic operations"
    )
    operations.set(title="Operations for an item", xlabel="steps", yscale="log")
    operations.legend()
    _draw_energies(energy, result)
    for row in axes.flat:
        row.set_xscale("log", base=2)
        row.set_xticks(steps, labels=[str(n) for n in steps])
        row.xaxis.minorticks_off()
    return _finished(figure, path)


def _draw_energies(axes: Axes, result: Evaluation) -> None:
    for i, figure in enumerate(FIGURES):
        energies = result.energies[figure.name]
        axes.plot(result.steps, energies, "o-", ms=3, lw=1, color=f"C{i}", label=figure.name)
        keras = result.keras_energies[figure.name]
        if keras is not None:
            axes.axhline(keras, color=f"C{i}", ls="--", lw=0.8)
    axes.set(title="Energy for an item [J]; dashed: Keras", xlabel="steps", yscale="log")
    axes.legend(fontsize="x-small")


def diagnosis(result: Diagnosis, path: str | os.PathLike | None = None) -> Figure:
    """Draw the error of each layer, and outputs against activations for the one that loses most.

    Parameters
    ----------
    result : Diagnosis
    path : str or Path, optional
        Where to save the figure, which is then closed.

    Returns
    -------
    matplotlib.figure.Figure
    """
    plt = _pyplot()
    rows, worst = result.layers, result.worst
    height = max(3.5, 0.3 * len(rows) + 1.5)
    figure, (bars, points) = plt.subplots(
        1, 2, figsize=(10, height), width_ratios=(1.6, 1), layout="constrained"
    )
    place = np.arange(len(rows))
    bars.barh(place - 0.2, [100 * r.error for r in rows], 0.4, color=ORANGE, label="in the network")
    bars.barh(
        place + 0.2, [100 * r.own_error for r in rows], 0.4, color=BLUE, label="with exact inputs"
    )
    bars.set_yticks(place, labels=[row.name for row in rows])
    for label, row in zip(bars.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row is worst else "normal")
    bars.invert_yaxis()
    bars.set_title("Error of outputs, relative to activations [%]")
    bars.legend()
    _draw_points(points, worst)
    return _finished(figure, path)


def _draw_points(axes: Axes, row: LayerDiagnosis, most: int = 5000) -> None:
    expected = row.expected.ravel()
    chosen = np.random.RandomState(0).permutation(expected.size)[:most]
    for values, colour, label in (
        (row.actual, ORANGE, "in the network"),
        (row.alone, BLUE, "with exact inputs"),
    ):
        axes.plot(
            expected[chosen],
            values.ravel()[chosen],
            ".",
            ms=2,
            alpha=0.5,
            color=colour,
            label=label,
        )
    limits = [expected.min(), expected.max()]
    axes.plot(limits, limits, color=GREY, lw=1)
    axes.set(title=f"{row.name} loses most", xlabel="activation in Keras", ylabel="output")
    axes.legend(markerscale=4)
