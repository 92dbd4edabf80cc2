"""Spiking neurons.  A spike has the height amplitude / dt.

LIF                      τ_rc dv/dt = J - v; a spike when v > 1, then v = 0 for τ_ref. Solved
                         exactly for J constant over the step; the spike time by inverting that.
SpikingRectifiedLinear   dv/dt = max(J, 0); as many spikes as v has whole units, which it loses.
In training their output is their rate (`rates.py`), or they spike with the gradient of a surrogate
(`surrogate.py`).  [Hunsberger & Eliasmith 2015, arXiv:1510.08829]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import reduce

import nengo
import numpy as np

from ..neurons import SpikingLeakyReLU
from ..surrogate import Surrogate
from .abilities import HasNumPyStep, HasSurrogate, StepsPacked
from .arrays import Number, Tensor, Tensors
from .base import NeuronKernel
from .constants import Constants
from .later import ops
from .rates import LeakyReLUKernel, LIFRateKernel, RectifiedLinearKernel, leaky
from .registry import neuron
from .surrogate import counted, with_gradient


@neuron(nengo.LIF)
class LIFKernel(LIFRateKernel, HasNumPyStep, HasSurrogate, StepsPacked):
    """Leaky integrate-and-fire."""

    constants: tuple[str, ...] = ("amplitude", "tau_rc", "tau_ref", "min_voltage")
    states: tuple[str, ...] = ("voltage", "refractory_time")
    spiking = True
    residuals = 2  # the voltage before the reset, and the part of J - v that it took

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        # a comparison has no gradient, and what flows past it through the voltage means nothing
        return cls.advance(c, dt, ops.stop_gradient(J), *states)[0]

    @classmethod
    def advance(
        cls, c: Constants, dt: float, J: Tensor, voltage: Tensor, refractory: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Results of a step; the voltage before the reset, and the part of J - v that it took."""
        refractory = refractory - dt
        # a refractory period that ended within the step leaves a part of it to integrate
        charged, part, since = cls.charge(c, dt, J, voltage, dt - refractory)
        spiked = charged > 1
        # from the start of this step on, as the next one takes dt off before it looks
        refractory = ops.where(spiked, c.tau_ref + dt - since, refractory)
        rest = ops.maximum(charged, c.min_voltage)
        voltage = ops.where(spiked, ops.zeros_like(charged), rest)
        output = ops.cast(spiked, J.dtype) * (c.amplitude / dt)
        return (output, voltage, refractory), (charged, part)

    @classmethod
    def charge(
        cls, c: Constants, dt: float, J: Tensor, voltage: Tensor, left: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The voltage before the reset, the part of J - v that it took, and time since the spike.

        `left` is the time that a neuron integrates for, up to one step.
        """
        J = ops.minimum(J, _largest_current(J))  # whose square is finite
        # bounds both series, if voltages never exceed the threshold
        longest = float(np.max(dt / c.tau_rc)) if c.begins_low[0] else np.inf
        part = decay(ops.clip(left, 0, dt), c.tau_rc, longest)
        # not J - (J - v) e^{-t/τ}: v changes little in a step, and digits would cancel; once, as
        # the spike, its time and the rest of the voltage all need it
        charged = c.once(voltage + (J - voltage) * part)
        # v = 1 at the spike; since v was below 1 before, excess / drive < decay(longest)
        return charged, part, c.tau_rc * log_ratio(charged - 1, J - 1, longest)

    @classmethod
    def packs(cls, neurons: nengo.LIF, *initial: np.ndarray | None) -> bool:
        """If refractory neurons have a voltage of 0, and others none below."""
        return bool(neurons.min_voltage == 0) and _is_at_rest(*initial)

    @classmethod
    def pack(cls, dt: float, *states: Tensor) -> Tensor:
        """Minus the refractory time, where that reaches beyond the next step; else the voltage."""
        voltage, refractory = states
        # Refractory for up to dt, a neuron has all of the next step, as if it were not. For longer,
        # its voltage is 0 and need not be known; all other voltages are positive: the sign tells.
        return ops.where(refractory > dt, -refractory, voltage)

    @classmethod
    def unpack(cls, dt: float, held: Tensor) -> Tensors:
        return ops.maximum(held, 0), ops.maximum(-held, 0)

    @classmethod
    def packed_step(cls, c: Constants, dt: float, J: Tensor, held: Tensor) -> tuple[Tensor, ...]:
        """As `advance`."""
        J = ops.stop_gradient(J)
        # for a refractory time held + 2 dt is what it leaves of this step, as dt - (-held - dt);
        # for a voltage it is more than dt, and so all of it
        charged, _, since = cls.charge(c, dt, J, ops.maximum(held, 0), held + 2 * dt)
        spiked = charged > 1
        # those that have nothing of this step left only count down
        rest = ops.where(held <= -2 * dt, held + dt, ops.maximum(charged, 0))
        # minus the new refractory time; up to dt it reads as a voltage of 0, which is as good
        held = ops.where(spiked, since - (c.tau_ref + dt), rest)
        return ops.cast(spiked, J.dtype) * (c.amplitude / dt), held

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """The gradient in closed form; how long a neuron is refractory has none."""
        frozen = [ops.stop_gradient(x) for x in (J, *states)]
        (output, voltage, refractory), needed = cls.advance(c, dt, *frozen)

        def gradient(
            d_output: Tensor, d_voltage: Tensor, charged: Tensor, part: Tensor
        ) -> tuple[Tensor, ...]:
            spike = surrogate.derivative(charged - 1)
            # the voltage becomes max(charged, lowest) (1 - S), with S the spike: the product rule,
            # of which a detached reset leaves out the second term
            kept = ops.logical_and(charged <= 1, charged >= c.min_voltage)
            kept = ops.cast(kept, charged.dtype)
            if not surrogate.detach_reset:
                kept = kept - ops.maximum(charged, c.min_voltage) * spike
            d_charged = d_output * (spike * (c.amplitude / dt)) + d_voltage * kept
            # charged = v + (J - v) part, so its derivatives by J and v add up to 1
            d_current = d_charged * part
            return d_current, d_charged - d_current

        arguments = J, states[0]
        grafted = with_gradient([output, voltage], arguments, c.keep(*needed), gradient)
        return *grafted, refractory

    @classmethod
    def numpy_step(cls, neurons: nengo.LIF, J: np.ndarray) -> Callable[..., None]:
        # subclasses that share this kernel may have a step of their own
        return LIFInNumPy(neurons, J) if type(neurons) is nengo.LIF else neurons.step


def _is_at_rest(voltage: np.ndarray | None, refractory: np.ndarray | None) -> bool:
    """Whether all voltages are possible between spikes, and no neuron is refractory."""
    if voltage is None or refractory is None:
        return False
    return bool(np.all(voltage >= 0) and np.all(refractory <= 0))


class LIFInNumPy:
    """Nengo's LIF step without new arrays and parameter look-ups: a third of its time, equal."""

    def __init__(self, neurons: nengo.LIF, J: np.ndarray) -> None:
        self.tau_rc, self.tau_ref = neurons.tau_rc, neurons.tau_ref
        self.amplitude = neurons.amplitude
        # NumPy takes arrays of the neurons' own type in half the time of numbers of Python
        self.zero, self.one, self.lowest, self.negative_tau = (
            np.array(x, J.dtype) for x in (0, 1, neurons.min_voltage, -neurons.tau_rc)
        )
        self.dt = np.array(0, J.dtype)
        self.drive, self.decay = np.empty_like(J), np.empty_like(J)
        self.spiked = np.empty(J.shape, dtype=bool)

    def __call__(
        self,
        dt: float,
        J: np.ndarray,
        output: np.ndarray,
        voltage: np.ndarray,
        refractory_time: np.ndarray,
    ) -> None:
        # Nengo's operations in Nengo's order, so that the numbers are Nengo's to the bit
        drive, decay, spiked, step = self.drive, self.decay, self.spiked, self.dt
        step[...] = dt
        np.subtract(refractory_time, step, refractory_time)
        np.subtract(step, refractory_time, decay)
        np.maximum(decay, self.zero, decay)
        np.minimum(decay, step, decay)
        np.divide(decay, self.negative_tau, decay)
        np.expm1(decay, decay)
        np.subtract(J, voltage, drive)
        np.multiply(drive, decay, drive)
        np.subtract(voltage, drive, voltage)
        np.greater(voltage, self.one, spiked)
        np.maximum(voltage, self.lowest, voltage)
        output.fill(0)
        (where,) = spiked.nonzero()  # few spike in a step: the logarithm is for them alone
        if len(where):
            output[where] = self.amplitude / dt
            since = np.log1p(-(voltage[where] - 1) / (J[where] - 1))
            voltage[where] = 0
            refractory_time[where] = self.tau_ref + (dt + self.tau_rc * since)


SERIES_UP_TO = 0.25  # of dt / tau: up to here a short series is exact to rounding


def decay(t: Tensor, tau: float | np.ndarray, longest: float) -> Tensor:
    """1 - e^{-t/tau} for 0 <= t/tau <= longest.

    The Taylor series is cut where its terms fall below rounding; it costs a third of `expm1`.
    """
    if longest > SERIES_UP_TO:
        return -ops.expm1(-t / tau)
    # `term` is the first one left out, relative to the first of all: longest^n / (n + 1)!
    terms, term = 1, longest / 2
    while term > _rounding(t):
        terms += 1
        term *= longest / (terms + 1)
    orders = range(terms, 0, -1)
    coefficients: Iterator[Number] = (-((-1 / tau) ** n) / math.factorial(n) for n in orders)
    # Horner: small terms are added first, and the factor t keeps all digits where t is small
    return t * reduce(lambda y, c: t * y + c, coefficients)


def log_ratio(excess: Tensor, drive: Tensor, longest: float) -> Tensor:
    """-ln(1 - excess / drive) for 0 <= excess / drive <= 1 - e^{-longest}.

    Equal to 2 artanh z with z = excess / (2 drive - excess). Where z⁴ (1/5 - 1/9) is less than
    rounding, that is 2 z / (1 - z²/3): its one division has one reader, and XLA needs no array for
    it. Otherwise the series 2 z (1 + z²/3 + z⁴/5 + …) needs few terms.
    """
    if longest > SERIES_UP_TO or _largest_current(excess) == math.inf:
        return -ops.log1p(-excess / drive)
    ratio = -np.expm1(-longest)
    # of z², as z = r / (2 - r) grows with r = excess / drive
    largest = (ratio / (2 - ratio)) ** 2
    if largest**2 * (1 / 5 - 1 / 9) < _rounding(excess):
        # z = half / mean; multiplied by mean² above and below the line
        half = excess / 2
        mean = drive - half
        return excess * mean / (mean * mean - half * half / 3)
    z = excess / (2 * drive - excess)
    square = z * z
    terms = 1
    while largest**terms / (2 * terms + 1) > _rounding(excess):
        terms += 1
    y: Number = 1 / (2 * terms - 1)  # Horner again, in powers of z²
    for n in range(terms - 1, 0, -1):
        y = 1 / (2 * n - 1) + square * y
    return 2 * z * y


def _rounding(x: Tensor) -> float:
    return float(_precision(x).eps) / 2


def _largest_current(x: Tensor) -> float:
    """A current from which on all spike after the same time, to rounding; infinity if none is."""
    precision = _precision(x)
    # The square of J - 1 is finite up to here, with room for a factor or two. In half precision
    # that is less than 1 / eps, a current that still matters: there the logarithm takes over.
    largest = math.sqrt(precision.max) / 16
    return largest if largest > 1 / precision.eps else math.inf


def _precision(x: Tensor) -> np.finfo:
    return np.finfo(x.dtype if isinstance(x.dtype, str) else x.dtype.name)


class IntegratorKernel(NeuronKernel, HasSurrogate):
    """dv/dt = drive(J); as many spikes as v has whole units, which it loses."""

    states: tuple[str, ...] = ("voltage",)
    spiking = True

    @classmethod
    def drive(cls, c: Constants, J: Tensor) -> Tensor:
        """What is integrated."""
        return J

    @classmethod
    def whole(cls, voltage: Tensor) -> Tensor:
        """Whole units in a voltage."""
        return ops.floor(voltage)

    @classmethod
    def threshold(cls, voltage: Tensor, drive: Tensor) -> Tensor:
        """The whole number, next to the voltage, at which the drive makes one spike more."""
        nearest = ops.round(voltage)
        # a voltage begins a step in [0, 1): a negative drive takes its first spike away at 0
        return ops.where(drive < 0, ops.minimum(nearest, 0), ops.maximum(nearest, 1))

    @classmethod
    def step(cls, c: Constants, dt: float, J: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        (voltage,) = states
        voltage = voltage + cls.drive(c, J) * dt
        spikes = cls.whole(voltage)
        return (c.amplitude / dt) * spikes, voltage - spikes

    @classmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        (voltage,) = states
        drive = cls.drive(c, J)
        voltage = voltage + drive * dt
        spikes = cls.whole(voltage)
        fired = counted(surrogate, spikes, voltage, cls.threshold(voltage, drive))
        lost = ops.stop_gradient(spikes) if surrogate.detach_reset else fired
        return (c.amplitude / dt) * fired, voltage - lost


@neuron(nengo.SpikingRectifiedLinear)
class SpikingRectifiedLinearKernel(IntegratorKernel, RectifiedLinearKernel):
    """Integrate-and-fire without leak."""

    @classmethod
    def drive(cls, c: Constants, J: Tensor) -> Tensor:
        return ops.relu(J)


@neuron(SpikingLeakyReLU)
class SpikingLeakyReLUKernel(IntegratorKernel, LeakyReLUKernel):
    """Integrate-and-fire with negative spikes for negative currents."""

    @classmethod
    def drive(cls, c: Constants, J: Tensor) -> Tensor:
        return leaky(J, c.negative_slope)

    @classmethod
    def whole(cls, voltage: Tensor) -> Tensor:
        return ops.sign(voltage) * ops.floor(ops.abs(voltage))

    @classmethod
    def threshold(cls, voltage: Tensor, drive: Tensor) -> Tensor:
        nearest = ops.round(voltage)
        return ops.where(drive < 0, ops.minimum(nearest, -1), ops.maximum(nearest, 1))
