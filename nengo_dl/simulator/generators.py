"""Minibatches of generators and Datasets: whatever form they have, brought to data by name.

What has no names is matched by position, by the rule of `runtimes.by_position`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from ..runtimes.by_position import check_complete, of_minibatch
from ..session.session import Session
from ..utils import Tensor
from . import calls, checks
from .types import Key, Minibatches, Unnamed


class Items:
    """Reads items: inputs, or tuples of inputs, targets and weights.

    Inputs, and targets and weights, are dictionaries by object or by name, sequences in the order
    of the objects, or single arrays. Behind the inputs may be `n_steps`.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        names = session.compiled.names
        self._nodes = checks.names_of(session.compiled.nodes, names)
        self._probes = checks.names_of(session.probes, names)
        self._losses = [names[probe] for probe in session.loss_probes]
        self._flat = calls.takes_single_steps(session)

    def for_keras(self, item: Any) -> tuple[dict[str, Tensor] | Tensor, ...]:
        """The parts of an item, by name, as Keras takes them."""
        parts = item if isinstance(item, tuple) else (item,)
        if not 1 <= len(parts) <= 3:
            raise ValidationError(
                f"an item of a generator or Dataset is a tuple of {len(parts)}, expected inputs, "
                f"targets, and perhaps weights",
                attr="x",
            )
        inputs, flat = self._inputs(parts[0])
        found: list[Any] = [inputs]
        if len(parts) > 1 and parts[1] is not None:
            targets = self._targets(parts[1], "y")
            found.append({k: _with_step(v) for k, v in targets.items()} if flat else targets)
        if len(parts) > 2 and parts[2] is not None:
            found.append(self._targets(parts[2], "sample_weight"))
        return tuple(found)

    def for_predict(self, item: Any) -> dict[str, Tensor]:
        """The inputs of an item, by name; targets are left out."""
        if isinstance(item, tuple) and self._has_targets(item):
            item = item[0]
        return self._inputs(item)[0]

    def _has_targets(self, item: tuple) -> bool:
        """Whether a tuple is inputs and targets, and not inputs and `n_steps`."""
        first = item[0] if item else None
        if len(item) == 1 or isinstance(first, Mapping | tuple | list):
            return True
        return len(self._nodes) == 1 and not _counts_steps(item)

    def _inputs(self, x: Mapping[Key, Tensor] | Unnamed) -> tuple[dict[str, Tensor], bool]:
        """Inputs by name, and whether they had no axis of steps."""
        names = list(self._nodes.values())
        found: dict[str, Tensor]
        if isinstance(x, Mapping):
            given = {key: value for key, value in x.items() if key != "n_steps"}
            by_node = checks.by_key(given, self._nodes, "x", "input")
            found = {self._nodes[node]: value for node, value in by_node.items()}
            found.update({"n_steps": x["n_steps"]} if "n_steps" in x else {})
        else:
            found = of_minibatch(x, [*names, "n_steps"], "x")
        check_complete(found, names)
        found = {name: _array(value) for name, value in found.items()}
        if not self._flat:
            return found, False
        (name,) = self._nodes.values()
        flat = _rank(found[name]) == 2
        found[name] = _with_step(found[name])
        return found, flat

    def _targets(self, given: Mapping[Key, Tensor] | Unnamed, attr: str) -> Any:
        """Targets or weights by name; one array of weights stands for all targets."""
        found: dict[str, Tensor]
        if isinstance(given, Mapping):
            kind = "target" if attr == "y" else attr
            by_probe = checks.by_key(given, self._probes, attr, kind)
            found = {self._probes[probe]: value for probe, value in by_probe.items()}
        elif attr == "sample_weight" and not isinstance(given, list | tuple):
            return _array(given)
        else:
            found = of_minibatch(given, list(self._probes.values()), attr, self._losses)
        return {name: _array(value) for name, value in found.items() if value is not None}


def _array(value: ArrayLike | Tensor) -> Tensor:
    """An array of what has no axes yet, such as a list, or has names for them."""
    if hasattr(value, "to_numpy"):
        return value.to_numpy()
    return value if hasattr(value, "shape") else np.asarray(value)


def _rank(value: Tensor) -> int:
    return len(value.shape)


def _with_step(value: Tensor) -> Tensor:
    """A single step: (items, size) as (items, 1, size), and (items,) as (items, 1, 1)."""
    rank = _rank(value)
    return value[:, None] if rank == 2 else value[:, None, None] if rank == 1 else value


def _counts_steps(item: tuple) -> bool:
    """Whether the second part of (x, n_steps) is just that: the steps of x, for each item."""
    if len(item) != 2 or len(np.shape(item[0])) < 3:
        return False
    count, (items, steps) = np.asarray(item[1]), np.shape(item[0])[:2]
    return (
        count.dtype.kind in "iu"
        and count.shape in ((items, 1), (items,), ())
        and (steps == 1 or bool(np.all(count == steps)))
    )


def for_keras(session: Session, x: Minibatches) -> Minibatches:
    """Bring what gives minibatches into a form that Keras takes.

    Parameters
    ----------
    session : Session
    x : generator or other iterator, Dataset, PyDataset, or what else Keras takes

    Returns
    -------
    object
        What gives the same minibatches, with data by name.
    """
    from ..runtimes.tensorflow.keras.iterables import (
        NamedItems,
        dataset_of,
        is_dataset,
        is_py_dataset,
    )

    items = Items(session)
    if is_py_dataset(x):
        return NamedItems(x, items.for_keras)
    if is_dataset(x):
        dataset: Any = x  # TensorFlow's, which has no types
        return dataset.map(lambda *parts: items.for_keras(parts if len(parts) > 1 else parts[0]))
    if isinstance(x, Iterator):
        return dataset_of(x, items.for_keras, session.graph.host)
    return x
