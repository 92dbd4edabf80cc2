"""Integrate-and-fire neurons whose current is integrated before it is rectified.

IntegrateAndFire         v += J dt;  n = clip(⌊v⌋, 0, n_max);       v -= n
SignedIntegrateAndFire   v += J dt;  n = clip(⌊v⌋, -Σn, t n_max - Σn);  v -= n
Training uses the rate max(J, 0).     [Rueckauer et al. 2017; Wang et al. 2022]
"""

from __future__ import annotations

from typing import Any

from keras import ops

from ..neurons import IntegrateAndFire, SignedIntegrateAndFire
from .rates import RectifiedLinearKernel
from .registry import neuron
from .surrogate import counted


@neuron(IntegrateAndFire)
class IntegrateAndFireKernel(RectifiedLinearKernel):
    """Soft reset; negative currents are integrated too."""

    constants = ("amplitude", "max_spikes")
    states = ("voltage",)
    spiking = True

    @classmethod
    def advance(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple[Any, Any, tuple]:
        """Spikes of a step, the voltage before they are taken off, and what else was counted."""
        voltage = states[0] + J * dt
        return ops.clip(ops.floor(voltage), 0, c.max_spikes), voltage, ()

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        spikes, voltage, counts = cls.advance(c, dt, J, *states)
        return (c.amplitude / dt) * spikes, voltage - spikes, *counts

    @classmethod
    def surrogate_step(cls, c: Any, dt: float, surrogate: Any, J: Any, *states: Any) -> tuple:
        spikes, voltage, counts = cls.advance(c, dt, J, *states)
        threshold = ops.maximum(ops.round(voltage), 1)
        fired = counted(surrogate, spikes, voltage, ops.stop_gradient(threshold))
        lost = ops.stop_gradient(spikes) if surrogate.detach_reset else fired
        counts = [ops.stop_gradient(count) for count in counts]
        return (c.amplitude / dt) * fired, voltage - lost, *counts


@neuron(SignedIntegrateAndFire)
class SignedIntegrateAndFireKernel(IntegrateAndFireKernel):
    """The sum of spikes follows the sum of currents, in both directions."""

    states = ("voltage", "emitted", "allowed")

    @classmethod
    def advance(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple[Any, Any, tuple]:
        voltage, emitted, allowed = states
        voltage, allowed = voltage + J * dt, allowed + c.max_spikes
        spikes = ops.minimum(ops.maximum(ops.floor(voltage), -emitted), allowed)
        return spikes, voltage, (emitted + spikes, allowed - spikes)
