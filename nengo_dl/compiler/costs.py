"""What things cost on a machine, as numbers: the only place for thresholds of the compiler.

A field is named after what it bounds and its unit. Elements are numbers of any precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """Bounds between two ways to compute the same, for one kind of machine.

    All were measured on two cores of an AMD EPYC processor with TensorFlow 2.21, in float32, by
    `python -m nengo_dl.benchmarks`: networks on both sides of a bound, and the bound moved.

    Attributes
    ----------
    matrix_elements_between_loops : int
        From this size on, a product of its own between two loops is cheaper than one in a loop.
    reducing_ratio : int
        A product that makes this many times more, or fewer, elements stays in the loop: keeping
        all steps of its larger side would cost more.
    shared_vector_elements : int
        Elements that matrices with a vector in common would copy, from which on they are a group of
        their own.
    gather_pieces : int
        Beyond so many pieces, one gather is cheaper than slices put end to end.
    gather_long_pieces : int
        The same where pieces are long; each is an operation to compile.
    long_piece_elements : int
        Elements of a long piece, on average.
    interleaved_members : int
        From so many members on, small populations are computed element by element.
    row_elements : int
        From so many elements of a member on, rows of members are as fast.
    picked_share : int
        What is this many times smaller than a block may be picked out of it in its own order.
    single_kernel_elements : int
        Elements that a group writes, up to which a loop is faster as one kernel: beyond, kernels
        of their own use two cores.
    single_kernel_matrix_elements : int
        The same for the elements of all matrices: beyond, products use larger vectors.
    single_kernel_terms : int
        The same for elements added up; from 2**15 on, XLA has no form of that within a kernel.
    divided_packed_elements : range
        Elements of packed states that XLA divides among threads although it does not pay: from
        the first number on it divides kernels that compute more for each byte.
    part_elements : int
        Elements that a step of a part of a minibatch computes in loops: with fewer, it takes longer
        to start the parts than they save.
    """

    matrix_elements_between_loops: int = 2**14
    reducing_ratio: int = 8
    shared_vector_elements: int = 1024
    gather_pieces: int = 12
    gather_long_pieces: int = 48
    long_piece_elements: int = 64
    interleaved_members: int = 16
    row_elements: int = 40
    picked_share: int = 8
    single_kernel_elements: int = 24_000
    single_kernel_matrix_elements: int = 180_000
    single_kernel_terms: int = 32_000
    divided_packed_elements: range = range(2**10, 2**15)
    part_elements: int = 2**12


CPU = CostModel()

_CURRENT = ContextVar("costs", default=CPU)


def current() -> CostModel:
    """The costs that simulators made now are compiled for."""
    return _CURRENT.get()


@contextmanager
def assuming(**changes: Any) -> Iterator[CostModel]:
    """Let simulators that are made within this context assume other costs.

    Parameters
    ----------
    **changes
        Fields of `CostModel`.
    """
    token = _CURRENT.set(replace(current(), **changes))
    try:
        yield current()
    finally:
        _CURRENT.reset(token)
