"""Runs Nengo's builder: the same seeds and the same solved weights as every other back end."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol

import nengo
from nengo.builder import Model
from nengo.builder.operator import Operator, Reset
from nengo.builder.signal import Signal as NengoSignal
from nengo.rc import rc

from ..compiler import costs
from ..tensor_node import TensorNode
from .build_functions import NengoBuilder, UncheckedModel
from .decoder_cache import default_cache
from .operators import Context, lowers


class BuildProgress(Protocol):
    """What Nengo's builder tells how far it is; it enters and leaves it, too."""

    max_steps: int | None

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

    def step(self, n: int = 1) -> None:
        """Say that `n` more steps were done."""
        ...


def build_model(network: nengo.Network, dt: float, dtype: str, progress: BuildProgress) -> Model:
    """Build a network into a model, in the precision of the simulation."""
    builder = NengoBuilder()
    model = UncheckedModel(
        dt=float(dt),
        label=f"{network}, dt={dt:f}",
        decoder_cache=default_cache(),
        builder=builder,
    )
    with _build_precision(dtype):
        model.build(network, progress=progress)
    builder.forget()
    return model


class _OfThread(type(rc)):  # type: ignore[misc] # Nengo names the object alone
    """Nengo's settings, with some of the reading thread's own.

    Nengo reads its precision wherever it makes an array, also while a network is described: set for
    all threads, the precision of one build would round the numbers of the others.
    """

    own = threading.local()
    users = 0  # builds that go on
    thresholds: tuple[int, ...] = ()  # of the collection of garbage, outside of these
    lock = threading.Lock()

    def get(self, section: str, option: str, **kwargs: object) -> Any:
        """Read a setting."""
        values = getattr(self.own, "values", {})
        if (section, option) in values:
            return values[section, option]
        return super().get(section, option, **kwargs)


@contextlib.contextmanager
def _build_precision(dtype: str) -> Iterator[None]:
    """Let Nengo build in a precision, in this thread alone."""
    before = getattr(_OfThread.own, "values", {})
    _OfThread.own.values = {
        ("precision", "bits"): dtype[-2:],
        ("nengo.Simulator", "fail_fast"): "False",
    }
    _count_builds(1)
    try:
        yield
    finally:
        _count_builds(-1)
        _OfThread.own.values = before


def _count_builds(change: int) -> None:
    """While there are some, Nengo's settings are those of the thread that reads them.

    Garbage is looked for rarely: building makes many small objects, and nearly all of them stay.
    """
    with _OfThread.lock:
        if not _OfThread.users:
            _OfThread.thresholds = gc.get_threshold()
            fewest = costs.current().objects_between_collections
            gc.set_threshold(fewest, *_OfThread.thresholds[1:])
        _OfThread.users += change
        if not _OfThread.users:
            gc.set_threshold(*_OfThread.thresholds)
        # Nengo's modules have imported the object: it must stay, so its class changes
        rc.__class__ = _OfThread if _OfThread.users else _OfThread.__base__


class SimTensorNode(Operator):
    """Sets ``output`` to what a TensorNode computes from the time and ``input``."""

    def __init__(
        self,
        node: TensorNode,
        time: NengoSignal | None,
        input: NengoSignal | None,
        output: NengoSignal,
        tag: str | None = None,
    ) -> None:
        super().__init__(tag=tag)
        self.node, self.time, self.input, self.output = node, time, input, output
        self.sets = [output]
        self.incs: list[NengoSignal] = []
        self.reads = [s for s in (time, input) if s is not None]
        self.updates: list[NengoSignal] = []


def build_tensor_node(model: Model, node: TensorNode) -> None:
    """Build a TensorNode: an input that connections add to, and the call."""
    sig_in = None
    if node.shape_in is not None:
        sig_in = NengoSignal(shape=(node.size_in,), name=f"{node}.in")
        model.add_op(Reset(sig_in))
    sig_out = NengoSignal(shape=(node.size_out,), name=f"{node}.out")
    time = model.time if node.pass_time else None
    model.add_op(SimTensorNode(node, time, sig_in, sig_out, tag=str(node)))
    model.sig[node]["in"] = sig_in
    model.sig[node]["out"] = sig_out
    model.params[node] = None


NengoBuilder.own[TensorNode] = build_tensor_node


@lowers(SimTensorNode)
def tensor_node(op: SimTensorNode, ctx: Context) -> None:
    """The kernel calls the node's function."""
    node = op.node
    (output,) = ctx.emit(
        "tensor_node",
        [ctx.read(s) for s in op.reads],
        [op.output.shape],
        str(node),
        call=node.call,
        layer=node.layer,
        pass_time=node.pass_time,
        shape_in=node.shape_in,
    )
    ctx.set(op.output, output)
