"""From a built Nengo model to a `Graph`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal as NengoSignal

from ..compiler.ir import Graph, Output, Role, Signal, View
from .catalogue import Catalogue
from .memory import Memory, dtype_of, initial_of, positions
from .names import name_objects, without_addresses
from .operators import LOWERINGS, Context, run_on_host
from .python import find_python
from .roles import (
    Feed,
    Parameter,
    find_feeds,
    find_learned,
    find_parameters,
    find_training_spikes,
    is_driven_by_time,
)
from .time_constants import ChosenSynapses, TimeConstant, find_time_constants


@dataclass(frozen=True, kw_only=True, eq=False)
class Lowered:
    """A model in the compiler's terms.

    Attributes
    ----------
    graph : Graph
        One step.
    feeds : list of Feed
        Inputs; those of nodes first, in the order of the network's nodes.
    parameters : dict
        The Nengo object and attribute that each parameter signal holds.
    names : dict
        What each object of the network is called.
    time_constants : dict
        The trained time constants of each connection that has some.
    where : dict
        The graph's source signal of each base signal of the model that has one.
    both : list
        Objects that a learning rule changes, and that the user also set to be trainable.
    together : list of Feed
        Inputs made by Python that may share objects, in the order in which Nengo calls it.
    others : bool
        Whether there is other Python that these may share objects with.
    readable : callable
        Puts names in the place of addresses; see `without_addresses`.
    """

    graph: Graph
    feeds: list[Feed]
    parameters: dict[Signal, Parameter]
    names: dict[object, str]
    time_constants: dict[object, TimeConstant]
    where: dict[NengoSignal, Signal]
    both: list[object]
    together: list[Feed]
    others: bool
    readable: Callable[[str], str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What the user chose for single objects.

    Attributes
    ----------
    trainable, explicitly_trainable : callable
        Whether an Ensemble, Neurons or Connection is to be trained, and whether the user said so.
    keep_history : callable
        Whether a probe records all steps.
    training_spikes : callable
        What the neurons of an ensemble, or of None, do in training.
    trainable_synapses : ChosenSynapses
        Of which connections time constants are trained; see `resolve_trainable_synapses`.
    is_pure : callable
        Whether the output of a node depends on nothing but its arguments.
    within_steps : bool
        Whether inputs may be made within steps; otherwise all are made ahead.
    """

    trainable: Callable[[object], bool]
    explicitly_trainable: Callable[[object], bool]
    keep_history: Callable[[object], bool]
    training_spikes: Callable[[object], object]
    trainable_synapses: ChosenSynapses
    is_pure: Callable[[object], bool]
    within_steps: bool = True


def lower(
    model: Model, operators: Sequence[Operator], catalogue: Catalogue, choices: Choices
) -> Lowered:
    """Lower all operators of a model.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model; it is not changed.
    operators : sequence of nengo.builder.Operator
        What to compile: the model's operators, perhaps rewritten.
    catalogue : Catalogue
        The kernels there are.
    choices : Choices
    """
    sources = _Sources(model, operators, choices.trainable, choices.explicitly_trainable)
    constants = find_time_constants(model, choices.trainable_synapses, sources.objects)
    sources.known.update((c.sig, c.parameter) for c in constants.values())
    memory = Memory(operators, sources.make, sources.readable)
    python = find_python(model, operators, catalogue, choices.is_pure)
    sourcing = [op for op in python if is_driven_by_time(op)]
    others = len(sourcing) < len(python)
    # functions of time alone can take turns before a chunk; other Python is called in it
    called = set(sourcing) if choices.within_steps and others else ()
    feeds = find_feeds(model, operators, sources.readable, called)
    ctx = Context(
        memory=memory,
        steps=_clock(model, memory),
        dt=model.dt,
        catalogue=catalogue,
        feeds=feeds,
        training_spikes=find_training_spikes(model, choices.training_spikes),
        time_constants=constants,
        readable=sources.readable,
        python=python,
    )
    _lower_all(operators, feeds, ctx)
    graph = _graph(model, ctx, sources, choices)
    return Lowered(
        graph=graph,
        feeds=feeds,
        parameters=sources.parameters,
        names=sources.objects,
        time_constants={c.parameter.obj: c for c in constants.values()},
        where=sources.where,
        both=list(sources.both.values()),
        together=_of_operators(feeds, sourcing),
        others=others,
        readable=sources.readable,
    )


def _clock(model: Model, memory: Memory) -> View:
    """Declare the number of the step, which is viewed, and the time."""
    steps = Signal("step", (), Role.TIME, dtype="int")
    memory.declare(model.step, steps)
    memory.declare(model.time, Signal("time", (), Role.TIME))
    return View(steps)


def _lower_all(operators: Sequence[Operator], feeds: list[Feed], ctx: Context) -> None:
    # before all others: to read a signal makes a source of it, which inputs are to be
    fed = _connect(feeds, ctx)
    for op in operators:
        if op not in fed:
            LOWERINGS.get(type(op), run_on_host)(op, ctx)


def _graph(model: Model, ctx: Context, sources: _Sources, choices: Choices) -> Graph:
    """What was lowered as the graph of a step, with what probes see as its outputs."""
    memory = ctx.memory
    views = [(probe, model.sig[probe]["in"]) for probe in model.probes]
    # also what no operator reads; `finish` makes values only of what was asked for
    for sig in (*(sig for _, sig in views), *sources.known):
        memory.read(sig)
    sums, following, final = memory.finish()
    outputs = []
    for probe, sig in views:
        signal = final[sig.base]
        shape = signal.shape if sig.sparse else sig.shape
        outputs.append(
            Output(
                probe,
                View(signal, positions(sig), shape),
                batched=sources.is_batched(sig.base),
                last_only=not choices.keep_history(probe),
                name=sources.readable(str(probe)),
            )
        )
    fed = [f.signal for f in ctx.feeds if f.node is not None and f.signal]
    return Graph(tuple(ctx.ops + sums), following, tuple(outputs), (*sources.parameters, *fed))


def _of_operators(feeds: list[Feed], operators: Sequence[Operator]) -> list[Feed]:
    """The inputs that stand for some operators, in their order."""
    found = {feed.op: feed for feed in feeds}
    return [found[op] for op in operators]


def _connect(feeds: list[Feed], ctx: Context) -> set[Operator]:
    """Let inputs stand for the signals of the operators that they replace."""
    replaced = set()
    for feed in feeds:
        replaced.add(feed.op)
        if feed.called:
            ctx.call(feed)
            continue
        if feed.signal is None:
            continue
        if getattr(feed.op, "mode", "set") == "inc":
            ctx.inc(feed.sig, View(feed.signal))
        elif feed.sig is not None and feed.sig.is_view:
            ctx.set(feed.sig, View(feed.signal))
        else:
            ctx.memory.declare(feed.sig, feed.signal)
    return replaced


class _Sources:
    """Makes the source signal of each base signal, with its role."""

    def __init__(
        self,
        model: Model,
        operators: Sequence[Operator],
        trainable: Callable[[object], bool],
        explicit: Callable[[object], bool],
    ) -> None:
        self.unnamed = _names(operators)
        self.objects = name_objects(model.toplevel)
        self.readable = without_addresses(self.objects)
        self.known = find_parameters(model, trainable, self.objects)
        self.learned = find_learned(model)
        self.parameters: dict[Signal, Parameter] = {}
        self.where: dict[NengoSignal, Signal] = {}
        known = {sig: self.known[sig] for sig in self.learned if sig in self.known}
        self.both = {sig: p.obj for sig, p in known.items() if p.trainable and explicit(p.obj)}

    def make(self, sig: NengoSignal, persistent: bool) -> Signal:
        parameter = self.known.get(sig)
        adapted = persistent and (parameter is not None or sig in self.learned)
        trainable = parameter is not None and parameter.trainable
        trainable = trainable and (not persistent or sig in self.both)
        if adapted:
            role = Role.ADAPTED
        elif persistent:
            role = Role.STATE
        else:
            role = Role.CONSTANT if parameter is None else Role.PARAMETER
        initial = initial_of(sig)
        name = self.unnamed.get(sig, sig.name) if parameter is None else parameter.name
        signal = Signal(self.readable(name), initial.shape, role, dtype_of(sig), initial, trainable)
        self.where[sig] = signal
        if parameter is not None:
            self.parameters[signal] = parameter
        return signal

    def is_batched(self, sig: NengoSignal) -> bool:
        """Whether a probe of the signal records one value for each batch item."""
        source = self.where.get(sig)
        return source is None or source.role is not Role.PARAMETER


def _names(operators: Sequence[Operator]) -> dict[NengoSignal, str]:
    """What to call the signals that Nengo leaves without a name: the memory of processes."""
    return {
        sig.base: f"{op.process}.{name}"
        for op in operators
        if isinstance(op, SimProcess)
        for name, sig in op.state.items()
    }
