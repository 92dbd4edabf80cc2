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

import nengo
import numpy as np

from ..surrogate import Surrogate
from .abilities import HasSurrogate
from .arrays import Tensor
from .base import NeuronKernel
from .constants import Constants
from .later import ops
from .rates import LIFRateKernel
from .registry import neuron
from .spiking import IntegratorKernel, LIFKernel
from .surrogate import counted


@neuron(nengo.AdaptiveLIFRate)
class AdaptiveLIFRateKernel(LIFRateKernel):
    """Rates that fall as they go on; trained as they are, through time."""

    constants = ("amplitude", "tau_rc", "tau_ref", "tau_n", "inc_n")
    states = rate_states = ("adaptation",)

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return cls.rate_step(c, dt, None, J, *states)

    @classmethod
    def rate_step(
        cls, c: Constants, dt: float, sigma: float | None, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        (n,) = states
        (output,) = super().rate_step(c, dt, sigma, J - n)
        return output, adapted(c, dt, n, output)


def adapted(c: Constants, dt: float, n: Tensor, output: Tensor) -> Tensor:
    """The adaptation after a step."""
    # not solved exactly, and with the output of this step: Nengo's spikes depend on both
    return n + (dt / c.tau_n) * (c.inc_n * output - n)


@neuron(nengo.AdaptiveLIF)
class AdaptiveLIFKernel(LIFKernel):
    """Leaky integrate-and-fire with adaptation; its rates adapt too, in training."""

    constants = (*LIFKernel.constants, "tau_n", "inc_n")
    states = (*LIFKernel.states, "adaptation")
    rate_states = ("adaptation",)

    @classmethod
    def packs(cls, neurons: nengo.LIF, *initial: np.ndarray | None) -> bool:
        """Not with a third state."""
        return False

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        *fast, n = states
        output, *fast = super().step(c, dt, J - n, *fast)
        return output, *fast, adapted(c, dt, n, output)

    @classmethod
    def rate_step(
        cls, c: Constants, dt: float, sigma: float | None, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        (n,) = states
        (output,) = super().rate_step(c, dt, sigma, J - n)
        return output, adapted(c, dt, n, output)

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        *fast, n = states
        output, *fast = super().surrogate_step(c, dt, surrogate, J - n, *fast)
        return output, *fast, adapted(c, dt, n, output)


LOWEST_CURRENT = -30.0  # Nengo's bound, below which Euler steps are unstable
PEAK = 30.0  # [mV], at which a spike ends


@neuron(nengo.Izhikevich)
class IzhikevichKernel(NeuronKernel, HasSurrogate):
    """Quadratic integrate-and-fire with recovery; it has no closed form of its rate."""

    constants = ("tau_recovery", "coupling", "reset_voltage", "reset_recovery")
    states = ("voltage", "recovery")
    spiking = True
    rated = False

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        # there is no rate whose gradient it could have
        charged = cls.charged(dt, ops.stop_gradient(J), *states)
        spiked = charged >= PEAK
        voltage, recovery = cls.reset(c, dt, spiked, charged, states[1])
        return ops.cast(spiked, J.dtype) / dt, voltage, recovery

    @classmethod
    def charged(cls, dt: float, J: Tensor, voltage: Tensor, recovery: Tensor) -> Tensor:
        """The voltage before a spike resets it."""
        J = ops.maximum(J, LOWEST_CURRENT)
        # 1000: the equation is one of milliseconds
        slope = (0.04 * voltage * voltage + 5 * voltage + 140 - recovery + J) * 1000
        return voltage + slope * dt

    @classmethod
    def reset(
        cls, c: Constants, dt: float, spiked: Tensor, charged: Tensor, recovery: Tensor
    ) -> tuple[Tensor, ...]:
        """What spikes leave of voltage and recovery."""
        voltage = ops.where(spiked, c.reset_voltage * ops.ones_like(charged), charged)
        # of the voltage after its reset; the sums in this order, or rounding moves later spikes
        recovery = recovery + (c.tau_recovery * (c.coupling * voltage - recovery)) * 1000 * dt
        return voltage, ops.where(spiked, recovery + c.reset_recovery, recovery)

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """The surrogate's voltage is counted in steps from reset to peak, as that of other types.

        What a spike does to voltage and recovery has no gradient.
        """
        charged = cls.charged(dt, J, *states)
        spiked = charged >= PEAK
        voltage, recovery = cls.reset(c, dt, spiked, charged, states[1])
        spikes = ops.cast(spiked, charged.dtype)
        fired = counted(surrogate, spikes, (charged - PEAK) / (PEAK - c.reset_voltage), 0.0)
        return fired / dt, voltage, recovery


@neuron(nengo.RegularSpiking)
class RegularSpikingKernel(IntegratorKernel):
    """J is the rate that the base type gives [Hz]."""

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return c.amplitude * J


@neuron(nengo.StochasticSpiking)
class StochasticSpikingKernel(NeuronKernel, HasSurrogate):
    """J is the rate that the base type gives [Hz]; the dice are thrown by Nengo's generator."""

    draws = "rng"
    spiking = True

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        (uniform,) = states
        spikes = cls.thrown(dt * ops.abs(J), uniform)
        return ((c.amplitude / dt) * spikes * ops.sign(J),)

    @classmethod
    def thrown(cls, expected: Tensor, uniform: Tensor) -> Tensor:
        """The number of spikes, for a number in [0, 1)."""
        whole = ops.floor(expected)
        return whole + ops.cast(uniform < expected - whole, expected.dtype)

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """As of an integrator whose voltage was 1 - uniform: it has as many whole units."""
        (uniform,) = states
        expected = dt * ops.abs(J)
        spikes = cls.thrown(expected, uniform)
        voltage = expected + (1 - uniform)
        fired = counted(surrogate, spikes, voltage, ops.maximum(ops.round(voltage), 1))
        return ((c.amplitude / dt) * fired * ops.sign(J),)

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return c.amplitude * J
