"""What kernels say of their kind of operation, so that passes need not know it by its name."""

from __future__ import annotations

import enum
from typing import Protocol


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
    user_code : bool
        Whether it is tensor code of the user's: only its trace tells whether XLA compiles it.
    restarts : bool
        Whether it calls Python that keeps a state, which can begin anew for some items.
    passes_gradient : bool
        Whether gradients flow through it.
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
    user_code: bool
    restarts: bool
    passes_gradient: bool
    keeps_items_apart: bool
    is_population: bool
