"""State as few tensors: a call of a compiled function costs time for each of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...compiler.ir import Block
from ..plan import Plan


class StateBuffer:
    """What is carried from chunk to chunk, (B, size) for each block, in one tensor for each type.

    Between two chunks it is arrays of NumPy; the tensors of those that come back are known.

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
        self._held: tuple[dict[Block, np.ndarray], list] = ({}, [])

    @property
    def count(self) -> int:
        """How many tensors there are."""
        return len(self._members)

    def tensors(self, carry: Mapping[Block, Any]) -> list[tf.Tensor]:
        """The arguments (B, total) of a function: those it returned, if they did not change."""
        arrays, tensors = self._held
        if arrays and all(carry[block] is array for block, array in arrays.items()):
            return tensors
        return [
            tf.convert_to_tensor(
                np.concatenate([np.asarray(carry[b]) for b in blocks], axis=1), self.dtypes[kind]
            )
            for kind, blocks in self._members.items()
        ]

    def arrays(self, tensors: Sequence[tf.Tensor]) -> dict[Block, np.ndarray]:
        """What a function returned, for each block."""
        found = {}
        for blocks, tensor in zip(self._members.values(), tensors, strict=True):
            rows, start = tensor.numpy(), 0
            for block in blocks:
                found[block] = rows[:, start : start + block.size]
                start += block.size
        self._held = found, list(tensors)
        return found

    def split(self, tensors: Sequence[Any]) -> dict[Block, Any]:
        """Within a function: the state of each block, out of the arguments."""
        found = {}
        for blocks, tensor in zip(self._members.values(), tensors, strict=True):
            parts = tf.split(tensor, [block.size for block in blocks], axis=1)
            found.update(zip(blocks, parts, strict=True))
        return found

    def join(self, carry: Mapping[Block, Any]) -> list[Any]:
        """Within a function: what it returns."""
        return [
            tf.concat([carry[block] for block in blocks], axis=1)
            for blocks in self._members.values()
        ]
