"""Integrate-and-fire neurons whose current is integrated before it is rectified.

IntegrateAndFire         v += J dt;  n = clip(⌊v⌋, 0, n_max), or -⌊-s v⌋ for v < 0;  v -= n, or n/s
SignedIntegrateAndFire   v += J dt;  n = clip(⌊v⌋, -Σn, t n_max - Σn);               v -= n
Training uses the rate J, or s J for J < 0.     [Rueckauer et al. 2017; Wang et al. 2022]
"""

from __future__ import annotations

import numpy as np

from ..neurons import IntegrateAndFire, SignedIntegrateAndFire
from ..surrogate import Surrogate
from .abilities import HasSurrogate
from .arrays import Number, Tensor
from .constants import Constants
from .later import ops
from .rates import LeakyReLUKernel, RectifiedLinearKernel
from .registry import neuron
from .surrogate import counted


@neuron(IntegrateAndFire)
class IntegrateAndFireKernel(LeakyReLUKernel, HasSurrogate):
    """Soft reset; negative currents are integrated too."""

    constants = ("amplitude", "max_spikes", "negative_slope")
    states = ("voltage",)
    spiking = True

    @classmethod
    def signed(cls, c: Constants, voltage: Tensor) -> tuple[Tensor, Tensor, Number]:
        """In units of spikes: the voltage, the spikes, and the voltage that each is worth."""
        # known while tracing: most networks have none, and compute nothing of what follows
        if not np.any(c.negative_slope):
            return voltage, ops.clip(ops.floor(voltage), 0, c.max_spikes), 1.0
        below = ops.logical_and(voltage < 0, c.negative_slope > 0)
        # 1 / slope is computed for all, also for those that it is not selected for
        slope = np.where(np.asarray(c.negative_slope) > 0, c.negative_slope, 1)
        worth = ops.where(below, ops.cast(1 / slope, voltage.dtype), ops.ones_like(voltage))
        size = ops.abs(voltage) / worth
        most = ops.where(ops.logical_or(below, voltage >= 0), c.max_spikes, 0)
        spikes = ops.minimum(ops.floor(size), ops.cast(most, voltage.dtype))
        return voltage / worth, ops.sign(voltage) * spikes, worth

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        voltage = states[0] + J * dt
        _, spikes, worth = cls.signed(c, voltage)
        return (c.amplitude / dt) * spikes, voltage - spikes * worth

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        voltage = states[0] + J * dt
        counted_voltage, spikes, worth = cls.signed(c, voltage)
        nearest = ops.round(counted_voltage)
        threshold = ops.maximum(nearest, 1)
        if np.any(c.negative_slope):
            below = ops.logical_and(voltage < 0, c.negative_slope > 0)
            # without a slope a negative voltage waits for the threshold above, at 1
            threshold = ops.where(below, ops.minimum(nearest, -1), threshold)
        fired = counted(surrogate, spikes, counted_voltage, ops.stop_gradient(threshold))
        lost = ops.stop_gradient(spikes) if surrogate.detach_reset else fired
        return (c.amplitude / dt) * fired, voltage - lost * worth


@neuron(SignedIntegrateAndFire)
class SignedIntegrateAndFireKernel(RectifiedLinearKernel, HasSurrogate):
    """The sum of spikes follows the sum of currents, in both directions."""

    constants = ("amplitude", "max_spikes")
    states = ("voltage", "emitted", "allowed")
    spiking = True

    @classmethod
    def advance(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Spikes of a step, the voltage before they are taken off, and the new counts."""
        voltage, emitted, allowed = states
        voltage, allowed = voltage + J * dt, allowed + c.max_spikes
        # no more is taken back than was given, and no more given than max_spikes a step so far
        spikes = ops.minimum(ops.maximum(ops.floor(voltage), -emitted), allowed)
        return spikes, voltage, emitted + spikes, allowed - spikes

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spikes, voltage, *counts = cls.advance(c, dt, J, *states)
        return (c.amplitude / dt) * spikes, voltage - spikes, *counts

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        spikes, voltage, *counts = cls.advance(c, dt, J, *states)
        threshold = ops.maximum(ops.round(voltage), 1)
        fired = counted(surrogate, spikes, voltage, ops.stop_gradient(threshold))
        lost = ops.stop_gradient(spikes) if surrogate.detach_reset else fired
        # whole numbers that only bound later ones
        counts = [ops.stop_gradient(count) for count in counts]
        return (c.amplitude / dt) * fired, voltage - lost, *counts
