"""An open simulation: the compiled program, its state, and what feeds it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import nengo
import numpy as np

from .compilation import Compilation
from .compiler.ir import Block, Output, Role
from .config import Settings
from .engine import backend
from .engine.first_steps import FirstSteps
from .engine.interrupts import uninterrupted
from .engine.memory import Memory
from .engine.model import SimulationModel, make_model
from .engine.plan import Plan
from .engine.replicas import Replicas
from .engine.runner import Runner
from .engine.tensor_graph import TensorGraph
from .kernels import CATALOGUE
from .kernels.host import Steppers
from .lowering.roles import Feed
from .recording import Recorder
from .sources import Constant, Series
from .utils import warn

Sources = Mapping[Feed, Any]


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
        self.plan = self._plan()
        self.steppers = Steppers(self.plan.dt, self.plan.rngs)
        self.memory: Memory | None = Memory(self.plan)
        self.first_steps: FirstSteps | None = FirstSteps(self.plan, self.memory, self.steppers)
        self._graph: TensorGraph | None = None
        self._runner: Runner | None = None
        if replicas.strategy is not None or "tensor_node" in {o.kind for o in compiled.program.ops}:
            _ = self._own_graph  # the user's layers are built, and mistakes in them found, here

    def _plan(self) -> Plan:
        compiled = self.compiled
        return Plan(
            compiled.program,
            lambda: compiled.training_program,
            compiled.input_blocks,
            {compiled.block(feed): self._hidden(feed) for feed in compiled.hidden_feeds},
            {compiled.names[o.key]: o for o in compiled.lowered.graph.outputs},
            self.replicas,
            lambda op: self.generators(op),
            compiled.model.dt,
            self.settings.dtype,
            self.unroll,
            self.settings.learning_phase,
            self.settings.checkpoint_steps,
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
    def graph(self) -> TensorGraph:
        """The Keras layer of the simulation; who asks for it may change its variables."""
        graph = self._own_graph
        self.memory.share(graph)
        return graph

    @property
    def _own_graph(self) -> TensorGraph:
        """The same for those who leave its variables alone; made when it is first needed."""
        if self._graph is None:
            with self.computing():
                self._graph = TensorGraph(self.plan, self.steppers)
            self.replicas.check_layers(self._graph.user_layers)
        return self._graph

    @property
    def runner(self) -> Runner:
        """What runs compiled chunks of time."""
        if self._runner is None:
            self._runner = Runner(self._own_graph, self.first_steps.in_loop)
        return self._runner

    @property
    def obstacles(self) -> list[str]:
        """Names of what XLA cannot compile."""
        if self._graph is not None:
            return self._graph.obstacles
        found = [op for op in self.compiled.program.ops if CATALOGUE.runs_on_host(op)]
        return list(dict.fromkeys(op.tag or op.kind for op in found))

    @property
    def compile_count(self) -> int:
        """Functions compiled to run the simulation."""
        return 0 if self._runner is None else self._runner.compile_count

    @property
    def keras_model(self) -> SimulationModel:
        """The Keras model around the simulation; made when it is first asked for."""
        if self._keras_model is None:
            with self.computing():
                self._keras_model = make_model(self.graph)
            self._keras_model.inference_only = self.settings.inference_only
        return self._keras_model

    def computing(self) -> contextlib.AbstractContextManager:
        """Precision, device and strategy of the simulation, restored afterwards."""
        precision = backend.precision(self.settings.dtype)
        if self.device is None and self.replicas.strategy is None:
            return precision  # single steps wait for this
        scope = contextlib.ExitStack()
        for part in (precision, backend.on_device(self.device), self.replicas.scope()):
            scope.enter_context(part)
        return scope

    # ------------------------------------------------------------------ life cycle

    def close(self) -> None:
        """Free the compiled program."""
        self._graph = self._runner = self._keras_model = self.memory = self.first_steps = None

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

    def reset(self, parameters: bool = True, processes: bool = True) -> None:
        """Go back to the initial state, and to step 0."""
        with self.computing():
            if processes:
                self.remake_processes()
                self.steppers.clear()
            self.memory.reset(parameters)
        self.n_steps = 0

    def snapshot(self) -> tuple[int, dict[Block, Any]]:
        """Step count and state, for `restore`."""
        return self.n_steps, dict(self.memory.state)

    def restore(self, snapshot: tuple[int, dict[Block, Any]]) -> None:
        """Go back to a `snapshot`, also from within a callback of Keras."""
        self.n_steps, state = snapshot
        self.graph.restore_state(state, self.n_steps)

    # ------------------------------------------------------------------ simulation

    def carries_on(self, stateful: bool) -> bool:
        """Whether a call leaves its state to the next; warns if it may not although it should."""
        if stateful and not self.settings.stateful:
            warn("stateful=True is ignored: the network was configured with stateful=False")
            return False
        return stateful

    def filled(self, data: Mapping[nengo.Node, np.ndarray]) -> dict[Feed, Any]:
        """The source of each input from here on: the user's data where there are some."""
        if not data:
            return self.sources
        series = {node: Series(array, self.n_steps) for node, array in data.items()}
        return {f: series.get(f.node, source) for f, source in self.sources.items()}

    def run(
        self, steps: int, data: Mapping, recorder: Recorder, stateful: bool, stage: Any
    ) -> None:
        """Simulate chunk after chunk; interrupted between two, both sides of it are whole."""
        recorder.begin_run()
        first = self.n_steps
        end = first + steps
        sources, carry = self.filled(data), self.memory.carry()
        with uninterrupted() as interrupt_here:
            while first < end:
                runner = self.first_steps if self.first_steps.include(first) else self.runner
                n = runner.chunk(end - first, first)
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
        blocks = self.compiled.fed
        for feed, source in sources.items():
            rows = source.rows(first, n)
            block = blocks[feed]
            if block is None:
                continue  # called for its effects
            inputs[block] = rows
            if isinstance(source, Constant):
                constant.add(block)
        return run(carry, inputs, constant, first, n)

    def keep(self, carry: Mapping[Block, Any], n_steps: int, stateful: bool) -> None:
        """Take over what a run left behind: what was learned always, state if `stateful`."""
        self.memory.keep(carry, stateful)
        if stateful:
            self.n_steps = n_steps

    @contextlib.contextmanager
    def keras_call(self, stateful: bool, lengths: tuple[int | None, int | None]) -> Iterator[None]:
        """Lend the state to Keras.

        Parameters
        ----------
        stateful : bool
            Whether to keep the state of each minibatch for the next, and after the last.
        lengths : (int or None, int or None)
            Steps of minibatches in training and in testing; None if not known before.
        """
        self.graph.begin_mode(self.keras_model, stateful, lengths)
        with self.computing(), self.graph.host.raising():
            with self.graph.calls_from_keras(self.n_steps, stateful):
                yield
            if stateful:
                self.n_steps = self.graph.steps_after
