"""What a simulation keeps from step to step, and what of it Keras has while it makes calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from ....compiler.ir import Block, Role, Signal
from ...memory import initial_rows
from ...plan import Plan
from .mirror import Mirror
from .parameters import Variables


class StatefulLayer(keras.layers.Layer):
    """A layer with parameters and state, which it lends to functions that Keras has compiled.

    While the state is lent, it is in the mirror's variables.  Callbacks of Keras may ask for it
    and change it there, between two minibatches, as at any other time.

    Parameters
    ----------
    plan : Plan
    name : str

    Attributes
    ----------
    parameters : Variables
    """

    def __init__(self, plan: Plan, name: str) -> None:
        super().__init__(name=name, dtype=plan.dtype, autocast=False)
        self.plan, self.replicas = plan, plan.replicas
        self._blocks = plan.program.layout.blocks
        self.parameters = Variables(
            self.add_weight, self._blocks, plan.batch, plan.dtype, not self.replicas.several
        )
        self._state = {b: self._initial(b) for b in self._blocks if b.role is Role.STATE}
        learned = self._learned() if self.replicas.several else {}
        self._mirror = Mirror({**self._state, **learned}, self.replicas)

    def _initial(self, block: Block) -> tf.Tensor:
        """The state of a block that a simulation begins with: (B, size)."""
        return tf.constant(initial_rows(block, self.plan))

    # ------------------------------------------------------------------ as it is now

    @property
    def state(self) -> dict[Block, tf.Tensor]:
        """What changes from step to step, (B, size): what the last call left behind."""
        if not self._mirror.leads:
            return self._state
        return {b: v for b, v in self._mirror.values().items() if b in self._state}

    @state.setter
    def state(self, state: Mapping[Block, tf.Tensor]) -> None:
        self._state = dict(state)
        if self._mirror.lent:
            self._mirror.load(self._state)

    @property
    def steps(self) -> int | None:
        """Steps that Keras's calls have reached that go on from each other; None outside them."""
        return self._mirror.reached() if self._mirror.leads else None

    @steps.setter
    def steps(self, steps: int) -> None:
        if self._mirror.lent:
            self._mirror.load_steps(steps)

    def carry(self) -> dict[Block, tf.Tensor]:
        """State and online-learned parameters as they are, (B, size)."""
        return {**self.state, **self._learned()}

    def keep(self, carry: Mapping[Block, tf.Tensor], state: bool = True) -> None:
        """Take over what a run left behind; `state=False` takes parameters alone."""
        for block in self.parameters.adapted:
            self.parameters.assign(block, carry[block])
        self._learn_in_replicas()
        if state:
            self.state = {block: carry[block] for block in self._state}

    def reset_state(self) -> None:
        """Go back to the initial state."""
        self.state = {block: self._initial(block) for block in self._state}

    def reset_parameters(self) -> None:
        """Give all parameters the values that they were built with."""
        self.parameters.reset()
        self._learn_in_replicas()

    def assign_parameters(self, values: Mapping[Signal, np.ndarray]) -> None:
        """Give parameters other values."""
        self.parameters.assign_values(values)
        self._learn_in_replicas()

    def _learned(self) -> dict[Block, tf.Tensor]:
        """Online-learned parameters; while Keras makes calls, each replica has its own."""
        if self.replicas.several and self.is_lent:
            values = self._mirror.values()
            return {block: values[block] for block in self.parameters.adapted}
        return {block: self.parameters.tensor(block) for block in self.parameters.adapted}

    def _learn_in_replicas(self) -> None:
        if self.replicas.several and self.is_lent:
            adapted = self.parameters.adapted
            self._mirror.load({block: self.parameters.tensor(block) for block in adapted})

    # ------------------------------------------------------------------ lent to Keras

    @property
    def is_lent(self) -> bool:
        """Whether Keras is making calls, and what asks this is a callback."""
        return hasattr(self, "_mirror") and self._mirror.lent

    @contextlib.contextmanager
    def lent(self, steps: int, stateful: bool) -> Iterator[None]:
        """Lend the state to functions of Keras's; it is taken back afterwards.

        Parameters
        ----------
        steps : int
            Steps before the first call.
        stateful : bool
            Whether to keep the state of each call for the next, and after the last.
        """
        self._lend(stateful)
        self._mirror.load_steps(steps)
        try:
            yield
        except BaseException:
            if not self.replicas.elsewhere:  # other processes need not have failed
                self._take_back()
            self._mirror.lent = False
            raise
        self._take_back()

    @contextlib.contextmanager
    def taken_back(self) -> Iterator[None]:
        """Have the state within a callback of Keras's, to lend it to another call meanwhile."""
        stateful = self._mirror.carries_over
        self._take_back()
        try:
            yield
        finally:
            self._lend(stateful)

    def _lend(self, stateful: bool) -> None:
        learned = self._learned() if self.replicas.several else {}
        self._mirror.load({**self._state, **learned})
        self._mirror.lent, self._mirror.carries_over = True, stateful

    def _take_back(self) -> None:
        learned = self._learned()
        self._state = self.state
        self._mirror.lent = False
        if self.replicas.several:
            self.keep(learned, state=False)
