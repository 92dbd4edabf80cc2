"""Neurons with slower dynamics behind their spikes.

AdaptiveLIF(Rate)   LIF(Rate) for the current J - n;  τ_n dn/dt = inc_n · output - n
                                          [Camera et al. 2004; in Nengo solved with Euler steps]
Izhikevich          dv/dt = 0.04 v² + 5 v + 140 - u + J;  du/dt = τ (coupling v - u)  [ms];
                    at v >= 30 a spike: v = reset_voltage, u += reset_recovery
                                          [Izhikevich 2003, IEEE Trans. Neural Networks 14(6)]
RegularSpiking      as many spikes as the integral of the base type's rate has whole units
StochasticSpiking   the expected number of spikes, rounded up with the probability of its fraction
"""

from __future__ import annotations

from typing import Any

import nengo
from keras import ops

from .rates import LIFRateKernel
from .registry import NeuronKernel, neuron
from .spiking import LIFKernel


@neuron(nengo.AdaptiveLIFRate)
class AdaptiveLIFRateKernel(LIFRateKernel):
    """Rates that fall as they go on; trained as they are, through time."""

    constants = ("amplitude", "tau_rc", "tau_ref", "tau_n", "inc_n")
    states = ("adaptation",)
    spiking = False

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        (n,) = states
        output = cls.rate(c, J - n)
        return output, n + (dt / c.tau_n) * (c.inc_n * output - n)


@neuron(nengo.AdaptiveLIF)
class AdaptiveLIFKernel(LIFKernel):
    """Leaky integrate-and-fire with adaptation."""

    constants = (*LIFKernel.constants, "tau_n", "inc_n")
    states = (*LIFKernel.states, "adaptation")

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        *fast, n = states
        output, *fast = super().step(c, dt, J - n, *fast)
        return output, *fast, n + (dt / c.tau_n) * (c.inc_n * output - n)


LOWEST_CURRENT = -30.0  # Nengo's bound, below which Euler steps are unstable


@neuron(nengo.Izhikevich)
class IzhikevichKernel(NeuronKernel):
    """Quadratic integrate-and-fire with recovery; it has no closed form of its rate."""

    constants = ("tau_recovery", "coupling", "reset_voltage", "reset_recovery")
    states = ("voltage", "recovery")
    spiking = False

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        voltage, recovery = states
        J = ops.maximum(ops.stop_gradient(J), LOWEST_CURRENT)
        slope = (0.04 * voltage * voltage + 5 * voltage + 140 - recovery + J) * 1000
        voltage = voltage + slope * dt
        spiked = voltage >= 30
        voltage = ops.where(spiked, c.reset_voltage * ops.ones_like(voltage), voltage)
        recovery = recovery + (c.tau_recovery * (c.coupling * voltage - recovery)) * 1000 * dt
        recovery = ops.where(spiked, recovery + c.reset_recovery, recovery)
        return ops.cast(spiked, J.dtype) / dt, voltage, recovery


@neuron(nengo.RegularSpiking)
class RegularSpikingKernel(NeuronKernel):
    """J is the rate that the base type gives [Hz]."""

    states = ("voltage",)

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        (voltage,) = states
        voltage = voltage + dt * J
        spikes = ops.floor(voltage)
        return (c.amplitude / dt) * spikes, voltage - spikes

    @classmethod
    def rate(cls, c: Any, J: Any) -> Any:
        return c.amplitude * J


@neuron(nengo.StochasticSpiking)
class StochasticSpikingKernel(NeuronKernel):
    """J is the rate that the base type gives [Hz]; the dice are thrown by Nengo's generator."""

    draws = "rng"

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        (uniform,) = states
        expected = dt * ops.abs(J)
        whole = ops.floor(expected)
        spikes = whole + ops.cast(uniform < expected - whole, J.dtype)
        return ((c.amplitude / dt) * spikes * ops.sign(J),)

    @classmethod
    def rate(cls, c: Any, J: Any) -> Any:
        return c.amplitude * J
