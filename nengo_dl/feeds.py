"""User data: what it may look like, what is wrong with it, and what fills the gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import ValidationError

from .utils import warn

Names = Mapping[Any, str]  # Nengo object -> io name


def is_data(x: Any) -> bool:
    """Whether `x` is arrays that can be checked here; anything else goes to Keras as it is."""
    return x is None or isinstance(x, Mapping | list | tuple | np.ndarray) or _is_tensor(x)


def _is_tensor(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype") and not hasattr(x, "element_spec")


def by_object(data: Any, names: Names, kind: str) -> dict[Any, np.ndarray]:
    """Arrays by Nengo object.

    Parameters
    ----------
    data : dict, list, tuple, array_like or None
        Keys of a dict are objects or their names; lists are matched by position.
    names : dict
        The objects that data may be given for, in order, and their names.
    kind : str
        What the data are, for messages: "input" or "target".

    Raises
    ------
    ValidationError
        If a key names no such object.
    """
    if data is None:
        return {}
    if isinstance(data, Mapping):
        found = {find(key, names, f"{kind} data", kind): value for key, value in data.items()}
        if len(found) < len(data):
            raise ValidationError(
                f"an object was given {kind} data twice, by itself and by its name, among "
                f"{', '.join(map(repr, data))}",
                attr=f"{kind} data",
            )
    else:
        items = list(data) if isinstance(data, list | tuple) else [data]
        found = _by_position(items, names, kind)
    return {obj: _as_array(value, names[obj]) for obj, value in found.items()}


def _by_position(items: list, names: Names, kind: str) -> dict:
    owner = "input Nodes" if kind == "input" else "Probes"
    if not names:
        raise ValidationError(
            f"{kind} data were given, but the network has no {owner}", attr=f"{kind} data"
        )
    if len(items) != len(names):
        warn(
            f"Number of elements in {kind} data ({len(items)}) does not match number of {owner} "
            f"({len(names)}); consider using a dictionary, with {owner} as keys"
        )
    return dict(zip(names, items, strict=False))


def find(key: Any, names: Names, attr: str, kind: str) -> Any:
    """The object that a key stands for: itself, or the one of that name.

    Parameters
    ----------
    key : str or NengoObject
    names : dict
        The objects to choose from, and their names.
    attr, kind : str
        What is looked for where, for messages.
    """
    if isinstance(key, str):
        for obj, name in names.items():
            if name == key:
                return obj
    elif key in names:
        return key
    if isinstance(key, nengo.Node) and (key.size_in > 0 or hasattr(key, "tensor_func")):
        raise ValidationError(
            f"{key} cannot be given data: only Nodes without input can", attr=attr
        )
    known = ", ".join(map(repr, names.values())) or "none"
    raise ValidationError(
        f"{key!r} is not one of the network's {kind}s (their names: {known})", attr=attr
    )


def _as_array(value: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise ValidationError(
            f"data for {name!r} are {type(value).__name__}, expected numbers in an array "
            f"(batch, steps, size) whose rows all have the same length",
            attr="data",
        )
    return array


def check_rank(
    arrays: Mapping[Any, np.ndarray], names: Names, sizes: Mapping[Any, int | None]
) -> None:
    """Raise ValidationError unless arrays are (batch, steps, size).

    Those whose size is None may have more axes: probes can record matrices.
    """
    for obj, array in arrays.items():
        size = sizes.get(obj)
        expected = f"(batch, steps, {'...' if size is None else size})"
        if array.ndim < 3 or (size is not None and array.ndim != 3):
            raise ValidationError(
                f"data for {names[obj]!r} should have rank 3 {expected}, found rank {array.ndim} "
                f"{array.shape}. For a single step, add an axis: x[:, None, :]",
                attr=f"data[{names[obj]}]",
            )


def check_size(arrays: Mapping[Any, np.ndarray], names: Names) -> None:
    """Raise ValidationError unless the last axis is the size of the node."""
    for node, array in arrays.items():
        if array.shape[2] != node.size_out:
            raise ValidationError(
                f"data for {names[node]!r} have shape {array.shape}, expected "
                f"(batch, steps, {node.size_out})",
                attr=f"data[{names[node]}]",
            )


def check_finite(arrays: Mapping[Any, np.ndarray], names: Names) -> None:
    """Raise ValidationError for values that are NaN or infinite.

    Many neurons would take them for no input at all.
    """
    for node, array in arrays.items():
        if not np.isfinite(array).all():
            item, step, element = np.argwhere(~np.isfinite(array))[0]
            raise ValidationError(
                f"data for {names[node]!r} have the value {array[item, step, element]} in item "
                f"{item}, step {step + 1} (element {element}), expected finite numbers of type "
                f"{array.dtype}",
                attr=f"data[{names[node]}]",
            )


def check_exact(arrays: Mapping[Any, np.ndarray], names: Names, minibatch: int) -> None:
    """Raise ValidationError unless there is exactly one minibatch."""
    for obj, array in arrays.items():
        if array.shape[0] != minibatch:
            raise ValidationError(
                f"data for {names[obj]!r} have {array.shape[0]} items, expected exactly one "
                f"minibatch, {minibatch}",
                attr=f"data[{names[obj]}]",
            )


def fit_batch(
    arrays: Mapping[Any, np.ndarray], names: Names, minibatch: int
) -> dict[Any, np.ndarray]:
    """Whole minibatches only: warns about items that are left over, and drops them."""
    result = {}
    for obj, array in arrays.items():
        batch = array.shape[0]
        if batch < minibatch:
            raise ValidationError(
                f"data for {names[obj]!r} have {batch} items, fewer than the minibatch size "
                f"{minibatch}",
                attr=f"data[{names[obj]}]",
            )
        extra = batch % minibatch
        if extra:
            warn(
                f"Number of items in data for {names[obj]!r} ({batch}) is not a multiple of the "
                f"minibatch size ({minibatch}); the last {extra} are dropped"
            )
        result[obj] = array[: batch - extra]
    return result


def agree(arrays: Mapping[Any, np.ndarray], names: Names, axis: int, what: str) -> int | None:
    """The length that all arrays have along an axis; None if there are no arrays."""
    lengths = {names[obj]: array.shape[axis] for obj, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise ValidationError(f"inputs differ in their number of {what} ({found})", attr="data")
    return next(iter(lengths.values()), None)


def check_steps(n_steps: int, given: int | None, unroll: int, use_loop: bool) -> None:
    """Raise ValidationError unless the simulation can run for so many steps."""
    if given is not None and given != n_steps:
        raise ValidationError(f"data have {n_steps} steps, but n_steps is {given}", attr="n_steps")
    if n_steps % unroll:
        raise ValidationError(
            f"the number of steps ({n_steps}) must be a multiple of unroll_simulation ({unroll})",
            attr="n_steps",
        )
    if not use_loop and n_steps != unroll:
        raise ValidationError(
            f"with use_loop=False, the number of steps ({n_steps}) must be unroll_simulation "
            f"({unroll})",
            attr="n_steps",
        )


def cast(arrays: Mapping[Any, np.ndarray], dtype: str) -> dict[Any, np.ndarray]:
    """Bring arrays to the precision of the simulation."""
    return {obj: np.asarray(array, dtype=dtype) for obj, array in arrays.items()}


def names_of(objects: Sequence[Any], names: Names) -> dict[Any, str]:
    """Names of some of the objects, in their order."""
    return {obj: names[obj] for obj in objects}
