"""What a simulation consists of, for the runtime that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..compiler.ir import Block, Output, Program


@dataclass(frozen=True, eq=False)
class Plan:
    """What a runtime runs, and what a `TensorGraph` needs to train it.

    Attributes
    ----------
    program : Program
    make_training_program : callable
        Makes the program of the same simulation in training; they share their layout.
    inputs : dict of str to Block
        Blocks of the nodes that can be fed, by name.
    hidden : dict of Block to callable
        Inputs that no user feeds: `make(first, n) -> array (n, 1 or B, size)`.
    outputs : dict of str to Output
        Probes by name.
    replicas : Replicas
        Who simulates which items.
    rngs
        `rngs(op, item)` gives the random generator of an operator on the host.
    source_of
        `source_of(feed)` makes an input whose Python is called within each step.
    restart
        `restart(items)` lets Python of the user's begin anew for some items.
    skipped : frozenset of str
        Names of passes of a runtime that are left out.
    checkpoint_steps : int, "auto" or None
        Steps of the chunks of time that gradients compute again.
    training_memory : float or None
        Bytes that a minibatch may take in training; None for half of the machine's memory.
    """

    program: Program
    make_training_program: Callable[[], Program]
    inputs: Mapping[str, Block]
    hidden: Mapping[Block, Any]
    outputs: Mapping[str, Output]
    replicas: Any
    rngs: Any
    dt: float
    dtype: str
    unroll: int
    learning_phase: bool | None
    checkpoint_steps: int | str | None = None
    training_memory: float | None = None
    source_of: Any = None
    restart: Any = None
    skipped: frozenset[str] = frozenset()

    @property
    def batch(self) -> int:
        """Items in a minibatch, B."""
        return self.replicas.batch

    @cached_property
    def training_program(self) -> Program:
        """Made when it is first asked for: who only simulates does not wait for it."""
        return self.make_training_program()
