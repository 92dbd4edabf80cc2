"""The one place where kinds of operations and neuron types are found.

To add a kind, subclass `Kernel` and decorate it with `@kernel("kind")`; to add a neuron type,
subclass `NeuronKernel` and decorate it with `@neuron(TheNengoClass)`. What the compiler and the
runtimes ask a `Catalogue` has an answer also for kernels without the ability that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from nengo.neurons import NeuronType

from ..compiler import costs
from ..compiler.ir import Group, Op, Role, Signal, View
from .abilities import Abilities, HostStepper, PacksStates
from .arrays import Action, Arrays
from .base import Kernel, NeuronKernel
from .context import Context

OfKernel = TypeVar("OfKernel", bound=type[Kernel])
OfNeurons = TypeVar("OfNeurons", bound=type[NeuronKernel])

_KERNELS: dict[str, Kernel] = {}
_ABILITIES: dict[str, Abilities] = {}
_NEURONS: dict[type[NeuronType], type[NeuronKernel]] = {}


def kernel(kind: str) -> Callable[[OfKernel], OfKernel]:
    """Register a kernel under the kind of its ops."""

    def register(cls: OfKernel) -> OfKernel:
        if kind in _KERNELS:
            raise ValueError(f"kind {kind!r} already has a kernel, {_KERNELS[kind]}")
        _KERNELS[kind] = own = cls()
        _ABILITIES[kind] = Abilities.of(own)
        return cls

    return register


def neuron(nengo_type: type[NeuronType]) -> Callable[[OfNeurons], OfNeurons]:
    """Register a neuron kernel for exactly one Nengo neuron type."""

    def register(cls: OfNeurons) -> OfNeurons:
        if nengo_type in _NEURONS:
            raise ValueError(f"{nengo_type.__name__} already has a kernel, {_NEURONS[nengo_type]}")
        # nobody makes an object of the class, which would be refused
        missing: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
        if missing:
            names = ", ".join(sorted(missing))
            raise TypeError(f"{cls.__name__} has an ability, but not its methods: {names}")
        _NEURONS[nengo_type] = cls
        return cls

    return register


def neuron_kernel(nengo_type: type[NeuronType]) -> type[NeuronKernel]:
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


def neuron_types() -> dict[type[NeuronType], type[NeuronKernel]]:
    """All neuron types that have a kernel, and these, in the order of registration."""
    return dict(_NEURONS)


class Catalogue:
    """What the compiler and the runtimes ask about kernels."""

    def kernel(self, kind: str) -> Kernel:
        return _KERNELS[kind]

    def compiles_neurons(self, nengo_type: type[NeuronType]) -> bool:
        return nengo_type in _NEURONS

    def draws_on_host(self, nengo_type: type[NeuronType]) -> bool:
        """Whether Nengo's own step draws the spikes of a neuron type that has a kernel."""
        return not _KERNELS[_NEURONS[nengo_type].kind].compiled

    def neuron_kind(self, nengo_type: type[NeuronType]) -> str:
        return _NEURONS[nengo_type].kind

    def neuron_draws(self, nengo_type: type[NeuronType]) -> str | None:
        """The random generator of a neuron type that a kernel can use."""
        return _NEURONS[nengo_type].draws

    def neuron_states(self, nengo_type: type[NeuronType]) -> tuple[str, ...]:
        return _NEURONS[nengo_type].states

    def convolves(self, dimensions: int, groups: int, transposed: bool) -> bool:
        return dimensions <= 3 and not (transposed and groups > 1)

    def is_flat(self, op: Op) -> bool:
        return _KERNELS[op.kind].flat(op)

    def works_in_any_order(self, group: Group) -> bool:
        """Whether a group's elements can be arranged in any order."""
        return _KERNELS[group.kind].any_order and self.is_flat(group.ops[0])

    def packs(self, group: Group) -> bool:
        """Whether a loop may hold the states of a group as one array."""
        own = _ABILITIES[group.kind].packing
        return own is not None and own.packs(group)

    def packer(self, group: Group) -> PacksStates:
        """What packs and unpacks the states of a group; see `packs`."""
        own = _ABILITIES[group.kind].packing
        if own is None:
            raise TypeError(f"the kernel of kind {group.kind!r} packs no states")
        return own

    def inlines(self, group: Group, batch: int) -> bool:
        """Whether a group's kernel may be a part of one for a whole loop."""
        own = _ABILITIES[group.kind].inlining
        return _KERNELS[group.kind].inlines if own is None else own.inlined(group, batch)

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        """What computes one step of a group in NumPy; None if there is no such form."""
        own = _ABILITIES[group.kind].in_numpy
        return None if own is None else own.in_numpy(group, reads, writes, ctx)

    def stepper(self, op: Op) -> type[HostStepper] | None:
        """What keeps the state of an op on the host; None if it has none there."""
        own = _ABILITIES[op.kind].host
        return None if own is None else own.stepper

    def traits(self, op: Op | Group) -> Kernel:
        """What holds for all ops of a kind."""
        return _KERNELS[op.kind]

    def residuals(self, group: Group) -> int | None:
        """Arrays (B, N) on which alone the gradient of a step depends; None if on others too."""
        own = _ABILITIES[group.kind].residuals
        return None if own is None else own.residuals(group)

    def signature(self, op: Op) -> Hashable:
        """What has to be equal for ops to share a group."""
        own = _KERNELS[op.kind]
        # members of flat kernels lie end to end, whatever their shapes
        shapes = None if own.flat(op) else tuple(v.shape for v in op.reads)
        if op.is_sum:  # its terms are counted by element
            return op.kind, own.signature(op)
        kinds = tuple(map(_kind_of_argument, op.reads))
        return (op.kind, own.signature(op), len(op.reads) if shapes is None else shapes, kinds)

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        """What takes the place of an op in training: itself, unless its kernel changes it."""
        own = _ABILITIES[op.kind].training
        return (op, {}) if own is None else own.for_training(op)


def _kind_of_argument(view: View) -> Hashable:
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
        # the sum of copies is small, and the loop reads one array instead of many
        return "fixed"
    return signal.role, signal.trainable, view.size == signal.size


CATALOGUE = Catalogue()
