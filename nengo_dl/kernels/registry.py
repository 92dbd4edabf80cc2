"""The one place where kinds of operations and neuron types are found.

To add a kind, subclass `Kernel` and decorate it with `@kernel("kind")`; to add a neuron type,
subclass `NeuronKernel` and decorate it with `@neuron(TheNengoClass)`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from ..compiler import costs
from ..compiler.ir import Group, Op, Role, Signal, View
from ..compiler.traits import Product
from ..surrogate import Rates, SmoothRate
from .context import Context
from .later import ops
from .surrogate import with_gradient_of

Arrays = Sequence[np.ndarray]
Action = Callable[[], None]

_KERNELS: dict[str, Kernel] = {}
_NEURONS: dict[type, type[NeuronKernel]] = {}


class Kernel:
    """A kind of operation.

    Attributes
    ----------
    sequential : bool
        Whether it must run step by step, in order, whatever it depends on.
    compiled : bool
        Whether XLA can compile it; if not, it is a call of Python, out of the compiled program.
    user_code : bool
        Whether it is tensor code of the user's: only its trace tells whether XLA compiles it.
    restarts : bool
        Whether it calls Python that keeps a state, which can begin anew for some items.
    passes_gradient : bool
        Whether gradients flow through it.
    keeps_items_apart : bool
        Whether no item of a minibatch knows of the others.
    product : Product or None
        What it multiplies, if that is all it does: the compiler drops products with zero.
    has_effects : bool
        Whether it acts on the world outside the program, even if nobody reads its results.
    mergeable : bool
        Whether one op can stand for another that reads the same.
    is_population : bool
        Whether its members are populations of neurons.
    stepper : type or None
        What keeps the state of an op on the host, for all batch items; see `host.Steppers`.
    inlines : bool
        What `inlined` is for all its groups.
    any_order : bool
        Whether a flat kernel takes elements in any order, and arrays of any rank: constants then
        come from `Group.per_element`.
    """

    sequential = False
    compiled = True
    user_code = False
    restarts = False
    passes_gradient = True
    keeps_items_apart = True
    product: Product | None = None
    has_effects = False
    mergeable = True
    is_population = False
    inlines = False
    any_order = False
    stepper: type | None = None

    def flat(self, op: Op) -> bool:
        """Whether it works on single elements: members of a group may then differ in size."""
        return False

    def signature(self, op: Op) -> Hashable:
        """Ops with equal signatures may share a group."""
        return tuple(sorted(op.attrs.items()))

    def compute(self, group: Group, reads: Sequence[Any], ctx: Context) -> Sequence[Any]:
        """Results for a whole group.

        Parameters
        ----------
        group : Group
        reads : list of tensor (L, G, ...), or (L, N) if `flat`
            Arguments. L is the number of batch items (times steps, outside loops), or 1 for
            what all items share; G is the number of ops, N the sum of their sizes.

        Returns
        -------
        list of tensor (L, G, ...) or (L, N)
        """
        raise NotImplementedError

    def inlined(self, group: Group, batch: int) -> bool:
        """Whether XLA:CPU computes it well inside of a kernel for a whole loop.

        Products of two matrices are plain loops there.
        """
        return self.inlines

    def kept(self, group: Group) -> int | None:
        """How many arrays (B, N) the gradient of a step in training depends on.

        They are all that `compute` hands to `Context.keep`, whose results it goes on with: in the
        gradient these are the arrays of that step, while arguments mean nothing. None, if the
        gradient depends on arguments.
        """
        return None

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        """The same for one step and item, in NumPy; None if there is no such form.

        Parameters
        ----------
        group : Group
        reads : list of array (G, ...), or (N,) if `flat`
            Arguments, without batch axis; the same arrays in each step.
        writes : list of array (N,)
            Where results go.

        Returns
        -------
        callable
            Computes one step. For small networks whose loop is Python anyway.
        """
        return None

    def packs(self, group: Group) -> bool:
        """Whether the states of a group, all it reads after the first, can be held as one array."""
        return False

    def pack(self, group: Group, states: Sequence[Any], ctx: Context) -> Any:
        """That array (L, N), of states (L, N)."""
        raise NotImplementedError

    def unpack(self, group: Group, held: Any, ctx: Context) -> Sequence[Any]:
        """The inverse of `pack`."""
        raise NotImplementedError

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        """What takes the place of an op in a program that trains.

        Also returns what stands for signals that the new op does not write any more.
        """
        return op, {}


def kernel(kind: str) -> Callable[[type[Kernel]], type[Kernel]]:
    """Register a kernel under the kind of its ops."""

    def register(cls: type[Kernel]) -> type[Kernel]:
        if kind in _KERNELS:
            raise ValueError(f"kind {kind!r} already has a kernel, {_KERNELS[kind]}")
        _KERNELS[kind] = cls()
        return cls

    return register


class NeuronKernel:
    """A neuron type.

    Attributes
    ----------
    constants : tuple of str
        Attributes of the Nengo object that `step` and `rate` use, as `c.name`.
    states : tuple of str
        Its state variables, by Nengo's names.
    rate_states : tuple of str
        Those that `rate_step` goes on with; the others stand still while neurons give rates.
    spiking : bool
        Whether it spikes, so that training must do something about the gradient.
    rated : bool
        Whether it has a rate that can take the place of its spikes.
    draws : str or None
        Its random generator, by Nengo's name; `step` receives a uniform number in [0, 1) for each
        neuron after its states.
    kind : str
        The kind of operation that computes it in simulation.
    kept : int or None
        Arrays that `surrogate_step` hands to `c.keep`; see `Kernel.kept`.
    """

    constants: tuple[str, ...] = ("amplitude",)
    states: tuple[str, ...] = ()
    rate_states: tuple[str, ...] = ()
    spiking: bool = False
    rated: bool = True
    draws: str | None = None
    kind: str = "neurons"
    kept: int | None = None

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        """Output and new states for the current J (L, N) of one step."""
        return (cls.rate(c, J),)

    @classmethod
    def packs(cls, neurons: Any, *initial: np.ndarray) -> bool:
        """Whether states, that begin with given values, can be held as one; then see `pack`."""
        return False

    @classmethod
    def pack(cls, dt: float, *states: Any) -> Any:
        """The states as one array, without loss for all `step` will do."""
        raise NotImplementedError

    @classmethod
    def unpack(cls, dt: float, held: Any) -> Sequence[Any]:
        """States of which `pack` makes the same."""
        raise NotImplementedError

    @classmethod
    def packed_step(cls, c: Any, dt: float, J: Any, held: Any) -> tuple:
        """The results of `step`, with packed states."""
        raise NotImplementedError

    @classmethod
    def numpy_step(cls, neurons: Any, J: np.ndarray) -> Callable:
        """The same in NumPy, for currents like J: a function of the arguments of Nengo's `step`."""
        return neurons.step

    @classmethod
    def rate(cls, c: Any, J: Any) -> Any:
        """Firing rate [Hz] for the current J (L, N): what spiking neurons give in training."""
        raise NotImplementedError

    @classmethod
    def smooth_rate(cls, c: Any, J: Any, sigma: float) -> Any:
        """Like `rate`, with the threshold smoothed by `sigma`; the same where there is none."""
        return cls.rate(c, J)

    @classmethod
    def rate_step(cls, c: Any, dt: float, sigma: float | None, J: Any, *states: Any) -> tuple:
        """Rate, smoothed by `sigma` unless that is None, and new values of `rate_states`."""
        return (cls.rate(c, J) if sigma is None else cls.smooth_rate(c, J, sigma),)

    @classmethod
    def surrogate_step(cls, c: Any, dt: float, surrogate: Any, J: Any, *states: Any) -> tuple:
        """The results of `step`, with a surrogate gradient."""
        raise NotImplementedError

    @classmethod
    def training_step(cls, c: Any, dt: float, choice: Any, J: Any, *states: Any) -> tuple:
        """Output and new states in training, as the user chose it."""
        if isinstance(choice, Rates):
            return cls.rate_step(c, dt, choice.smoothing, J, *states)
        if not isinstance(choice, SmoothRate):
            return cls.surrogate_step(c, dt, choice, J, *states)
        states = [ops.stop_gradient(s) for s in states]
        output, *following = cls.step(c, dt, ops.stop_gradient(J), *states)
        if not cls.rated:
            return output, *following
        kept = [s for s, name in zip(states, cls.states, strict=False) if name in cls.rate_states]
        rate, *_ = cls.rate_step(c, dt, choice.smoothing, J, *kept)
        return with_gradient_of(output, rate), *following


def neuron(nengo_type: type) -> Callable[[type[NeuronKernel]], type[NeuronKernel]]:
    """Register a neuron kernel for exactly one Nengo neuron type."""

    def register(cls: type[NeuronKernel]) -> type[NeuronKernel]:
        if nengo_type in _NEURONS:
            raise ValueError(f"{nengo_type.__name__} already has a kernel, {_NEURONS[nengo_type]}")
        _NEURONS[nengo_type] = cls
        return cls

    return register


def neuron_kernel(nengo_type: type) -> type[NeuronKernel]:
    """The kernel of a neuron type.

    Parameters
    ----------
    nengo_type : type
        A neuron type of Nengo's or of this package's, or one that was registered; no subclass.

    Returns
    -------
    type
        A `NeuronKernel`: for a subclass of the type that adds nothing to what its steps do,
        ``neuron(Subclass)(neuron_kernel(nengo.LIF))`` registers it; others derive from it.

    Raises
    ------
    KeyError
        If the type has no kernel.
    """
    return _NEURONS[nengo_type]


def neuron_types() -> dict[type, type[NeuronKernel]]:
    """All neuron types that have a kernel, and these, in the order of registration."""
    return dict(_NEURONS)


class Catalogue:
    """What the compiler asks about kernels."""

    def kernel(self, kind: str) -> Kernel:
        return _KERNELS[kind]

    def compiles_neurons(self, nengo_type: type) -> bool:
        return nengo_type in _NEURONS

    def draws_on_host(self, nengo_type: type) -> bool:
        """Whether Nengo's own step draws the spikes of a neuron type that has a kernel."""
        return not _KERNELS[_NEURONS[nengo_type].kind].compiled

    def neuron_kind(self, nengo_type: type) -> str:
        return _NEURONS[nengo_type].kind

    def neuron_draws(self, nengo_type: type) -> str | None:
        """The random generator of a neuron type that a kernel can use."""
        return _NEURONS[nengo_type].draws

    def neuron_states(self, nengo_type: type) -> tuple[str, ...]:
        return _NEURONS[nengo_type].states

    def convolves(self, dimensions: int, groups: int, transposed: bool) -> bool:
        return dimensions <= 3 and not (transposed and groups > 1)

    def is_flat(self, op: Op) -> bool:
        return _KERNELS[op.kind].flat(op)

    def works_in_any_order(self, group: Group) -> bool:
        """Whether a group's elements can be arranged in any order."""
        return _KERNELS[group.kind].any_order and self.is_flat(group.ops[0])

    def packs(self, group: Group) -> bool:
        return _KERNELS[group.kind].packs(group)

    def inlines(self, group: Group, batch: int) -> bool:
        """Whether a group's kernel may be a part of one for a whole loop."""
        return _KERNELS[group.kind].inlined(group, batch)

    def traits(self, op: Op | Group) -> Kernel:
        """What holds for all ops of a kind."""
        return _KERNELS[op.kind]

    def kept(self, group: Group) -> int | None:
        """Arrays (B, N) on which alone the gradient of a step depends; None if on others too."""
        return _KERNELS[group.kind].kept(group)

    def signature(self, op: Op) -> Hashable:
        """What has to be equal for ops to share a group."""
        own = _KERNELS[op.kind]
        shapes = None if own.flat(op) else tuple(v.shape for v in op.reads)
        if op.is_sum:  # its terms are counted by element
            return op.kind, own.signature(op)
        kinds = tuple(map(_kind_of_argument, op.reads))
        return (op.kind, own.signature(op), len(op.reads) if shapes is None else shapes, kinds)

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        return _KERNELS[op.kind].for_training(op)


def _kind_of_argument(view: Any) -> Hashable:
    """What has to be alike in one argument of a group.

    Small parameters are put together before the loop, whatever they are; large ones must lie
    together in memory.
    """
    signal = view.signal
    if signal.role is Role.ADAPTED:
        return signal.role, view.size == signal.size
    if signal.role not in (Role.PARAMETER, Role.CONSTANT):
        return signal.dtype
    if view.size <= costs.current().copied_parameter_elements:
        return "fixed"
    return signal.role, signal.trainable, view.size == signal.size


CATALOGUE = Catalogue()


def constant(value: Any, dtype: str) -> Any:
    """A tensor of constants."""
    return ops.convert_to_tensor(np.asarray(value, dtype=dtype))
