"""State for calls that Keras makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import tensorflow as tf

from ....compiler.ir import Block
from ...replicas import Replicas
from ..backend import Scalar


class Mirror:
    """What each item has of its own, in variables, for Keras's compiled functions.

    Keras does not see them as weights.

    Parameters
    ----------
    carry : dict of Block to tensor (B, size)
    replicas : Replicas
        Each has the rows of its own items.

    Attributes
    ----------
    carries_over : bool
        Whether a call begins where the one before ended.
    lent : bool
        Whether Keras is running calls: between two of them, callbacks may ask and change state.
    """

    def __init__(self, carry: Mapping[Block, tf.Tensor], replicas: Replicas) -> None:
        self.replicas = replicas
        self.variables = {b: replicas.variable(v) for b, v in carry.items()}
        self.steps = replicas.variable(np.zeros(replicas.batch, np.int64))  # the same for all
        self.carries_over = self.lent = False

    @property
    def leads(self) -> bool:
        """Whether the state is here, and what the simulation has itself is older."""
        return self.lent and self.carries_over

    def load(self, carry: Mapping[Block, tf.Tensor]) -> None:
        """Take over a state, or what was learned."""
        for block, value in carry.items():
            if block in self.variables:
                self.replicas.assign(self.variables[block], value)

    def load_steps(self, steps: int) -> None:
        """Take over the steps that came before."""
        self.replicas.assign(self.steps, np.full(self.replicas.batch, steps, np.int64))

    def values(self) -> dict[Block, tf.Tensor]:
        """Rows of all items, or of those of the replica that calls this."""
        return {b: self.replicas.read(v) for b, v in self.variables.items()}

    def first(self) -> tf.Tensor:
        """Steps that came before: a scalar."""
        return self.replicas.read(self.steps)[0]

    def reached(self) -> int:
        """Steps that calls have reached."""
        part = self.steps
        if self.replicas.several:
            part = self.replicas.splitting.experimental_local_results(part)[0]
        return int(part[0])

    def advance(
        self, after: Mapping[Block, tf.Tensor], length: Scalar, learned: Collection[Block] = ()
    ) -> None:
        """Take over what a call left behind: all of it, or only what was learned."""
        for block, variable in self.variables.items():
            if self.carries_over or block in learned:
                self.replicas.assign(variable, after[block])
        if self.carries_over:
            steps = self.replicas.read(self.steps)
            self.replicas.assign(self.steps, steps + tf.cast(length, tf.int64))
