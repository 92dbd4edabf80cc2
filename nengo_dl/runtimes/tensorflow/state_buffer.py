"""State as few tensors: a call of a compiled function costs time for each of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ...compiler.ir import Block
from ...compiler.tensors import Tensor
from ..plan import Plan


class Carried(Mapping[Block, np.ndarray]):
    """What a function returned, (B, size) for each block: arrays are made when one is asked for.

    Parameters
    ----------
    tensors : sequence of tensor (B, total)
    members : list of list of Block
        What each of them holds.
    """

    def __init__(self, tensors: Sequence[tf.Tensor], members: list[list[Block]]) -> None:
        self.tensors, self._members = tensors, members
        self._arrays: dict[Block, np.ndarray] = {}

    def __getitem__(self, block: Block) -> np.ndarray:
        # all at once: a tensor has the arrays of many blocks
        if not self._arrays:
            self._convert()
        return self._arrays[block]

    def __iter__(self) -> Iterator[Block]:
        return (block for blocks in self._members for block in blocks)

    def __len__(self) -> int:
        return sum(map(len, self._members))

    def is_in(self, carry: Mapping[Block, Tensor]) -> bool:
        """Whether others carry nothing but the arrays that are here."""
        return bool(self._arrays) and all(carry[b] is array for b, array in self._arrays.items())

    def _convert(self) -> None:
        for blocks, tensor in zip(self._members, self.tensors, strict=True):
            rows, start = tensor.numpy(), 0
            for block in blocks:
                self._arrays[block] = rows[:, start : start + block.size]
                start += block.size


class StateBuffer:
    """What is carried from chunk to chunk, (B, size) for each block, in one tensor for each type.

    Between two chunks it is `Carried`, or arrays of NumPy.

    Parameters
    ----------
    blocks : iterable of Block
        What is carried.
    plan : Plan
    """

    def __init__(self, blocks: Iterable[Block], plan: Plan) -> None:
        self.dtypes = {"float": plan.dtype, "int": "int32", "bool": "bool"}
        self._members: dict[str, list[Block]] = {}
        for block in blocks:
            self._members.setdefault(block.dtype, []).append(block)
        self._latest: Carried | None = None

    @property
    def count(self) -> int:
        """How many tensors there are."""
        return len(self._members)

    def tensors(self, carry: Mapping[Block, Tensor]) -> Sequence[tf.Tensor]:
        """The arguments (B, total) of a function: those it returned, if they did not change."""
        latest = self._latest
        if latest is not None and (carry is latest or latest.is_in(carry)):
            return latest.tensors
        return [
            tf.convert_to_tensor(
                np.concatenate([np.asarray(carry[b]) for b in blocks], axis=1), self.dtypes[kind]
            )
            for kind, blocks in self._members.items()
        ]

    def arrays(self, tensors: Sequence[tf.Tensor]) -> Carried:
        """What a function returned, for each block."""
        self._latest = Carried(tensors, list(self._members.values()))
        return self._latest

    def split(self, tensors: Sequence[tf.Tensor]) -> dict[Block, tf.Tensor]:
        """Within a function: the state of each block, out of the arguments."""
        found: dict[Block, tf.Tensor] = {}
        for blocks, tensor in zip(self._members.values(), tensors, strict=True):
            parts = tf.split(tensor, [block.size for block in blocks], axis=1)
            found.update(zip(blocks, parts, strict=True))
        return found

    def join(self, carry: Mapping[Block, tf.Tensor]) -> list[tf.Tensor]:
        """Within a function: what it returns."""
        return [
            tf.concat([carry[block] for block in blocks], axis=1)
            for blocks in self._members.values()
        ]
