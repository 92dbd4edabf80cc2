"""Which neurons spike with the function of an activation, and how their rates are scaled.

A neuron whose rate is f(J) is to fire at s f(J) instead, and its spikes are to count 1/s:

- f(s J) = s f(J), for rectified lines: the gain is multiplied by s;
- all time constants divided by s, which is the same as steps of s dt: exact for any curve that is
  made of them, such as that of LIF;
- rates that jump at certain currents are multiplied themselves, and gains stay; where nothing
  spikes, nothing is to be scaled;
- otherwise the gain as well, and the function changes; `largest_error` says by how much.
"""

from __future__ import annotations

import nengo
import numpy as np
from nengo.neurons import NeuronType, RatesToSpikesNeuronType

from ...neurons import (
    IntegrateAndFire,
    LeakyReLU,
    QuantizedReLU,
    SignedIntegrateAndFire,
    SoftLIFRate,
    SpikingLeakyReLU,
    ThresholdedReLU,
)
from ..activations import with_parameters

LINES = (
    nengo.RectifiedLinear,
    nengo.SpikingRectifiedLinear,
    LeakyReLU,
    SpikingLeakyReLU,
    IntegrateAndFire,
    SignedIntegrateAndFire,
)
JUMPING = (QuantizedReLU, ThresholdedReLU)
TIME_CONSTANTS = {
    nengo.LIF: ("tau_rc", "tau_ref"),
    nengo.LIFRate: ("tau_rc", "tau_ref"),
    SoftLIFRate: ("tau_rc", "tau_ref"),
    nengo.Sigmoid: ("tau_ref",),
    nengo.Tanh: ("tau_ref",),
}


def spiking(
    neuron_type: NeuronType, signed: bool = False, max_spikes: float = np.inf
) -> NeuronType:
    """The neurons that spike with the function of a rate neuron; others are returned as they are.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    signed : bool
        Whether spikes may be taken back, by `SignedIntegrateAndFire`.
    max_spikes : float
        Most spikes in a step, of integrate-and-fire neurons.
    """
    kind = type(neuron_type)
    if kind is QuantizedReLU:
        return SignedIntegrateAndFire(neuron_type.amplitude, max_spikes=1)
    if kind is nengo.RectifiedLinear:
        made = SignedIntegrateAndFire if signed else IntegrateAndFire
        return made(neuron_type.amplitude, max_spikes=max_spikes)
    if kind is LeakyReLU:
        slope = neuron_type.negative_slope
        return IntegrateAndFire(neuron_type.amplitude, max_spikes, negative_slope=slope)
    if kind in (nengo.Sigmoid, nengo.Tanh, ThresholdedReLU):
        return nengo.RegularSpiking(neuron_type)
    return neuron_type


def is_line(neuron_type: NeuronType) -> bool:
    """Whether scaled currents give scaled rates."""
    if isinstance(neuron_type, RatesToSpikesNeuronType):
        neuron_type = neuron_type.base_type
    return type(neuron_type) in LINES


def jumps(neuron_type: NeuronType) -> bool:
    """Whether the rate jumps at certain currents, which a gain would move."""
    return isinstance(getattr(neuron_type, "base_type", neuron_type), JUMPING)


def through_step(neuron_type: NeuronType, scale: float) -> NeuronType | None:
    """Neurons that fire `scale` times as often, for the same output; None if there are none.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    scale : float
        Positive.
    """
    if isinstance(neuron_type, JUMPING):
        return neuron_type
    changes = {"amplitude": neuron_type.amplitude / scale} if _has_amplitude(neuron_type) else {}
    if isinstance(neuron_type, RatesToSpikesNeuronType):
        base = _faster(neuron_type.base_type, scale)
        return None if base is None else with_parameters(neuron_type, base_type=base, **changes)
    faster = _faster(neuron_type, scale)
    return faster if faster is None or not changes else with_parameters(faster, **changes)


def _faster(neuron_type: NeuronType, scale: float) -> NeuronType | None:
    if isinstance(neuron_type, JUMPING):
        return with_parameters(neuron_type, amplitude=neuron_type.amplitude * scale)
    names = TIME_CONSTANTS.get(type(neuron_type))
    if names is None:
        return None
    changes = {name: getattr(neuron_type, name) / scale for name in names}
    return with_parameters(neuron_type, **changes)


def _has_amplitude(neuron_type: NeuronType) -> bool:
    return hasattr(neuron_type, "amplitude")


def can_be_scaled(neuron_type: NeuronType) -> bool:
    """Whether there is an amplitude that undoes a gain."""
    return _has_amplitude(neuron_type)


def rates(neuron_type: NeuronType, currents: np.ndarray) -> np.ndarray:
    """Outputs (n,) for constant currents (n,)."""
    ones = np.ones(1)
    return neuron_type.rates(np.reshape(currents, (-1, 1)), ones, 0 * ones)[:, 0]


def largest_error(neuron_type: NeuronType, scale: float, lowest: float, highest: float) -> float:
    """How far f(s J) / s may be from f(J), for currents between two limits."""
    currents = np.linspace(lowest, highest, 101)
    scaled = rates(neuron_type, scale * currents) / scale
    return float(np.max(np.abs(scaled - rates(neuron_type, currents))))
