"""What the arguments of `Converter` may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ..utils import Synapse

#: Inputs (B, ...) for the inputs of a model: one array, one for each, or by the name of the input.
Inputs: TypeAlias = ArrayLike | Mapping[str, ArrayLike]


def check_flags(**flags: bool) -> None:
    """Raise ValidationError unless all are True or False, and maxima become one thing.

    Parameters
    ----------
    **flags : bool
        By name of the argument.
    """
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise ValidationError(f"got {value!r}, expected True or False", attr=name)
    if flags.get("true_max_pool") and flags.get("max_to_avg_pool"):
        raise ValidationError(
            "a maximum cannot become an average too; give either true_max_pool or max_to_avg_pool",
            attr="true_max_pool",
        )


def check_synapse(synapse: Synapse) -> Synapse:
    """The synapse itself, if Nengo takes it.

    Parameters
    ----------
    synapse : nengo.synapses.Synapse, float or None

    Raises
    ------
    ValidationError
        If it is none of these, or a time constant is negative or not finite.
    """
    if isinstance(synapse, int | float | np.number) and not isinstance(synapse, bool):
        is_valid = bool(np.isfinite(synapse) and synapse >= 0)
    else:
        is_valid = synapse is None or isinstance(synapse, nengo.synapses.Synapse)
    if not is_valid:
        raise ValidationError(
            f"got {synapse!r}, expected a time constant [s] of at least 0, a synapse such as "
            f"nengo.Alpha(0.01), or None",
            attr="synapse",
        )
    return synapse
