"""An open simulation: the compiled program, its state, and what feeds it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import nengo
import numpy as np

from .compilation import Compilation, Generators
from .compiler.ir import Block, Output
from .config import Settings
from .engine import backend
from .engine.first_steps import FirstSteps
from .engine.interrupts import uninterrupted
from .engine.model import SimulationModel, make_model
from .engine.plan import Plan
from .engine.replicas import Replicas
from .engine.runner import Runner
from .engine.tensor_graph import TensorGraph
from .lowering.roles import Feed
from .recording import Recorder
from .sources import Constant, Series, draw
from .utils import warn

Sources = Mapping[Feed, Any]
NOTHING = Constant(np.zeros(0), "float32")  # stands for what is called within the step


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
    graph : TensorGraph or None
        The Keras layer of the simulation; None after `close`.
    runner : Runner or None
    first_steps : FirstSteps or None
        What runs the first steps of `run` instead.
    sources : dict of Feed
        What generates each input that is given no data.
    live : dict of Feed
        What generates each input in the present call.
    n_steps : int
        Steps simulated so far.
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
        self.n_steps = 0
        self.loss_probes: list[nengo.Probe] = list(compiled.model.probes)
        self._keras_model: SimulationModel | None = None
        backend.seed_tensorflow(seed)
        self.remake_processes()
        self.graph: TensorGraph | None = TensorGraph(self._plan())
        replicas.check_layers(self.graph.user_layers)
        self.runner: Runner | None = Runner(self.graph)
        self.first_steps: FirstSteps | None = FirstSteps(self.graph, self.runner)

    def _plan(self) -> Plan:
        compiled = self.compiled
        return Plan(
            compiled.program,
            lambda: compiled.training_program,
            compiled.input_blocks,
            {compiled.block(feed): self._hidden(feed) for feed in compiled.hidden_feeds},
            {compiled.names[o.key]: o for o in compiled.lowered.graph.outputs},
            self.replicas,
            lambda op, item: self.generators.of_item(op, item),
            compiled.model.dt,
            self.settings.dtype,
            self.unroll,
            self.settings.learning_phase,
            self.settings.checkpoint_steps,
            lambda feed: self.live[feed],
            self._restart,
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
    def probes(self) -> list[nengo.Probe]:
        """Probes, in the order of the model."""
        return list(self.compiled.model.probes)

    @property
    def keras_model(self) -> SimulationModel:
        """The Keras model around the simulation; made when it is first asked for."""
        if self._keras_model is None:
            with self.computing():
                self._keras_model = make_model(self.graph)
            self._keras_model.inference_only = self.settings.inference_only
        return self._keras_model

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Precision, device and strategy of the simulation, restored afterwards."""
        with backend.precision(self.settings.dtype), backend.on_device(self.device):
            with self.replicas.scope():
                yield

    # ------------------------------------------------------------------ life cycle

    def close(self) -> None:
        """Free the compiled program."""
        self.graph = self.runner = self.first_steps = self._keras_model = None

    def read(self, block: Block) -> np.ndarray | None:
        """Live values (1 or B, size) of a parameter block; None after `close`."""
        return None if self.graph is None else self.graph.parameters.array(block)

    def remake_processes(self) -> None:
        """Let all processes begin anew, from the seed."""
        self.generators = self.compiled.generators(self.seed)
        self.sources: Sources = self.compiled.sources(self.seed)
        self.live = self.sources
        self._training = Line()

    def _restart(self, items: Sequence[int]) -> None:
        """Let Python of the user's begin anew; random generators go on."""
        self.graph.steppers.restart(items)
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
        self.generators = line.generators.twin()
        self.sources = {feed: source.twin(items) for feed, source in line.sources.items()}
        self.live = self.sources
        try:
            with self.graph.steppers.aside(self._training.steppers if training else None, first):
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
            self.graph.reset_state(processes)
            if parameters:
                self.graph.parameters.reset()
        self.n_steps = 0

    def snapshot(self) -> tuple[int, dict[Block, Any]]:
        """Step count and state, for `restore`."""
        return self.n_steps, dict(self.graph.state)

    def restore(self, snapshot: tuple[int, dict[Block, Any]]) -> None:
        """Go back to a `snapshot`, also from within a callback of Keras.

        Python of the user's begins anew.
        """
        self.n_steps, state = snapshot
        self.graph.steppers.restart(range(self.batch))
        self.sources = {feed: source.twin() for feed, source in self.sources.items()}
        self.live = self.sources
        self.graph.restore_state(state, self.n_steps)

    # ------------------------------------------------------------------ simulation

    def carries_on(self, stateful: bool) -> bool:
        """Whether a call leaves its state to the next; warns if it may not although it should."""
        if stateful and not self.settings.stateful:
            warn("stateful=True is ignored: the network was configured with stateful=False")
            return False
        return stateful

    def lending(self, stateful: bool, first: int = 0, training: bool = False) -> Any:
        """The context of a call that leaves its state to the next if `stateful`; see `aside`."""
        return contextlib.nullcontext() if stateful else self.aside(first, training)

    def filled(
        self, data: Mapping[nengo.Node, np.ndarray], sources: Sources | None = None
    ) -> dict[Feed, Any]:
        """The source of each input from here on: the user's data where there are some.

        It is that of the present call. `sources` stand for the session's own.
        """
        series = {node: Series(array, self.n_steps) for node, array in data.items()}
        self.live = self.sources if sources is None else sources
        return {f: series.get(f.node, source) for f, source in self.live.items()}

    def run(
        self, steps: int, data: Mapping, recorder: Recorder, stateful: bool, stage: Any
    ) -> None:
        """Simulate chunk after chunk; interrupted between two, both sides of it are whole."""
        with self.lending(stateful):
            self._run(steps, data, recorder, stateful, stage)

    def _run(
        self, steps: int, data: Mapping, recorder: Recorder, stateful: bool, stage: Any
    ) -> None:
        recorder.begin_run(stateful)
        first = self.n_steps
        end = first + steps
        sources, carry = self.filled(data), self.graph.carry()
        with uninterrupted() as interrupt_here:
            while first < end:
                runner = self.first_steps if self.first_steps.include(first) else self.runner
                n = self.chunk(runner, end - first, first)
                outputs, carry = self.run_chunk(runner.run, carry, sources, first, n)
                recorder.append(outputs, first, n)
                first += n
                self.keep(carry, first, stateful)
                stage.step(n)
                interrupt_here()

    def run_chunk(
        self,
        run: Callable,
        carry: Mapping[Block, Any],
        sources: Sources,
        first: int,
        n: int,
    ) -> tuple[dict[Output, np.ndarray], dict[Block, Any]]:
        """Simulate steps first + 1 to first + n; `run` is that of a `Runner`, which see."""
        inputs, constant = {}, set()
        drawn = {f: NOTHING if _is_called(f, s) else s for f, s in sources.items()}
        rows_of = draw(drawn, self.compiled.lowered.together, first, n)
        for feed, source in drawn.items():
            rows = rows_of[feed]
            if feed.signal is None or feed.signal not in self.compiled.places:
                continue  # called for its effects
            block = self.compiled.block(feed)
            inputs[block] = np.full((1, 1, feed.size), np.nan) if source is NOTHING else rows
            if isinstance(source, Constant):
                constant.add(block)
        return run(carry, inputs, constant, first, n)

    def chunk(self, runner: Any, steps: int, first: int) -> int:
        """How many of `steps` to run in the next chunk, which begins after `first` steps."""
        if self._tensors_call_python:
            return min(steps, self.unroll)
        return runner.chunk(steps, first)

    @cached_property
    def _tensors_call_python(self) -> bool:
        """Whether a TensorNode may share objects with the user's functions of time."""
        return bool(self.compiled.lowered.together) and self.graph.tensors_call_python()

    def keep(self, carry: Mapping[Block, Any], n_steps: int, stateful: bool) -> None:
        """Take over what a run left behind: what was learned always, state if `stateful`."""
        self.graph.keep(carry, state=stateful)
        if stateful:
            self.n_steps = n_steps

    @contextlib.contextmanager
    def keras_call(
        self, stateful: bool, lengths: tuple[int | None, int | None], unknown: bool = False
    ) -> Iterator[None]:
        """Lend the state to Keras.

        Parameters
        ----------
        stateful : bool
            Whether to keep the state of each minibatch for the next, and after the last.
        lengths : (int or None, int or None)
            Steps of minibatches in training and in testing; None if not known before.
        unknown : bool
            Whether inputs come from a generator or Dataset, and so are still to be checked.
        """
        self.live = self.sources
        self.graph.begin_mode(self.keras_model, stateful, lengths, unknown)
        with self.computing(), self.graph.host.raising():
            with self.graph.calls_from_keras(self.n_steps, stateful):
                yield
            if stateful:
                self.n_steps = self.graph.steps_after


def _is_called(feed: Feed, source: Any) -> bool:
    """Whether Python makes the values of an input within each step of this call."""
    return feed.called and not isinstance(source, Series)
