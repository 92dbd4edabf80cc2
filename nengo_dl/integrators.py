"""Neuron types for networks that are converted. They run on every Nengo back end.

They are part of `nengo_dl.neurons`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from nengo.dists import Choice, Uniform
from nengo.exceptions import ValidationError
from nengo.neurons import RectifiedLinear, SpikingRectifiedLinear
from nengo.params import IntParam, NumberParam


class IntegrateAndFire(SpikingRectifiedLinear):
    r"""Integrate-and-fire neurons whose current is integrated before it is rectified.

    In each step, the voltage :math:`v` grows by :math:`J\,dt`, whatever its sign, and loses a unit
    for every spike (soft reset):

    .. math::

        v \leftarrow v + J\,dt, \qquad
        n = \operatorname{clip}(\lfloor v \rfloor, 0, n_{max}), \qquad
        v \leftarrow v - n

    `nengo.SpikingRectifiedLinear` rectifies :math:`J` first. For constant currents both are the
    same. A current that is made of spikes varies, and the mean of what was rectified is more than
    the rectified mean: networks in which one layer of spikes drives the next then fire too much.

    With a negative slope :math:`s`, the rate is that of `LeakyReLU`: a voltage of :math:`-1/s`
    makes a negative spike, which takes it back to 0.

    Parameters
    ----------
    amplitude : float, default 1
        Factor on the output.
    max_spikes : float, default inf
        Largest number of spikes in a step (at least 1); the voltage keeps the rest.
    negative_slope : float, default 0
        Slope of the rate for negative currents (at least 0); 0: no negative spikes.
    initial_state : dict, default None
        Initial values of state variables (``"voltage"``, uniform between 0 and 1 by default; half a
        unit rounds to the nearest number of spikes).

    Raises
    ------
    ValidationError
        If ``amplitude`` is not positive, ``max_spikes`` less than 1, ``negative_slope`` negative,
        or a state variable unknown.

    References
    ----------
    Rueckauer et al. (2017). Conversion of continuous-valued deep networks to efficient event-driven
    networks for image classification. https://doi.org/10.3389/fnins.2017.00682
    """

    max_spikes = NumberParam("max_spikes", low=1)
    negative_slope = NumberParam("negative_slope", low=0)

    def __init__(
        self,
        amplitude: float = 1,
        max_spikes: float = np.inf,
        negative_slope: float = 0,
        initial_state: dict | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.max_spikes = max_spikes
        self.negative_slope = negative_slope

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
        return self.amplitude * np.where(J < 0, self.negative_slope * J, J)

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
            Integral of the current, less the spikes; updated in place.
        """
        voltage += dt * J
        n_spikes = np.clip(np.floor(voltage), 0, self.max_spikes)
        voltage -= n_spikes
        slope = self.negative_slope
        if slope:
            taken = np.clip(np.floor(-slope * voltage), 0, self.max_spikes)
            voltage += taken / slope
            n_spikes -= taken
        output[...] = (self.amplitude / dt) * n_spikes

    step_math: ClassVar[Callable[..., None]] = step  # the name before Nengo 3.1


class SignedIntegrateAndFire(IntegrateAndFire):
    r"""`IntegrateAndFire` neurons that take back spikes which came too early.

    A neuron remembers how many spikes it emitted. After any number of steps :math:`t`, with
    :math:`v_0` the initial voltage, their sum is

    .. math::

        \operatorname{clip}\left(\left\lfloor v_0 + \textstyle\sum J\,dt \right\rfloor,
        0, t\,n_{max}\right)

    so that it depends on the sum of the inputs, and not on their order: where that falls, the
    neuron emits negative spikes.

    Parameters
    ----------
    amplitude : float, default 1
        Factor on the output.
    max_spikes : float, default inf
        Largest number of spikes per step, on average from the beginning (at least 1).
    initial_state : dict, default None
        Initial values of state variables: ``"voltage"``, uniform between 0 and 1 by default;
        ``"emitted"``, the sum of spikes so far; and ``"allowed"``, how many more may follow.

    Raises
    ------
    ValidationError
        If ``amplitude`` is not positive, ``max_spikes`` less than 1, or a state variable unknown.

    References
    ----------
    Wang et al. (2022). Signed neuron with memory: towards simple, accurate and high-efficient
    ANN-SNN conversion. https://doi.org/10.24963/ijcai.2022/347
    """

    state = {"voltage": Uniform(low=0, high=1), "emitted": Choice([0]), "allowed": Choice([0])}

    def __init__(
        self,
        amplitude: float = 1,
        max_spikes: float = np.inf,
        initial_state: dict | None = None,
    ):
        super().__init__(amplitude, max_spikes=max_spikes, initial_state=initial_state)

    def step(  # type: ignore[override]  # Nengo gives as many arguments as there is state
        self,
        dt: float,
        J: np.ndarray,
        output: np.ndarray,
        voltage: np.ndarray,
        emitted: np.ndarray,
        allowed: np.ndarray,
    ) -> None:
        """Compute the output of one step, and update the state.

        Parameters
        ----------
        dt : float
            Length of a step [s].
        J : array (N,)
            Input current.
        output : array (N,)
            Receives the spikes: ``amplitude / dt`` for each, negative ones with a minus.
        voltage, emitted, allowed : array (N,)
            Integral of the current, less the spikes; sum of the spikes; spikes that may still
            follow. Updated in place.
        """
        voltage += dt * J
        allowed += self.max_spikes
        # no more is taken back than was emitted
        n_spikes = np.clip(np.floor(voltage), -emitted, allowed)
        output[...] = (self.amplitude / dt) * n_spikes
        voltage -= n_spikes
        emitted += n_spikes
        allowed -= n_spikes

    step_math = step  # the name before Nengo 3.1


class QuantizedReLU(RectifiedLinear):
    r"""Rectified linear neurons that know a few levels, up to a largest one; they do not spike.

    The quantised clip-floor-shift activation, for a threshold of 1:

    .. math::

        \text{amplitude} \cdot
        \operatorname{clip}\left(\tfrac{1}{L} \lfloor L J + \tfrac{1}{2} \rfloor, 0, 1\right)

    In training, its gradient is that of the line between the levels (straight-through).

    Parameters
    ----------
    levels : int, default 4
        Number of levels above zero, :math:`L` (at least 1).
    amplitude : float, default 1
        Factor on the output.
    initial_state : dict, default None
        Initial values of state variables (there are none).

    Raises
    ------
    ValidationError
        If ``levels`` is not a positive integer, or ``amplitude`` not positive.

    References
    ----------
    Bu et al. (2022). Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking
    neural networks. https://arxiv.org/abs/2303.04347
    """

    levels = IntParam("levels", low=1)

    def __init__(
        self,
        levels: int = 4,
        amplitude: float = 1,
        initial_state: dict | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.levels = levels

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        """Compute the output of one step.

        Parameters
        ----------
        dt : float
            Length of a step [s] (of no influence).
        J : array (N,)
            Input current [threshold = 1].
        output : array (N,)
            Receives the levels, times the amplitude.
        """
        level = np.clip(np.floor(self.levels * J + 0.5), 0, self.levels)
        output[...] = self.amplitude * (level / self.levels)

    step_math = step  # the name before Nengo 3.1


class ThresholdedReLU(RectifiedLinear):
    r"""Rectified linear neurons that jump at a threshold; they do not spike.

    With a threshold :math:`\theta`, a slope :math:`s` below, and a largest output :math:`m`:

    .. math::

        \text{amplitude} \cdot \begin{cases}
            \min(J, m) & J > \theta \\
            s (J - \theta) & J \le \theta
        \end{cases}

    which is what the layer ``keras.layers.ReLU`` computes. In training, the jump has no gradient,
    as in Keras: the gradient is 1 between threshold and largest output, :math:`s` below the
    threshold, and 0 elsewhere.

    Parameters
    ----------
    threshold : float, default 1.0
        Current above which neurons are active (at least 0).
    negative_slope : float, default 0
        Slope for currents below the threshold (at least 0).
    max_value : float, default inf
        Largest output, before the amplitude (at least 0).
    amplitude : float, default 1
        Factor on the output.
    initial_state : dict, default None
        Initial values of state variables (there are none).

    Raises
    ------
    ValidationError
        If ``threshold``, ``negative_slope`` or ``max_value`` is negative, or ``amplitude`` not
        positive.

    References
    ----------
    Konda, Memisevic and Krueger (2015). Zero-bias autoencoders and the benefits of co-adapting
    features. https://arxiv.org/abs/1402.3337
    """

    threshold = NumberParam("threshold", low=0)
    negative_slope = NumberParam("negative_slope", low=0)
    max_value = NumberParam("max_value", low=0)

    def __init__(
        self,
        threshold: float = 1.0,
        negative_slope: float = 0,
        max_value: float = np.inf,
        amplitude: float = 1,
        initial_state: dict | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.threshold = threshold
        self.negative_slope = negative_slope
        self.max_value = max_value

    def gain_bias(
        self, max_rates: np.ndarray, intercepts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find gains and biases, so that neurons jump at their intercepts.

        Parameters
        ----------
        max_rates : array (N,)
            Outputs [Hz] for an input of 1, before the amplitude.
        intercepts : array (N,)
            Inputs at which the current is that of the threshold.

        Returns
        -------
        gain, bias : array (N,)

        Raises
        ------
        ValidationError
            If a maximum rate is not above the threshold, or is above the largest output.
        """
        max_rates = np.atleast_1d(np.asarray(max_rates, dtype=float))
        if np.any(max_rates <= self.threshold) or np.any(max_rates > self.max_value):
            raise ValidationError(
                f"got rates from {max_rates.min():g} to {max_rates.max():g}; they must be above "
                f"the threshold, {self.threshold:g}, and at most max_value, {self.max_value:g}",
                attr="max_rates",
                obj=self,
            )
        intercepts = np.atleast_1d(np.asarray(intercepts, dtype=float))
        gain = (max_rates - self.threshold) / (1 - intercepts)
        return gain, max_rates - gain

    def max_rates_intercepts(
        self, gain: np.ndarray, bias: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find maximum rates and intercepts: the inverse of `gain_bias`.

        Parameters
        ----------
        gain : array (N,)
            What the input of each neuron is multiplied by.
        bias : array (N,)
            What is added to it.

        Returns
        -------
        max_rates, intercepts : array (N,)
            Outputs for an input of 1 [Hz], and the inputs at the threshold.
        """
        return np.minimum(gain + bias, self.max_value), (self.threshold - bias) / gain

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
        below = self.negative_slope * (J - self.threshold)
        above = np.minimum(J, self.max_value)
        output[...] = self.amplitude * np.where(J > self.threshold, above, below)

    step_math = step  # the name before Nengo 3.1
