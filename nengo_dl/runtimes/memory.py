"""State and parameters between two chunks of time: in NumPy, until someone else may change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..compiler.ir import Block, Role
from ..compiler.tensors import Tensor
from .plan import Plan


class Arrays(Protocol):
    """Parameters that somebody else holds."""

    def array(self, block: Block) -> np.ndarray:
        """Values (1 or B, size) of a block."""
        ...


class Holder(Protocol):
    """Whose variables have state and parameters, once somebody may change them: `TensorGraph`."""

    @property
    def state(self) -> dict[Block, Tensor]:
        """What changes from step to step, (B, size)."""
        ...

    @state.setter
    def state(self, state: Mapping[Block, Tensor]) -> None: ...

    @property
    def parameters(self) -> Arrays:
        """All parameters."""
        ...

    def carry(self) -> Mapping[Block, Tensor]:
        """State and learned parameters, (B, size)."""
        ...

    def keep(self, carry: Mapping[Block, Tensor], state: bool = True) -> None:
        """Take over what a run left behind; `state=False` takes parameters alone."""
        ...

    def reset_state(self) -> None:
        """Go back to the initial state."""
        ...

    def reset_parameters(self) -> None:
        """Give all parameters the values that they were built with."""
        ...


class Memory:
    """What a simulation remembers.

    As long as nobody outside of the runtimes knows the variables of the graph, nobody can change
    parameters but learning rules, whose results are here. From `share` on the variables hold them.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._graph: Holder | None = None
        self._parameters: dict[Block, np.ndarray] = {}
        blocks = plan.program.layout.blocks
        self._state = [b for b in blocks if b.role is Role.STATE]
        self._learned = [b for b in blocks if b.role is Role.ADAPTED]
        # a runtime may make arrays of it only when one is asked for
        self._carry: Mapping[Block, Tensor] = {b: self._initial(b) for b in self._carried}

    def share(self, graph: Holder) -> None:
        """Let the variables of a `TensorGraph` hold what is here."""
        if self._graph is None:
            self._graph = graph
            graph.keep(self._carry)

    @property
    def _carried(self) -> list[Block]:
        return [*self._state, *self._learned]

    @property
    def fixed(self) -> bool:
        """Whether parameters, other than learned ones, stay as they are from chunk to chunk."""
        return self._graph is None

    @property
    def state(self) -> dict[Block, Tensor]:
        """What changes from step to step, (B, size)."""
        if self._graph is not None:
            return self._graph.state
        return {block: self._carry[block] for block in self._state}

    @state.setter
    def state(self, state: Mapping[Block, Tensor]) -> None:
        if self._graph is None:
            self._carry = {**self._carry, **state}
        else:
            self._graph.state = state

    def carry(self) -> Mapping[Block, Tensor]:
        """State and learned parameters as they are, (B, size)."""
        return self._carry if self._graph is None else self._graph.carry()

    def keep(self, carry: Mapping[Block, Tensor], state: bool = True) -> None:
        """Take over what a run left behind; `state=False` takes parameters alone."""
        if self._graph is not None:
            self._graph.keep(carry, state=state)
            return
        if state:
            self._carry = carry
        else:
            self._carry = {**self._carry, **{block: carry[block] for block in self._learned}}

    def array(self, block: Block) -> np.ndarray:
        """Values (1 or B, size) of a parameter block."""
        if self._graph is not None:
            return self._graph.parameters.array(block)
        if block in self._learned:
            return np.asarray(self._carry[block])
        if block not in self._parameters:
            self._parameters[block] = self._initial(block)
        return self._parameters[block]

    def reset(self, parameters: bool = True) -> None:
        """Go back to the initial state, and to the parameters that everything was built with."""
        if self._graph is not None:
            self._graph.reset_state()
            if parameters:
                self._graph.reset_parameters()
            return
        begun = self._carried if parameters else self._state
        self._carry = {**self._carry, **{block: self._initial(block) for block in begun}}

    def _initial(self, block: Block) -> np.ndarray:
        return initial_rows(block, self.plan)


def initial_rows(block: Block, plan: Plan) -> np.ndarray:
    """Values (1 or B, size) that a block was built with: a row for each item that can differ."""
    kind = {"float": plan.dtype, "int": "int32", "bool": "bool"}[block.dtype]
    value = block.initial().astype(kind).reshape(1, block.size)
    shared = block.role in (Role.PARAMETER, Role.CONSTANT, Role.TIME)
    return value if shared else np.repeat(value, plan.batch, axis=0)
