"""Spiking neurons.  A spike has the height amplitude / dt.

LIF                      τ_rc dv/dt = J - v; a spike when v > 1, then v = 0 for τ_ref.  Solved exactly
                         for J constant over the step; the spike time by inverting that solution.
SpikingRectifiedLinear   dv/dt = max(J, 0); as many spikes as v has whole units, which it loses.
In training their output is their rate (`rates.py`).  [Hunsberger & Eliasmith 2015, arXiv:1510.08829]
"""

from __future__ import annotations

from typing import Any

import nengo
from keras import ops

from ..neurons import SpikingLeakyReLU
from .rates import LeakyReLUKernel, LIFRateKernel, RectifiedLinearKernel, leaky
from .registry import neuron


@neuron(nengo.LIF)
class LIFKernel(LIFRateKernel):
    """Leaky integrate-and-fire."""

    constants = ("amplitude", "tau_rc", "tau_ref", "min_voltage")
    states = ("voltage", "refractory_time")

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        voltage, refractory = states
        refractory = refractory - dt
        # a refractory period that ended within the step leaves a part of it to integrate
        delta = ops.clip(dt - refractory, 0, dt)
        voltage = voltage - (J - voltage) * ops.expm1(-delta / c.tau_rc)
        spiked = voltage > 1
        above = ops.where(spiked, J - 1, ops.ones_like(J))
        since = dt + c.tau_rc * ops.log1p(-(ops.where(spiked, voltage, 1.0) - 1) / above)
        refractory = ops.where(spiked, c.tau_ref + since, refractory)
        rest = ops.maximum(voltage, c.min_voltage)
        voltage = ops.where(spiked, ops.zeros_like(voltage), rest)
        return ops.cast(spiked, J.dtype) * (c.amplitude / dt), voltage, refractory


@neuron(nengo.SpikingRectifiedLinear)
class SpikingRectifiedLinearKernel(RectifiedLinearKernel):
    """Integrate-and-fire without leak."""

    states = ("voltage",)

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        (voltage,) = states
        voltage = voltage + ops.relu(J) * dt
        spikes = ops.floor(voltage)
        return (c.amplitude / dt) * spikes, voltage - spikes


@neuron(SpikingLeakyReLU)
class SpikingLeakyReLUKernel(LeakyReLUKernel):
    """Integrate-and-fire with negative spikes for negative currents."""

    states = ("voltage",)

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        (voltage,) = states
        voltage = voltage + leaky(J, c.negative_slope) * dt
        spikes = ops.sign(voltage) * ops.floor(ops.abs(voltage))
        return (c.amplitude / dt) * spikes, voltage - spikes
