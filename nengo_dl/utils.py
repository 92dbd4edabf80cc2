"""Names of objects, functions and types, and warnings."""

from __future__ import annotations

import copy
import functools
import inspect
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import nengo
import numpy as np
from nengo.base import NengoObject, ObjView
from nengo.ensemble import Neurons
from nengo.exceptions import SimulationError
from numpy.typing import DTypeLike

#: A tensor of TensorFlow's, JAX's or Keras's, symbolic or not, or a NumPy array in its place. They
#: share no class, and no type is known of any.
Tensor: TypeAlias = Any
#: What a connection comes from or goes to: an object, neurons, or some elements of these.
Connectable: TypeAlias = NengoObject | Neurons | ObjView
#: What filters a connection: a synapse, the time constant [s] of a lowpass, or nothing.
Synapse: TypeAlias = nengo.synapses.Synapse | float | None

# Names of the input and the output that the Keras model has besides nodes and probes.
RESERVED_NAMES = ("n_steps", "steps_run")


def is_bool(value: object) -> bool:
    """Whether it is a truth value, NumPy's included."""
    return isinstance(value, (bool, np.bool_))


def is_positive(value: object) -> bool:
    """Whether it is a finite number greater than 0."""
    if is_bool(value) or not isinstance(value, (int, float, np.number)):
        return False
    return bool(0 < value < np.inf)


def sanitize_name(name: object) -> str:
    """Make a name that TensorFlow and Keras accept.

    Parameters
    ----------
    name : object
        A name; what is not a string is converted by ``str``.

    Returns
    -------
    str
        The name with spaces and colons replaced by underscores, and without whatever is not a
        letter of ASCII, a digit, or one of ``_.-/``.
    """
    return re.sub(r"[^A-Za-z0-9_.\-/]", "", re.sub(r"[ :]", "_", str(name)))


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of something in the user's own code: the line shown is the first outside the package.

    Parameters
    ----------
    message : str
        What is wrong, and what to do about it.
    category : type, default UserWarning
        The class of the warning.
    """
    # each frame of this package is one level more
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("nengo_dl."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def blame(error: Exception, what: str) -> None:
    """Note on an exception of the user's own code where it comes from.

    Parameters
    ----------
    error : Exception
        What was raised.
    what : str
        The code that raised it, and the object of the network that it belongs to.
    """
    note = f"Raised by {what}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def function_name(func: Callable, sanitize: bool = True) -> str:
    """Return the name of a function, or that of its class if it has none.

    Parameters
    ----------
    func : callable
        A function or a callable object.
    sanitize : bool, default True
        Whether to pass the name through `sanitize_name`.

    Returns
    -------
    str
        The name.
    """
    name = getattr(func, "__name__", type(func).__name__)
    return sanitize_name(name) if sanitize else name


def align_func(dtype: DTypeLike) -> Callable:
    """Return a decorator that makes a function return an array of one type.

    Parameters
    ----------
    dtype : str or numpy.dtype

    Returns
    -------
    callable
        Its decorated functions raise a `nengo.exceptions.SimulationError` for None, and for what
        is not finite or no number.
    """

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def aligned(*args: object) -> np.ndarray:
            value = function(*args)
            name = function_name(function, sanitize=False)
            try:
                array = None if value is None else np.asarray(value, dtype=dtype)
                finite = array is not None and bool(np.all(np.isfinite(array)))
            except (TypeError, ValueError) as error:
                raise SimulationError(
                    f"Function {name!r} returned a value {value!r} of invalid type {type(value)!r}"
                ) from error
            if array is None or not finite:
                raise SimulationError(f"Function {name!r} returned non-finite value {value!r}")
            return array

        return aligned

    return decorate


def numpy_function(
    func: Callable,
    inp: Sequence[Tensor],
    Tout: DTypeLike | Sequence[DTypeLike],
    name: str | None = None,
) -> Tensor:
    """Call a Python function on arrays, from TensorFlow code.

    Parameters
    ----------
    func : callable
        Takes arrays that are its own: it may change them.
    inp : list of tensor
        Its arguments, of any shape.
    Tout : tf.DTypeLike, or list of tf.DTypeLike
        Types of what it returns.
    name : str, optional
        Of the operation.

    Returns
    -------
    tensor, or list of tensor
        As of `tf.numpy_function`, without a known shape; no gradient flows through.
    """
    from .runtimes.tensorflow.backend import call_numpy

    return call_numpy(func, inp, Tout, name)


def __getattr__(name: str) -> Any:
    """Names that need TensorFlow, or what imports this module."""
    if name == "tf_gpu_installed":
        from .runtimes.tensorflow.backend import has_gpu

        return has_gpu()
    if name == "ProgressBar":
        from .session.progress import ProgressBar

        return ProgressBar
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def io_names(nodes: Iterable[nengo.Node], probes: Iterable[nengo.Probe]) -> dict[Any, str]:
    """Give every input node and probe a name that is unique, whatever its case.

    The name is the label, or the class name in lower case if there is none. Of ASCII, it has what
    `sanitize_name` leaves, but an underscore for ``/``, which Keras has another use for; letters
    and signs of other scripts stay. The second object of that name gets the suffix ``_1``, the
    third ``_2``; suffixes that would lead to the label of another object are skipped.

    Parameters
    ----------
    nodes : iterable of nengo.Node
        The input nodes, in order.
    probes : iterable of nengo.Probe
        The probes, in order.

    Returns
    -------
    dict
        The name of each node and probe, in order.
    """
    labels = {obj: _label(obj) for obj in (*nodes, *probes)}
    taken = {label.lower() for label in labels.values()}
    count = dict.fromkeys(RESERVED_NAMES, 1)
    names = {}
    for obj, label in labels.items():
        key = label.lower()
        name, suffix = label, count.get(key, 0)
        if suffix:
            while (name := f"{label}_{suffix}").lower() in taken:
                suffix += 1
            taken.add(name.lower())
        names[obj] = name
        count[key] = suffix + 1
    return names


def _label(obj: NengoObject) -> str:
    default = type(obj).__name__.lower()
    if obj.label is None:
        return default
    label = unicodedata.normalize("NFC", str(obj.label))
    return "".join(map(_accepted, label)) or default


def _accepted(sign: str) -> str:
    """What stands for a character in names that Keras accepts."""
    if sign in "/\\" or (sign.isspace() and not sign.isascii()):
        return "_"
    return sanitize_name(sign) if sign.isascii() else sign * sign.isprintable()


def own_generator(rng: np.random.RandomState, item: int) -> np.random.RandomState:
    """A generator of a batch item's own: for the first a copy, for the others one derived."""
    twin = copy.deepcopy(rng)
    if item:
        twin.seed((twin.randint(2**31 - 1), item))
    return twin


def continue_with(
    generators: Iterable[np.random.RandomState], others: Iterable[np.random.RandomState]
) -> None:
    """Let generators draw what others would draw next."""
    for mine, other in zip(generators, others, strict=True):
        mine.set_state(other.get_state())
