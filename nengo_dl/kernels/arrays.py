"""What kernels compute with.

Axes, here and in all docstrings of kernels: L rows (batch items; outside loops, steps times items;
or one row that all share), G operations of a group, N elements of them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Protocol

import numpy as np

from ..compiler import tensors


class Tensor(tensors.Tensor, Protocol):
    """An array of Keras's back end, whichever that is, while a program is traced: it computes.

    Axes are (L, G, ...), or (L, N) for kernels that are flat. A size that is not known while
    tracing, as L may be, is None.
    """

    def __getitem__(self, index: Index | tuple[Index, ...], /) -> Tensor: ...
    def __neg__(self) -> Tensor: ...
    def __add__(self, other: Number) -> Tensor: ...
    def __radd__(self, other: Number) -> Tensor: ...
    def __sub__(self, other: Number) -> Tensor: ...
    def __rsub__(self, other: Number) -> Tensor: ...
    def __mul__(self, other: Number) -> Tensor: ...
    def __rmul__(self, other: Number) -> Tensor: ...
    def __truediv__(self, other: Number) -> Tensor: ...
    def __rtruediv__(self, other: Number) -> Tensor: ...
    def __lt__(self, other: object) -> Tensor: ...
    def __le__(self, other: object) -> Tensor: ...
    def __gt__(self, other: object) -> Tensor: ...
    def __ge__(self, other: object) -> Tensor: ...


Tensors = Sequence[Tensor]
#: What tensors are computed with.
Number = float | np.ndarray | Tensor
#: What picks from one axis; an ellipsis stands for all axes that nothing is said of.
Index = int | slice | EllipsisType | None

#: Arrays of NumPy's: one item's, (G, ...) or (N,).
Arrays = Sequence[np.ndarray]
#: Computes one step of one item, on arrays that were given before; what it returns means nothing.
Action = Callable[[], object]
#: What runs on the host: arrays in, arrays out.
HostFunction = Callable[..., Sequence[np.ndarray]]
#: Gradients of the results, to gradients of the arguments.
Gradient = Callable[..., Tensor | tuple[Tensor, ...]]
