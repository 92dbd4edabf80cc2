"""Programs stepped in NumPy: small ones with Python in the loop, and the first steps of others.

A call of Python out of a TensorFlow program costs more than a whole step of a small network. Such
programs run the other way round: the loop is Python, and each group is a few NumPy calls on arrays
that stay where they are, so that reading a part of one is a view made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...compiler import costs
from ...compiler.ir import Block, Group, Output, Program, Read, Role
from ...compiler.tensors import Tensor
from ...kernels.arrays import Action
from ...kernels.context import Context
from ...kernels.host import Steppers
from ...kernels.registry import CATALOGUE
from ...kernels.source import Called
from ..memory import Memory, initial_rows
from ..plan import Plan

Filled = tuple[np.ndarray, np.ndarray]  # an array, and rows of which each step writes one there
#: Rows of a probe, whether only the last counts, what it sees, and what fills that.
Recorded = tuple[np.ndarray, bool, np.ndarray, Action | None]


class NumpyLoop:
    """Steps the program of a plan; made by `numpy_loop`.

    Blocks are arrays with one row for each batch item, or one that all share. Kernels compute
    items one after the other. What a chunk leaves behind stays in the arrays: if the next one
    begins with it, nothing has to be written.

    Parameters
    ----------
    plan : Plan
    memory : Memory
        Where parameters are.
    steppers : Steppers
        Of operators on the host.
    **errors
        What to do about floating-point errors, as of `numpy.errstate`.

    Raises
    ------
    NotImplementedError
        If a kind of operation has no such form.
    """

    def __init__(self, plan: Plan, memory: Memory, steppers: Steppers, **errors: str) -> None:
        self.plan, self.memory = plan, memory
        self.dtype = plan.dtype
        self.errors: dict[str, Any] = errors
        self.program = plan.program
        self.arrays: dict[Block, np.ndarray] = {}
        for block in self.program.layout.blocks:
            self._allocate(block)
        parameters = self.program.layout.of(Role.PARAMETER)
        self.parameters = [b for b in parameters if b in self.program.read]
        clocks = self.program.layout.of(Role.TIME)
        self.clocks = [(self.arrays[b], 1 if b.dtype == "int" else plan.dt) for b in clocks]
        groups = self.program.groups
        for group in groups:
            for block in group.writes:
                self._allocate(block)
        self._known: set[Block] = set()  # parameters that are in the arrays
        self._held: dict[Block, np.ndarray] = {}  # what the last chunk left behind
        called = Called(plan.source_of)
        items = [
            Context(
                dt=plan.dt,
                dtype=plan.dtype,
                batch=1,
                training=False,
                host=None,  # type: ignore[arg-type]  # no kernel calls out of a loop in Python
                steppers=partial(steppers.of_item, item=i),
                called=called,
                item=i,
            )
            for i in range(plan.batch)
        ]
        self.actions = [action for group in groups for action in self._actions(group, items)]
        carried = [pair for stage in self.program.stages for pair in stage.carried]
        self.moves = [(self.arrays[b], *self._following(r)) for b, r in carried]
        outputs = [pair for stage in self.program.stages for pair in stage.outputs]
        self.records = [(o, *self._shown(o, r)) for o, r in outputs]
        kept = memory.carry().items()
        self.carried = [(b, self.arrays[b], initial_rows(b, plan).dtype) for b, _ in kept]

    def run(
        self,
        carry: Mapping[Block, Tensor],
        inputs: Mapping[Block, np.ndarray],
        constant: set[Block],
        first: int,
        steps: int,
    ) -> tuple[dict[Output, np.ndarray], dict[Block, np.ndarray]]:
        """Simulate one chunk: as of `Runtime.run`, without `split`, as there are no replicas."""
        results: dict[Output, np.ndarray] = {}
        recorded: list[Recorded] = []
        for output, source, assemble in self.records:
            items = self.plan.batch if output.batched else 1
            shape = (1 if output.last_only else steps, items, source.shape[1])
            results[output] = np.empty(shape, self.dtype)
            recorded.append((results[output], output.last_only, source, assemble))
        with np.errstate(**self.errors):
            varying = self._begin(carry, inputs, constant)
            try:
                self._steps(first, steps, varying, recorded)
            except BaseException:
                # arrays are within a step that nobody knows of: the next chunk must write all
                self._held = {}
                raise
        # copies, which no later step changes
        self._held = {block: array.astype(kind) for block, array, kind in self.carried}
        return results, self._held

    def _begin(
        self,
        carry: Mapping[Block, Tensor],
        inputs: Mapping[Block, np.ndarray],
        constant: set[Block],
    ) -> list[Filled]:
        """Fill arrays with what a chunk begins with; those that each step fills, and their rows."""
        for block in self.parameters:
            if not (self.memory.fixed and block in self._known):
                self.arrays[block][:] = self.memory.array(block)
                self._known.add(block)
        for block, value in carry.items():
            if value is not self._held.get(block):
                self.arrays[block][:] = value
        for block in constant & set(inputs):
            self.arrays[block][:] = inputs[block][0]
        return [(self.arrays[b], x) for b, x in inputs.items() if b not in constant]

    def _steps(
        self, first: int, steps: int, varying: list[Filled], recorded: list[Recorded]
    ) -> None:
        """The hot path: no name is looked up twice."""
        clocks, actions, moves = self.clocks, self.actions, self.moves
        assemblies = [assemble for _, _, assemble in moves if assemble is not None]
        for i in range(steps):
            for array, rows in varying:
                array[:] = rows[i]
            for array, scale in clocks:
                array[0] = (first + i + 1) * scale
            for action in actions:
                action()
            for result, last_only, source, assemble in recorded:
                if assemble is not None:
                    assemble()
                result[0 if last_only else i] = source
            # all that states become is put together before the first of them changes
            for assemble in assemblies:
                assemble()
            for array, source, _ in moves:
                array[:] = source

    def _allocate(self, block: Block) -> None:
        shared = block.role in (Role.PARAMETER, Role.CONSTANT, Role.TIME)
        kinds: dict[str, DTypeLike] = {"float": self.dtype, "int": np.int64, "bool": bool}
        rows = 1 if shared else self.plan.batch
        self.arrays[block] = np.zeros((rows, block.size), kinds[block.dtype])
        if block.role in (Role.CONSTANT, Role.INPUT):
            self.arrays[block][:] = block.initial().ravel()

    def _reader(self, read: Read) -> tuple[np.ndarray, Action | None]:
        """An array that holds what a read names, and what has to be done to fill it."""
        if len(read.pieces) == 1 and read.gather is None and read.blocks:
            (piece,), (block,) = read.pieces, read.blocks
            return self.arrays[block][:, piece.start : piece.stop], None
        parts = [
            np.zeros((1, p.stop - p.start), self.dtype)
            if p.block is None
            else self.arrays[p.block][:, p.start : p.stop]
            for p in read.pieces
        ]
        if not parts:
            return np.zeros((1, 0), self.dtype), None
        rows = max(len(part) for part in parts)
        parts = [np.broadcast_to(part, (rows, part.shape[1])) for part in parts]
        whole = np.concatenate(parts, axis=1)
        if read.gather is None:
            return whole, lambda: np.concatenate(parts, axis=1, out=whole)
        index, gathered = read.gather, np.zeros((rows, read.size), whole.dtype)

        def gather() -> None:
            np.take(np.concatenate(parts, axis=1), index, axis=1, out=gathered)

        return gathered, gather

    def _shown(self, output: Output, read: Read) -> tuple[np.ndarray, Action | None]:
        """Like `_reader`, for what a probe sees."""
        source, fill = self._reader(read)
        return (source if output.batched else source[:1]), fill

    def _following(self, read: Read) -> tuple[np.ndarray, Action | None]:
        """Like `_reader`, for what state becomes; other state is copied before it changes."""
        source, fill = self._reader(read)
        if fill is not None or not any(b.role.carried for b in read.blocks):
            return source, fill
        kept = source.copy()
        return kept, lambda: np.copyto(kept, source)

    def _actions(self, group: Group, items: Sequence[Context]) -> list[Action]:
        """What fills the arguments of a group, and what computes it for each item."""
        sources = [self._reader(read) for read in group.reads]
        actions = [fill for _, fill in sources if fill is not None]
        for item, ctx in enumerate(items):
            reads = [
                array[item if len(array) > 1 else 0].reshape(shape)
                for (array, _), shape in zip(sources, group.read_shapes, strict=True)
            ]
            writes = [self.arrays[block][item] for block in group.writes]
            compute = CATALOGUE.in_numpy(group, reads, writes, ctx)
            if compute is None:
                raise NotImplementedError(group.kind)
            actions.append(compute)
        return actions


def numpy_loop(plan: Plan, memory: Memory, steppers: Steppers) -> NumpyLoop | None:
    """A loop in NumPy for a plan's program, if that is worth it and all kinds have that form."""
    groups = plan.program.groups
    bounds = costs.current()
    elements = plan.batch * sum(r.size for group in groups for r in group.reads)
    large = elements > bounds.numpy_loop_elements
    many = plan.batch > 1 and plan.batch * len(groups) > bounds.numpy_loop_calls
    if not _calls_in_loops(plan.program) or plan.learning_phase or large or many:
        return None
    try:
        # errors as in Nengo
        return NumpyLoop(plan, memory, steppers, divide="ignore", invalid="raise")
    except NotImplementedError:
        return None


def _calls_in_loops(program: Program) -> bool:
    """Whether a step, not only a chunk of steps, calls Python."""
    looped = [g for stage in program.stages if stage.looped for g in stage.groups]
    return any(not g.traits.compiled for g in looped)
