"""A network, compiled: its model, its programs, and what feeds their inputs."""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.exceptions import BuildError, ValidationError

from .. import graph_optimizer
from ..compiler import costs
from ..compiler.graph import CycleError
from ..compiler.ir import Block, Graph, Layout, Program
from ..compiler.pipeline import PASSES, SIMPLIFICATIONS, Options, build_program, for_training
from ..config.per_object import resolve_pure, resolve_trainable, resolve_trainable_synapses
from ..config.settings import Settings, keep_history
from ..config.training_spikes import resolve_training_spikes
from ..kernels import CATALOGUE
from ..lowering import Choices, Lowered, build_model, lower
from ..lowering.build import BuildProgress
from ..lowering.order import draw_seeds, process_order
from ..lowering.roles import Feed, Uniform
from ..runtimes.plan import Generator
from ..utils import io_names
from .sources import Constant, ProcessSource, Source, Sources, TimeFunction, UniformNumbers


class Compilation:
    """Everything about a network that is decided before it runs.

    Attributes
    ----------
    model : nengo.builder.Model
    settings : Settings
    batch : int
        Items in a minibatch.
    lowered : Lowered
    program, training_program : Program
    names : dict
        The io name of each input node and probe.
    filtered : list of nengo.Connection and nengo.Probe
        Those with a synapse; what is done to the network later does not change them.
    """

    def __init__(
        self, model: Model, settings: Settings, batch: int, within_steps: bool = True
    ) -> None:
        network = model.toplevel
        self.model, self.settings, self.batch = model, settings, batch
        self._options = _options(settings)
        trainable = resolve_trainable(network)
        choices = Choices(
            trainable=trainable,
            explicitly_trainable=lambda obj: trainable.setting(obj) is True,
            keep_history=lambda probe: keep_history(network, probe),
            training_spikes=resolve_training_spikes(network),
            trainable_synapses=resolve_trainable_synapses(network),
            is_pure=resolve_pure(network),
            within_steps=within_steps,
        )
        operators = _user_simplified(model.operators, settings)
        with _no_garbage_collection():
            self.lowered: Lowered = lower(model, operators, CATALOGUE, choices)
        with _no_garbage_collection():
            self.program = self._compiled(self.lowered.graph)
        nodes = [f.node for f in self.lowered.feeds if f.node is not None and f.signal is not None]
        self.names = io_names(nodes, model.probes)
        connections = () if network is None else network.all_connections
        self.filtered = [o for o in (*connections, *model.probes) if o.synapse is not None]
        self.order = process_order(model)
        self.places = self.program.layout.place()

    @cached_property
    def training_program(self) -> Program:
        """What runs in training; made when it is first asked for."""
        graph = for_training(self.lowered.graph, CATALOGUE)
        with _no_garbage_collection():
            return self._compiled(graph, layout=self.program.layout, training=True)

    def _compiled(
        self, graph: Graph, layout: Layout | None = None, training: bool = False
    ) -> Program:
        try:
            return build_program(graph, CATALOGUE, self._options, layout, training)
        except CycleError as error:
            raise BuildError(
                f"The network has a cycle without delay: {error}. This usually means that too many "
                f"connections have synapse=None; set some of them to 0."
            ) from error

    @property
    def nodes(self) -> list[nengo.Node]:
        """Nodes that can be fed, in order."""
        return [n for n in self.names if isinstance(n, nengo.Node)]

    def block(self, feed: Feed) -> Block:
        """Where the values of an input go."""
        return self.places[feed.signal][0]  # type: ignore[index]  # asked of inputs that have one

    @cached_property
    def fed(self) -> dict[Feed, Block | None]:
        """Where the values of each input go; None if nothing reads them."""
        found = {f: self.places.get(f.signal) for f in self.lowered.feeds if f.signal is not None}
        return {f: place[0] if (place := found.get(f)) else None for f in self.lowered.feeds}

    def feed_of(self, node: nengo.Node) -> Feed:
        """The input that a node is."""
        return next(f for f in self.lowered.feeds if f.node is node)

    def host_neuron_types(self) -> list[str]:
        """Names of neuron types without a kernel."""
        groups = [g for g in self.program.groups if not g.traits.passes_gradient]
        operators = [op.attrs["operator"] for g in groups for op in g.ops]
        neurons = [op.neurons for op in operators if isinstance(op, SimNeurons)]
        return list(dict.fromkeys(type(n).__name__ for n in neurons))

    @property
    def has_user_code(self) -> bool:
        """Whether there is tensor code of the user's."""
        return any(group.traits.user_code for group in self.program.groups)

    def generators(self, seed: int) -> Generators:
        """Random generators for operators on the host."""
        return Generators(self.order, seed, self.batch)

    def sources(self, seed: int) -> dict[Feed, Source]:
        """What generates each input that is given no data."""
        rngs = self.generators(seed)
        dt, dtype = self.model.dt, self.settings.dtype
        made: dict[Feed, Source] = {}
        for feed in self.lowered.feeds:
            source = feed.source
            if isinstance(source, SimProcess):
                made[feed] = ProcessSource(source, dt, dtype, rngs, range(self.batch))
            elif isinstance(source, Uniform):
                made[feed] = UniformNumbers(source.rng, source.size, dtype, range(self.batch))
            elif callable(source):
                name = "input" if feed.node is None else self.lowered.readable(str(feed.node))
                made[feed] = TimeFunction(source, feed.size, dt, dtype, name)
            else:
                made[feed] = Constant(_finite(source, feed, dtype), dtype)
        return made

    @property
    def input_blocks(self) -> dict[str, Block]:
        """Blocks of the nodes that can be fed, by name."""
        return {self.names[n]: self.block(self.feed_of(n)) for n in self.nodes}

    @property
    def hidden_feeds(self) -> list[Feed]:
        """Inputs that users cannot feed, and that something reads."""
        return [
            f
            for f in self.lowered.feeds
            if f.node is None and f.signal is not None and f.signal in self.places
        ]


def _finite(value: object, feed: Feed, dtype: str) -> np.ndarray:
    """The output of a constant node, or BuildError if it is too large for the precision."""
    with np.errstate(over="ignore"):
        known = np.asarray(value).astype(dtype)
    if not np.isfinite(known).all():
        raise BuildError(f"The output of {feed.node} is {value!r}; expected finite {dtype} numbers")
    return known


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Look for no garbage: the compiler makes many small objects, and none of them is."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # what is there by now is to stay: take it for old, instead of looking through it
        if not gc.get_freeze_count():  # what the user froze would not stay frozen
            gc.freeze()
            gc.unfreeze()
        if enabled:
            gc.enable()


class Generators:
    """Random generators for operators on the host: one for each batch item.

    The first item hears what Nengo's simulator with the same seed would; the others differ unless
    the process has a seed of its own.

    Parameters
    ----------
    order : list of Operator
        Processes, in the order in which Nengo draws their seeds.
    seed : int
    batch : int
        Items in a minibatch.
    """

    def __init__(self, order: list[Operator], seed: int, batch: int) -> None:
        rng = np.random.RandomState(seed)
        self.seed, self._seeds = seed, draw_seeds(order, rng)
        self._batch, self._shared = batch, {0: rng}  # those of other items are made when needed

    @property
    def shared(self) -> list[np.random.RandomState]:
        """What is left of the generators is shared by all other operators, as in Nengo."""
        return [self._of_others(item) for item in range(self._batch)]

    @property
    def first(self) -> np.random.RandomState:
        """The shared generator of the first item."""
        return self._shared[0]

    def _of_others(self, item: int) -> np.random.RandomState:
        """What operators other than processes draw from, for one item."""
        if item not in self._shared:
            self._shared[item] = np.random.RandomState(_seed_of_item(self.seed, item))
        return self._shared[item]

    def twin(self, items: range) -> Generators:
        """The same, which draw by themselves, for some items of a larger batch."""
        twin = copy.copy(self)
        # that of the first item has drawn the seeds of processes: it cannot be made anew
        kept = {item: rng for item, rng in self._shared.items() if item in (0, *items)}
        twin._shared = copy.deepcopy(kept)
        return twin

    def __call__(self, op: Operator, items: Iterable[int]) -> list[Generator]:
        """What an operator draws from, for some items."""
        return [self.of_item(op, item) for item in items]

    def of_item(self, op: Operator, item: int) -> Generator:
        """What an operator draws from, for one item."""
        if isinstance(op, SimProcess):
            first = self._seeds[op]
            return _Drawn(first if op.process.seed is not None else _seed_of_item(first, item))
        return self._of_others(item)


@dataclass(frozen=True)
class Line:
    """What draws random numbers, in calls that go on from each other.

    Attributes
    ----------
    generators : Generators or None
        Those of operators on the host.
    sources : dict of Feed
        What generates each input that is given no data.
    steppers : dict
        What runs operators on the host; see `Steppers.aside`.
    """

    generators: Generators | None = None
    sources: Sources = field(default_factory=dict)
    steppers: dict = field(default_factory=dict)


class _Drawn:
    """Stands for the generator that Nengo would draw a process's seed from."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def randint(self, *_: int) -> int:
        return self.seed


def _seed_of_item(first: int, item: int) -> int:
    return np.random.RandomState((first, item)).randint(2**31 - 1) if item else first


def _check_layouts(skipped: set[str]) -> None:
    """Raise ValidationError for what is no pass, not even of TensorFlow's runtime."""
    from ..runtimes.tensorflow.tune import PASSES as LAYOUT_PASSES

    unknown = skipped.difference(PASSES, LAYOUT_PASSES)
    if unknown:
        raise ValidationError(
            f"got {', '.join(map(repr, sorted(unknown)))}, expected names of passes, which are "
            f"{', '.join((*PASSES, *LAYOUT_PASSES))}",
            attr="skip_passes",
            obj=nengo.Network,
        )


def _options(settings: Settings) -> Options:
    """What the compiler is told besides the graph."""
    skipped = set(settings.skip_passes)
    if skipped.difference(PASSES):
        _check_layouts(skipped)
    if settings.simplifications is not None and not settings.simplifications:
        skipped.update(SIMPLIFICATIONS)
    if settings.planner is graph_optimizer.noop_planner:
        skipped.add("group")
    return Options(skipped=frozenset(skipped), costs=costs.current())


def _user_simplified(operators: list[Operator], settings: Settings) -> list[Operator]:
    """Apply the user's own rewrites of operators until they change nothing."""
    own = [
        f
        for f in settings.simplifications or ()
        if f not in graph_optimizer.default_simplifications
    ]
    operators = list(operators)
    while own:
        before = list(operators)
        for rewrite in own:
            operators = list(rewrite(operators))
        if operators == before:
            break
    return operators


def build(
    network: nengo.Network | None,
    model: Model | None,
    dt: float,
    settings: Settings,
    stage: BuildProgress,
) -> Model:
    """The built model: the given one, or one of the network."""
    if model is None:
        return build_model(network, dt, settings.dtype, stage)
    if network is not None:
        model.build(network, progress=stage)
    return model
