"""Distributions for initial parameters, as they are usual in deep learning."""

from __future__ import annotations

from typing import Literal

import numpy as np
from nengo.dists import Distribution
from nengo.exceptions import ValidationError
from nengo.params import EnumParam, NumberParam


class TruncatedNormal(Distribution):
    """Normal distribution without its tails.

    Samples that are further than ``limit`` from the mean are drawn again.

    Parameters
    ----------
    mean : float, default 0
        Mean.
    stddev : float, default 1
        Standard deviation of the distribution before it is truncated (at least 0).
    limit : float, default None
        Largest distance from the mean (greater than 0). None: ``2 * stddev``.

    Raises
    ------
    ValidationError
        If ``stddev`` is negative, or ``limit`` not positive.
    """

    mean = NumberParam("mean")
    stddev = NumberParam("stddev", low=0)
    limit = NumberParam("limit", low=0)

    def __init__(self, mean: float = 0, stddev: float = 1, limit: float | None = None):
        super().__init__()
        self.mean = mean
        self.stddev = stddev
        self.limit = 2 * self.stddev if limit is None else limit
        # Only the default may be 0, where stddev is: every sample is the mean then.
        if limit is not None and self.limit == 0:
            raise ValidationError("Value must be greater than 0 (got 0)", attr="limit", obj=self)

    def sample(
        self, n: int, d: int | None = None, rng: np.random.RandomState | None = None
    ) -> np.ndarray:
        """Draw samples.

        Parameters
        ----------
        n : int
            Number of samples.
        d : int, default None
            Number of dimensions.
        rng : numpy.random.RandomState, default None
            Source of randomness. None: NumPy's global one.

        Returns
        -------
        samples : array (n,) or (n, d)
            The samples; one-dimensional if ``d`` is None.
        """
        normal = np.random.normal if rng is None else rng.normal
        samples = normal(self.mean, self.stddev, size=self._sample_shape(n, d))
        # drawn again, as values that are cut off would heap up at the limit
        while (outside := np.abs(samples - self.mean) > self.limit).any():
            samples[outside] = normal(self.mean, self.stddev, size=outside.sum())
        return samples


class VarianceScaling(Distribution):
    """Distribution whose variance falls with the number of inputs or outputs.

    The variance is ``scale / fan``. Rows are outputs and columns inputs, as in the transform of a
    `nengo.Connection`: of ``n`` samples with ``d`` dimensions, ``fan_out`` is ``n`` and ``fan_in``
    is ``d`` (1 without dimensions).

    Parameters
    ----------
    scale : float, default 1
        Scales the variance (at least 0).
    mode : {"fan_avg", "fan_in", "fan_out"}, default "fan_avg"
        The fan: number of inputs, of outputs, or their mean.
    distribution : {"uniform", "normal"}, default "uniform"
        ``"normal"`` is truncated at two standard deviations, which makes the variance somewhat
        smaller than ``scale / fan``.

    Raises
    ------
    ValidationError
        If ``scale`` is negative, or ``mode`` or ``distribution`` is not one of those above.
    """

    scale = NumberParam("scale", low=0)
    mode = EnumParam("mode", values=("fan_in", "fan_out", "fan_avg"))
    distribution = EnumParam("distribution", values=("uniform", "normal"))

    def __init__(
        self,
        scale: float = 1,
        mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_avg",
        distribution: Literal["uniform", "normal"] = "uniform",
    ):
        super().__init__()
        self.scale = scale
        self.mode = mode
        self.distribution = distribution

    def _variance(self, n: int, d: int | None) -> float:
        fan_in, fan_out = (1 if d is None else d), n
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        # Without samples the fan may be 0.
        return self.scale / max(fans[self.mode], 0.5)

    def sample(
        self, n: int, d: int | None = None, rng: np.random.RandomState | None = None
    ) -> np.ndarray:
        """Draw samples.

        Parameters
        ----------
        n : int
            Number of samples (outputs).
        d : int, default None
            Number of dimensions (inputs).
        rng : numpy.random.RandomState, default None
            Source of randomness. None: NumPy's global one.

        Returns
        -------
        samples : array (n,) or (n, d)
            The samples; one-dimensional if ``d`` is None.
        """
        stddev = np.sqrt(self._variance(n, d))
        if self.distribution == "normal":
            return TruncatedNormal(stddev=stddev).sample(n, d, rng=rng)
        limit = np.sqrt(3) * stddev
        uniform = np.random.uniform if rng is None else rng.uniform
        return uniform(-limit, limit, size=self._sample_shape(n, d))


class Glorot(VarianceScaling):
    """Keeps the variance of both activities and gradients: ``VarianceScaling(mode="fan_avg")``.

    Parameters
    ----------
    scale : float, default 1
        Scales the variance (at least 0).
    distribution : {"uniform", "normal"}, default "uniform"
        Shape of the distribution.

    References
    ----------
    Glorot and Bengio (2010). Understanding the difficulty of training deep feedforward neural
    networks. AISTATS. https://proceedings.mlr.press/v9/glorot10a.html
    """

    def __init__(self, scale: float = 1, distribution: Literal["uniform", "normal"] = "uniform"):
        super().__init__(scale=scale, mode="fan_avg", distribution=distribution)


class He(VarianceScaling):
    """Keeps the variance of activities: ``VarianceScaling(scale**2, mode="fan_in")``.

    Parameters
    ----------
    scale : float, default 1
        Scales the standard deviation, not the variance (at least 0). ``np.sqrt(2)`` suits
        rectified linear neurons.
    distribution : {"uniform", "normal"}, default "normal"
        Shape of the distribution.

    References
    ----------
    He, Zhang, Ren and Sun (2015). Delving deep into rectifiers. https://arxiv.org/abs/1502.01852
    """

    def __init__(self, scale: float = 1, distribution: Literal["uniform", "normal"] = "normal"):
        super().__init__(scale=scale, mode="fan_in", distribution=distribution)

    def _variance(self, n: int, d: int | None) -> float:
        return self.scale * super()._variance(n, d)
