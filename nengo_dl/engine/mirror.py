"""State for calls that Keras makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ..compiler.ir import Block


class Mirror:
    """State in variables, for Keras's compiled functions; Keras does not see them as weights.

    Parameters
    ----------
    state : dict of Block to tensor (B, size)

    Attributes
    ----------
    steps : tf.Variable
        Steps simulated so far.
    carries_over : bool
        Whether a call begins where the one before ended.
    """

    def __init__(self, state: Mapping[Block, Any]) -> None:
        self.variables = {b: tf.Variable(v, trainable=False) for b, v in state.items()}
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.carries_over = False

    def load(self, state: Mapping[Block, Any], steps: int) -> None:
        """Begin from a state."""
        for block, variable in self.variables.items():
            variable.assign(state[block])
        self.steps.assign(steps)

    def values(self) -> dict[Block, Any]:
        """The state as tensors."""
        return {b: tf.identity(v) for b, v in self.variables.items()}

    def advance(self, after: Mapping[Block, Any], length: Any) -> None:
        """Take over the state that `length` steps left behind."""
        for block, variable in self.variables.items():
            variable.assign(after[block])
        self.steps.assign_add(tf.cast(length, tf.int64))
