"""Numbers that do not change in a simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..compiler.ir import Group
from .arrays import Tensor, Tensors
from .context import Context
from .later import ops


def constant(value: ArrayLike, dtype: str) -> Tensor:
    """A tensor of constants."""
    return ops.convert_to_tensor(np.asarray(value, dtype=dtype))


class Constants:
    """What the steps of neurons know besides currents and states.

    It also has an attribute for each name in `NeuronKernel.constants`: a number, or an array (1, N)
    where neurons of the group differ. Units are Nengo's: ``tau_rc``, ``tau_ref`` and ``tau_n`` are
    seconds, voltages are in units of the threshold, and ``amplitude`` is the area of a spike.

    Parameters
    ----------
    group : Group
    names : sequence of str
        Those attributes.
    ctx : Context

    Attributes
    ----------
    once : callable
        Computes a tensor once for all who read it; see `Context.once`.
    keep : callable
        Takes what a gradient needs; see `Context.keep`.
    initial : tuple of float
        The largest value that each state begins with; infinity if that is not known.
    """

    def __init__(self, group: Group, names: tuple[str, ...], ctx: Context) -> None:
        for name in names:
            values = [getattr(op.attrs["neurons"], name) for op in group.ops]
            # a number, where it can be, is a constant that XLA folds into what is computed
            same = all(v == values[0] for v in values)
            value = float(values[0]) if same else group.per_element(values).astype(ctx.dtype)
            setattr(self, name, value)
        self.once: Callable[[Tensor], Tensor] = ctx.once
        self.keep: Callable[..., Tensors] = ctx.keep
        self.initial = tuple(_largest_initial(group, i) for i in range(1, len(group.reads)))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> float | np.ndarray: ...


def _largest_initial(group: Group, slot: int) -> float:
    """The largest value that a state begins with."""
    initials = [op.reads[slot].signal.initial for op in group.ops]
    return max(np.inf if v is None else float(np.max(v)) for v in initials)
