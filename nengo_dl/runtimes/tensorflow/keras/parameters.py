"""The Keras variables of a simulation: what parameters are called, and how they are stored.

Each parameter has a variable of its own, whatever operators were grouped: so it has its own name,
gradient and state of the optimizer. What a group computes with is put end to end before the
simulation.  But every variable costs time, to make, to trace, and in each call: in a network of
many, parameters that are used together share one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix

import keras
import numpy as np
import tensorflow as tf

from ....compiler import costs
from ....compiler.ir import Block, Role, Signal
from ....compiler.tensors import Tensor

_OWNERS = {"encoders": "ensembles", "bias": "ensembles"}  # all else belongs to connections


@dataclass(frozen=True, eq=False)
class Stored:
    """A variable, and the parameters whose values it holds, end to end.

    `start` and `stop` are where they lie in their block. `rows` is the number of batch items, the
    first axis of the variable, if learning rules change them; else None.
    """

    variable: keras.Variable
    members: tuple[Signal, ...]
    start: int
    stop: int
    rows: int | None = None

    def split(self, array: np.ndarray) -> dict[Signal, np.ndarray]:
        """What belongs to each parameter in an array like the variable."""
        lead = () if self.rows is None else (self.rows,)
        flat, found, start = np.reshape(array, (*lead, -1)), {}, 0
        for signal in self.members:
            part = flat[..., start : start + signal.size]
            found[signal] = part.reshape((*lead, *signal.shape))
            start += signal.size
        return found

    def join(self, values: Mapping[Signal, np.ndarray]) -> np.ndarray:
        """An array like the variable, of what belongs to each parameter."""
        lead = () if self.rows is None else (self.rows,)
        parts = [np.reshape(values[signal], (*lead, -1)) for signal in self.members]
        return np.concatenate(parts, axis=-1).reshape(self.variable.shape)


class Variables:
    """Variables of all parameters.

    Parameters
    ----------
    add_weight : callable
        That of the layer which owns them.
    blocks : iterable of Block
        All blocks; those of other roles are left out.
    batch : int
        Items in a minibatch.
    dtype : str
    trains_learned : bool
        Whether training may change what learning rules change.
    """

    def __init__(
        self,
        add_weight: Callable,
        blocks: Iterable[Block],
        batch: int,
        dtype: str,
        trains_learned: bool,
    ) -> None:
        self._add_weight, self._batch, self._dtype = add_weight, batch, dtype
        self._trains_learned = trains_learned
        self._taken: set[str] = set()
        mine = [b for b in blocks if b.role in (Role.PARAMETER, Role.ADAPTED)]
        self._alone = sum(len(b.members) for b in mine) <= costs.current().lone_parameters
        self._of = {block: self._store(block) for block in mine}

    def __iter__(self) -> Iterator[Block]:
        """Blocks of parameters."""
        return iter(self._of)

    def of(self, block: Block) -> list[Stored]:
        """What a block is stored in, end to end."""
        return self._of[block]

    @property
    def stored(self) -> list[Stored]:
        """All variables."""
        return [stored for parts in self._of.values() for stored in parts]

    @property
    def adapted(self) -> list[Block]:
        """Blocks of parameters that learning rules change."""
        return [b for b in self._of if b.role is Role.ADAPTED]

    def tensor(self, block: Block) -> tf.Tensor:
        """Values of a block as a tensor (1, size), or (B, size) if learning rules change it."""
        rows = self._rows(block)
        parts = [
            tf.reshape(tf.convert_to_tensor(s.variable), (rows, s.stop - s.start))
            for s in self._of[block]
        ]
        return parts[0] if len(parts) == 1 else tf.concat(parts, axis=1)

    def array(self, block: Block) -> np.ndarray:
        """As `tensor`, for NumPy."""
        rows = self._rows(block)
        # a snapshot of the variable takes half the time of what Keras's `numpy` reads
        parts = [s.variable.value.value().numpy().reshape(rows, -1) for s in self._of[block]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def assign(self, block: Block, rows: Tensor) -> None:
        """Take over values (1 or B, size) of a block."""
        for s in self._of[block]:
            part = rows if len(self._of[block]) == 1 else rows[:, s.start : s.stop]
            s.variable.assign(tf.reshape(part, s.variable.shape))

    def reset(self) -> None:
        """Go back to the values that everything was built with."""
        for block, parts in self._of.items():
            rows = self._initial(block)
            for s in parts:
                s.variable.assign(rows[:, s.start : s.stop].reshape(s.variable.shape))

    def values(self) -> dict[Signal, np.ndarray]:
        """The values of each parameter, one for each batch item if learning rules change it."""
        found: dict[Signal, np.ndarray] = {}
        for stored in self.stored:
            found.update(stored.split(stored.variable.numpy()))
        return found

    def assign_values(self, values: Mapping[Signal, np.ndarray]) -> None:
        """Take over what `values` gave."""
        for stored in self.stored:
            stored.variable.assign(stored.join(values))

    def names(self) -> dict[Signal, str]:
        """A name that Keras accepts for each parameter, whatever variables they share."""
        signals = [signal for stored in self.stored for signal in stored.members]
        taken: set[str] = set()
        return {signal: _unique(variable_name([signal.name]), taken) for signal in signals}

    def _rows(self, block: Block) -> int:
        return self._batch if block.role is Role.ADAPTED else 1

    def _initial(self, block: Block) -> np.ndarray:
        values = block.initial().reshape(1, block.size)
        return np.broadcast_to(values, (self._rows(block), block.size))

    def _store(self, block: Block) -> list[Stored]:
        shared = block.role is Role.PARAMETER
        alone = self._alone or len(block.members) == 1
        parts = [(signal,) for signal in block.members] if alone else [block.members]
        rows, start, found = self._initial(block), 0, []
        for members in parts:
            stop = start + sum(s.size for s in members)
            shape = members[0].shape if alone else block.shape
            shape = shape if shared else (self._batch, *shape)
            variable = self._add_weight(
                name=_unique(variable_name([s.name for s in members]), self._taken),
                shape=shape,
                dtype=self._dtype,
                initializer=_Fixed(rows[:, start:stop].reshape(shape)),
                trainable=block.trainable and (shared or self._trains_learned),
            )
            items = None if shared else self._batch
            found.append(Stored(variable, members, start, stop, items))
            start = stop
        return found


def variable_name(names: Sequence[str]) -> str:
    """A name that Keras and TensorFlow's scopes accept, for what holds parameters.

    Parameters
    ----------
    names : sequence of str
        Such as "sub.ens.encoders". Of several, the name tells the network around all of them, how
        many there are, and of what: "sub.64_ensembles.encoders".
    """
    if len(names) == 1:
        return _accepted(names[0])
    owners, attrs = zip(*(name.rsplit(".", 1) for name in names), strict=True)
    around = commonprefix([owner.split(".")[:-1] for owner in owners])
    kinds = {_OWNERS.get(attr, "connections") for attr in attrs}
    kind = kinds.pop() if len(kinds) == 1 else "objects"
    attr = attrs[0] if len(set(attrs)) == 1 else "parameters"
    return _accepted(".".join([*around, f"{len(names)}_{kind}", attr]))


def _unique(base: str, taken: set[str]) -> str:
    name, number = base, 1
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name


def _accepted(name: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.>-]", "_", name)
    return name if re.match(r"[A-Za-z0-9.]", name) else f".{name}"


class _Fixed(keras.initializers.Initializer):
    """Given values."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> tf.Tensor:
        return keras.ops.convert_to_tensor(self.value, dtype=dtype)
