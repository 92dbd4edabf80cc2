"""The vocabulary that all parts of the compiler share: plain, immutable data.

A `Graph` describes one time step in single-assignment form: every temporary `Signal` is written by
exactly one `Op`, state is read as it was at the start of the step, and `Graph.next` says what each
state becomes.  A `Program` is the same computation arranged for fast execution: signals live in
`Block` arrays, ops of one kind form `Group` objects, and groups are ordered within `Stage` objects.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from .traits import Traits

Made = TypeVar("Made")


@dataclass_transform(frozen_default=True, eq_default=False)
def _immutable(cls: type[Made]) -> type[Made]:
    """A dataclass for what there is much of: the type checker alone guards that it stays as it is.

    To make a frozen dataclass takes four times as long.
    """
    return dataclass(eq=False, slots=True)(cls)


class Role(enum.Enum):
    """What a signal is to the simulation."""

    PARAMETER = "parameter"  # an argument of the compiled step, shared by the batch
    ADAPTED = "adapted"  # a parameter changed online by a learning rule, one per batch item
    STATE = "state"  # carried from step to step, one per batch item
    CONSTANT = "constant"  # never changes
    INPUT = "input"  # given from outside for each step
    TIME = "time"  # the step counter, or the time in seconds
    TEMPORARY = "temporary"  # computed within the step

    @property
    def carried(self) -> bool:
        """Whether the value at the end of a step is needed by the next."""
        return self in (Role.STATE, Role.ADAPTED)


@_immutable
class Signal:
    """An array in the simulation; its batch axis is implied and not part of `shape`."""

    name: str
    shape: tuple[int, ...]
    role: Role = Role.TEMPORARY
    dtype: str = "float"  # "float" (the simulation's precision), "int" or "bool"
    initial: np.ndarray | None = None
    trainable: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"{self.name}{list(self.shape)}"


@_immutable
class View:
    """Elements of a signal, in the row-major order of `shape`.

    `index` is None for the whole signal, or flat element positions (a slice, or an integer array).
    """

    signal: Signal
    index: slice | np.ndarray | None = None
    shape: tuple[int, ...] = None  # type: ignore[assignment]  # of all elements, by default

    def __post_init__(self) -> None:
        if self.shape is None:
            whole = self.index is None
            shape = self.signal.shape if whole else (len(self.positions()),)
            object.__setattr__(self, "shape", shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def positions(self) -> np.ndarray:
        """Flat positions in the signal of each element of the view."""
        every = np.arange(self.signal.size)
        return every if self.index is None else every[self.index].ravel()

    def __repr__(self) -> str:
        part = "" if self.index is None else "[…]"
        return f"{self.signal.name}{part}"


# The two kinds that are the compiler's own: a sum, whose terms it counts, and a sum that only moves
# elements about. What all others are, their kernels say; see `Traits`.
SUM, ROUTE = "sum", "route"

NOTHING: Mapping[str, Any] = MappingProxyType({})


@_immutable
class Op:
    """One operation: it reads views and writes signals of its own.

    `attrs` holds what the kernel needs besides arrays (constants, functions); `targets` is used by
    sums alone: for each read, the positions of the written signal that it is added to.
    """

    kind: str
    reads: tuple[View, ...]
    writes: tuple[Signal, ...]
    attrs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    targets: tuple[slice | np.ndarray | None, ...] = ()
    tag: str = ""

    @property
    def is_sum(self) -> bool:
        """Whether it adds terms up."""
        return self.kind == SUM

    @property
    def is_route(self) -> bool:
        """Whether it only moves elements about, and costs nothing."""
        return self.kind == ROUTE

    def __repr__(self) -> str:
        reads = ", ".join(map(repr, self.reads))
        return f"{self.kind}({reads}) -> {', '.join(map(repr, self.writes))}"


@dataclass(frozen=True, eq=False)
class Output:
    """What a probe records: a view, as it stands at the end of each step."""

    key: Any
    view: View
    batched: bool = True
    last_only: bool = False
    name: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """One step of a simulation."""

    ops: tuple[Op, ...]
    next: Mapping[Signal, View]
    outputs: tuple[Output, ...]
    pinned: tuple[Signal, ...] = ()  # sources to keep even if nothing reads them

    def sources(self) -> list[Signal]:
        """Every signal that no op writes, in the order of first use."""
        views = [v for op in self.ops for v in op.reads]
        views += list(self.next.values()) + [o.view for o in self.outputs]
        seen = dict.fromkeys(v.signal for v in views)
        seen.update(dict.fromkeys(self.next))
        seen.update(dict.fromkeys(self.pinned))
        return [s for s in seen if s.role is not Role.TEMPORARY]

    def __str__(self) -> str:
        lines = [repr(op) for op in self.ops]
        lines += [f"next {s!r} = {v!r}" for s, v in self.next.items()]
        lines += [f"output {o.key} = {o.view!r}" for o in self.outputs]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Block:
    """An array `(1 or batch, size)` in which several signals lie one after the other."""

    name: str
    role: Role
    dtype: str
    members: tuple[Signal, ...]
    start: int  # of its first element, in the address space of the program

    @cached_property
    def size(self) -> int:
        """Number of elements."""
        return sum(s.size for s in self.members)

    @property
    def shape(self) -> tuple[int, ...]:
        """Natural shape of the stored array, without batch axis."""
        shapes = {s.shape for s in self.members}
        if len(shapes) > 1:
            return (self.size,)
        shape = next(iter(shapes))
        return shape if len(self.members) == 1 else (len(self.members), *shape)

    @property
    def trainable(self) -> bool:
        """Whether training may change it."""
        return any(s.trainable for s in self.members)

    def initial(self) -> np.ndarray:
        """Initial values, in `shape`."""
        parts = [np.ravel(np.asarray(s.initial)) for s in self.members]
        flat = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return flat.reshape(self.shape)

    def __repr__(self) -> str:
        return f"{self.name}({self.size})"


@dataclass(frozen=True, eq=False)
class Piece:
    """A contiguous part of a block; `block` is None for zeros."""

    block: Block | None
    start: int
    stop: int

    @property
    def whole(self) -> bool:
        """Whether it is all of its block."""
        return self.block is not None and self.stop - self.start == self.block.size

    def __repr__(self) -> str:
        if self.block is None:
            return f"0({self.stop - self.start})"
        return self.block.name if self.whole else f"{self.block.name}[{self.start}:{self.stop}]"


@dataclass(frozen=True, eq=False)
class Read:
    """How a group assembles one argument: its pieces, end to end, then (perhaps) one gather.

    If the gather takes parts of equal size in order, each several times, `repeats` is how many
    elements how often: copies are cheaper than a gather.
    """

    pieces: tuple[Piece, ...]
    gather: np.ndarray | None
    size: int
    repeats: tuple[int, int] | None = None

    @classmethod
    def of(cls, block: Block) -> Read:
        """All of a block."""
        return cls((Piece(block, 0, block.size),), None, block.size)

    @property
    def blocks(self) -> list[Block]:
        """Blocks of the pieces, in order."""
        return [p.block for p in self.pieces if p.block is not None]

    @property
    def whole(self) -> Block | None:
        """The block that it is all of, if there is one."""
        whole = len(self.pieces) == 1 and self.gather is None and self.pieces[0].whole
        return self.pieces[0].block if whole else None

    @property
    def fixed(self) -> bool:
        """Whether it is the same in all steps, and for all items."""
        return all(b.role in (Role.PARAMETER, Role.CONSTANT) for b in self.blocks)

    def __repr__(self) -> str:
        inner = " + ".join(map(repr, self.pieces))
        how = "gather" if self.repeats is None else "repeat"
        return inner if self.gather is None else f"{how}({inner})"


@dataclass(frozen=True)
class Interleaving:
    """Which arrays of a group have their members along the last axis; see `interleave`.

    Attributes
    ----------
    reads : tuple of shape
        (members, ...) of each argument, before the members are moved to the end.
    writes : (int, int) or None
        Members and elements of what the group writes; None if that is in its own order.
    """

    reads: tuple[tuple[int, ...], ...]
    writes: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class Group:
    """Operators of one kind that are computed together, as one operation."""

    kind: str
    ops: tuple[Op, ...]
    reads: tuple[Read, ...]
    read_shapes: tuple[tuple[int, ...], ...]  # without batch; starts with len(ops) unless flat
    writes: tuple[Block, ...]
    traits: Traits  # what the kernel says of the kind
    interleaving: Interleaving | None = None
    packed: bool = False  # whether it reads and writes all its states as one; see `Packing`

    @property
    def is_sum(self) -> bool:
        """Whether it adds terms up."""
        return self.kind == SUM

    @property
    def runs_each_step(self) -> bool:
        """Whether it must run once for each step: Python, and the user's own code."""
        known = self.traits
        return not known.compiled or known.sequential or known.has_effects

    def per_element(self, values: Sequence[Any]) -> np.ndarray:
        """A value for each op as an array that fits those of the group, if its kernel is flat."""
        if self.interleaving is not None:
            return np.asarray(values)[None, None]
        return np.repeat(values, [op.writes[0].size for op in self.ops])[None]

    def __str__(self) -> str:
        reads = ", ".join(map(repr, self.reads))
        writes = ", ".join(map(repr, self.writes))
        along = "  (packed)" if self.packed else ""
        along += "" if self.interleaving is None else "  (interleaved)"
        return f"{self.kind:<12} ×{len(self.ops):<5} {reads}  ->  {writes}{along}"


@dataclass(frozen=True, eq=False)
class Packing:
    """States that a loop holds as one array, which is all that their group needs; see `pack`.

    Attributes
    ----------
    group : Group
        Whose kernel packs and unpacks them.
    states : tuple of Block
        In the order in which it reads them.
    held : Block
        What takes their place in the loop.
    """

    group: Group
    states: tuple[Block, ...]
    held: Block


@dataclass(frozen=True, eq=False)
class Stage:
    """Groups in order.

    `looped`: step after step; `still`: once, since all steps are alike; `last`: once, for the last
    step; otherwise a whole chunk of time at once.
    """

    looped: bool
    groups: tuple[Group, ...]
    carried: tuple[tuple[Block, Read], ...] = ()  # state blocks and what they become
    outputs: tuple[tuple[Output, Read], ...] = ()
    exports: tuple[Block, ...] = ()  # blocks of a loop that later stages read
    # states that the loop holds interleaved, with their members and elements
    interleaved: Mapping[Block, tuple[int, int]] = field(default_factory=dict)
    packings: tuple[Packing, ...] = ()
    inline: bool = False  # whether a CPU is faster if the loop is a single kernel
    still: bool = False  # see `hold_still`
    last: bool = False  # see `take_last`
    latest: tuple[Block, ...] = ()  # exports of which nothing but the last step is read

    @property
    def states(self) -> list[Block]:
        """State blocks that the stage changes."""
        held = {p.held: p.states for p in self.packings}
        return [state for block, _ in self.carried for state in held.get(block, (block,))]

    def __str__(self) -> str:
        head = "for each step" if self.looped else "for all steps at once"
        head = "once, as all steps are alike" if self.still else head
        head = "for the last step alone" if self.last else head
        head += ", in one kernel:" if self.inline else ":"
        lines = [f"  {g}" for g in self.groups]
        lines += [f"  next         {b!r} = {r!r}" for b, r in self.carried]
        lines += [f"  output       {o.name or o.key} = {r!r}" for o, r in self.outputs]
        return "\n".join([head, *lines])


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the source signals lie; shared by all programs of a simulator."""

    blocks: tuple[Block, ...]

    def place(self) -> dict[Signal, tuple[Block, int]]:
        """Block and position in it, for each signal."""
        where = {}
        for block in self.blocks:
            offset = 0
            for signal in block.members:
                where[signal] = (block, offset)
                offset += signal.size
        return where

    def of(self, *roles: Role) -> list[Block]:
        """Blocks of the given roles."""
        return [b for b in self.blocks if b.role in roles]


@dataclass(frozen=True, eq=False)
class Program:
    """What a runtime runs: source blocks, then stages in order.

    Attributes
    ----------
    layout : Layout
    stages : tuple of Stage
    """

    layout: Layout
    stages: tuple[Stage, ...]

    @property
    def groups(self) -> list[Group]:
        """Groups of all stages, in order."""
        return [g for stage in self.stages for g in stage.groups]

    @property
    def ops(self) -> list[Op]:
        """Ops of all groups, in order."""
        return [op for g in self.groups for op in g.ops]

    @cached_property
    def read(self) -> frozenset[Block]:
        """Blocks that results depend on."""
        reads = [r for g in self.groups for r in g.reads]
        reads += [r for stage in self.stages for _, r in (*stage.carried, *stage.outputs)]
        return frozenset(b for r in reads for b in r.blocks)

    def __str__(self) -> str:
        sources = [f"  {b.role.value:<12} {b!r}" for b in self.layout.blocks]
        return "\n".join(["blocks:", *sources, *map(str, self.stages)])

    def _repr_svg_(self) -> str:
        """The drawing, which a notebook shows by itself."""
        from .draw import draw  # here, as it knows all that stands above

        return draw(self)

    def save_drawing(self, path: str | os.PathLike[str]) -> Path:
        """Draw stages, groups, sizes and what depends on what, as an SVG file.

        Parameters
        ----------
        path : path-like
            ``.svg`` is added unless the name ends so. A file of that name is replaced once the
            new one is complete.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from .draw import save

        return save(self, path)
