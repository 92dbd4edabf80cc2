"""From which step on outputs are averaged: late enough for all layers to have begun."""

from __future__ import annotations

import numpy as np

from ..running import check_start, expected_outputs, run
from ..seams import Converted
from .base import Recipe


def first_averaged(recipe: Recipe, converter: Converted, n_steps: int) -> int:
    """From which step on outputs are averaged, as the recipe says."""
    # the recipe may be the user's: a start behind the last step would average nothing
    return check_start(recipe.readout(converter, n_steps), n_steps, "readout")


def means(outputs: np.ndarray, start: int, n_steps: int) -> np.ndarray:
    """Outputs (B, T, N), averaged from step `start` to before `n_steps`; (B, N)."""
    return outputs[:, start:n_steps].mean(axis=1)


def best_starts(outputs: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """For each number of steps, the start whose mean output is closest to what is expected.

    Parameters
    ----------
    outputs : array (B, T, N)
    expected : array (B, N)

    Returns
    -------
    array (T,)
        For 1, 2, … T steps.
    """
    n_steps = outputs.shape[1]
    summed = np.cumsum(outputs, axis=1, dtype=float)
    before = np.concatenate([np.zeros_like(summed[:, :1]), summed[:, :-1]], axis=1)
    best = np.zeros(n_steps, dtype=int)
    for n in range(1, n_steps + 1):
        averaged = (summed[:, n - 1 : n] - before[:, :n]) / (n - np.arange(n))[:, None]
        errors = np.mean((averaged - expected[:, None]) ** 2, axis=(0, 2))
        best[n - 1] = np.argmin(errors)
    return best


def starts(converter: Converted, arrays: list[np.ndarray], n_steps: int) -> np.ndarray:
    """For each number of steps up to `n_steps`, the best start for some data.

    Parameters
    ----------
    converter : Converter
    arrays : list of array (B, ...)
        For each input of the model.
    n_steps : int
    """
    (outputs,) = run(converter, arrays, n_steps).outputs[:1]
    (expected,) = expected_outputs(converter, arrays)[:1]
    return best_starts(outputs, expected.reshape(len(expected), -1))
