"""Populations of neurons, of all types: what they compute is said by their `NeuronKernel`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from ..compiler import costs
from ..compiler.ir import Group, Op, Signal, View
from ..surrogate import Rates, Surrogate, TrainingSpikes
from .context import Context
from .registry import Action, Arrays, Kernel, NeuronKernel, kernel, neuron_kernel


@kernel("neurons")
class Neurons(Kernel):
    """All neuron types; their constants become vectors where members of a group differ."""

    mergeable = False  # neurons of equal parameters are meant to be many
    is_population = True
    any_order = True
    inlines = True

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return (type(op.attrs["neurons"]), training_spikes(op))

    def compute(self, group: Group, reads: Sequence[Any], ctx: Context) -> Sequence[Any]:
        cls = _type_of(group)
        values = Constants(group, cls.constants, ctx.dtype)
        values.once, values.keep = ctx.once, ctx.keep
        values.initial = tuple(_largest_initial(group, i) for i in range(1, len(group.reads)))
        choice = training_spikes(group.ops[0])
        if choice is not None:
            return cls.training_step(values, ctx.dt, choice, *reads)
        return (cls.packed_step if group.packed else cls.step)(values, ctx.dt, *reads)

    def packs(self, group: Group) -> bool:
        return all(
            _type_of(group).packs(op.attrs["neurons"], *(v.signal.initial for v in op.reads[1:]))
            for op in group.ops
        )

    def pack(self, group: Group, states: Sequence[Any], ctx: Context) -> Any:
        return _type_of(group).pack(ctx.dt, *states)

    def unpack(self, group: Group, held: Any, ctx: Context) -> Sequence[Any]:
        return _type_of(group).unpack(ctx.dt, held)

    def kept(self, group: Group) -> int | None:
        surrogate = isinstance(training_spikes(group.ops[0]), Surrogate)
        return _type_of(group).kept if surrogate else None

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action | None:
        """One call for all neurons in a row that have the same constants."""
        kind = _type_of(group)
        if kind.draws:
            return None
        populations, stop = [], 0
        for neurons, ops in groupby(group.ops, key=lambda op: op.attrs["neurons"]):
            start, stop = stop, stop + sum(op.writes[0].size for op in ops)
            populations.append((neurons, slice(start, stop)))
        if len(populations) > costs.current().numpy_populations:
            return None
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

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        """Neurons that spike do what the user chose; state of which rates know stands still."""
        kind = neuron_kernel(type(op.attrs["neurons"]))
        choice = op.attrs.get("training_spikes") or Rates()
        attrs = {**op.attrs, "training_spikes": choice, "in_training": True}
        if not isinstance(choice, Rates):
            return (replace(op, attrs=attrs) if kind.spiking else op), {}
        if not kind.rated or not kind.spiking and choice.smoothing is None:
            return op, {}
        kept = [0, *(i for i, s in enumerate(kind.states, 1) if s in kind.rate_states)]
        held = {
            new: old
            for i, (new, old) in enumerate(zip(op.writes, op.reads, strict=False))
            if i not in kept
        }
        reads, writes = ([views[i] for i in kept] for views in (op.reads, op.writes))
        return replace(op, reads=tuple(reads), writes=tuple(writes), attrs=attrs), held


def training_spikes(op: Op) -> TrainingSpikes | None:
    """What the neurons of an operation of a training program do; None if they step as ever."""
    return op.attrs["training_spikes"] if op.attrs.get("in_training") else None


def _type_of(group: Group) -> type[NeuronKernel]:
    return neuron_kernel(type(group.ops[0].attrs["neurons"]))


def _states(
    kind: type[NeuronKernel], arrays: Sequence[np.ndarray], part: slice
) -> dict[str, np.ndarray]:
    return {name: array[part] for name, array in zip(kind.states, arrays, strict=True)}


class Constants:
    """Constants of a group's neurons: a number where all agree, else an array.

    Also has `once` and `keep`, as of `Context`.
    """

    def __init__(self, group: Group, names: Sequence[str], dtype: str) -> None:
        for name in names:
            values = [getattr(op.attrs["neurons"], name) for op in group.ops]
            same = all(v == values[0] for v in values)
            value = float(values[0]) if same else group.per_element(values).astype(dtype)
            setattr(self, name, value)


def _largest_initial(group: Group, slot: int) -> float:
    """The largest value that a state begins with."""
    initials = [op.reads[slot].signal.initial for op in group.ops]
    return np.inf if any(v is None for v in initials) else max(map(np.max, initials))
