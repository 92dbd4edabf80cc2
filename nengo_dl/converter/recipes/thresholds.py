"""Thresholds from activations: the activation at which a neuron emits a spike in every step.

A method takes samples (n, channels) of the absolute activations, and gives one threshold for each
channel. A user's own is any function of this form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from nengo.exceptions import ValidationError

Method = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Maximum:
    """The largest activation of each channel, so that nothing is clipped (Diehl et al. 2015)."""

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Thresholds (channels,) of samples (n, channels)."""
        return samples.max(axis=0)


@dataclass(frozen=True)
class Percentile:
    """A high percentile: few outliers do not make all others slow.

    Parameters
    ----------
    percent : float, default 99.9
        Between 0 (excluded) and 100.

    References
    ----------
    Rueckauer et al. (2017). https://doi.org/10.3389/fnins.2017.00682
    """

    percent: float = 99.9

    def __post_init__(self) -> None:
        is_number = isinstance(self.percent, int | float | np.number)
        if not is_number or not 0 < self.percent <= 100:
            raise ValidationError(
                f"got {self.percent!r}, expected a number from 0 to 100", "percent", obj=self
            )

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Thresholds (channels,) of samples (n, channels)."""
        return np.percentile(samples, self.percent, axis=0)


@dataclass(frozen=True)
class LocalBalance:
    r"""Local threshold balancing: least squared error of what the steps can represent.

    For each channel, the threshold :math:`\theta` minimises

    .. math::

        \operatorname{mean}\left(a - \tfrac{\theta}{T}
        \operatorname{clip}(\lfloor \tfrac{T a}{\theta} + \tfrac{1}{2} \rfloor, 0, T)\right)^2

    over the activations :math:`a`: a small one clips, a large one is coarse. The minimum is found
    by direct search, which needs no learning rate.

    Parameters
    ----------
    n_steps : int, default 16
        Steps :math:`T` that the network is to run for (at least 1).
    candidates : int, default 40
        Thresholds that are tried, evenly spaced up to the largest activation (at least 1).

    References
    ----------
    Bu, Li and Yu (2024). Inference-scale complexity in ANN-SNN conversion for high-performance and
    low-power applications. https://arxiv.org/abs/2409.03368
    """

    n_steps: int = 16
    candidates: int = 40

    def __post_init__(self) -> None:
        for name in ("n_steps", "candidates"):
            value = getattr(self, name)
            is_int = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not is_int or value < 1:
                raise ValidationError(f"got {value!r}, expected a positive int", name, obj=self)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Thresholds (channels,) of samples (n, channels)."""
        largest = samples.max(axis=0)
        fires = largest > np.finfo(samples.dtype).tiny * self.n_steps * self.candidates
        best, least = largest.copy(), np.full(largest.shape, np.inf)
        for fraction in np.arange(1, self.candidates + 1) / self.candidates:
            threshold = np.where(fires, fraction * largest, 1).astype(samples.dtype)
            error = _squared_error(samples, threshold, self.n_steps)
            better = fires & (error < least)
            best, least = np.where(better, threshold, best), np.where(better, error, least)
        return best


def _squared_error(samples: np.ndarray, threshold: np.ndarray, n_steps: int) -> np.ndarray:
    levels = np.clip(np.floor(samples * (n_steps / threshold) + 0.5), 0, n_steps)
    return np.mean((samples - levels * (threshold / n_steps)) ** 2, axis=0)


#: Methods by the names that `Calibrated` takes.
METHODS: dict[str, Method] = {
    "maximum": Maximum(),
    "percentile": Percentile(),
    "local": LocalBalance(),
}


def method_of(method: str | Method) -> Method:
    """The method of a name, or itself.

    Raises
    ------
    ValidationError
        If it is neither the name of a method nor a function.
    """
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]
    if callable(method) and not isinstance(method, type):
        return method
    names = ", ".join(map(repr, METHODS))
    raise ValidationError(
        f"got {method!r}, expected one of {names}, or a function from samples (n, channels) to "
        f"thresholds (channels,)",
        attr="method",
    )


def thresholds_of(samples: np.ndarray, method: Method, floor: float = 0.01) -> np.ndarray:
    """Thresholds (channels,) that are positive and finite, of samples (n, channels).

    A channel that was (nearly) silent gets `floor` times the largest threshold, so that other data
    do not let it fire without limit; where all were silent, 1.
    """
    found = np.asarray(method(samples), dtype=float)
    if found.shape != samples.shape[1:] or not np.all(np.isfinite(found) & (found >= 0)):
        raise ValidationError(
            f"{method!r} gave {found!r}, expected {samples.shape[1]} finite numbers, one for each "
            f"channel, of at least 0",
            attr="method",
        )
    largest = found.max(initial=0)
    return np.maximum(found, floor * largest) if largest > 0 else np.ones_like(found)
