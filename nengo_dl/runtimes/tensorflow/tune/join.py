"""Outputs that lie in the same arrays are recorded as one.

XLA needs a kernel for each result that it hands out, and time that grows with their square. So a
program that is run for what probes record hands out parts of blocks that hold the values of many
probes, and these are told apart in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ....compiler.costs import CPU, Costs
from ....compiler.ir import Block, Output, Piece, Program, Read, Signal, Stage, View

Parts = dict[Output, tuple[Output, slice | np.ndarray]]  # as of `Recording`


@dataclass(frozen=True, eq=False)
class Recording:
    """A program that records several outputs as one.

    Attributes
    ----------
    program : Program
    parts : dict of Output to (Output, slice or array of int)
        For each output that the program was to have: the one that it has instead, and where in it
        the elements are.
    """

    program: Program
    parts: Mapping[Output, tuple[Output, slice | np.ndarray]]

    @cached_property
    def outputs(self) -> list[Output]:
        """What the program records."""
        return list(dict.fromkeys(whole for whole, _ in self.parts.values()))

    def divide(self, arrays: Mapping[Output, np.ndarray]) -> dict[Output, np.ndarray]:
        """What the program was to have, of what it has: arrays (..., size)."""
        return {output: arrays[whole][..., index] for output, (whole, index) in self.parts.items()}


def join_outputs(program: Program, costs: Costs = CPU) -> Recording:
    """Record together what lies in the same blocks, if these are many outputs."""
    parts: Parts = {}
    stages = [replace(s, outputs=tuple(_joined(s, parts, costs))) for s in program.stages]
    return Recording(replace(program, stages=tuple(stages)), parts)


def _joined(stage: Stage, parts: Parts, costs: Costs) -> list[tuple[Output, Read]]:
    """Outputs of a stage; `parts` receives those that they stand for."""
    alike: dict[object, list[tuple[Output, Read]]] = {}
    for output, read in stage.outputs:
        # of the same blocks, so that none gets more steps or items than it has by itself
        blocks = frozenset(piece.block for piece in read.pieces)
        alike.setdefault((blocks, output.batched, output.last_only), []).append((output, read))
    found = []
    for pairs in alike.values():
        if len(pairs) > costs.lone_outputs and pairs[0][1].pieces:
            found.append(_join(pairs, parts, costs))
            continue
        for output, read in pairs:
            parts[output] = output, slice(None)
            found.append((output, read))
    return found


def _join(pairs: Sequence[tuple[Output, Read]], parts: Parts, costs: Costs) -> tuple[Output, Read]:
    """One output instead of several of the same blocks."""
    hulls = _hulls([read for _, read in pairs])
    places = [_places(read, hulls) for _, read in pairs]
    shown = np.unique(np.concatenate(places))
    size, gather = sum(piece.stop - piece.start for piece in hulls), None
    if size > costs.shown_share * len(shown):
        size, gather = len(shown), shown
        places = [np.searchsorted(shown, p) for p in places]
    first, _ = pairs[0]
    whole = Output(
        tuple(output.key for output, _ in pairs),
        View(Signal(f"{len(pairs)} outputs", (size,))),
        first.batched,
        first.last_only,
    )
    for (output, _), positions in zip(pairs, places, strict=True):
        parts[output] = whole, _as_slice(positions)
    return whole, Read(tuple(hulls), gather, size)


def _hulls(reads: Sequence[Read]) -> list[Piece]:
    """For each block the part from the first to the last element that is read."""
    bounds: dict[Block | None, tuple[int, int]] = {}
    for read in reads:
        for piece in read.pieces:
            start, stop = bounds.get(piece.block, (piece.start, piece.stop))
            bounds[piece.block] = min(start, piece.start), max(stop, piece.stop)
    return [Piece(block, start, stop) for block, (start, stop) in bounds.items()]


def _places(read: Read, hulls: Sequence[Piece]) -> np.ndarray:
    """Positions of what is read, where hulls lie end to end."""
    offsets, offset = {}, 0
    for hull in hulls:
        offsets[hull.block] = offset - hull.start
        offset += hull.stop - hull.start
    ranges = [offsets[p.block] + np.arange(p.start, p.stop) for p in read.pieces]
    places = np.concatenate(ranges)
    return places if read.gather is None else places[read.gather]


def _as_slice(positions: np.ndarray) -> slice | np.ndarray:
    """The positions as a slice if they follow each other."""
    if np.any(np.diff(positions) != 1):
        return positions
    return slice(int(positions[0]), int(positions[-1]) + 1) if len(positions) else slice(0)
