"""What a simulator does without learning: build, run, reset and close."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any, Self

import nengo
import nengo.utils.numpy as npext
import numpy as np
from nengo.builder import Model
from nengo.exceptions import (
    NengoWarning,
    ReadonlyError,
    SimulationError,
    SimulatorClosed,
    ValidationError,
)

from . import arguments, calls, explanation, feeds
from .compilation import Compilation, build
from .config import Settings
from .data import SimulationData
from .engine import backend
from .engine.replicas import Replicas
from .parameters import Parameters
from .progress import Progress, stage_of
from .recording import Recorder
from .session import Session
from .signals import LiveSignals
from .turns import Turns, exclusive
from .utils import warn

logger = logging.getLogger(__name__)


class OpenSimulatorWarning(RuntimeWarning, ResourceWarning):
    """A simulator was not closed: what Nengo warns of, and what the original warned of."""


class Simulation:
    """What `nengo.Simulator` does too; see `Simulator`."""

    unsupported: list[str] = []

    def __init__(
        self,
        network: nengo.Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Model | None = None,
        device: str | None = None,
        unroll_simulation: int = 1,
        minibatch_size: int | None = None,
        progress_bar: bool | str | None = True,
        optimize: bool = True,
    ) -> None:
        self.closed = True  # until everything is there
        self.turns = Turns()
        backend.require_tensorflow()
        arguments.check_network(network, model)
        dt = arguments.step_length(dt)
        seed = None if seed is None else arguments.seed_of(seed)
        backend.check_device(device)
        if model is not None and model.dt != dt:
            warn(
                f"Model dt ({model.dt:g}) does not match Simulator dt ({dt:g}); using the model's",
                NengoWarning,
            )
        self.unroll = arguments.whole(unroll_simulation, "unroll_simulation", 1)
        self.minibatch_size = 1 if minibatch_size is None else minibatch_size
        self.minibatch_size = arguments.whole(self.minibatch_size, "minibatch_size", 1)
        progress_bar = self.progress_bar = False if progress_bar is None else progress_bar
        replicas = Replicas(self.minibatch_size, device)
        _log_device(device)
        settings = Settings.of(network if network is not None else model.toplevel)
        progress = Progress(progress_bar)
        with backend.precision(settings.dtype), backend.on_device(device):
            with progress.stage("Build") as stage:
                self.model = build(network, model, dt, settings, stage)
            with progress.stage("Optimization"):
                within_steps = not replicas.several
                self._compiled = Compilation(
                    self.model, settings, self.minibatch_size, within_steps
                )
            with progress.stage("Construction"):
                seed = _default_seed(network) if seed is None else seed
                self.session = Session(self._compiled, seed, self.unroll, replicas, device)
        self._recorder = Recorder(self.model.probes, self.model.dt)
        self._parameters = Parameters(
            self.model, self._compiled, self.session.read, minibatch_size is not None
        )
        self.data = SimulationData(self.model.params, self._parameters, self._recorder.of)
        self.signals = LiveSignals(self.session, self.model, minibatch_size is not None)
        self._scope = contextlib.ExitStack()
        self.closed = False
        self._warn_after_build()

    def _warn_after_build(self) -> None:
        if self.model.toplevel is None:
            warn("No top-level network in model; assuming no trainable parameters")
        for obj in self._compiled.lowered.both:
            several = self.session.replicas.several
            what = (
                "over replicas, it only learns" if several else "fit changes what each item learned"
            )
            name = self._compiled.lowered.readable(str(obj))
            warn(f"{name} has a learning rule and is also set to be trainable: {what}")
        lowered = self._compiled.lowered
        if self.session.replicas.several and lowered.together and lowered.others:
            warn(
                f"Over replicas, {lowered.together[0].node or 'an input'} is evaluated ahead of "
                f"the simulation: it does not see what other Python changes meanwhile. Where it "
                f"need not, set pure=True for it"
            )
        for name in self._compiled.host_neuron_types():
            warn(
                f"{name} neurons have no compiled form: they run on the host, for one batch item "
                f"after the other, and no gradient flows through them"
            )
        obstacles = self.session.obstacles
        if obstacles:
            logger.info(
                "Not compiled as a whole, because of: %s", ", ".join(self.session.obstacles)
            )

    # ------------------------------------------------------------------ life cycle

    def __enter__(self) -> Self:
        self._scope.enter_context(self._open().computing())
        return self

    def __exit__(self, *_: Any) -> None:
        self._scope.close()
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                f"simulators manually to ensure resources are properly freed.",
                OpenSimulatorWarning,
            )
            self.close()

    def __getstate__(self) -> None:
        raise NotImplementedError(
            "A nengo_dl.Simulator cannot be pickled: it holds compiled programs. Pickle the "
            "network, and save parameters and state with save_params(path, include_state=True); a "
            "Simulator of the network goes on from there after load_params of the same"
        )

    def close(self) -> None:
        """Free the compiled program. Recorded data stay; a closed simulator cannot run again."""
        if not self.closed:
            self.session.require_idle("close", "fit", "evaluate", "predict")
            self.closed = True
            self.session.close()

    def _open(self) -> Session:
        if self.closed:
            raise SimulatorClosed("The simulator is closed, and cannot be used any more")
        self.turns.check_process()
        return self.session

    @exclusive
    def reset(
        self,
        seed: int | None = None,
        include_trainable: bool = True,
        include_probes: bool = True,
        include_processes: bool = True,
    ) -> None:
        """Go back to the beginning.

        Parameters
        ----------
        seed : int, optional
            A new seed, kept for later resets.
        include_trainable : bool
            Whether parameters (trained, frozen and learned) get the values they were built with.
        include_probes : bool
            Whether to forget recorded data.
        include_processes : bool
            Whether processes begin anew, from the seed.
        """
        session = self._open()
        if seed is not None:
            warn(
                "The new seed is that of processes and noise; random numbers that TensorFlow draws "
                "itself, in TensorNodes and Keras layers, go on as they were seeded before"
            )
            session.seed = arguments.seed_of(seed)
        session.reset(include_trainable, include_processes)
        if include_probes:
            self.clear_probes()

    def clear_probes(self) -> None:
        """Forget recorded data."""
        self._recorder.clear()
        self.data.clear_cache()

    def soft_reset(self, include_trainable: bool = False, include_probes: bool = False) -> None:
        """Deprecated: use `reset`."""
        warn("soft_reset is deprecated, use reset", DeprecationWarning)
        self.reset(None, include_trainable, include_probes, include_processes=False)

    # ------------------------------------------------------------------ simulation

    def run(self, time_in_seconds: float, **kwargs: Any) -> None:
        """Simulate for a length of time, rounded to whole steps.

        Parameters
        ----------
        time_in_seconds : float
            Length [s].
        **kwargs
            As for `run_steps`.

        Raises
        ------
        ValidationError
            If the time is negative.
        """
        self._open()
        time_in_seconds = arguments.seconds(time_in_seconds, "time_in_seconds")
        if time_in_seconds < 0:
            raise ValidationError(
                f"Must be positive (got {time_in_seconds:g})", attr="time_in_seconds", obj=self
            )
        steps = int(np.round(time_in_seconds / self.dt))
        if steps == 0:
            warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator still at time "
                f"{self.time}."
            )
            return
        self.run_steps(steps, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Simulate one step; arguments as for `run_steps`."""
        kwargs.setdefault("progress_bar", False)
        self.run_steps(1, **kwargs)

    @exclusive
    def run_steps(
        self,
        n_steps: int,
        data: Any = None,
        progress_bar: bool | str | None = None,
        stateful: bool = True,
    ) -> None:
        """Simulate a number of steps, and record what probes see in `data`.

        Parameters
        ----------
        n_steps : int
            Rounded up to a multiple of `unroll_simulation`.
        data : dict, list or array, optional
            Values (minibatch_size, n_steps, size) of input nodes; without, their own.
        progress_bar : bool or "always", optional
            As in the constructor, whose value is the default.
        stateful : bool
            Whether the simulation goes on from here the next time. True by default.

        Raises
        ------
        SimulatorClosed
            If the simulator is closed.
        ValidationError
            If the number of steps is negative, or data do not fit the network.

        Notes
        -----
        Interrupted by Ctrl-C, the simulator keeps what it has simulated, and can go on.
        """
        session = self._open()
        n_steps = arguments.steps(n_steps)
        whole = self.unroll * -(-n_steps // self.unroll)
        if whole != n_steps:
            warn(
                f"Number of steps ({n_steps}) is not an even multiple of unroll_simulation "
                f"({self.unroll}); simulation will run for {whole} steps",
                RuntimeWarning,
            )
        if whole == 0:
            return
        feeds.check_stateful(stateful)
        given = calls.of_one_minibatch(session, data, whole)
        stateful = stateful and self.stateful
        show = self.progress_bar if progress_bar is None else progress_bar
        with session.computing(), stage_of(show, "Simulation", whole) as stage:
            session.run(whole, given, self._recorder, stateful, stage)

    # ------------------------------------------------------------------ what can be asked

    @property
    def dt(self) -> float:
        """Step length [s]."""
        return self.model.dt

    @dt.setter
    def dt(self, _: Any) -> None:
        raise ReadonlyError(attr="dt", obj=self)

    @property
    def n_steps(self) -> int:
        """Steps simulated so far."""
        return self.session.n_steps

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        return self.n_steps * self.dt

    @property
    def seed(self) -> int:
        """Seed of the simulation."""
        return self._open().seed

    @property
    def rng(self) -> np.random.RandomState:
        """The generator that operators draw from which share one, of the first item."""
        return self._open().generators.shared[0]

    @property
    def step_order(self) -> None:
        """There is none: see `program`."""
        raise AttributeError(
            "nengo_dl.Simulator has no step_order: operators are compiled into one program, many "
            "at a time. sim.program is that program, in order (print it); sim.model.operators are "
            "Nengo's operators"
        )

    @property
    def stateful(self) -> bool:
        """Whether calls may go on from each other."""
        return self._compiled.settings.stateful

    @property
    def program(self) -> Any:
        """What is computed, for any machine; print it to see stages and groups.

        A notebook draws it.
        """
        return self._compiled.program

    def explain(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Say what is compiled, what runs in Python and why, what that costs, and the remedy.

        Parameters
        ----------
        print_fn : callable, optional
            Is called with the text as a string, instead of printing it.

        Raises
        ------
        SimulatorClosed
            If the simulator is closed.
        """
        explanation.explain(self._open(), print_fn)

    @property
    def strategy(self) -> Any:
        """How TensorFlow runs it: what XLA compiles, and how loops hold arrays; print it to see."""
        return self._open().runner.strategy

    @property
    def compile_count(self) -> int:
        """How many functions were compiled to run the simulation."""
        return self._open().compile_count

    def get_name(self, obj: nengo.Node | nengo.Probe) -> str:
        """Name of an input node or a probe in data, losses and logs.

        Parameters
        ----------
        obj : nengo.Node or nengo.Probe

        Returns
        -------
        str

        Raises
        ------
        ValidationError
            If it is neither an input node nor a probe of the network.
        """
        if obj not in self._compiled.names:
            raise ValidationError(
                f"{obj} is not an input Node or a Probe of this network", attr="obj", obj=self
            )
        return self._compiled.names[obj]

    def trange(self, sample_every: float | None = None, dt: float | None = None) -> np.ndarray:
        """Times of the steps simulated so far, or of the samples of a probe.

        After runs that left no state behind (``stateful=False``, as an argument or a setting), the
        times of all steps recorded, as probes have them: the times of such a run come again.

        Parameters
        ----------
        sample_every : float, optional
            Period of the samples [s]; by default each step.
        dt : float, optional
            Deprecated name of `sample_every`.

        Returns
        -------
        array (n,)
            Times [s], the first of which is `dt`.

        Raises
        ------
        ValidationError
            If both are given.
        """
        if dt is not None:
            if sample_every is not None:
                raise ValidationError(
                    "Cannot specify both `dt` and `sample_every`. Use `sample_every` only.",
                    attr="dt",
                    obj=self,
                )
            warn("dt is deprecated, use sample_every", DeprecationWarning)
            sample_every = dt
        period = 1 if sample_every is None else sample_every / self.dt
        if not 0 < period < np.inf:
            raise ValidationError(
                f"expected a positive number of seconds, got {sample_every!r}",
                attr="sample_every",
                obj=self,
            )
        return self.dt * self._recorder.steps(self.n_steps, period)

    def train(self, *_: Any, **__: Any) -> None:
        """Removed: use `compile` and `fit`."""
        raise SimulationError("Simulator.train was removed; use Simulator.compile and .fit")

    def loss(self, *_: Any, **__: Any) -> None:
        """Removed: use `compile` and `evaluate`."""
        raise SimulationError("Simulator.loss was removed; use Simulator.compile and .evaluate")


def _default_seed(network: nengo.Network | None) -> int:
    """The seed that Nengo would choose: without one of the network's, the next of NumPy's draws."""
    if network is not None and network.seed is not None:
        return network.seed + 1
    return int(np.random.randint(npext.maxint))


def _log_device(device: str | None) -> None:
    """Say where it runs; without a GPU, nothing is wrong."""
    if device is None:
        device = "CPU/GPU" if backend.has_gpu() else "CPU"
    logger.info("Running on %s", device)
