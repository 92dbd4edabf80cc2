"""Neurons without state:  output = f(J).

RectifiedLinear  a max(J, 0)                    LeakyReLU   a (J if J ≥ 0 else slope J)
QuantizedReLU    a clip(⌊L J + 1/2⌋ / L, 0, 1); its gradient is that of a clip(J, 0, 1)
ThresholdedReLU  a (min(J, m) if J > θ else s (J - θ)); its jump has no gradient
Sigmoid          1 / (τ_ref (1 + e^{-J}))       Tanh        tanh(J) / τ_ref
LIFRate          a / (τ_ref + τ_rc ln(1 + 1/(J - 1))) for J > 1, else 0
SoftLIFRate      the same with J - 1 replaced by σ ln(1 + e^{(J - 1)/σ})
                                             [Hunsberger & Eliasmith 2015, arXiv:1510.08829]
"""

from __future__ import annotations

import nengo

from ..neurons import LeakyReLU, QuantizedReLU, SoftLIFRate, ThresholdedReLU
from .abilities import HasSlope, SmoothsRate
from .arrays import Gradient, Number, Tensor
from .base import NeuronKernel
from .constants import Constants
from .later import ops
from .registry import neuron
from .surrogate import with_gradient_of


@neuron(nengo.RectifiedLinear)
class RectifiedLinearKernel(NeuronKernel):
    """a max(J, 0)."""

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return c.amplitude * ops.relu(J)


@neuron(LeakyReLU)
class LeakyReLUKernel(NeuronKernel):
    """a J, times the slope where J < 0."""

    constants: tuple[str, ...] = ("amplitude", "negative_slope")

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return c.amplitude * leaky(J, c.negative_slope)


def leaky(J: Tensor, slope: Number) -> Tensor:
    """J, times a slope where it is negative."""
    # not the larger of the two, which is the other one for slopes greater than 1
    return ops.where(J < 0, slope * J, J)


@neuron(QuantizedReLU)
class QuantizedReLUKernel(NeuronKernel):
    """Levels of a clipped line, with the gradient of the line."""

    constants = ("amplitude", "levels")

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        # not `round`, which takes halves to the next even number
        level = ops.clip(ops.floor(c.levels * J + 0.5), 0, c.levels) / c.levels
        return c.amplitude * with_gradient_of(level, ops.clip(J, 0, 1))


@neuron(ThresholdedReLU)
class ThresholdedReLUKernel(NeuronKernel):
    """A line above the threshold, and another one below."""

    constants = ("amplitude", "threshold", "negative_slope", "max_value")

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        below = c.negative_slope * (J - c.threshold)
        return c.amplitude * ops.where(J > c.threshold, ops.minimum(J, c.max_value), below)


@neuron(nengo.Sigmoid)
class SigmoidKernel(NeuronKernel, HasSlope):
    """Logistic function over the refractory period."""

    constants = ("tau_ref",)

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return ops.sigmoid(J) / c.tau_ref

    @classmethod
    def slope(cls, c: Constants, J: Tensor, rate: Tensor) -> Tensor:
        return rate * (1 - rate * c.tau_ref)


@neuron(nengo.Tanh)
class TanhKernel(NeuronKernel, HasSlope):
    """Hyperbolic tangent over the refractory period."""

    constants = ("tau_ref",)

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return ops.tanh(J) / c.tau_ref

    @classmethod
    def slope(cls, c: Constants, J: Tensor, rate: Tensor) -> Tensor:
        return 1 / c.tau_ref - rate * rate * c.tau_ref


@neuron(nengo.LIFRate)
class LIFRateKernel(NeuronKernel, HasSlope, SmoothsRate):
    """Rate of the leaky integrate-and-fire neuron."""

    constants: tuple[str, ...] = ("amplitude", "tau_rc", "tau_ref")

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return lif_rate(c, J)

    @classmethod
    def slope(cls, c: Constants, J: Tensor, rate: Tensor) -> Tensor:
        return _lif_slope(c, J, rate)

    @classmethod
    def smooth_rate(cls, c: Constants, J: Tensor, sigma: float) -> Tensor:
        return soft_lif_rate(c, J, sigma)


def lif_rate(c: Constants, J: Tensor) -> Tensor:
    """Firing rate r of LIF neurons.

    The gradient is finite everywhere, zero up to threshold, and cheap in closed form: with
    j = J - 1, it is dr/dJ = r² τ_rc / (a j (j + 1)).
    """

    @ops.custom_gradient
    def rate(J: Tensor) -> tuple[Tensor, Gradient]:
        r = c.amplitude / (c.tau_ref + c.tau_rc * ops.log1p(1 / _above_threshold(J)))
        r = ops.where(J > 1, r, ops.zeros_like(J))
        slope = _lif_slope(c, J, r)
        return r, lambda upstream: upstream * slope

    return rate(J)


def _lif_slope(c: Constants, J: Tensor, r: Tensor) -> Tensor:
    j = _above_threshold(J)
    # r² may be too large a number, where there is no refractory period
    return (c.tau_rc / c.amplitude) * (r / j) * (r / (j + 1))


def _above_threshold(J: Tensor) -> Tensor:
    """J - 1; up to threshold 1 stands in: r is 0 there, and 0 / j or 0 / (j + 1) might be NaN."""
    return ops.where(J > 1, J - 1, ops.ones_like(J))


@neuron(SoftLIFRate)
class SoftLIFRateKernel(NeuronKernel):
    """LIF rate with a smooth threshold."""

    constants = ("amplitude", "tau_rc", "tau_ref", "sigma")

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return soft_lif_rate(c, J, c.sigma)


def soft_lif_rate(c: Constants, J: Tensor, sigma: Number) -> Tensor:
    """LIF rate r of z = σ ln(1 + e^{j/σ}), j = J - 1; where z underflows, ln(1 + 1/z) = -ln z.

    The gradient is dr/dz = r² τ_rc / (a z (z + 1)) times dz/dJ = 1 / (1 + e^{-j/σ}).
    """

    @ops.custom_gradient
    def rate(J: Tensor) -> tuple[Tensor, Gradient]:
        j = (J - 1) / sigma
        # from here on z is σ e^j, and ln(1 + 1/z) is -ln z, but for parts in 10^9
        tiny = j < -20
        z = sigma * ops.softplus(ops.where(tiny, ops.zeros_like(j), j))
        # σ as a tensor, so that its logarithm has the precision of J
        log = ops.where(tiny, -j - ops.log(sigma * ops.ones_like(j)), ops.log1p(1 / z))
        r = c.amplitude / (c.tau_ref + c.tau_rc * log)
        # z and the sigmoid share the factor e^j, which cancels where both would underflow
        slope = ops.where(tiny, r * r / sigma, (r / z) * (r / (z + 1)) * ops.sigmoid(j))
        slope = (c.tau_rc / c.amplitude) * slope
        return r, lambda upstream: upstream * slope

    return rate(J)
