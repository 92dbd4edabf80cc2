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
    begins_low : tuple of bool
        For each state, whether it is known to begin with values of at most 1, a threshold.
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
        self.begins_low = tuple(_begins_low(group, i) for i in range(1, len(group.reads)))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> float | np.ndarray: ...


def _begins_low(group: Group, slot: int) -> bool:
    return all(at_most_one(op.reads[slot].signal.initial) for op in group.ops)


def at_most_one(initial: np.ndarray | None) -> bool:
    """All that a kernel may ask about values that a state begins with; they are no constants."""
    return initial is not None and bool(np.max(initial) <= 1)
