"""An open simulation: the compiled program, its state, and what feeds it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import nengo
import numpy as np
from nengo.exceptions import SimulationError

from ..compiler.ir import Block, Role
from ..compiler.tensors import Tensor
from ..config.settings import Settings
from ..kernels import CATALOGUE
from ..kernels.host import Steppers
from ..lowering.build import BuildProgress
from ..lowering.roles import Feed
from ..runtimes import later
from ..runtimes.base import Runtime
from ..runtimes.choose import next_runtime
from ..runtimes.memory import Memory
from ..runtimes.numpy.first_steps import FirstSteps
from ..runtimes.plan import Plan
from ..runtimes.replicas import Replicas
from ..utils import warn
from .compilation import Compilation, Line
from .interrupts import uninterrupted
from .recording import Chunk, Recorder
from .sources import Constant, Held, Series, Source, Sources, draw

if TYPE_CHECKING:
    from ..runtimes.tensorflow.keras.layer import TensorGraph
    from ..runtimes.tensorflow.keras.model import SimulationModel
    from ..runtimes.tensorflow.runner import Runner

NOTHING = Constant(np.zeros(0), "float32")  # stands for what is called within the step


class Session:
    """Everything that running, predicting and training share.

    Parameters
    ----------
    compiled : Compilation
    seed : int
        Of processes, and of TensorFlow's random operations.
    unroll : int
        Steps in the body of the loop over time.
    replicas : Replicas
        Who simulates which items of a minibatch.
    device : str or None
        TensorFlow device.

    Attributes
    ----------
    plan : Plan
    memory : Memory or None
        State and parameters; None after `close`.
    first_steps : FirstSteps or None
        What runs the first steps of `run` instead.
    sources : dict of Feed
        What generates each input that is given no data.
    live : dict of Feed
        What generates each input in the present call.
    running : list of str
        Methods that call the user's callbacks at present; each was called in one of the last's.
    loss_probes : list of nengo.Probe
        Those that `compile` gave a loss; all if it was not called.
    """

    def __init__(
        self,
        compiled: Compilation,
        seed: int,
        unroll: int,
        replicas: Replicas,
        device: str | None = None,
    ) -> None:
        self.compiled, self.seed, self.unroll = compiled, seed, unroll
        self.replicas, self.device = replicas, device
        self._n_steps = 0
        self._graph: TensorGraph | None = None
        self._runner: Runner | None = None
        self._as_trained: Runner | None = None  # the same for calls without spikes
        self.loss_probes: list[nengo.Probe] = list(compiled.model.probes)
        self.running: list[str] = []
        self._keras_model: SimulationModel | None = None
        later.seed_tensorflow(seed)
        self.remake_processes()
        self.plan = self._plan()
        self.steppers = Steppers(self.plan.dt, self.plan.rngs)
        self.memory = Memory(self.plan)
        self.first_steps = FirstSteps(self.plan, self.memory, self.steppers)
        if replicas.strategy is not None or compiled.has_user_code:
            _ = self._own_graph  # the user's layers are built, and mistakes in them found, here

    def _plan(self) -> Plan:
        compiled = self.compiled
        return Plan(
            program=compiled.program,
            make_training_program=lambda: compiled.training_program,
            inputs=compiled.input_blocks,
            hidden={compiled.block(feed): self._hidden(feed) for feed in compiled.hidden_feeds},
            outputs={compiled.names[o.key]: o for o in compiled.lowered.graph.outputs},
            replicas=self.replicas,
            rngs=lambda op, item: self.generators.of_item(op, item),
            dt=compiled.model.dt,
            dtype=self.settings.dtype,
            unroll=self.unroll,
            learning_phase=self.settings.learning_phase,
            checkpoint_steps=self.settings.checkpoint_steps,
            training_memory=self.settings.training_memory,
            source_of=lambda feed: self.live[feed],
            restart=self._restart,
            skipped=frozenset(self.settings.skip_passes),
        )

    def _hidden(self, feed: Feed) -> Callable[[int, int], np.ndarray]:
        return lambda first, n: self.sources[feed].rows(first, n)

    @property
    def settings(self) -> Settings:
        """What the user configured."""
        return self.compiled.settings

    @property
    def batch(self) -> int:
        """Items in a minibatch."""
        return self.compiled.batch

    @property
    def n_steps(self) -> int:
        """Steps simulated so far; in a callback of Keras's, those of its calls too."""
        reached = None if self._graph is None else self._graph.steps
        return self._n_steps if reached is None else reached

    @n_steps.setter
    def n_steps(self, steps: int) -> None:
        self._n_steps = steps
        if self._graph is not None and self._graph.is_lent:  # setting attributes of layers is slow
            self._graph.steps = steps

    @property
    def probes(self) -> list[nengo.Probe]:
        """Probes, in the order of the model."""
        return list(self.compiled.model.probes)

    @property
    def graph(self) -> TensorGraph:
        """The Keras layer of the simulation; who asks for it may change its variables."""
        graph = self._own_graph
        self.memory.share(graph)
        return graph

    @property
    def _own_graph(self) -> TensorGraph:
        """The same for those who leave its variables alone; made when it is first needed."""
        if self._graph is None:
            later.require_tensorflow()
            from ..runtimes.tensorflow.keras.layer import TensorGraph

            with self.computing():
                self._graph = TensorGraph(self.plan, self.steppers)
            self.replicas.check_layers(self._graph.user_layers)
        return self._graph

    @property
    def runner(self) -> Runner:
        """What runs compiled chunks of time."""
        if self._runner is None:
            graph = self._own_graph
            from ..runtimes.tensorflow.runner import Runner

            self._runner = Runner(graph)
        return self._runner

    @property
    def obstacles(self) -> list[str]:
        """Names of what XLA cannot compile."""
        if self._graph is not None:
            return self._graph.obstacles
        found = [op for op in self.compiled.program.ops if not CATALOGUE.traits(op).compiled]
        return list(dict.fromkeys(op.tag or op.kind for op in found))

    @property
    def compile_count(self) -> int:
        """Functions compiled to run the simulation."""
        runners = [r for r in (self._runner, self._as_trained) if r is not None]
        return sum(runner.compile_count for runner in runners)

    @property
    def keras_model(self) -> SimulationModel:
        """The Keras model around the simulation; made when it is first asked for."""
        if self._keras_model is None:
            graph = self.graph
            from ..runtimes.tensorflow.keras.model import make_model

            with self.computing():
                self._keras_model = make_model(graph)
            self._keras_model.inference_only = self.settings.inference_only
            self._keras_model.at_present = self._at_present
        return self._keras_model

    def computing(self) -> contextlib.AbstractContextManager:
        """Precision, device and strategy of the simulation, restored afterwards."""
        return self._placed(later.precision(self.settings.dtype))

    def block(self) -> contextlib.AbstractContextManager:
        """As `computing`, for a `with` block: other threads may compute meanwhile."""
        return self._placed(later.precision(self.settings.dtype, block=True))

    def _placed(
        self, precision: contextlib.AbstractContextManager
    ) -> contextlib.AbstractContextManager:
        if self.device is None and self.replicas.strategy is None:
            return precision  # single steps wait for this
        scope = contextlib.ExitStack()
        for part in (precision, later.on_device(self.device), self.replicas.scope()):
            scope.enter_context(part)
        return scope

    # ------------------------------------------------------------------ life cycle

    def require_idle(self, method: str, *running: str) -> None:
        """Raise SimulationError in a callback of a method that needs what another would change."""
        for busy in self.running:
            if busy in running:
                raise SimulationError(
                    f"{method} was called in a callback of {busy}, which needs what it would "
                    f"change; call it before {busy}, or when {busy} has returned"
                )

    @contextlib.contextmanager
    def during(self, method: str) -> Iterator[None]:
        """Know within this context that a method is running whose callbacks are the user's."""
        self.running.append(method)
        try:
            yield
        finally:
            self.running.pop()

    def close(self) -> None:
        """Free the compiled program."""
        self._graph = self._runner = self._as_trained = self._keras_model = None
        # who calls a closed simulation is told so before anybody asks for these
        self.memory = None  # type: ignore[assignment]  # see above
        self.first_steps = None  # type: ignore[assignment]  # see above

    def read(self, block: Block) -> np.ndarray | None:
        """Live values (1 or B, size) of a parameter block; None after `close`."""
        return None if self.memory is None else self.memory.array(block)

    def set_rows(self, block: Block, rows: np.ndarray) -> None:
        """Set a block (1 or B, size) of state or parameters."""
        with self.computing():
            if block.role is Role.PARAMETER:
                self.graph.parameters.assign(block, rows)
            else:
                self.memory.keep({**self.memory.carry(), block: rows})

    def remake_processes(self) -> None:
        """Let all processes begin anew, from the seed."""
        self.generators = self.compiled.generators(self.seed)
        self.sources: Sources = self.compiled.sources(self.seed)
        self.live: Sources = self.sources
        self._training = Line()

    def _restart(self, items: Sequence[int]) -> None:
        """Let Python of the user's begin anew; random generators go on."""
        self.steppers.restart(items)
        self.live = {f: s.twin() if f.called else s for f, s in self.live.items()}

    @contextlib.contextmanager
    def aside(self, first: int = 0, training: bool = False) -> Iterator[None]:
        """Let processes, and whatever runs on the host, go on by themselves for a while.

        For calls that leave no state behind. What the user's Python keeps to itself cannot be
        copied, and begins anew; random generators go on from where they are.

        Parameters
        ----------
        first : int
            The item of a larger batch at which the minibatch begins; see `Steppers.aside`.
        training : bool
            Whether to go on from where the last call that trained ended.
        """
        kept = self.generators, self.sources, self.live
        line = self._training if training and self._training.sources else Line(*kept[:2])
        items = range(first, first + self.batch)
        self.generators = (line.generators or self.generators).twin(items)
        self.sources = {feed: source.twin(items) for feed, source in line.sources.items()}
        self.live = self.sources
        try:
            with self.steppers.aside(self._training.steppers if training else None, first):
                yield
        finally:
            if training:
                self._training = replace(
                    self._training, generators=self.generators, sources=self.sources
                )
            self.generators, self.sources, self.live = kept

    def reset(self, parameters: bool = True, processes: bool = True) -> None:
        """Go back to the initial state, and to step 0."""
        with self.computing():
            if processes:
                self.remake_processes()
                self.steppers.clear()
            self.memory.reset(parameters)
        self.n_steps = 0

    def snapshot(self) -> tuple[int, dict[Block, Tensor]]:
        """Step count and state, for `restore`."""
        return self.n_steps, dict(self.memory.state)

    def restore(self, snapshot: tuple[int, dict[Block, Tensor]]) -> None:
        """Go back to a `snapshot`, also from within a callback of Keras.

        Python of the user's begins anew.
        """
        self.n_steps, state = snapshot
        self.steppers.restart(range(self.batch))
        self.sources = {feed: source.twin() for feed, source in self.sources.items()}
        self.live = self.sources
        self.memory.state = state

    # ------------------------------------------------------------------ simulation

    @property
    def _spikes(self) -> bool:
        return self._graph is None or self._graph.spikes

    @contextlib.contextmanager
    def spiking(self, spikes: bool) -> Iterator[None]:
        """Let neurons spike within this context, or do what they do in training."""
        if spikes == self._spikes:
            yield
            return
        graph = self._own_graph
        graph.spikes = spikes
        self._runner, self._as_trained = self._as_trained, self._runner
        try:
            yield
        finally:
            graph.spikes = not spikes
            self._runner, self._as_trained = self._as_trained, self._runner

    def carries_on(self, stateful: bool) -> bool:
        """Whether a call leaves its state to the next; warns if it may not although it should."""
        if stateful and not self.settings.stateful:
            warn("stateful=True is ignored: the network was configured with stateful=False")
            return False
        return stateful

    def lending(
        self, stateful: bool, first: int = 0, training: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        """The context of a call that leaves its state to the next if `stateful`; see `aside`."""
        return contextlib.nullcontext() if stateful else self.aside(first, training)

    def filled(
        self,
        data: Mapping[nengo.Node, np.ndarray],
        n_steps: int,
        sources: Sources | None = None,
    ) -> Sources:
        """The source of each input from here on: the user's data where there are some.

        It is that of the present call, for `n_steps`; data of one step are held for all of them.
        `sources` stand for the session's own.
        """
        self.live = self.sources if sources is None else sources
        if not data:
            return self.live
        given: dict[nengo.Node, Held | Series] = {}
        for node, array in data.items():
            held = array.shape[1] < n_steps
            given[node] = Held(array) if held else Series(array, self.n_steps)
        return {f: given.get(f.node, source) for f, source in self.live.items()}

    def run(
        self,
        steps: int,
        data: Mapping[nengo.Node, np.ndarray],
        recorder: Recorder,
        stateful: bool,
        stage: BuildProgress,
    ) -> None:
        """Simulate chunk after chunk; interrupted between two, both sides of it are whole."""
        with self.lending(stateful):
            self._run(steps, data, recorder, stateful, stage)

    def _run(
        self,
        steps: int,
        data: Mapping[nengo.Node, np.ndarray],
        recorder: Recorder,
        stateful: bool,
        stage: BuildProgress,
    ) -> None:
        recorder.begin_run(stateful)
        first = self.n_steps
        end = first + steps
        sources, carry = self.filled(data, steps), self.memory.carry()
        with uninterrupted() as interrupt_here:
            for chunk in self.chunks(sources, carry, first, end):
                recorder.append(chunk.outputs, chunk.first, chunk.steps)
                self.keep(chunk.carry, chunk.first + chunk.steps, stateful)
                stage.step(chunk.steps)
                # here what is recorded, carried and counted agrees
                interrupt_here()

    def chunks(
        self,
        sources: Sources,
        carry: Mapping[Block, Tensor],
        first: int,
        end: int,
        predicts: bool = False,
    ) -> Iterator[Chunk]:
        """Simulate steps first + 1 to `end`, chunk after chunk.

        Parameters
        ----------
        sources : dict of Feed
        carry : dict of Block
            State, and what was learned, at the beginning.
        first, end : int
        predicts : bool
            Whether `predict` asks, so that replicas share items; see `next_runtime`, too.
        """
        while first < end:
            runtime = next_runtime(
                first, predicts, self._spikes, self.first_steps, lambda: self.runner
            )
            steps = self._steps(runtime, end - first, first)
            inputs, constant = self._inputs(sources, first, steps)
            outputs, carry = runtime.run(carry, inputs, constant, first, steps, split=predicts)
            yield Chunk(first, steps, outputs, carry)
            first += steps

    def _inputs(
        self, sources: Sources, first: int, n: int
    ) -> tuple[dict[Block, np.ndarray], set[Block]]:
        """What is fed in steps first + 1 to first + n, and which of it has one row for all."""
        inputs, constant = {}, set()
        blocks = self.compiled.fed
        drawn = {f: NOTHING if _is_called(f, s) else s for f, s in sources.items()}
        rows_of = draw(drawn, self.compiled.lowered.together, first, n)
        for feed, source in drawn.items():
            block = blocks[feed]
            if block is None:
                continue  # called for its effects
            missing = source is NOTHING
            inputs[block] = np.full((1, 1, feed.size), np.nan) if missing else rows_of[feed]
            if isinstance(source, Constant | Held):
                constant.add(block)
        return inputs, constant

    def _steps(self, runtime: Runtime, steps: int, first: int) -> int:
        """How many of `steps` to run in the next chunk, which begins after `first` steps."""
        if self._tensors_call_python:
            # a chunk ahead, functions of time would be called before the TensorNode's earlier steps
            return min(steps, self.unroll)
        return runtime.chunk(steps, first)

    @cached_property
    def _tensors_call_python(self) -> bool:
        """Whether a TensorNode may share objects with the user's functions of time."""
        together = bool(self.compiled.lowered.together)
        return self.compiled.has_user_code and together and self._own_graph.tensors_call_python()

    def keep(self, carry: Mapping[Block, Tensor], n_steps: int, stateful: bool) -> None:
        """Take over what a run left behind: what was learned always, state if `stateful`."""
        self.memory.keep(carry, stateful)
        if stateful:
            self.n_steps = n_steps

    @contextlib.contextmanager
    def keras_call(
        self,
        method: str,
        stateful: bool,
        lengths: tuple[int | None, int | None],
        unknown: bool = False,
        minibatches: int = 0,
    ) -> Iterator[SimulationModel]:
        """Lend the state to Keras, whose model is given.

        Parameters
        ----------
        method : str
            "fit" or "evaluate".
        stateful : bool
            Whether to keep the state of each minibatch for the next, and after the last.
        lengths : (int or None, int or None)
            Steps of minibatches in training and in testing; None if not known before.
        unknown : bool
            Whether inputs come from a generator or Dataset, and so are still to be checked.
        minibatches : int
            How many there are; 0 if not known before.
        """
        self.live = self.sources
        graph, model = self.graph, self.keras_model
        unknown_before = graph.inputs_unknown
        with self.computing(), graph.host.raising(), self._interrupting(), self.during(method):
            graph.begin_mode(model, stateful, lengths, unknown)
            with graph.lent(self._n_steps, stateful):
                begun = partial(self._validating, self.snapshot())
                model.validating = begun if method == "fit" else contextlib.nullcontext
                model.testing = lambda number: self.lending(stateful, first=number * self.batch)
                model.expected_minibatches = minibatches
                try:
                    yield model
                finally:
                    model.validating = model.testing = contextlib.nullcontext
                    self._n_steps = self.n_steps
                    if not self.replicas.several:  # their functions were traced with it
                        graph.inputs_unknown = unknown_before

    @contextlib.contextmanager
    def _at_present(self) -> Iterator[None]:
        """Let calls that others make of the Keras model begin from the present state."""
        with self.computing(), self._interrupting():
            self.graph.begin_mode(self.keras_model, False, (None, None))
            with self.graph.lent(self._n_steps, False):
                yield

    @contextlib.contextmanager
    def _interrupting(self) -> Iterator[None]:
        """In a callback of Keras's, set aside what it is doing, and let it go on afterwards."""
        if not self.graph.is_lent:
            yield
            return
        self._n_steps = self.n_steps
        try:
            with self.keras_model.interrupted(), self.graph.taken_back():
                yield
        finally:
            self.graph.steps = self._n_steps

    @contextlib.contextmanager
    def _validating(self, start: tuple[int, dict[Block, Tensor]]) -> Iterator[None]:
        """Let `fit` validate from where it began, and go on as if it had not validated."""
        stateful = self.graph.steps is not None
        now, carry = self.snapshot(), self.graph.carry()
        with self.aside():  # nor does it draw what training would
            if stateful:
                self.restore(start)
            try:
                yield
            finally:
                if stateful:
                    self.restore(now)
                self.graph.keep(carry, state=False)


def _is_called(feed: Feed, source: Source) -> bool:
    """Whether Python makes the values of an input within each step of this call."""
    return feed.called and not isinstance(source, Held | Series)
