"""`sim.signals`: what a simulation holds between two steps, by the signals of Nengo's builder."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from nengo.builder import Model
from nengo.builder.signal import Signal as NengoSignal
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ..compiler.ir import Block, Role
from ..lowering.memory import initial_of, positions
from ..session.session import Session

HELD = (Role.PARAMETER, Role.ADAPTED, Role.STATE, Role.CONSTANT)


@dataclass
class _Shown:
    """An array that somebody may have, what was in it, and, until the next call, itself."""

    reference: weakref.ref[np.ndarray]
    before: np.ndarray
    array: np.ndarray | None


class LiveSignals(Mapping[NengoSignal, np.ndarray]):
    """Values of signals to read and write: ``sim.signals[sim.model.sig[conn]["weights"]]``.

    Arrays are live, as those of `nengo.Simulator`: after each call they have the new values, and
    what is written to them counts in the next call. There are those of parameters and constants, of
    state, and the time and the step; what is computed anew in each step shows in a Probe.

    Arrays have a leading axis of items, if the simulator was made with a `minibatch_size` and items
    differ.

    Parameters
    ----------
    session : Session
    model : nengo.builder.Model
    minibatched : bool
        Whether arrays keep the axis of items.
    """

    def __init__(self, session: Session, model: Model, minibatched: bool) -> None:
        self._session, self._model, self._minibatched = session, model, minibatched
        self._shown: dict[NengoSignal, _Shown] = {}

    def __getitem__(self, sig: NengoSignal) -> np.ndarray:
        array = self._shown[sig].reference() if sig in self._shown else None
        if array is None:
            array = self._value(sig)
            self._shown[sig] = _Shown(weakref.ref(array), array.copy(), array)
        # what is written to it now counts, also if nobody else keeps it
        self._shown[sig].array = array
        return array

    def __setitem__(self, sig: NengoSignal, value: ArrayLike) -> None:
        array = self[sig]
        array[...] = value
        self.write()

    def __contains__(self, sig: object) -> bool:
        return sig in (self._model.time, self._model.step) or self._place(sig) is not None

    def __iter__(self) -> Iterator[NengoSignal]:
        yield from (self._model.step, self._model.time)
        yield from (sig for sig in self._session.compiled.lowered.where if sig in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def write(self) -> None:
        """Take over what was written to arrays."""
        for sig, shown in list(self._shown.items()):
            array = shown.reference()
            if array is None:
                del self._shown[sig]
                continue
            shown.array = None
            if not np.array_equal(array, shown.before, equal_nan=array.dtype.kind == "f"):
                try:
                    self._assign(sig, array)
                except ValidationError:
                    # an array shows what holds, and not what was refused
                    array[...] = shown.before
                    raise
                shown.before = array.copy()

    def refresh(self) -> None:
        """Bring arrays up to date."""
        for sig, shown in list(self._shown.items()):
            array = shown.reference()
            if array is None:
                del self._shown[sig]
            else:
                array[...] = shown.before = self._value(sig)

    def _place(self, sig: NengoSignal) -> tuple[Block, slice | np.ndarray] | None:
        """The block that holds a signal, and where in it; None if there is none."""
        compiled = self._session.compiled
        source = compiled.lowered.where.get(getattr(sig, "base", None))
        if source not in compiled.places:
            return None
        block, start = compiled.places[source]
        if block.role not in HELD:
            return None
        index = positions(sig)
        every = np.arange(start, start + source.size)
        return block, slice(start, start + source.size) if index is None else every[index]

    def _found(self, sig: NengoSignal) -> tuple[Block, slice | np.ndarray]:
        place = self._place(sig)
        if place is None:
            raise KeyError(
                f"{sig!r} is not held between steps: it is computed anew in each, or was optimized "
                f"away. Record it with a nengo.Probe; iterate over sim.signals for what is held"
            )
        return place

    def _value(self, sig: NengoSignal) -> np.ndarray:
        n_steps = self._session.n_steps
        if sig is self._model.step:
            return np.array(n_steps)
        if sig is self._model.time:
            return np.array(n_steps * self._model.dt)
        block, where = self._found(sig)
        rows = self._rows(block)[:, where]
        items = block.role.carried and self._minibatched
        return rows.reshape((len(rows), *initial_of(sig).shape) if items else initial_of(sig).shape)

    def _rows(self, block: Block) -> np.ndarray:
        """A copy of a block (1 or B, size)."""
        memory = self._session.memory
        if block.role is Role.CONSTANT:
            return block.initial().reshape(1, block.size)
        return np.array(memory.state[block] if block.role is Role.STATE else memory.array(block))

    def _assign(self, sig: NengoSignal, value: np.ndarray) -> None:
        if sig in (self._model.step, self._model.time):
            raise ValidationError("the time of a simulation cannot be set", attr="signals")
        block, where = self._found(sig)
        if block.role is Role.CONSTANT:
            raise ValidationError(
                f"{sig!r} is a constant of the compiled program, and cannot be set; change it in "
                f"the network, and make a new Simulator",
                attr="signals",
            )
        rows = self._rows(block)
        rows[:, where] = value.reshape(len(rows) if value.ndim > sig.ndim else 1, -1)
        self._session.set_rows(block, rows)
