"""What the compiler asks about kinds of operations; kernels answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from .ir import Group, Op, Signal, View
from .traits import Product, Traits

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
