"""User data: what it may look like, what is wrong with it, and what fills the gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import nengo
import numpy as np
from nengo.base import NengoObject
from nengo.exceptions import SimulationError, ValidationError
from numpy.typing import ArrayLike

from ..runtimes.by_position import align, unknown
from ..utils import warn
from .types import Data, Key, Unnamed

if TYPE_CHECKING:
    from typing_extensions import TypeIs

#: Names of Nodes and Probes, as the Keras model has them.
Names: TypeAlias = Mapping[NengoObject, str]


def is_data(x: object) -> TypeIs[Data | None]:
    """Whether `x` is arrays; anything else gives minibatches, one after the other."""
    return x is None or isinstance(x, Mapping | list | tuple | np.ndarray) or _is_tensor(x)


def _is_tensor(x: object) -> bool:
    numbers = hasattr(x, "dtype") or hasattr(x, "to_numpy")  # such as pandas has
    return hasattr(x, "shape") and numbers and not hasattr(x, "element_spec")


def by_object(
    data: Data | None, names: Names, kind: str, first: Sequence[NengoObject] = ()
) -> dict[NengoObject, np.ndarray]:
    """Arrays by Nengo object.

    Parameters
    ----------
    data : dict, list, tuple, array_like or None
        Keys of a dict are objects or their names; lists, and single arrays, are matched by
        position.
    names : dict
        The objects that data may be given for, in order, and their names.
    kind : str
        What the data are, for messages: "input" or "target".
    first : sequence, optional
        Objects that lists of as many data are for.

    Raises
    ------
    ValidationError
        If a key names no such object.
    """
    if data is None:
        return {}
    if isinstance(data, Mapping):
        found = by_key(data, names, f"{kind} data", kind)
    else:
        found = _by_position(data, names, kind, first)
    return {obj: _as_array(value, names[obj]) for obj, value in found.items()}


def by_key(
    data: Mapping[Key, ArrayLike], names: Names, attr: str, kind: str
) -> dict[NengoObject, ArrayLike]:
    """Data by object, that were given by objects or their names; arguments as of `find`."""
    found = {find(key, names, attr, kind): value for key, value in data.items()}
    if len(found) < len(data):
        raise ValidationError(
            f"an object was given {kind} data twice, by itself and by its name, among "
            f"{', '.join(map(repr, data))}",
            attr=attr,
        )
    return found


def _by_position(
    data: Unnamed, names: Names, kind: str, losses: Sequence[NengoObject]
) -> dict[NengoObject, ArrayLike]:
    """Where generators raise an error, this warns: nodes without data have their own output."""
    owner = "input Nodes" if kind == "input" else "Probes"
    values, owners = align(data, list(names), losses)
    if not owners:
        raise ValidationError(
            f"{kind} data were given, but the network has no {owner}", attr=f"{kind} data"
        )
    if len(values) != len(owners):
        warn(
            f"Number of elements in {kind} data ({len(values)}) does not match number of {owner} "
            f"({len(owners)}); consider using a dictionary, with {owner} as keys"
        )
    return dict(zip(owners, values, strict=False))


def find(key: Key, names: Names, attr: str, kind: str) -> NengoObject:
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
    raise unknown(key, kind, list(names.values()), attr)


def _as_array(value: ArrayLike, name: str) -> np.ndarray:
    try:
        array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        detail = _columns(value) or _kind(array)
        raise ValidationError(
            f"data for {name!r} are {type(value).__name__}{detail}, expected "
            f"numbers in an array (batch, steps, size) whose rows all have the same length",
            attr="data",
        )
    return array


def _kind(array: np.ndarray) -> str:
    """Of what type an array is, that has no rows of different lengths."""
    return "" if array.ndim == 0 else f" of type {array.dtype}"


def _columns(value: ArrayLike) -> str:
    """Which columns of a table are no numbers."""
    kinds = getattr(value, "dtypes", None)
    if kinds is None or not hasattr(kinds, "items"):
        return ""
    wrong = [f"{name!r} ({dtype})" for name, dtype in kinds.items() if dtype.kind not in "biuf"]
    return f" with columns {', '.join(wrong)}" if wrong else ""


def check_rank(
    arrays: Mapping[NengoObject, np.ndarray], names: Names, sizes: Mapping[NengoObject, int | None]
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
                f"{array.shape}. For a single step, add an axis: x[:, None, :]; for a single item, "
                f"x[None]",
                attr=f"data[{names[obj]}]",
            )
        if 0 in array.shape[:2]:
            raise ValidationError(
                f"data for {names[obj]!r} have shape {array.shape}, expected at least one item "
                f"and one step",
                attr=f"data[{names[obj]}]",
            )


def check_size(arrays: Mapping[NengoObject, np.ndarray], names: Names) -> None:
    """Raise ValidationError unless the last axis is the size of the node."""
    for node, array in arrays.items():
        if array.shape[2] != node.size_out:
            raise ValidationError(
                f"data for {names[node]!r} have shape {array.shape}, expected "
                f"(batch, steps, {node.size_out})",
                attr=f"data[{names[node]}]",
            )


def check_finite(arrays: Mapping[NengoObject, np.ndarray], names: Names) -> None:
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


def check_batch(
    arrays: Mapping[NengoObject, np.ndarray], names: Names, minibatch: int, exact: bool, whole: bool
) -> None:
    """Raise ValidationError unless there is one minibatch, or all are whole, if so it must be."""
    for obj, array in arrays.items():
        items = array.shape[0]
        if exact and items != minibatch:
            expected = f"exactly one minibatch, {minibatch}"
        elif whole and items % minibatch:
            expected = f"a multiple of the minibatch size, {minibatch}, as replicas share it evenly"
        else:
            continue
        raise ValidationError(
            f"data for {names[obj]!r} have {items} items, expected {expected}",
            attr=f"data[{names[obj]}]",
        )


def agree(
    arrays: Mapping[NengoObject, np.ndarray], names: Names, axis: int, what: str
) -> int | None:
    """The length that all arrays have along an axis; None if there are no arrays."""
    lengths = {names[obj]: array.shape[axis] for obj, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise ValidationError(f"inputs differ in their number of {what} ({found})", attr="data")
    return next(iter(lengths.values()), None)


def agree_on_steps(
    arrays: Mapping[NengoObject, np.ndarray], names: Names, held: int | None
) -> int | None:
    """The steps that all arrays have; None if there are no arrays, or all are held.

    With `held` steps, more than one, data of a single step stand for all of them.
    """
    if held is not None and held > 1:
        arrays = {obj: array for obj, array in arrays.items() if array.shape[1] > 1}
    return agree(arrays, names, 1, "steps")


def one_step(array: np.ndarray) -> np.ndarray:
    """The first of the steps of an array (batch, steps, size), if it repeats it in memory."""
    return array[:, :1] if array.strides[1] == 0 else array


def check_steps(n_steps: int, given: int | None, unroll: int, use_loop: bool) -> None:
    """Raise ValidationError unless the simulation can run for so many steps."""
    if n_steps < 1:
        raise ValidationError(f"expected at least one step, got {n_steps}", attr="n_steps")
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


def check_stateful(stateful: bool) -> bool:
    """Raise ValidationError unless this is a truth value: numbers are meant for something else."""
    if not isinstance(stateful, bool | np.bool_):
        raise ValidationError(
            f"must be True or False, got {stateful!r}. The third argument by position is n_steps, "
            f"and the fourth stateful; name others, as in epochs=10. The minibatch size is given "
            f"to the Simulator",
            attr="stateful",
        )
    return bool(stateful)


def check_trainable(inference_only: bool, why: str) -> None:
    """Raise SimulationError for a network that was made for inference only."""
    if inference_only:
        raise SimulationError(
            f"Network was created with inference_only=True, {why}. Make it without: leave "
            f"inference_only out of configure_settings, or of Converter (which then converts batch "
            f"normalisation if its layer.trainable is False)"
        )


def check_spikes(spikes: bool) -> bool:
    """Raise ValidationError unless this is a truth value."""
    if not isinstance(spikes, bool | np.bool_):
        raise ValidationError(
            f"must be True, or False for what neurons do in training, got {spikes!r}", attr="spikes"
        )
    return bool(spikes)


def cast(arrays: Mapping[NengoObject, np.ndarray], dtype: str) -> dict[NengoObject, np.ndarray]:
    """Bring arrays to the precision of the simulation."""
    return {obj: np.asarray(array, dtype=dtype) for obj, array in arrays.items()}


def names_of(objects: Sequence[NengoObject], names: Names) -> dict[NengoObject, str]:
    """Names of some of the objects, in their order."""
    return {obj: names[obj] for obj in objects}
