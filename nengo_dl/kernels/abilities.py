"""What some kernels can do besides: each ability is a class that names its methods.

A kernel has an ability if it has all its methods. To name the class among its bases, after `Kernel`
or `NeuronKernel`, says so to readers, lets a type checker compare, and makes a method that is
missing an error. Whoever asks for an ability goes on without it where a kernel does not have it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from nengo.neurons import NeuronType

from ..compiler.ir import Group, Op, Signal, View
from ..surrogate import Surrogate
from .arrays import Action, Arrays, Tensor, Tensors
from .constants import Constants
from .context import Context

# ------------------------------------------------------------------- of a kind of operation


@runtime_checkable
class StepsInNumPy(Protocol):
    """Has a form in NumPy: it takes part in the first steps of a run, and in small networks."""

    @abstractmethod
    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        """The same as `compute` for one step and item, in NumPy.

        Parameters
        ----------
        group : Group
        reads : list of array (G, ...), or (N,) if `flat`
            Arguments, without batch axis; the same arrays in each step.
        writes : list of array (N,)
            Where results go.
        ctx : Context

        Returns
        -------
        callable or None
            Computes one step; None if there is no such form of this group.
        """
        ...


@runtime_checkable
class PacksStates(Protocol):
    """Needs fewer numbers than its states have: a loop may hold them as one array."""

    @abstractmethod
    def packs(self, group: Group) -> bool:
        """Whether that is so for a group, with all that it reads after the first argument."""
        ...

    @abstractmethod
    def pack(self, group: Group, states: Tensors, ctx: Context) -> Tensor:
        """That array (L, N), of states (L, N)."""
        ...

    @abstractmethod
    def unpack(self, group: Group, held: Tensor, ctx: Context) -> Tensors:
        """The inverse of `pack`."""
        ...


@runtime_checkable
class ChangesInTraining(Protocol):
    """Computes something else in a program that trains."""

    @abstractmethod
    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        """What takes the place of an op in training.

        Also returns what stands for signals that the new op does not write any more.
        """
        ...


@runtime_checkable
class NamesResiduals(Protocol):
    """Knows on which few arrays its gradient depends: they are kept, and steps not run again."""

    @abstractmethod
    def residuals(self, group: Group) -> int | None:
        """How many arrays (B, N) the gradient of a step in training depends on.

        They are all that `compute` hands to `Context.keep`, whose results it goes on with: in the
        gradient these are the arrays of that step, while arguments mean nothing. None, if the
        gradient depends on arguments.
        """
        ...


@runtime_checkable
class InlinesByGroup(Protocol):
    """Fits in a kernel for a whole loop only sometimes; for others, `Kernel.inlines` tells."""

    @abstractmethod
    def inlined(self, group: Group, batch: int) -> bool:
        """Whether XLA:CPU computes a group well inside of a kernel for a whole loop.

        Products of two matrices are plain loops there.
        """
        ...


class Randomness(Protocol):
    """What Nengo's simulator gives operators: a generator, or at least a seed for one of theirs."""

    def randint(self, high: int, /) -> int:
        """A number below `high`."""
        ...


class HostStepper(Protocol):
    """Keeps the state of an op on the host, for one batch item.

    Parameters
    ----------
    op : Op
    dt : float
        Step length [s].
    rng : Randomness
        What Nengo's simulator would give the op's operator.
    item : int
        The number of the item.

    Attributes
    ----------
    generators : list of numpy.random.RandomState
        From which it draws, and no other.
    """

    generators: list[np.random.RandomState]

    def __init__(self, op: Op, dt: float, rng: Randomness, item: int) -> None: ...

    @staticmethod
    def run(steppers: Sequence[Any], arrays: Arrays) -> list[np.ndarray]:
        """Run a step of some items, whose rows the arrays have."""
        ...

    def advance(self, arrays: Arrays) -> list[np.ndarray]:
        """Run a step of this item."""
        ...


@runtime_checkable
class StepsOnHost(Protocol):
    """Has a state on the host.

    Attributes
    ----------
    stepper : type
        What keeps the state; see `HostStepper` and `host.Steppers`.
    """

    stepper: type[HostStepper]


@dataclass(frozen=True)
class Abilities:
    """A kernel as what it can do besides; None for what it cannot.

    Python compares methods one by one, each time that it is asked: that is done once for a kernel.
    """

    in_numpy: StepsInNumPy | None
    packing: PacksStates | None
    training: ChangesInTraining | None
    residuals: NamesResiduals | None
    inlining: InlinesByGroup | None
    host: StepsOnHost | None

    @classmethod
    def of(cls, kernel: object) -> Abilities:
        """Look at all abilities of a kernel."""
        return cls(
            kernel if isinstance(kernel, StepsInNumPy) else None,
            kernel if isinstance(kernel, PacksStates) else None,
            kernel if isinstance(kernel, ChangesInTraining) else None,
            kernel if isinstance(kernel, NamesResiduals) else None,
            kernel if isinstance(kernel, InlinesByGroup) else None,
            kernel if isinstance(kernel, StepsOnHost) else None,
        )


# ----------------------------------------------------------------------- of a neuron type


@runtime_checkable
class SmoothsRate(Protocol):
    """Has a rate with a threshold that can be smoothed."""

    @classmethod
    @abstractmethod
    def smooth_rate(cls, c: Constants, J: Tensor, sigma: float) -> Tensor:
        """Like `rate`, with the threshold smoothed by `sigma`."""
        ...


@runtime_checkable
class HasSlope(Protocol):
    """Has the slope of its rate in closed form, where the rate is known.

    A class says so of the rate that it has itself: nothing is said of one that computes another.
    """

    @classmethod
    @abstractmethod
    def slope(cls, c: Constants, J: Tensor, rate: Tensor) -> Tensor:
        """d(rate)/dJ, of the same shape."""
        ...


@runtime_checkable
class HasSurrogate(Protocol):
    """Can train with spikes and a surrogate gradient."""

    @classmethod
    @abstractmethod
    def surrogate_step(
        cls, c: Constants, dt: float, surrogate: Surrogate, J: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        """The results of `step`, with a surrogate gradient."""
        ...


@runtime_checkable
class StepsPacked(Protocol):
    """Needs one number for each neuron, where its states are more; see `PacksStates`."""

    @classmethod
    @abstractmethod
    def packs(cls, neurons: NeuronType, *initial: np.ndarray | None) -> bool:
        """Whether states that begin with given values can be held as one."""
        ...

    @classmethod
    @abstractmethod
    def pack(cls, dt: float, *states: Tensor) -> Tensor:
        """The states as one array, without loss for all `step` will do."""
        ...

    @classmethod
    @abstractmethod
    def unpack(cls, dt: float, held: Tensor) -> Tensors:
        """States of which `pack` makes the same."""
        ...

    @classmethod
    @abstractmethod
    def packed_step(cls, c: Constants, dt: float, J: Tensor, held: Tensor) -> tuple[Tensor, ...]:
        """The results of `step`, with packed states."""
        ...


@runtime_checkable
class HasNumPyStep(Protocol):
    """Has a step in NumPy that is faster than Nengo's, and equal."""

    @classmethod
    @abstractmethod
    def numpy_step(cls, neurons: NeuronType, J: np.ndarray) -> Callable[..., None]:
        """A function of the arguments of Nengo's `step`, for currents like J."""
        ...
