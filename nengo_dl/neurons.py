"""Neuron types that Nengo lacks. They run on every Nengo back end."""

from __future__ import annotations

import numpy as np
from nengo.neurons import LIFRate, RectifiedLinear, SpikingRectifiedLinear
from nengo.params import NumberParam

from .integrators import (
    IntegrateAndFire,
    QuantizedReLU,
    SignedIntegrateAndFire,
    ThresholdedReLU,
)

__all__ = [
    "IntegrateAndFire",
    "LeakyReLU",
    "QuantizedReLU",
    "SignedIntegrateAndFire",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "ThresholdedReLU",
]


class SoftLIFRate(LIFRate):
    r"""Leaky integrate-and-fire rates with a smooth onset, so that gradients are bounded.

    The current above threshold, :math:`j = J - 1`, is passed through a softplus:

    .. math::

        z = \sigma \ln(1 + e^{j / \sigma}), \qquad
        r = \frac{\text{amplitude}}{\tau_{ref} + \tau_{rc} \ln(1 + 1 / z)}

    Parameters
    ----------
    sigma : float, default 1.0
        Width of the onset (greater than 0); the smaller, the closer to `nengo.LIFRate`.
    tau_rc : float, default 0.02
        Membrane time constant [s].
    tau_ref : float, default 0.002
        Refractory period [s].
    amplitude : float, default 1
        Factor on the rates.
    initial_state : dict, default None
        Initial values of state variables (there are none).

    Raises
    ------
    ValidationError
        If ``sigma`` is not greater than 0, or another argument is not valid for `nengo.LIFRate`.

    References
    ----------
    Hunsberger and Eliasmith (2015). Spiking deep networks with LIF neurons.
    https://arxiv.org/abs/1510.08829
    """

    negative = False
    spiking = False

    sigma = NumberParam("sigma", low=0, low_open=True)

    def __init__(
        self,
        sigma: float = 1.0,
        tau_rc: float = 0.02,
        tau_ref: float = 0.002,
        amplitude: float = 1,
        initial_state: dict | None = None,
    ):
        super().__init__(
            tau_rc=tau_rc, tau_ref=tau_ref, amplitude=amplitude, initial_state=initial_state
        )
        self.sigma = sigma

    def rates(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Compute firing rates.

        Parameters
        ----------
        x : array (S,) or (S, N)
            Inputs, projected onto the encoders.
        gain, bias : array (N,)
            Of each neuron.

        Returns
        -------
        rates : array (S, N)
            Rates [Hz], times the amplitude.
        """
        J = self.current(x, gain, bias)
        out = np.zeros_like(J)
        SoftLIFRate.step(self, dt=1, J=J, output=out)
        return out

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        """Compute the output of one step.

        Parameters
        ----------
        dt : float
            Length of a step [s] (of no influence).
        J : array (N,)
            Input current [threshold = 1].
        output : array (N,)
            Receives the rates [Hz], times the amplitude.
        """
        sigma = self.sigma
        y = (J - 1) / sigma
        # Far below threshold z underflows; there, log(1 + 1/z) is -log(z) to rounding.
        z = sigma * np.logaddexp(0, np.maximum(y, -20))
        log_term = np.where(y > -20, np.log1p(1 / z), -y - np.log(sigma))
        output[...] = self.amplitude / (self.tau_ref + self.tau_rc * log_term)

    step_math = step  # the name before Nengo 3.1


class LeakyReLU(RectifiedLinear):
    """Rectified linear neurons that let a part of negative currents through.

    The output is ``amplitude * J`` for ``J >= 0``, and ``amplitude * negative_slope * J`` below.

    Parameters
    ----------
    negative_slope : float, default 0.3
        Slope for negative currents (at least 0).
    amplitude : float, default 1
        Factor on the output.
    initial_state : dict, default None
        Initial values of state variables (there are none).

    Raises
    ------
    ValidationError
        If ``negative_slope`` is negative, or ``amplitude`` not positive.
    """

    negative = False
    spiking = False

    negative_slope = NumberParam("negative_slope", low=0)

    def __init__(
        self,
        negative_slope: float = 0.3,
        amplitude: float = 1,
        initial_state: dict | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.negative_slope = negative_slope

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        """Compute the output of one step.

        Parameters
        ----------
        dt : float
            Length of a step [s] (of no influence).
        J : array (N,)
            Input current.
        output : array (N,)
            Receives the rates [Hz], times the amplitude.
        """
        output[...] = self.amplitude * _leaky(J, self.negative_slope)

    step_math = step  # the name before Nengo 3.1


class SpikingLeakyReLU(SpikingRectifiedLinear):
    """Spiking version of `LeakyReLU`.

    Integrates the (leaky) current and emits a spike for every whole unit of the integral;
    negative currents cause negative spikes.

    Parameters
    ----------
    negative_slope : float, default 0.3
        Slope for negative currents (at least 0).
    amplitude : float, default 1
        Factor on the output.
    initial_state : dict, default None
        Initial values of state variables (``"voltage"``, uniform between 0 and 1 by default).

    Raises
    ------
    ValidationError
        If ``negative_slope`` is negative, ``amplitude`` not positive, or a state variable unknown.
    """

    negative = False
    spiking = True

    negative_slope = NumberParam("negative_slope", low=0)

    def __init__(
        self,
        negative_slope: float = 0.3,
        amplitude: float = 1,
        initial_state: dict | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.negative_slope = negative_slope

    def rates(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Compute the firing rates, which are the output of `LeakyReLU`.

        Parameters
        ----------
        x : array (S,) or (S, N)
            Inputs, projected onto the encoders.
        gain, bias : array (N,)
            Of each neuron.

        Returns
        -------
        rates : array (S, N)
            Rates [Hz], times the amplitude.
        """
        return self.amplitude * _leaky(self.current(x, gain, bias), self.negative_slope)

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:
        """Compute the output of one step, and update the voltage.

        Parameters
        ----------
        dt : float
            Length of a step [s].
        J : array (N,)
            Input current.
        output : array (N,)
            Receives the spikes: ``amplitude / dt`` for each.
        voltage : array (N,)
            Integral of the current since the last spike; updated in place.
        """
        voltage += dt * _leaky(J, self.negative_slope)
        n_spikes = np.trunc(voltage)
        output[...] = (self.amplitude / dt) * n_spikes
        voltage -= n_spikes

    step_math = step  # the name before Nengo 3.1


def _leaky(J: np.ndarray, negative_slope: float) -> np.ndarray:
    return np.where(J < 0, negative_slope * J, J)
