"""One small function for each type of Nengo operator.

`lowers(OperatorType)` registers a function `(op, ctx) -> None`, looked up by exact type.  It reads
values with `ctx.read`, adds ops with `ctx.emit`, and says what they do to Nengo's signals with
`ctx.set`, `ctx.inc` and `ctx.update`.  What is not registered runs on the host (`host.py`).

A kind that is emitted needs its `@kernel` in `kernels/`, in the file of its family. A connection's
transform of which Nengo's builder makes one operator is such a pair, as `convolution` and `sparse`
are; one that the builder makes of known operators needs nothing. How trained weights get back into
one, `simulator/parameters.py` says. See docs/extending/transform.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from nengo.builder import learning_rules as rules
from nengo.builder import operator as ops
from nengo.builder.neurons import SimNeurons
from nengo.builder.node import SimPyFunc
from nengo.builder.probe import SimProbe
from nengo.builder.signal import Signal as NengoSignal
from nengo.builder.transforms import ConvInc, ConvTransposeInc
from nengo.exceptions import BuildError

from ..compiler.ir import NOTHING, Op, Role, Signal, View
from .catalogue import Catalogue
from .memory import Memory, Positions, coordinates, reshaped
from .roles import Feed, Uniform, description_of
from .systems import Systems
from .time_constants import TimeConstant

Lowering = Callable[[ops.Operator, "Context"], None]

LOWERINGS: dict[type, Lowering] = {}


def lowers(operator_type: type) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the lowering of a Nengo operator type."""

    def register(function: Lowering) -> Lowering:
        if operator_type in LOWERINGS:
            raise ValueError(f"{operator_type.__name__} already has a lowering")
        LOWERINGS[operator_type] = function
        return function

    return register


class Context:
    """What a lowering function may do.

    Attributes
    ----------
    dt : float
        Step length [s].
    catalogue : Catalogue
        The registry of kernels: says which neuron types can be compiled.
    steps : View
        The number of the current step, from 1.
    training_spikes
        What neurons do in training, by the signal of their output.
    time_constants : dict
        Those that are trained, by the signal of what the filter gives out.
    turns : dict
        The place of each operator that calls the user's Python, in the order of their calls.
    """

    def __init__(
        self,
        memory: Memory,
        steps: View,
        dt: float,
        catalogue: Catalogue,
        feeds: list[Feed],
        training_spikes: Callable[[NengoSignal], object],
        time_constants: Mapping[NengoSignal, TimeConstant],
        readable: Callable[[str], str],
        python: Sequence[ops.Operator] = (),
    ) -> None:
        self.memory = memory
        self.feeds = feeds
        self.steps = steps
        self.dt = dt
        self.catalogue = catalogue
        self.training_spikes = training_spikes
        self.time_constants = time_constants
        self.turns = {op: turn for turn, op in enumerate(python)}
        self.readable = readable
        self.systems = Systems(dt)
        self.ops: list[Op] = []
        self.read, self.old = memory.read, memory.old
        self.set, self.inc, self.update = memory.set, memory.inc, memory.update
        self.clear = memory.clear

    def emit(
        self,
        kind: str,
        reads: list[View],
        shapes: list[tuple[int, ...]],
        tag: str | None = "",  # None is the tag of Nengo's operators that were given none
        **attrs: object,
    ) -> list[View]:
        """Add an op that writes new signals of the given shapes; return views of them."""
        tag = self.readable(tag or "")
        name = f"{kind}:{tag}"
        writes = tuple([Signal(name, shape) for shape in shapes])
        self.ops.append(Op(kind, tuple(reads), writes, attrs or NOTHING, tag=tag))
        return [View(signal) for signal in writes]

    def uniform(self, rng: np.random.RandomState, shape: tuple[int, ...]) -> View:
        """A view of numbers in [0, 1) that a generator of Nengo's draws in each step."""
        signal = Signal("uniform", shape, Role.INPUT, initial=np.zeros(shape))
        self.feeds.append(Feed(signal=signal, source=Uniform(rng, signal.size)))
        return View(signal)

    def call(self, feed: Feed) -> None:
        """Let Python make the values of an input within each step, where the user gives none."""
        reads = [self.steps] if feed.signal is None else [self.steps, View(feed.signal)]
        shapes = [] if feed.sig is None else [feed.sig.shape]
        tag, turn = description_of(feed.op), self.turns[feed.op]
        outputs = self.emit("source", reads, shapes, tag, feed=feed, turn=turn)
        effect = self.inc if getattr(feed.op, "mode", "set") == "inc" else self.set
        for output in outputs:
            effect(feed.sig, output)

    @staticmethod
    def constant(value: np.ndarray, name: str) -> View:
        """A view of constants."""
        value = np.asarray(value)
        return View(Signal(name, value.shape, Role.CONSTANT, initial=value))


@lowers(SimProbe)
@lowers(ops.TimeUpdate)
def nothing(op: ops.Operator, ctx: Context) -> None:
    """Probes are outputs of the graph; the runtime counts the steps."""


@lowers(ops.Reset)
def reset(op: ops.Operator, ctx: Context) -> None:
    if op.value == 0:
        ctx.clear(op.dst)
        return
    value = np.full(op.dst.shape, op.value)
    ctx.set(op.dst, ctx.constant(value, f"reset({op.value:g})"))


@lowers(ops.Copy)
def copy(op: ops.Operator, ctx: Context) -> None:
    source = part_of(ctx.read(op.src), _flat_index(op.src, op.src_slice))
    index = _flat_index(op.dst, op.dst_slice)
    size = op.dst.size if index is None else len(np.arange(op.dst.size)[index])
    if source.size == 1 and size > 1:
        source = part_of(source, np.zeros(size, dtype=np.intp))
    if op.inc:
        for part, terms in _without_repeats(index):
            ctx.inc(op.dst, source if terms is None else part_of(source, terms), part)
    else:
        ctx.set(op.dst, source, index)


def _flat_index(sig: NengoSignal, item: slice | np.ndarray | None) -> np.ndarray | None:
    """Flat positions of a slice along the first axis of a signal."""
    if item is None:
        return None
    return np.ravel(np.arange(sig.size).reshape(sig.shape)[item])


def part_of(view: View, index: Positions) -> View:
    """Some elements of a view."""
    return view if index is None else View(view.signal, view.positions()[index])


def _without_repeats(
    index: np.ndarray | None,
) -> Iterator[tuple[np.ndarray | None, np.ndarray | None]]:
    """Split an increment of repeated positions into increments of distinct ones."""
    if index is None or len(np.unique(index)) == len(index):
        yield index, None
        return
    left: np.ndarray = np.arange(len(index))
    while len(left):
        _, first = np.unique(index[left], return_index=True)
        yield index[left[first]], left[first]
        left = np.delete(left, first)


@lowers(ops.ElementwiseInc)
def elementwise(op: ops.Operator, ctx: Context) -> None:
    a, x = ctx.read(op.A), ctx.read(op.X)
    (y,) = ctx.emit("multiply", [a, x], [op.Y.shape], op.tag or "")
    ctx.inc(op.Y, y)


@lowers(ops.DotInc)
def dot(op: ops.Operator, ctx: Context) -> None:
    if op.A.ndim == 0 or op.X.ndim == 0:
        elementwise(op, ctx)
        return
    a, x = ctx.read(op.A), ctx.read(op.X)
    rows = op.A.size // x.size
    a, x = reshaped(a, (rows, x.size)), reshaped(x, (x.size,))
    (y,) = ctx.emit("dot", [a, x], [(rows,)], op.tag or "")
    ctx.inc(op.Y, y)


@lowers(ops.SparseDotInc)
def sparse_dot(op: ops.Operator, ctx: Context) -> None:
    rows, columns, _ = coordinates(op.A)
    x = reshaped(ctx.read(op.X), (op.X.size,))
    (y,) = ctx.emit(
        "sparse_dot",
        [ctx.read(op.A), x],
        [(op.Y.size,)],
        op.tag or "",
        rows=np.asarray(rows),
        columns=np.asarray(columns),
    )
    ctx.inc(op.Y, y)


@lowers(ConvInc)
@lowers(ConvTransposeInc)
def convolution(op: ops.Operator, ctx: Context) -> None:
    transform = op.conv
    if transform.dimensions > 3:
        raise BuildError(
            f"{op.tag or op}: a convolution in {transform.dimensions} dimensions; expected at most "
            f"3. Give it as a Sparse or Dense transform, or put several together"
        )
    groups = getattr(transform, "groups", 1)
    transposed = isinstance(op, ConvTransposeInc)
    if not ctx.catalogue.convolves(transform.dimensions, groups, transposed):
        run_on_host(op, ctx)
        return
    (y,) = ctx.emit(
        "convolution",
        [ctx.read(op.W), reshaped(ctx.read(op.X), transform.input_shape.shape)],
        [transform.output_shape.shape],
        op.tag or "",
        strides=tuple(transform.strides),
        padding=transform.padding,
        channels_last=transform.channels_last,
        groups=groups,
        transposed=transposed,
    )
    ctx.inc(op.Y, reshaped(y, op.Y.shape))


@lowers(SimPyFunc)
def python_function(op: ops.Operator, ctx: Context) -> None:
    """A node's function with inputs.  Functions of time alone are inputs of the graph."""
    reads = [ctx.read(op.x)] if op.x is not None else []
    shapes = [] if op.output is None else [op.output.shape]
    outputs = ctx.emit(
        "python",
        [ctx.steps, *reads],
        shapes,
        description_of(op),
        function=op.fn,
        pass_time=op.t is not None,
        pass_input=op.x is not None,
        operator=op,
        turn=ctx.turns.get(op),
    )
    if outputs:
        ctx.set(op.output, outputs[0])


@lowers(SimNeurons)
def neurons(op: ops.Operator, ctx: Context) -> None:
    kind, catalogue = type(op.neurons), ctx.catalogue
    compiled = catalogue.compiles_neurons(kind)
    # a generator that the kernel does not know would not be heard
    if not compiled or set(op.state_extra) - {catalogue.neuron_draws(kind)}:
        run_on_host(op, ctx)
        return
    attrs = {"neurons": op.neurons, "training_spikes": ctx.training_spikes(op.output)}
    if catalogue.draws_on_host(kind):
        rng = op.state_extra[catalogue.neuron_draws(kind)]
        attrs = {**attrs, "operator": op, "rng": rng}
        made = catalogue.neuron_kind(kind), [ctx.read(op.J)], [op.output.shape], description_of(op)
        (spikes,) = ctx.emit(*made, **attrs)
        ctx.set(op.output, spikes)
        return
    states = [op.state[name] for name in catalogue.neuron_states(kind)]
    noise = [ctx.uniform(rng, op.J.shape) for rng in op.state_extra.values()]
    output, *following = ctx.emit(
        catalogue.neuron_kind(kind),
        [ctx.read(op.J), *map(ctx.old, states), *noise],
        [op.output.shape, *(s.shape for s in states)],
        op.output.name,
        **attrs,
    )
    ctx.set(op.output, output)
    for state, value in zip(states, following, strict=True):
        ctx.set(state, value)


@lowers(rules.SimPES)
def pes(op: ops.Operator, ctx: Context) -> None:
    scale = -op.learning_rate * ctx.dt / op.pre_filtered.shape[0]
    reads = [ctx.read(op.pre_filtered), ctx.read(op.error)]
    _learn(op, ctx, "pes", reads, scale=scale)


@lowers(rules.SimBCM)
def bcm(op: ops.Operator, ctx: Context) -> None:
    reads = [ctx.read(s) for s in (op.pre_filtered, op.post_filtered, op.theta)]
    _learn(op, ctx, "bcm", reads, scale=op.learning_rate * ctx.dt)


@lowers(rules.SimOja)
def oja(op: ops.Operator, ctx: Context) -> None:
    reads = [ctx.read(s) for s in (op.pre_filtered, op.post_filtered, op.weights)]
    _learn(op, ctx, "oja", reads, scale=op.learning_rate * ctx.dt, beta=op.beta)


@lowers(rules.SimVoja)
def voja(op: ops.Operator, ctx: Context) -> None:
    signals = (op.pre_decoded, op.post_filtered, op.scaled_encoders, op.learning_signal)
    scale = ctx.constant(op.scale, "Voja:scale")
    reads = [*map(ctx.read, signals), scale]
    _learn(op, ctx, "voja", reads, scale=op.learning_rate * ctx.dt)


def _learn(op: ops.Operator, ctx: Context, kind: str, reads: list[View], **attrs: float) -> None:
    (delta,) = ctx.emit(kind, reads, [op.delta.shape], op.delta.name, **attrs)
    ctx.update(op.delta, delta)


@lowers(rules.SimRLS)
def rls(op: ops.Operator, ctx: Context) -> None:
    reads = [ctx.read(op.pre_filtered), ctx.read(op.error), ctx.old(op.inv_gamma)]
    shapes = [op.delta.shape, op.inv_gamma.shape]
    delta, gamma = ctx.emit("rls", reads, shapes, op.delta.name)
    ctx.update(op.delta, delta)
    ctx.update(op.inv_gamma, gamma)


def run_on_host(op: ops.Operator, ctx: Context) -> None:
    """Call the operator's own NumPy step.

    The op's reads are the values of all signals it sees, and its writes what it makes of them;
    increments are found by letting it increment zeros.
    """
    kept = [s for s in (*op.sets, *op.updates) if ctx.memory.changes(s)]
    inputs = list(dict.fromkeys([*op.reads, *op.updates]))
    old = [s for s in kept if s not in inputs and _keeps_state(op, s)]
    reads = [ctx.read(s) for s in inputs] + [ctx.old(s) for s in old]
    written = [*op.sets, *op.incs, *op.updates]
    outputs = ctx.emit(
        "host",
        [ctx.steps, *reads],
        [s.shape for s in written],
        description_of(op),
        operator=op,
        inputs=tuple(inputs + old),
        outputs=tuple(written),
        zeros=tuple(op.incs),
        turn=ctx.turns.get(op),
    )
    effects = [ctx.set] * len(op.sets) + [ctx.inc] * len(op.incs) + [ctx.update] * len(op.updates)
    for effect, sig, value in zip(effects, written, outputs, strict=True):
        effect(sig, value)


def _keeps_state(op: ops.Operator, sig: NengoSignal) -> bool:
    """Whether an operator that sets a signal may look at its old value: neurons do, always."""
    return isinstance(op, SimNeurons) and sig in op.state.values() or type(op) not in LOWERINGS
