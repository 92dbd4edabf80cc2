"""Data without names: which input or probe each belongs to, by its position. The one rule.

Three places apply it: `simulator.checks` to arrays, `simulator.generators` to the minibatches of
generators and Datasets, and `runtimes.tensorflow.keras.minibatch` to whatever else Keras is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from nengo.exceptions import ValidationError

from ..compiler.tensors import Tensor

Unnamed = Tensor | list[Tensor] | tuple[Tensor, ...]
Key = TypeVar("Key")  # an object, or its name

GIVEN = {"x": "{} inputs", "y": "targets for {} probes", "sample_weight": "weights for {} probes"}


def align(
    data: Unnamed, owners: Sequence[Key], losses: Sequence[Key] = ()
) -> tuple[list[Tensor], Sequence[Key]]:
    """Data without names as a list, and whom they are for, in order; the numbers may differ.

    Parameters
    ----------
    data : list, tuple, or one array
    owners : sequence
        All whom data may be given for.
    losses : sequence
        Those of them, probes with a loss, that data belong to if there are as many.
    """
    values = list(data) if isinstance(data, list | tuple) else [data]
    return values, losses if losses and len(values) == len(losses) else owners


def of_minibatch(
    data: Unnamed, names: Sequence[str], attr: str, losses: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Data of a minibatch by name, where they have none.

    Parameters
    ----------
    data : list, tuple, or one array
    names : sequence of str
        Of the inputs and then `n_steps`, or of all probes.
    attr : str
        What the data are: "x", "y" or "sample_weight".
    losses : sequence of str
        As of `align`.

    Raises
    ------
    ValidationError
        If there are too many: of whole arrays, a warning says so, but each minibatch of a generator
        could have others.
    """
    values, owners = align(data, names, losses)
    if len(values) > len(owners):
        raise ValidationError(
            f"a minibatch has {GIVEN[attr].format(len(values))}, expected at most "
            f"{len(owners)}: {', '.join(map(repr, owners))}",
            attr=attr,
        )
    return dict(zip(owners, values, strict=False))


def check_complete(found: Mapping[str, Tensor], nodes: Sequence[str]) -> None:
    """Raise ValidationError unless a minibatch has all inputs; they tell the number of steps.

    Parameters
    ----------
    found : dict
        Inputs by name.
    nodes : sequence of str
        Names of all input nodes.
    """
    missing = [name for name in nodes if name not in found]
    if not nodes and "n_steps" not in found:
        missing = ["n_steps"]
    if missing:
        raise ValidationError(
            f"a minibatch has {', '.join(map(repr, found)) or 'nothing'}; each needs all inputs, "
            f"so also {', '.join(map(repr, missing))}",
            attr="x",
        )


def unknown(key: object, kind: str, names: Sequence[str], attr: str) -> ValidationError:
    """What is wrong with data for something that there is not.

    Parameters
    ----------
    key
        What the data were given for.
    kind : str
        What it should be: "input", "target".
    names : sequence of str
        Of all there are.
    attr : str
        Which data.
    """
    known = ", ".join(map(repr, names)) or "none"
    return ValidationError(
        f"{key!r} is not one of the network's {kind}s (their names: {known})", attr=attr
    )
