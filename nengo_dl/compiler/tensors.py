"""Tensors, to those who only pass them on: arrays of whichever library computes."""

from __future__ import annotations

from typing import Any, Protocol


class Tensor(Protocol):
    """An array of NumPy's, or a tensor of TensorFlow's or Keras's.

    Axes are named by the same letters everywhere: T steps of a chunk of time, B items of a
    minibatch, L rows (steps and items as one axis), G operators of a group, and N or `size`
    elements. A lower-case t, b or l may also be 1, where all share what there is.
    """

    @property
    def shape(self) -> Any:
        """Lengths of all axes; None for what only the running program knows."""
        ...

    @property
    def dtype(self) -> Any:
        """The library's name of the type of its elements."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """Some of its elements, as of NumPy."""
        ...


#: A number: of Python, if it is known before the program is compiled, or a tensor without axes.
Scalar = int | Tensor
