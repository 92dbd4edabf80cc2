"""The one place where kinds of operations and neuron types are found.

To add a kind, subclass `Kernel` and decorate it with `@kernel("kind")`; to add a neuron type,
subclass `NeuronKernel` and decorate it with `@neuron(TheNengoClass)`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from ..compiler.ir import Group, Op, Role, Signal, View

SMALL = 2**14  # elements of a parameter that may be copied before each chunk of time

Arrays = Sequence[np.ndarray]
Action = Callable[[], None]

_KERNELS: dict[str, Kernel] = {}
_NEURONS: dict[type, type[NeuronKernel]] = {}


@dataclass(frozen=True)
class Context:
    """What kernels may know about the simulation.

    Attributes
    ----------
    dt : float
        Step length [s].
    dtype : str
        Precision of the simulation.
    batch : int
        Minibatch size B.
    training : bool
        Whether the call trains.
    host
        `host(function, arrays, shapes)` calls a Python function on NumPy arrays, once a step.
    steppers
        `steppers(op)` is the host object that runs an operator of Nengo's.
    one : scalar tensor or None
        A one of which the compiler of the program does not know that it is one; see `once`.
    rows, valid : int or scalar tensor, or None
        Outside loops: rows that results have, steps times items, and how many of them, from the
        first, are of steps that are simulated. None in loops.
    """

    dt: float
    dtype: str
    batch: int
    training: bool
    host: Callable
    steppers: Callable
    one: Any = None
    rows: Any = None
    valid: Any = None

    def once(self, x: Any) -> Any:
        """Compute x, and keep it for all that read it.

        XLA computes again whatever it can, in each of the loops that read it, but never a
        division. Where several results need the same lengthy `x`, that takes a multiple of the
        time; division by a one that XLA cannot see through changes nothing else.
        """
        return x if self.one is None else x / self.one


class Kernel:
    """A kind of operation.

    Attributes
    ----------
    sequential : bool
        Whether it must run step by step, in order, whatever it depends on.
    compiled : bool
        Whether XLA can compile it.
    stepper : type or None
        What keeps the state of an op on the host, for all batch items; see `host.Steppers`.
    """

    sequential = False
    compiled = True
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

    def for_training(self, op: Op, settings: Any) -> tuple[Op, dict[Signal, View]]:
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
    spiking : bool
        Whether training replaces `step` by `rate`.
    draws : str or None
        Its random generator, by Nengo's name; `step` receives a uniform number in [0, 1) for each
        neuron after its states.
    kind : str
        The kind of operation that computes it in simulation.
    """

    constants: tuple[str, ...] = ("amplitude",)
    states: tuple[str, ...] = ()
    spiking: bool = True
    draws: str | None = None
    kind: str = "neurons"

    @classmethod
    def step(cls, c: Any, dt: float, J: Any, *states: Any) -> tuple:
        """Output and new states for the current J (L, N) of one step."""
        return (cls.rate(c, J),)

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


def neuron(nengo_type: type) -> Callable[[type[NeuronKernel]], type[NeuronKernel]]:
    """Register a neuron kernel for exactly one Nengo neuron type."""

    def register(cls: type[NeuronKernel]) -> type[NeuronKernel]:
        if nengo_type in _NEURONS:
            raise ValueError(f"{nengo_type.__name__} already has a kernel, {_NEURONS[nengo_type]}")
        _NEURONS[nengo_type] = cls
        return cls

    return register


@kernel("neurons")
class Neurons(Kernel):
    """All neuron types; their constants become vectors where members of a group differ."""

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return (type(op.attrs["neurons"]), op.attrs.get("training"), op.attrs.get("smoothing"))

    def compute(self, group: Group, reads: Sequence[Any], ctx: Context) -> Sequence[Any]:
        attrs = group.ops[0].attrs
        cls = _NEURONS[type(attrs["neurons"])]
        values = Constants(group, cls.constants, ctx.dtype)
        values.once = ctx.once
        values.initial = tuple(_largest_initial(group, i) for i in range(1, len(group.reads)))
        if not attrs.get("training"):
            return cls.step(values, ctx.dt, *reads)
        smoothing = attrs.get("smoothing")
        if smoothing is None:
            return (cls.rate(values, reads[0]),)
        return (cls.smooth_rate(values, reads[0], smoothing),)

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        """One call for all neurons that have the same constants."""
        first = group.ops[0].attrs["neurons"]
        kind = _NEURONS[type(first)]
        if kind.draws:
            return None
        populations = []
        if all(op.attrs["neurons"] == first for op in group.ops):
            populations.append((first, slice(None)))
        else:
            ends = np.cumsum([op.writes[0].size for op in group.ops])
            for op, end in zip(group.ops, ends, strict=True):
                populations.append((op.attrs["neurons"], slice(end - op.writes[0].size, end)))
        calls = [
            (kind.numpy_step(n, J), J, writes[0][p], _states(kind, writes[1:], p))
            for n, p in populations
            for J in [reads[0][p]]
        ]
        copies = list(zip(writes[1:], reads[1:], strict=True))

        def compute() -> None:
            for new, old in copies:
                new[:] = old
            for step, J, output, states in calls:
                step(ctx.dt, J, output, **states)

        return compute

    def for_training(self, op: Op, settings: Any) -> tuple[Op, dict[Signal, View]]:
        """Spiking neurons give their rates, and their state stands still."""
        kind = _NEURONS[type(op.attrs["neurons"])]
        if not kind.spiking or not (kind.states or kind.draws):
            return op, {}
        attrs = {"neurons": op.attrs["neurons"], "training": True}
        smoothed = kind.smooth_rate.__func__ is not NeuronKernel.smooth_rate.__func__
        if settings.lif_smoothing is not None and smoothed:
            attrs["smoothing"] = settings.lif_smoothing
        held = dict(zip(op.writes[1:], op.reads[1:], strict=False))
        return replace(op, reads=op.reads[:1], writes=op.writes[:1], attrs=attrs), held


def _states(
    kind: type[NeuronKernel], arrays: Sequence[np.ndarray], part: slice
) -> dict[str, np.ndarray]:
    return {name: array[part] for name, array in zip(kind.states, arrays, strict=True)}


class Constants:
    """Constants of a group's neurons: a number where all agree, else an array (1, N).

    Also has `once`, as of `Context`, for what several results of `step` are made of.
    """

    def __init__(self, group: Group, names: Sequence[str], dtype: str) -> None:
        sizes = [op.writes[0].size for op in group.ops]
        for name in names:
            values = [getattr(op.attrs["neurons"], name) for op in group.ops]
            same = all(v == values[0] for v in values)
            value = float(values[0]) if same else np.repeat(values, sizes)[None].astype(dtype)
            setattr(self, name, value)


def _largest_initial(group: Group, slot: int) -> float:
    """The largest value that a state begins with."""
    initials = [op.reads[slot].signal.initial for op in group.ops]
    return np.inf if any(v is None for v in initials) else max(map(np.max, initials))


class Catalogue:
    """What the compiler asks about kernels."""

    def kernel(self, kind: str) -> Kernel:
        return _KERNELS[kind]

    def compiles_neurons(self, nengo_type: type) -> bool:
        return nengo_type in _NEURONS

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

    def is_sequential(self, op: Op) -> bool:
        return op.kind != "route" and _KERNELS[op.kind].sequential

    def is_compiled(self, op: Op) -> bool:
        return _KERNELS[op.kind].compiled

    def runs_on_host(self, op: Op) -> bool:
        """Whether an op is a call of Python, out of the compiled program."""
        return op.kind != "route" and not _KERNELS[op.kind].compiled

    def signature(self, op: Op) -> Hashable:
        """What has to be equal for ops to share a group."""
        if op.kind == "route":
            return op.kind
        own = _KERNELS[op.kind]
        shapes = None if own.flat(op) else tuple(v.shape for v in op.reads)
        if op.kind == "sum":  # its terms are counted by element
            return op.kind, own.signature(op)
        kinds = tuple(map(_kind_of_argument, op.reads))
        return (op.kind, own.signature(op), len(op.reads) if shapes is None else shapes, kinds)

    def for_training(self, op: Op, settings: Any) -> tuple[Op, dict[Signal, View]]:
        return (op, {}) if op.kind == "route" else _KERNELS[op.kind].for_training(op, settings)


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
    if view.size <= SMALL:
        return "fixed"
    return signal.role, signal.trainable, view.size == signal.size


CATALOGUE = Catalogue()


def constant(value: Any, dtype: str) -> Any:
    """A tensor of constants."""
    return ops.convert_to_tensor(np.asarray(value, dtype=dtype))
