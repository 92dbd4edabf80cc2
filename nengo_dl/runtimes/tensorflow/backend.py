"""What this runtime needs of TensorFlow and the machine: devices, compilation, calls of Python."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import EllipsisType
from typing import TypeAlias, TypeVar

import numpy as np
import tensorflow as tf
from nengo.exceptions import ValidationError

from ...compiler.ir import Block

Scalar = int | tf.Tensor  # a number: known to who compiles, or to who runs the program
Nested: TypeAlias = "tf.Tensor | list[Nested] | tuple[Nested, ...] | dict[str, Nested] | None"
Result = TypeVar("Result")

MINIBATCH = "part_of_minibatch"  # what operations are called that check shapes
WRONG_SHAPE = re.compile(r"hape of tensor \S+ \[([\d,]*)\] is not compatible with.*?\[([\d,?]*)\]")

# of both versions of control groups
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

# what XLA has no form of; found in the user's own tensor code
UNCOMPILABLE = frozenset(
    {"PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "Print", "StringFormat"}
    # XLA draws numbers of its own, whatever the seed
    | {"RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal"}
    | {"RandomGamma", "RandomPoissonV2", "RandomShuffle", "Multinomial"}
    | {"SparseTensorDenseMatMul", "AudioSummaryV2", "WriteScalarSummary", "WriteHistogramSummary"}
)


def by_xla(function: Callable[..., Result], *arguments: Nested) -> Result:
    """Call a function, compiled by XLA as one."""
    return tf.function(function, jit_compile=True, autograph=False)(*arguments)


def on_blocks(
    call: Callable[..., Result],
    compute: Callable[..., Result],
    blocks: Mapping[Block, tf.Tensor],
    needed: Iterable[Block],
    *arguments: Nested,
) -> Result:
    """Call `compute(blocks, *arguments)` by `call`, as one function of the blocks it needs.

    Parameters
    ----------
    call : callable
        Such as `by_xla`.
    compute : callable
        It may add to the dictionary of blocks that it is given.
    blocks : dict of Block to tensor
    needed : iterable of Block
        What it reads; those that are not there are left out.
    """
    given = [block for block in dict.fromkeys(needed) if block in blocks]

    def run(arrays: Sequence[tf.Tensor], *rest: Nested) -> Result:
        return compute(dict(zip(given, arrays, strict=True)), *rest)

    return call(run, [blocks[block] for block in given], *arguments)


def activation_functions() -> dict[str, Callable]:
    """TensorFlow's own functions that Keras layers may have as activations, by name."""
    return {"relu": tf.nn.relu, "relu6": tf.nn.relu6, "sigmoid": tf.nn.sigmoid, "tanh": tf.nn.tanh}


def check_device(device: object) -> None:
    """Raise ValidationError unless TensorFlow has a device of that name here."""
    here = tf.config.list_logical_devices()
    known = ", ".join(repr(short_name(d.name)) for d in here)
    try:
        wanted = tf.DeviceSpec.from_string(device if isinstance(device, str) else "not a name")
    except ValueError:
        raise ValidationError(
            f"{device!r} is not the name of a device; TensorFlow has {known}", attr="device"
        ) from None
    if not any(_is_meant(wanted, tf.DeviceSpec.from_string(d.name)) for d in here):
        raise ValidationError(
            f"there is no device {device!r}; TensorFlow has {known} on this machine", attr="device"
        )


def _is_meant(wanted: tf.DeviceSpec, device: tf.DeviceSpec) -> bool:
    parts = ("job", "replica", "task", "device_type", "device_index")
    return all(getattr(wanted, p) in (None, getattr(device, p)) for p in parts)


def short_name(device: str) -> str:
    """The name of a device of this process: "/gpu:0"."""
    spec = tf.DeviceSpec.from_string(device)
    return f"/{spec.device_type.lower()}:{spec.device_index}"


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def device_names() -> list[str]:
    """What TensorFlow may compute on: its kind and number, and of GPUs what they are."""
    names = []
    for device in tf.config.list_physical_devices():
        kind = tf.config.experimental.get_device_details(device).get("device_name")
        short = device.name.removeprefix("/physical_device:")
        names.append(f"{short} ({kind})" if kind else short)
    return names


def computes_on_cpu() -> bool:
    """Whether TensorFlow computes here on a CPU."""
    return tf.zeros(()).device.split(":")[-2] == "CPU"


def cores() -> int:
    """Cores that run what does not wait for each other; on another device than a CPU, 1."""
    if not computes_on_cpu():
        return 1
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    allowed = tf.config.threading.get_inter_op_parallelism_threads()  # 0: TensorFlow's choice
    return min(here or 1, allowed or here or 1)


def memory_bytes() -> int | None:
    """Memory of the machine, or of its part that this process may use; None if unknown.

    On other devices than CPUs that is what TensorFlow does not tell.
    """
    if not computes_on_cpu() or "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return None
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            found.append(int(path.read_text()))
    return min(found)


def call_numpy(
    func: Callable,
    inp: Sequence[tf.Tensor],
    types: tf.DType | Sequence[tf.DType],
    name: str | None,
) -> Nested:
    """See `utils.numpy_function`."""

    def own(*arrays: np.ndarray) -> np.ndarray | Sequence[np.ndarray]:
        return func(*(np.array(x) for x in arrays))

    return tf.numpy_function(own, list(inp), types, name=name)


class HostCalls:
    """Calls Python out of a running program, and remembers what it raised."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.error: Exception | None = None

    def __call__(
        self,
        function: Callable[..., Sequence[np.ndarray | float]],
        arrays: Sequence[tf.Tensor],
        shapes: Sequence[tuple[int, ...]],
    ) -> list[tf.Tensor]:
        """Emit a call of `function(*arrays)`, which returns arrays of the given shapes."""

        def call(*values: np.ndarray) -> list[np.ndarray]:
            try:
                return [np.asarray(r, dtype=self.dtype) for r in function(*values)]
            except Exception as error:
                self.error = error
                raise

        outputs = tf.numpy_function(call, list(arrays), [tf.as_dtype(self.dtype)] * len(shapes))
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        for output, shape in zip(outputs, shapes, strict=True):
            output.set_shape(shape)
        return list(outputs)

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raise what the Python code raised, instead of TensorFlow's report of it."""
        self.error = None
        try:
            yield
        except (tf.errors.OpError, SystemError) as error:
            cause = self.error or _wrong_shape(error)
            if cause is None:
                raise
            raise cause from None


def of_shape(value: tf.Tensor, shape: Sequence[int | EllipsisType | None], name: str) -> tf.Tensor:
    """A part of a minibatch, of a certain shape, or ValidationError: now, or when it is known.

    Parameters
    ----------
    value : tensor
    shape : sequence of int or None
        An ellipsis at its end stands for whatever comes.
    name : str
        For the message.
    """
    if shape[-1] is ...:
        if not value.shape.rank:
            return value
        shape = (*shape[:-1], *value.shape[len(shape) - 1 :])
    if not value.shape.is_compatible_with(shape):
        raise _wrong_minibatch(repr(name), value.shape, [n for n in shape if n is not ...])
    return tf.ensure_shape(value, shape, name=MINIBATCH)


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise ValidationError if a part of a minibatch, (b, n, size), is not finite."""
    if not np.isfinite(array).all():
        item, step, element = np.argwhere(~np.isfinite(array))[0]
        raise ValidationError(
            f"a minibatch has the value {array[item, step, element]} for {name!r}, in its item "
            f"{item}, step {step + 1} (element {element}); expected finite numbers",
            attr="x",
        )


def checked(value: tf.Tensor, check: Callable[[np.ndarray], None], host: HostCalls) -> tf.Tensor:
    """A part of a minibatch, which is checked as soon as it is known."""

    def call(array: np.ndarray) -> list[float]:
        check(array)
        return [0.0]

    with tf.control_dependencies(host(call, [value], [()])):
        return tf.identity(value)


def _wrong_shape(error: Exception) -> Exception | None:
    """What a minibatch of wrong shape means, when TensorFlow finds out."""
    found = WRONG_SHAPE.search(str(error))
    if found is None or MINIBATCH not in str(error):
        return None
    shapes = ([None if n == "?" else int(n) for n in part.split(",")] for part in found.groups())
    return _wrong_minibatch("an input or target", *shapes)


def _wrong_minibatch(
    name: str, given: Sequence[int | None], expected: Sequence[int | None]
) -> ValidationError:
    shapes = [", ".join("any" if n is None else str(n) for n in s) for s in (given, expected)]
    return ValidationError(
        f"a minibatch of a Dataset or generator has values of shape ({shapes[0]}) for {name}, "
        f"expected ({shapes[1]}); a last, smaller minibatch has to be dropped, as by "
        f"drop_remainder=True of tf.data",
        attr="x",
    )


def uncompilable_ops(function: tf.types.experimental.ConcreteFunction) -> set[str]:
    """Types of operations in a traced function, at any depth, that XLA cannot compile."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {n.op for n in nodes} & UNCOMPILABLE
