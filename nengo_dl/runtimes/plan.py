"""What a simulation consists of, for the runtime that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from nengo.builder.operator import Operator

from ..compiler.ir import Block, Output, Program
from .replicas import Replicas

#: `make(first, n)` makes an input of n steps: array (n, 1 or B, size).
Maker = Callable[[int, int], np.ndarray]


class Generator(Protocol):
    """What an operator on the host draws from: often `numpy.random.RandomState`."""

    def randint(self, high: int, /) -> int:
        """A number below `high`, such as the seed of a process."""
        ...


class Source(Protocol):
    """An input that Python makes."""

    def rows(self, first: int, n: int) -> np.ndarray:
        """Values of the n steps after the `first`: array (n or 1, 1 or B, size)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
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
    rngs : callable
        `rngs(op, item)` gives the random generator of an operator on the host.
    source_of : callable
        `source_of(feed)` makes an input whose Python is called within each step; a feed is what
        its operation has among its attributes, and no runtime looks into it.
    restart : callable
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
    hidden: Mapping[Block, Maker]
    outputs: Mapping[str, Output]
    replicas: Replicas
    rngs: Callable[[Operator, int], Generator]
    dt: float
    dtype: str
    unroll: int
    learning_phase: bool | None
    checkpoint_steps: int | str | None = None
    training_memory: float | None = None
    source_of: Callable[[Any], Source]
    restart: Callable[[Sequence[int]], None]
    skipped: frozenset[str] = frozenset()

    @property
    def batch(self) -> int:
        """Items in a minibatch, B."""
        return self.replicas.batch

    @cached_property
    def training_program(self) -> Program:
        """Made when it is first asked for: who only simulates does not wait for it."""
        return self.make_training_program()
