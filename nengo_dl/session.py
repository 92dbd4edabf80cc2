"""An open simulation: the compiled program, its state, and what feeds it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import SimulationError

from .compilation import Compilation
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
    graph : TensorGraph or None
        The Keras layer of the simulation; None after `close`.
    runner : Runner or None
    first_steps : FirstSteps or None
        What runs the first steps of `run` instead.
    sources : dict of Feed
        What generates each input that is given no data.
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
        self.loss_probes: list[nengo.Probe] = list(compiled.model.probes)
        self.running: list[str] = []
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
    def n_steps(self) -> int:
        """Steps simulated so far; in a callback of Keras's, those of its calls too."""
        reached = None if self.graph is None else self.graph.steps
        return self._n_steps if reached is None else reached

    @n_steps.setter
    def n_steps(self, steps: int) -> None:
        self._n_steps = steps
        self.graph.steps = steps

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
            self._keras_model.at_present = self._at_present
        return self._keras_model

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Precision, device and strategy of the simulation, restored afterwards."""
        with backend.precision(self.settings.dtype), backend.on_device(self.device):
            with self.replicas.scope():
                yield

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
        self.graph = self.runner = self.first_steps = self._keras_model = None

    def read(self, block: Block) -> np.ndarray | None:
        """Live values (1 or B, size) of a parameter block; None after `close`."""
        return None if self.graph is None else self.graph.parameters.array(block)

    def remake_processes(self) -> None:
        """Let all processes begin anew, from the seed."""
        self.generators = self.compiled.generators(self.seed)
        self.sources: Sources = self.compiled.sources(self.seed)

    def reset(self, parameters: bool = True, processes: bool = True) -> None:
        """Go back to the initial state, and to step 0."""
        with self.computing():
            if processes:
                self.remake_processes()
            self.graph.reset_state(processes)
            if parameters:
                self.graph.reset_parameters()
        self.n_steps = 0

    def snapshot(self) -> tuple[int, dict[Block, Any]]:
        """Step count and state, for `restore`."""
        return self.n_steps, dict(self.graph.state)

    def restore(self, snapshot: tuple[int, dict[Block, Any]]) -> None:
        """Go back to a `snapshot`."""
        self.n_steps, self.graph.state = snapshot

    # ------------------------------------------------------------------ simulation

    def carries_on(self, stateful: bool) -> bool:
        """Whether a call leaves its state to the next; warns if it may not although it should."""
        if stateful and not self.settings.stateful:
            warn("stateful=True is ignored: the network was configured with stateful=False")
            return False
        return stateful

    def filled(self, data: Mapping[nengo.Node, np.ndarray]) -> dict[Feed, Any]:
        """The source of each input from here on: the user's data where there are some."""
        series = {node: Series(array, self.n_steps) for node, array in data.items()}
        return {f: series.get(f.node, source) for f, source in self.sources.items()}

    def run(
        self, steps: int, data: Mapping, recorder: Recorder, stateful: bool, stage: Any
    ) -> None:
        """Simulate chunk after chunk; interrupted between two, both sides of it are whole."""
        recorder.begin_run()
        first = self.n_steps
        end = first + steps
        sources, carry = self.filled(data), self.graph.carry()
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
        for feed, source in sources.items():
            rows = source.rows(first, n)
            if feed.signal is None or feed.signal not in self.compiled.places:
                continue  # called for its effects
            block = self.compiled.block(feed)
            inputs[block] = rows
            if isinstance(source, Constant):
                constant.add(block)
        return run(carry, inputs, constant, first, n)

    def keep(self, carry: Mapping[Block, Any], n_steps: int, stateful: bool) -> None:
        """Take over what a run left behind: what was learned always, state if `stateful`."""
        self.graph.keep(carry, state=stateful)
        if stateful:
            self.n_steps = n_steps

    @contextlib.contextmanager
    def keras_call(
        self, method: str, stateful: bool, lengths: tuple[int | None, int | None]
    ) -> Iterator[None]:
        """Lend the state to Keras.

        Parameters
        ----------
        method : str
            "fit" or "evaluate".
        stateful : bool
            Whether to keep the state of each minibatch for the next, and after the last.
        lengths : (int or None, int or None)
            Steps of minibatches in training and in testing; None if not known before.
        """
        graph, model = self.graph, self.keras_model
        with self.computing(), graph.host.raising(), self._interrupting(), self.during(method):
            graph.begin_mode(model, stateful, lengths)
            with graph.lent(self._n_steps, stateful):
                begun = partial(self._validating, self.snapshot())
                model.validating = begun if method == "fit" else contextlib.nullcontext
                try:
                    yield
                finally:
                    model.validating = contextlib.nullcontext
                    self._n_steps = self.n_steps

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
    def _validating(self, start: tuple[int, dict[Block, Any]]) -> Iterator[None]:
        """Let `fit` validate from where it began, and go on as if it had not validated."""
        stateful = self.graph.steps is not None
        now, carry = self.snapshot(), self.graph.carry()
        if stateful:
            self.restore(start)
        try:
            yield
        finally:
            if stateful:
                self.restore(now)
            self.graph.keep(carry, state=False)
