"""Populations of neurons, of all types: what they compute is said by their `NeuronKernel`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from inspect import getattr_static
from itertools import groupby

import numpy as np
from nengo.neurons import NeuronType

from ..compiler import costs
from ..compiler.ir import Group, Op, Signal, View
from ..surrogate import Rates, Surrogate, TrainingSpikes
from .abilities import (
    ChangesInTraining,
    HasNumPyStep,
    HasSlope,
    NamesResiduals,
    PacksStates,
    StepsInNumPy,
    StepsPacked,
)
from .arrays import Action, Arrays, Tensor, Tensors
from .base import Kernel, NeuronKernel
from .constants import Constants
from .context import Context
from .registry import kernel, neuron_kernel
from .surrogate import with_gradient


@kernel("neurons")
class Neurons(Kernel, ChangesInTraining, NamesResiduals, PacksStates, StepsInNumPy):
    """All neuron types; their constants become vectors where members of a group differ."""

    mergeable = False  # neurons of equal parameters are meant to be many
    is_population = True
    any_order = True
    inlines = True

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return (type(op.attrs["neurons"]), training_spikes(op))

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        kind = _type_of(group)
        constants = Constants(group, kind.constants, ctx)
        choice = training_spikes(group.ops[0])
        rate = ctx.known.get(group.writes[0])
        slope = None if rate is None else _slope_of(kind, choice)
        if rate is not None and slope is not None:
            return _with_slope(rate, reads[0], partial(slope, constants))
        if choice is not None:
            return kind.training_step(constants, ctx.dt, choice, *reads)
        if group.packed:
            return _packed_type_of(group).packed_step(constants, ctx.dt, *reads)
        return kind.step(constants, ctx.dt, *reads)

    def packs(self, group: Group) -> bool:
        kind = _type_of(group)
        return issubclass(kind, StepsPacked) and all(
            kind.packs(op.attrs["neurons"], *(v.signal.initial for v in op.reads[1:]))
            for op in group.ops
        )

    def pack(self, group: Group, states: Tensors, ctx: Context) -> Tensor:
        return _packed_type_of(group).pack(ctx.dt, *states)

    def unpack(self, group: Group, held: Tensor, ctx: Context) -> Tensors:
        return _packed_type_of(group).unpack(ctx.dt, held)

    def residuals(self, group: Group) -> int | None:
        surrogate = isinstance(training_spikes(group.ops[0]), Surrogate)
        return _type_of(group).residuals if surrogate else None

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        """One call for all neurons in a row that have the same constants."""
        kind = _type_of(group)
        if kind.draws:  # Nengo's step would draw by itself, and others than were drawn ahead
            return None
        populations, stop = [], 0
        # objects of Nengo's are equal if all their parameters are
        for neurons, ops in groupby(group.ops, key=lambda op: op.attrs["neurons"]):
            start, stop = stop, stop + sum(op.writes[0].size for op in ops)
            populations.append((neurons, slice(start, stop)))
        if len(populations) > costs.current().numpy_populations:
            return None
        calls = [
            (_numpy_step(kind, n, J), J, writes[0][p], _states(kind, writes[1:], p))
            for n, p in populations
            for J in [reads[0][p]]
        ]
        copies = list(zip(writes[1:], reads[1:], strict=True))

        def compute() -> None:
            # Nengo changes states in place, while others still read those of the step before
            for new, old in copies:
                new[:] = old
            for step, J, output, states in calls:
                step(ctx.dt, J, output, **states)

        return compute

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        """Neurons that spike do what the user chose; state of which rates know stands still."""
        kind = neuron_kernel(type(op.attrs["neurons"]))
        choice = op.attrs.get("training_spikes") or Rates()
        # `in_training` marks the op: simulation has the same choice among its attrs, and ignores it
        attrs = {**op.attrs, "training_spikes": choice, "in_training": True}
        if not isinstance(choice, Rates):
            return (replace(op, attrs=attrs) if kind.spiking else op), {}
        if not kind.rated or not kind.spiking and choice.smoothing is None:
            return op, {}
        going = [0, *(i for i, s in enumerate(kind.states, 1) if s in kind.rate_states)]
        held = {
            new: old
            for i, (new, old) in enumerate(zip(op.writes, op.reads, strict=False))
            if i not in going
        }
        reads, writes = (tuple(op.reads[i] for i in going), tuple(op.writes[i] for i in going))
        return replace(op, reads=reads, writes=writes, attrs=attrs), held


def training_spikes(op: Op) -> TrainingSpikes | None:
    """What the neurons of an operation of a training program do; None if they step as ever."""
    return op.attrs["training_spikes"] if op.attrs.get("in_training") else None


def _slope_of(
    kind: type[NeuronKernel], choice: TrainingSpikes | None
) -> Callable[[Constants, Tensor, Tensor], Tensor] | None:
    """The slope of what neurons give, where that is the very rate which a class has one for."""
    if choice is None:
        route: tuple[str, ...] = ("step", "rate")
    elif isinstance(choice, Rates) and choice.smoothing is None:
        route = ("training_step", "rate_step", "rate")
    else:
        return None
    if not issubclass(kind, HasSlope):
        return None
    # a class that inherits the slope may have changed what it is the slope of
    owner = next(base for base in kind.__mro__ if "slope" in vars(base))
    same = (getattr_static(kind, name) is getattr_static(owner, name) for name in route)
    return kind.slope if all(same) else None


def _with_slope(rate: Tensor, J: Tensor, slope: Callable[[Tensor, Tensor], Tensor]) -> Tensors:
    """A rate that is known, and depends on J."""

    def gradient(upstream: Tensor, J: Tensor, rate: Tensor) -> tuple[Tensor, ...]:
        return (upstream * slope(J, rate),)

    return with_gradient([rate], [J], [J, rate], gradient)


def _type_of(group: Group) -> type[NeuronKernel]:
    return neuron_kernel(type(group.ops[0].attrs["neurons"]))


def _packed_type_of(group: Group) -> type[StepsPacked]:
    """The type of a group whose states are held as one array."""
    kind = _type_of(group)
    if not issubclass(kind, StepsPacked):
        raise TypeError(f"{kind.__name__} has no packed form of its states")
    return kind


def _numpy_step(
    kind: type[NeuronKernel], neurons: NeuronType, J: np.ndarray
) -> Callable[..., None]:
    """Nengo's own step, unless the kernel has one that is faster."""
    step: Callable[..., None] = neurons.step
    return kind.numpy_step(neurons, J) if issubclass(kind, HasNumPyStep) else step


def _states(
    kind: type[NeuronKernel], arrays: Sequence[np.ndarray], part: slice
) -> dict[str, np.ndarray]:
    return {name: array[part] for name, array in zip(kind.states, arrays, strict=True)}
