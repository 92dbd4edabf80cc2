"""What spiking neurons do in training: the choices for the setting ``training_spikes``.

A spike is a step function of the voltage, whose derivative is zero or infinite. Three ways out:

- `Rates` (the default): in training, neurons give their firing rates instead of spikes.
- A surrogate gradient (`FastSigmoid`, `Arctangent`, `Triangle`): neurons spike in training as they
  do in simulation, through time; where the gradient needs the derivative of a spike by the
  voltage, a smooth function takes its place.
- `SmoothRate`: neurons spike in training; the gradient is that of their firing rate.

``docs/howto/training.md`` has a table of what each neuron type does. Which of them an ensemble has
is decided in `nengo_dl.config.training_spikes`; `nengo_dl.kernels.surrogate` has the gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from nengo.exceptions import ValidationError

from .utils import Tensor, is_positive


@dataclass(frozen=True)
class Rates:
    """Firing rates in training, and their gradient.

    Parameters
    ----------
    smoothing : float or None, default None
        Width of the smooth onset of the rates of `nengo.LIF`, `nengo.LIFRate` and their adaptive
        forms: the ``sigma`` of `.SoftLIFRate`. None: no smoothing.

    References
    ----------
    Hunsberger and Eliasmith (2015). Spiking deep networks with LIF neurons.
    https://arxiv.org/abs/1510.08829
    """

    smoothing: float | None = None

    def __post_init__(self) -> None:
        if self.smoothing is not None:
            _check_positive(self, "smoothing")


@dataclass(frozen=True)
class SmoothRate:
    """Spikes in training; the gradient of their output by the current is that of the rate.

    It does not flow through the voltage: in the backward pass, a neuron has no memory.

    Parameters
    ----------
    smoothing : float, default 0.1
        Width of the smooth onset of the rates of LIF neurons: the ``sigma`` of `.SoftLIFRate`.

    References
    ----------
    Hunsberger and Eliasmith (2015). Spiking deep networks with LIF neurons.
    https://arxiv.org/abs/1510.08829
    """

    smoothing: float = 0.1

    def __post_init__(self) -> None:
        _check_positive(self, "smoothing")


@dataclass(frozen=True)
class Surrogate(ABC):
    r"""Spikes in training; their derivative by the voltage is a smooth function.

    The output of a spike is ``amplitude / dt``, so its derivative by the voltage :math:`v` is

    .. math::

        \frac{\text{amplitude}}{dt} \, h \, \varphi\bigl(k (v - \vartheta)\bigr), \qquad
        \varphi(0) = 1

    where :math:`\vartheta` is the threshold (1 for `nengo.LIF`; for neurons that can spike several
    times in a step, the whole number next to :math:`v`).

    To define another one, derive a dataclass from this class, and give it `shape`.

    Parameters
    ----------
    slope : float
        Steepness :math:`k`, per unit of voltage: the larger, the narrower the surrogate.
    height : float
        The derivative :math:`h` at threshold.
    detach_reset : bool, default True
        Whether the gradient ignores that a spike resets the voltage [Zenke and Vogels 2021].
        False: it flows through the reset too.

    References
    ----------
    Neftci, Mostafa and Zenke (2019). Surrogate gradient learning in spiking neural networks.
    https://arxiv.org/abs/1901.09948

    Zenke and Vogels (2021). The remarkable robustness of surrogate gradient learning.
    https://doi.org/10.1162/neco_a_01367
    """

    slope: float
    height: float = 1.0
    detach_reset: bool = True

    def __post_init__(self) -> None:
        _check_positive(self, "slope")
        _check_positive(self, "height")
        if not isinstance(self.detach_reset, bool):
            raise ValidationError(
                f"got {self.detach_reset!r}, expected True or False", attr="detach_reset", obj=self
            )

    @abstractmethod
    def shape(self, x: Tensor) -> Tensor:
        r"""Compute :math:`\varphi`, from arithmetic and ``abs`` alone.

        Parameters
        ----------
        x : array or tensor
            The scaled distance to the threshold, :math:`k (v - \vartheta)`; of any shape.

        Returns
        -------
        array or tensor
            Of the same shape; 1 at 0.
        """

    def derivative(self, x: Tensor) -> Tensor:
        r"""Compute the derivative of a spike by the voltage, :math:`h \, \varphi(k x)`.

        Parameters
        ----------
        x : array or tensor
            Voltage minus threshold; of any shape.

        Returns
        -------
        array or tensor
            Of the same shape.
        """
        # a product with 1 would be one more operation of each step
        value = self.shape(x if self.slope == 1 else self.slope * x)
        return value if self.height == 1 else self.height * value


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    r"""The derivative of a fast sigmoid, :math:`\varphi(x) = 1 / (1 + |x|)^2` (SuperSpike).

    Parameters
    ----------
    slope : float, default 3
        Steepness, per unit of voltage. Steeper ones, such as 25, are common in networks of one or
        two layers; through more layers their gradients vanish.
    height : float, default 1
        The derivative at threshold.
    detach_reset : bool, default True
        Whether the gradient ignores that a spike resets the voltage.

    References
    ----------
    Zenke and Ganguli (2018). SuperSpike: supervised learning in multilayer spiking neural
    networks. https://arxiv.org/abs/1705.11146
    """

    slope: float = 3.0

    def shape(self, x: Tensor) -> Tensor:
        r"""Compute :math:`1 / (1 + |x|)^2`."""
        root = 1 + abs(x)
        return 1 / (root * root)


@dataclass(frozen=True)
class Arctangent(Surrogate):
    r"""The derivative of an arctangent, :math:`\varphi(x) = 1 / (1 + x^2)`.

    In Fang et al. it is :math:`\frac{\alpha}{2} / (1 + (\frac{\pi}{2} \alpha x)^2)`: their
    :math:`\alpha` is ``slope = π α / 2`` and ``height = α / 2`` here.

    Parameters
    ----------
    slope : float, default π
        Steepness, per unit of voltage.
    height : float, default 1
        The derivative at threshold.
    detach_reset : bool, default True
        Whether the gradient ignores that a spike resets the voltage.

    References
    ----------
    Fang et al. (2021). Incorporating learnable membrane time constant to enhance learning of
    spiking neural networks. https://arxiv.org/abs/2007.05785
    """

    slope: float = 3.141592653589793

    def shape(self, x: Tensor) -> Tensor:
        r"""Compute :math:`1 / (1 + x^2)`."""
        return 1 / (1 + x * x)


@dataclass(frozen=True)
class Triangle(Surrogate):
    r"""A triangle, :math:`\varphi(x) = \max(0, 1 - |x|)`.

    Parameters
    ----------
    slope : float, default 1
        Steepness: the surrogate ends at a distance of 1 / slope from the threshold.
    height : float, default 1
        The derivative at threshold; the dampening factor of Bellec et al., which is 0.3 there.
    detach_reset : bool, default True
        Whether the gradient ignores that a spike resets the voltage.

    References
    ----------
    Bellec et al. (2018). Long short-term memory and learning-to-learn in networks of spiking
    neurons. https://arxiv.org/abs/1803.09574

    Esser et al. (2016). Convolutional networks for fast, energy-efficient neuromorphic computing.
    https://arxiv.org/abs/1603.08270
    """

    slope: float = 1.0

    def shape(self, x: Tensor) -> Tensor:
        r"""Compute :math:`\max(0, 1 - |x|)`."""
        inner = 1 - abs(x)
        return (inner + abs(inner)) / 2


def _check_positive(obj: object, name: str) -> None:
    value = getattr(obj, name)
    if not is_positive(value):
        raise ValidationError(f"got {value!r}, expected a number greater than 0", name, obj)


TrainingSpikes = Rates | SmoothRate | Surrogate

NAMED: dict[str, type] = {
    "rates": Rates,
    "smooth_rate": SmoothRate,
    "fast_sigmoid": FastSigmoid,
    "arctangent": Arctangent,
    "triangle": Triangle,
}
EXPECTED = f"one of {', '.join(map(repr, NAMED))}, or an object of a class in nengo_dl.surrogate"


def is_choice(value: object) -> bool:
    """Whether a value is a choice, or the name of one.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return isinstance(value, TrainingSpikes) or isinstance(value, str) and value in NAMED


def get(choice: TrainingSpikes | str) -> TrainingSpikes:
    """Return the choice that a name stands for; objects are returned as they are.

    Parameters
    ----------
    choice : Rates, SmoothRate, Surrogate or str
        ``"rates"``, ``"smooth_rate"``, ``"fast_sigmoid"``, ``"arctangent"`` or ``"triangle"``:
        with default parameters.

    Returns
    -------
    Rates, SmoothRate or Surrogate

    Raises
    ------
    ValidationError
        If it is none of them.
    """
    if not is_choice(choice):
        raise ValidationError(f"got {choice!r}, expected {EXPECTED}", attr="training_spikes")
    return NAMED[choice]() if isinstance(choice, str) else choice
