"""Which steps a chunk of time has, and how they are compiled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..compiler.ir import Group


@dataclass(frozen=True)
class Span:
    """The steps of a chunk.

    Attributes
    ----------
    first : scalar tensor int64
        Steps that came before.
    length : int or scalar tensor
        T, the steps that there is room for.
    valid : int or scalar tensor
        The steps to simulate; rows of the results beyond it mean nothing.
    by_item : bool
        Whether inputs lie in memory item by item, so that putting them in the order of steps
        moves them.
    """

    first: Any
    length: Any
    valid: Any
    by_item: bool = False


@dataclass(frozen=True)
class Compiling:
    """What is compiled as one.

    Attributes
    ----------
    unroll : int
        Steps in the body of a loop.
    uncompiled : collection of Group
        If some are given, XLA compiles the stages without them, and in loops the parts of a step
        between them; the whole is not compiled.
    apart : bool
        Whether XLA compiles each loop by itself, and large populations outside loops, but not the
        whole.
    inline : bool
        Whether loops may be a single kernel of XLA:CPU: the whole is compiled, to run on a CPU, and
        nobody asks for a gradient.
    """

    unroll: int = 1
    uncompiled: Collection[Group] = ()
    apart: bool = False
    inline: bool = False
