"""What the compiler asks about kinds of operations; kernels answer, and no kind is known by name.

Two kinds are the compiler's own: `sum`, whose terms it counts, and `route`, which only moves
elements about.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable
from typing import Protocol

from .ir import Group, Op, Signal, View


class Product(enum.Enum):
    """What an operation multiplies: its result is zero wherever all of one factor is."""

    ELEMENTWISE = "elementwise"  # reads two factors, as NumPy broadcasts them
    MATRIX = "matrix"  # reads a matrix (m, n) and a vector (n,), and writes a vector (m,)
    SPARSE = "sparse"  # the same with the non-zero elements of the matrix
    CONVOLUTION = "convolution"  # reads a kernel, and what it slides along


class Traits(Protocol):
    """What holds for all operations of a kind.

    Attributes
    ----------
    product : Product or None
        What it multiplies, if that is all it does.
    has_effects : bool
        Whether it acts on the world outside the graph: it runs even if nobody reads its results.
    mergeable : bool
        Whether one operation can stand for another that reads the same.
    sequential : bool
        Whether it must run step by step, in order, whatever it depends on.
    compiled : bool
        Whether XLA can compile it; if not, it is a call of Python, out of the compiled program.
    keeps_items_apart : bool
        Whether no item of a minibatch knows of the others.
    is_population : bool
        Whether its members are populations of neurons.
    """

    product: Product | None
    has_effects: bool
    mergeable: bool
    sequential: bool
    compiled: bool
    keeps_items_apart: bool
    is_population: bool


TraitsOf = Callable[[Op | Group], Traits]


class Catalogue(Protocol):
    """All kinds of operations that there are."""

    def traits(self, op: Op | Group) -> Traits:
        """What holds for the kind of an operation."""
        ...

    def signature(self, op: Op) -> Hashable:
        """What has to be equal for operations to share a group."""
        ...

    def is_flat(self, op: Op) -> bool:
        """Whether its kernel works on single elements: members may then differ in size."""
        ...

    def works_in_any_order(self, group: Group) -> bool:
        """Whether a group's elements can be arranged in any order."""
        ...

    def packs(self, group: Group) -> bool:
        """Whether the states of a group can be held as one array."""
        ...

    def inlines(self, group: Group, batch: int) -> bool:
        """Whether a group's kernel may be a part of one for a whole loop."""
        ...

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        """What takes the place of an operation in training; see `Kernel.for_training`."""
        ...


def is_matrix_product(op: Op | Group, traits: TraitsOf) -> bool:
    """Whether an operation multiplies a matrix with a vector."""
    return traits(op).product is Product.MATRIX
