"""Where signals lie, and how each group finds what it reads.

Every element of every signal has an address.  What a group writes lies in one block, in the order
of its members; a source signal lies where the group that first reads it reads it.  An argument is
then a list of address runs: the fewer runs, the cheaper.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np

from .catalogue import Catalogue, is_matrix_product
from .costs import CPU, Costs
from .ir import Block, Graph, Group, Layout, Op, Piece, Read, Role, Signal, View
from .members import shared
from .simplify.routes import terms_per_element

Run = tuple[int, int]  # the first address, and how many

ZERO = -1  # the address of a zero
OWN_BLOCKS = (Role.TEMPORARY, Role.INPUT, Role.TIME)  # roles of what shares no block as a source


@dataclass(frozen=True)
class Runs:
    """Consecutive addresses: `counts[i]` of them from `starts[i]`; zeros start at `ZERO`."""

    starts: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(start: int, count: int) -> Runs:
        """One run."""
        return Runs(np.array([start], dtype=np.int64), np.array([count], dtype=np.int64))

    @staticmethod
    def join(parts: Sequence[Runs | Run]) -> Runs:
        """Runs one after the other."""
        starts: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        # neighbouring single runs become one array, and not one each: there are thousands
        for _, some in groupby(parts, type):
            single: list[Run] = []
            for part in some:
                if isinstance(part, Runs):
                    starts.append(part.starts)
                    counts.append(part.counts)
                else:
                    single.append(part)
            if single:
                columns = np.array(single, dtype=np.int64).T
                starts.append(columns[0])
                counts.append(columns[1])
        if len(starts) == 1:
            return Runs(starts[0], counts[0])
        none = [np.zeros(0, dtype=np.int64)]
        return Runs(np.concatenate(starts or none), np.concatenate(counts or none))

    @staticmethod
    def pack(addresses: np.ndarray) -> Runs:
        """Runs of a list of single addresses."""
        if len(addresses) == 0:
            return Runs(addresses.astype(np.int64), addresses.astype(np.int64))
        step = np.diff(addresses)
        zeros = addresses < 0
        # all zeros have the same address, which does not count up along a run of them
        both_zero = zeros[1:] & zeros[:-1]
        follows = both_zero | ((step == 1) & ~zeros[:-1])
        first = np.flatnonzero(np.concatenate([[True], ~follows]))
        counts = np.diff(np.append(first, len(addresses)))
        return Runs(addresses[first].astype(np.int64), counts.astype(np.int64))

    def expand(self) -> np.ndarray:
        """Every single address."""
        total = int(self.counts.sum())
        ends = np.cumsum(self.counts)
        offset = np.arange(total) - np.repeat(ends - self.counts, self.counts)
        starts = np.repeat(self.starts, self.counts)
        return np.where(starts < 0, ZERO, starts + offset)

    def merged(self) -> Runs:
        """The same addresses in as few runs as there can be."""
        kept = self.counts > 0
        starts, counts = self.starts[kept], self.counts[kept]
        if len(starts) < 2:
            return Runs(starts, counts)
        zeros = starts < 0
        follows = np.where(zeros[:-1], zeros[1:], starts[:-1] + counts[:-1] == starts[1:])
        first = np.flatnonzero(np.concatenate([[True], ~follows]))
        return Runs(starts[first], np.add.reduceat(counts, first))

    def part(self, index: slice | np.ndarray | None) -> Runs:
        """The addresses at some of the positions."""
        if index is None:
            return self
        return Runs.pack(self.expand()[index].ravel())


class Addresses:
    """The address space of a program: places blocks, and resolves views to runs."""

    def __init__(self, layout: Layout | None = None, costs: Costs = CPU) -> None:
        self.costs = costs
        self.blocks: list[Block] = list(layout.blocks) if layout else []
        self._size = 0
        self._starts: np.ndarray | None = None  # of all blocks, once something reads them
        self._found: dict[Signal, int | Runs] = {}  # the first address, if all follow it
        for block in self.blocks:
            self._place(block)

    def add(self, name: str, members: Sequence[Signal]) -> Block:
        """Put signals into a new block."""
        first = members[0]
        role = first.role
        block = Block(name, role, first.dtype, tuple(members), self._size)
        self.blocks.append(block)
        self._place(block)
        return block

    def route(self, op: Op) -> None:
        """Let the signal of a route share the addresses of its sources."""
        (signal,) = op.writes
        # all of one view, in its order: no address need be written down
        if len(op.reads) == 1 and op.targets[0] is None and op.reads[0].size == signal.size:
            found = self.find(op.reads[0])
            self._found[signal] = found if isinstance(found, Runs) else found[0]
            return
        addresses = np.full(signal.size, ZERO, dtype=np.int64)
        for view, target in zip(op.reads, op.targets, strict=True):
            addresses[slice(None) if target is None else target] = self.runs(view).expand()
        self._found[signal] = Runs.pack(addresses)

    def knows(self, signal: Signal) -> bool:
        """Whether a signal has been placed."""
        return signal in self._found

    def find(self, view: View) -> Runs | Run:
        """The addresses of a view's elements, to be joined with others."""
        first, index, size = self._found[view.signal], view.index, view.signal.size
        if isinstance(first, Runs):
            return first.part(index)
        if index is None:
            return first, size
        if isinstance(index, slice) and index.step in (None, 1):
            start, stop, _ = index.indices(size)
            return first + start, max(stop - start, 0)
        return Runs.of(first, size).part(index)

    def runs(self, *views: View) -> Runs:
        """The addresses of the elements of views, one after the other."""
        return Runs.join([self.find(view) for view in views])

    def read(self, runs: Runs) -> Read:
        """How to assemble the elements at the given addresses."""
        repeated = self._repeated(runs)
        if repeated is not None:
            return repeated
        runs = runs.merged()
        costs, n, size = self.costs, len(runs.starts), int(runs.counts.sum())
        long = n <= costs.gather_long_pieces and size >= costs.long_piece_elements * n
        if n <= costs.gather_pieces or long:
            return Read(tuple(self._pieces(runs)), None, size)
        return self._gather(runs.expand())

    def _repeated(self, runs: Runs) -> Read | None:
        """Consecutive parts of a block, of equal size, each several times."""
        starts, counts = runs.starts, runs.counts
        # a part that comes twice shows in the first two runs; zeros lie in no block
        if len(starts) < 2 or not (0 <= starts[0] == starts[1]) or np.any(counts != counts[0]):
            return None
        n = int(counts[0])
        times = int(np.searchsorted(starts, starts[0], side="right"))
        parts = np.arange(len(starts)) // times
        if len(starts) % times or np.any(starts != starts[0] + n * parts):
            return None
        (piece,) = self._pieces(Runs.of(int(starts[0]), n * (int(parts[-1]) + 1)))
        index = (n * parts[:, None] + np.arange(n)).ravel()
        return Read((piece,), index, len(index), (n, times))

    def _place(self, block: Block) -> None:
        self._starts = None
        start = block.start
        for signal in block.members:
            self._found[signal] = start
            start += signal.size
        self._size = max(self._size, start + 1)  # a gap, so that no run goes from block to block

    def _owners(self, starts: np.ndarray) -> np.ndarray:
        if self._starts is None:
            self._starts = np.array([b.start for b in self.blocks], dtype=np.int64)
        return np.searchsorted(self._starts, starts, side="right") - 1

    def _pieces(self, runs: Runs) -> list[Piece]:
        """A piece for each run."""
        owners = np.where(runs.starts < 0, -1, self._owners(runs.starts))
        pieces = []
        for start, count, owner in zip(
            runs.starts.tolist(), runs.counts.tolist(), owners.tolist(), strict=True
        ):
            block = self.blocks[owner] if owner >= 0 else None
            # within the block; of zeros, from 0 on
            start -= block.start if block else ZERO
            pieces.append(Piece(block, start, start + count))
        return pieces

    def _gather(self, addresses: np.ndarray) -> Read:
        owners = np.where(addresses < 0, -1, self._owners(addresses))
        index = np.zeros(len(addresses), dtype=np.int64)
        pieces, offset = [], 0
        for owner in np.unique(owners).tolist():
            mine = owners == owner
            if owner < 0:
                piece = Piece(None, 0, 1)
                index[mine] = offset
            else:
                block = self.blocks[owner]
                local = addresses[mine] - block.start
                # no more than from the first to the last that is asked for: all of it is copied
                piece = Piece(block, int(local.min()), int(local.max()) + 1)
                index[mine] = offset + local - piece.start
            pieces.append(piece)
            offset += piece.stop - piece.start
        return Read(tuple(pieces), index, len(addresses))


def arrange_sources(
    groups: Sequence[Sequence[Op]],
    graph: Graph,
    catalogue: Catalogue,
    carriers: Mapping[Signal, int] = MappingProxyType({}),
) -> Layout:
    """Place all source signals: together if one group reads them as one argument.

    State lies as the group reads it that updates it, so that it is updated as a whole; what
    different loops carry, as `carriers` says, lies apart.
    """
    space = Addresses()
    sources = graph.sources()
    updated = {state: view.signal for state, view in graph.next.items()}
    slots = [(_slots(ops, catalogue), catalogue.is_flat(ops[0]), _written(ops)) for ops in groups]
    for views_by_slot, flat, written in slots:
        for views in views_by_slot:
            own = [v for v in views if updated.get(v.signal) in written]
            _place_slot(space, own, flat, carriers)
    for views_by_slot, flat, _ in slots:
        for views in views_by_slot:
            _place_slot(space, views, flat, carriers)
    rest: dict[Hashable, list[Signal]] = defaultdict(list)
    for signal in sources:
        if not space.knows(signal):
            # each input is fed by itself, so none shares a block
            alone = signal if signal.role in (Role.INPUT, Role.TIME) else None
            loop = carriers.get(signal)
            key = (signal.role, signal.dtype, signal.trainable, signal.shape, alone, loop)
            rest[key].append(signal)
    for members in rest.values():
        space.add(_block_name(members), members)
    return Layout(tuple(space.blocks))


def _slots(ops: Sequence[Op], catalogue: Catalogue) -> list[Sequence[View]]:
    """Views that a group reads together; the terms of sums have no order."""
    if ops[0].is_sum:
        return [[v for op in ops for v in op.reads]]
    slots: list[Sequence[View]] = list(zip(*(op.reads for op in ops), strict=True))
    if is_matrix_product(ops[0], catalogue.traits):
        # each vector once, although several matrices in a row are multiplied with it
        slots[1] = slots[1][:: shared(ops)]
    return slots


def _written(ops: Sequence[Op]) -> set[Signal]:
    return {signal for op in ops for signal in op.writes}


def _place_slot(
    space: Addresses, views: Sequence[View], flat: bool, carriers: Mapping[Signal, int]
) -> None:
    """Place the sources that are the whole of an argument's members, in their order."""
    alike: dict[Hashable, dict[Signal, None]] = defaultdict(dict)
    for view in views:
        signal = view.signal
        if signal.role in OWN_BLOCKS or space.knows(signal):
            continue
        if view.index is not None and view.size != signal.size:
            continue
        shape = None if flat else signal.shape
        kind = (signal.role, signal.dtype, signal.trainable, shape, carriers.get(signal))
        alike[kind][signal] = None
    for members in alike.values():
        space.add(_block_name(list(members)), list(members))


def _block_name(members: Sequence[Signal]) -> str:
    first = members[0].name
    return first if len(members) == 1 else f"{first}+{len(members) - 1}"


def arrange(
    groups: Sequence[Sequence[Op]],
    routes: Sequence[Op],
    layout: Layout,
    catalogue: Catalogue,
    costs: Costs = CPU,
) -> tuple[list[Group], Addresses]:
    """Place what groups write, and find how they read.

    Parameters
    ----------
    groups
        Groups of ops, in the order in which they will run.
    routes
        All routes of the graph, each after those that it reads.
    layout : Layout
        Places of the source signals.
    catalogue : Catalogue
        Tells whether an op's kernel works on elements, whatever operator they belong to.
    costs : Costs
    """
    space = Addresses(layout, costs)
    written = [_write_blocks(space, i, ops) for i, ops in enumerate(groups)]
    # once all groups have places: a route shares the addresses of what it reads
    for op in routes:
        space.route(op)
    arranged = []
    shapes: list[tuple[int, ...]]
    for ops, blocks in zip(groups, written, strict=True):
        if ops[0].is_sum:
            reads, shapes = _sum_reads(space, ops)
        else:
            slots = _slots(ops, catalogue)
            reads = [space.read(space.runs(*views)) for views in slots]
            shapes = [
                (read.size,) if catalogue.is_flat(ops[0]) else (len(views), *views[0].shape)
                for read, views in zip(reads, slots, strict=True)
            ]
        kind, traits = ops[0].kind, catalogue.traits(ops[0])
        arranged.append(Group(kind, tuple(ops), tuple(reads), tuple(shapes), blocks, traits))
    return arranged, space


def _write_blocks(space: Addresses, number: int, ops: Sequence[Op]) -> tuple[Block, ...]:
    slots = zip(*(op.writes for op in ops), strict=True)
    return tuple(
        space.add(f"%{number}" if i == 0 else f"%{number}.{i}", members)
        for i, members in enumerate(slots)
    )


def _sum_reads(space: Addresses, ops: Sequence[Op]) -> tuple[list[Read], list[tuple[int, ...]]]:
    """The terms, each read by itself; or all with one gather, (terms, elements)."""
    rows = _sum_terms(space, ops)
    reads = [space.read(runs) for runs in rows]
    pieces = sum(len(r.pieces) for r in reads)
    if all(r.gather is None for r in reads) and pieces <= space.costs.gather_pieces:
        return reads, [(r.size,) for r in reads]
    return [space.read(Runs.join(rows))], [(len(rows), reads[0].size)]


def _sum_terms(space: Addresses, ops: Sequence[Op]) -> list[Runs]:
    """Addresses of the first, second, … term of every element, zeros where there are fewer."""
    depth = [depth_of(op) for op in ops]
    rows: list[list[Runs | Run]] = [[] for _ in range(max(depth))]
    for op in ops:
        for row, runs in zip(rows, _terms(space, op, len(rows)), strict=True):
            row.append(runs)
    return [Runs.join(row) for row in rows]


def _terms(space: Addresses, op: Op, depth: int) -> list[Runs | Run]:
    size = op.writes[0].size
    if all(t is None for t in op.targets):
        found = [space.find(v) for v in op.reads]
        return found + [(ZERO, size)] * (depth - len(found))
    table = np.full((depth, size), ZERO, dtype=np.int64)
    # how many terms each element has so far: the next one goes below them
    used = np.zeros(size, dtype=np.intp)
    for view, target in zip(op.reads, op.targets, strict=True):
        where = np.arange(size)[slice(None) if target is None else target]
        table[used[where], where] = space.runs(view).expand()
        used[where] += 1
    return [Runs.pack(row) for row in table]


def depth_of(op: Op) -> int:
    """The largest number of terms that an element of a sum has."""
    return int(np.max(terms_per_element(op), initial=0))
