"""From memory to single assignment.

Nengo's signals are memory that operators set, increment, read and update, in that order, within a
step. `Memory` gives each signal one value per step instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from nengo.builder import Operator
from nengo.builder.signal import Signal as NengoSignal

from ..compiler.ir import SUM, Op, Signal, View

Positions = slice | np.ndarray | None

DTYPES = {"f": "float", "i": "int", "u": "int", "b": "bool"}


def positions(sig: NengoSignal) -> Positions:
    """Where the elements of a signal lie in its base; None if it is all of it."""
    if not sig.is_view:
        return None
    if sig.size == 0:
        return slice(0, 0)
    start = sig.elemoffset
    if sig.initial_value.flags.c_contiguous:
        whole = start == 0 and sig.size == sig.base.size
        return None if whole else slice(start, start + sig.size)
    axes = np.ix_(*[np.arange(n) * s for n, s in zip(sig.shape, sig.elemstrides, strict=True)])
    return np.ravel(start + sum(axes))


def dtype_of(sig: NengoSignal) -> str:
    """The graph's name of a signal's type."""
    return DTYPES[sig.dtype.kind]


def initial_of(sig: NengoSignal) -> np.ndarray:
    """Initial value; of a sparse matrix, its stored elements in row-major order."""
    value = sig.initial_value
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(coordinates(sig)[2])


def coordinates(sig: NengoSignal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values of a sparse signal, as Nengo stored them."""
    matrix = sig.initial_value
    if hasattr(matrix, "indices") and hasattr(matrix, "data") and not hasattr(matrix, "indptr"):
        data = np.broadcast_to(np.asarray(matrix.data), (len(matrix.indices),))
        return matrix.indices[:, 0], matrix.indices[:, 1], data
    coo = matrix.tocoo()
    return coo.row, coo.col, coo.data


@dataclass(slots=True)
class _Base:
    """What happens to one base signal within a step."""

    sig: NengoSignal
    source: View | None = None  # its value at the start of the step
    value: View | None = None  # its value when it is read
    needs_old: bool = False
    cleared: list[Positions] = field(default_factory=list)
    sets: list[tuple[Positions, View]] = field(default_factory=list)
    incs: list[tuple[Positions, View]] = field(default_factory=list)
    updates: list[tuple[Positions, View]] = field(default_factory=list)


class Memory:
    """Values of all signals of a model.

    Parameters
    ----------
    operators
        All operators of the model; what they declare decides which signals change.
    source
        Makes the graph's source for a base signal that keeps (`persistent`) its value between
        steps, or never changes.
    """

    def __init__(
        self,
        operators: Sequence[Operator],
        source: Callable[[NengoSignal, bool], Signal],
        readable: Callable[[str], str],
    ) -> None:
        self._make_source, self._readable = source, readable
        self._bases: dict[NengoSignal, _Base] = {}
        self._written = {s.base for op in operators for s in (*op.sets, *op.incs)}
        self._updated = {s.base for op in operators for s in op.updates}

    def changes(self, sig: NengoSignal) -> bool:
        """Whether any operator writes a signal."""
        return sig.base in self._written or sig.base in self._updated

    def read(self, sig: NengoSignal) -> View:
        """The value that operators read: after sets and increments, before updates."""
        base = self._base(sig)
        written = base.sig in self._written
        return _part(self._value(base) if written else self._source(base), sig)

    def old(self, sig: NengoSignal) -> View:
        """The value that the step before left behind."""
        base = self._base(sig)
        base.needs_old = True
        return _part(self._source(base), sig)

    def declare(self, sig: NengoSignal, source: Signal) -> None:
        """Let `source` stand for a signal whatever writes it (the time, or an input)."""
        self._base(sig).source = View(source)
        # from here on it is no memory: nothing writes it, and no step carries it
        self._written.discard(sig.base)
        self._updated.discard(sig.base)

    def clear(self, sig: NengoSignal) -> None:
        """Let an operator set a signal to zero, which is what the increments of it add up from."""
        self._base(sig).cleared.append(positions(sig))

    def set(self, sig: NengoSignal, value: View, index: Positions = None) -> None:
        """Let an operator set (elements `index` of) a signal."""
        self._base(sig).sets.append((_compose(sig, index), value))

    def inc(self, sig: NengoSignal, value: View, index: Positions = None) -> None:
        """Let an operator increment (elements `index` of) a signal."""
        self._base(sig).incs.append((_compose(sig, index), value))

    def update(self, sig: NengoSignal, value: View) -> None:
        """Let an operator say what a signal is in the next step."""
        self._base(sig).updates.append((positions(sig), value))

    def finish(self) -> tuple[list[Op], dict[Signal, View], dict[NengoSignal, Signal]]:
        """Sums that make the values, what each carried signal becomes, and final values."""
        ops: list[Op] = []
        following: dict[Signal, View] = {}
        final: dict[NengoSignal, Signal] = {}
        for sig, base in list(self._bases.items()):
            if sig in self._written:
                ops.append(self._sum(base))
            now = self._value(base) if sig in self._written else self._source(base)
            if base.updates:
                now = _replaced(now.signal, base.updates, ops)
            final[sig] = now.signal
            if base.source is not None and base.source.signal.role.carried:
                following[base.source.signal] = reshaped(now, base.source.shape)
        return ops, following, final

    def _base(self, sig: NengoSignal) -> _Base:
        root = sig.base
        base = self._bases.get(root)
        if base is None:
            base = self._bases[root] = _Base(root)
        return base

    def _source(self, base: _Base) -> View:
        if base.source is None:
            base.source = View(self._make_source(base.sig, self.changes(base.sig)))
        return base.source

    def _value(self, base: _Base) -> View:
        if base.value is None:
            sig = base.sig
            base.value = View(Signal(self._readable(sig.name), sig.shape, dtype=dtype_of(sig)))
        return base.value

    def _sum(self, base: _Base) -> Op:
        terms = list(base.sets)
        kept = _others(base.sig.size, base.cleared + [index for index, _ in base.sets])
        if kept is not None:
            # what nobody sets or clears is still there: increments add to it
            index = None if len(kept) == base.sig.size else kept
            terms.append((index, View(self._source(base).signal, index)))
        elif base.needs_old:
            # nothing of the old value goes into the sum, but someone reads it
            self._source(base)
        return _sum_op(self._value(base).signal, terms + base.incs)


def _others(size: int, parts: list[Positions]) -> np.ndarray | None:
    """Positions of which there are `size` that are in none of the parts; None if there are none."""
    for part in parts:
        if part is None:
            return None
    kept = np.ones(size, dtype=bool)
    for part in parts:
        kept[part] = False
    return np.flatnonzero(kept) if kept.any() else None


def _sum_op(out: Signal, terms: list[tuple[Positions, View]]) -> Op:
    return Op(
        SUM,
        reads=tuple([view for _, view in terms]),
        writes=(out,),
        targets=tuple([index for index, _ in terms]),
        tag=out.name,
    )


def _replaced(now: Signal, updates: list[tuple[Positions, View]], ops: list[Op]) -> View:
    """`now` with parts of it overwritten; if that is all of it by a signal, there is no sum."""
    index, value = updates[0]
    if len(updates) == 1 and index is None and value.index is None and value.size == now.size:
        return value
    terms = list(updates)
    kept = _others(now.size, [index for index, _ in updates])
    if kept is not None:
        terms.append((kept, View(now, kept)))
    ops.append(_sum_op(Signal(f"{now.name}'", now.shape, dtype=now.dtype), terms))
    return View(ops[-1].writes[0])


def _part(whole: View, sig: NengoSignal) -> View:
    """What a signal is of its base; of sparse signals there are no parts."""
    return View(whole.signal, positions(sig), sig.shape) if sig.is_view else whole


def reshaped(view: View, shape: tuple[int, ...]) -> View:
    """The same elements in another shape."""
    return view if view.shape == shape else View(view.signal, view.index, shape)


def _compose(sig: NengoSignal, index: Positions) -> Positions:
    """Positions in the base of elements `index` of a signal."""
    outer = positions(sig)
    if index is None:
        return outer
    every = np.arange(sig.base.size)
    within = every if outer is None else every[outer]
    return within[index]
