"""The simulator: what users see.  All work is delegated."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import nengo
import numpy as np
from nengo.builder import Model
from nengo.ensemble import Neurons
from nengo.exceptions import (
    NengoWarning,
    ReadonlyError,
    SimulationError,
    SimulatorClosed,
    ValidationError,
)

from . import calls
from .compilation import Compilation, build
from .config import Settings
from .data import SimulationData
from .engine import backend
from .engine.interrupts import uninterrupted
from .engine.model import SimulationModel, make_model
from .engine.runner import Runner
from .engine.tensor_graph import Plan, TensorGraph
from .parameters import Parameters, by_label, nengo_arguments
from .progress import Progress
from .sources import Series


class Simulator:
    """Compiles a Nengo network with TensorFlow, simulates it, and trains it with Keras.

    Parameters
    ----------
    network : nengo.Network or None
        The network; None if a built `model` is given.
    dt : float
        Step length [s]. 0.001 by default.
    seed : int, optional
        Seed of processes that have none of their own, and of TensorFlow's random operations.
        By default one more than the network's seed, or random if it has none.
    model : nengo.builder.Model, optional
        A model to build into, or that is already built.
    device : str, optional
        TensorFlow device, such as "/cpu:0". By default TensorFlow chooses.
    unroll_simulation : int
        Steps in the body of the loop over time; runs are multiples of it. 1 by default.
    minibatch_size : int, optional
        Items that are simulated side by side. By default one, without a batch axis in `data`.
    progress_bar : bool or "always"
        Whether to show progress on a terminal or in Jupyter (the default), never, or always.

    Attributes
    ----------
    data : SimulationData
        Recorded data and live parameters by Nengo object.
    model : nengo.builder.Model
        The built model.
    closed : bool
        Whether the simulator was closed.

    Raises
    ------
    BuildError
        If the network cannot be built.
    SimulationError
        If Keras runs on another back end than TensorFlow.
    """

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
        progress_bar: bool | str = True,
    ) -> None:
        self.closed = True  # until everything is there
        backend.require_tensorflow()
        if model is not None and model.dt != dt:
            warnings.warn(
                f"Model dt ({model.dt:g}) does not match Simulator dt ({dt:g}); using the model's",
                NengoWarning,
                stacklevel=2,
            )
        self.unroll = _positive(unroll_simulation, "unroll_simulation")
        self.minibatch_size = (
            1 if minibatch_size is None else _positive(minibatch_size, "minibatch_size")
        )
        self.device = device
        self.progress_bar = progress_bar
        self._settings = Settings.of(network if network is not None else model.toplevel)
        self._seed = _default_seed(network) if seed is None else seed
        self._scope: contextlib.ExitStack | None = None
        progress = Progress(progress_bar)
        with self._computing():
            with progress.stage("Build") as stage:
                self.model = build(network, model, dt, self._settings, stage)
            with progress.stage("Optimization"):
                self._compiled = Compilation(self.model, self._settings, self.minibatch_size)
            with progress.stage("Construction"):
                self._construct(minibatch_size is not None)
        self.closed = False
        self._warn_after_build()

    # ------------------------------------------------------------------ construction

    def _construct(self, minibatched: bool) -> None:
        keras.utils.set_random_seed(self._seed % 2**32)
        self._generators = self._compiled.generators(self._seed)
        self._sources = self._compiled.sources(self._seed)
        self._graph = TensorGraph(self._plan())
        self._runner = Runner(self._graph)
        self._keras_model: SimulationModel | None = None
        self._n_steps = 0
        self._records: dict[nengo.Probe, list[np.ndarray]] = {p: [] for p in self.model.probes}
        places = self._compiled.places
        self._parameters = Parameters(
            self.model, self._compiled.lowered.where, places, self._read_block, minibatched
        )
        self.data = SimulationData(
            self.model.params, self._parameters, self._records.__getitem__, minibatched
        )
        self._loss_probes: list[nengo.Probe] = list(self.model.probes)

    def _plan(self) -> Plan:
        compiled, settings = self._compiled, self._settings
        names = compiled.names
        outputs = {names[o.key]: o for o in compiled.lowered.graph.outputs}
        hidden = {compiled.block(f): self._hidden(f) for f in compiled.hidden_feeds}
        return Plan(
            compiled.program,
            compiled.training_program,
            compiled.input_blocks,
            hidden,
            outputs,
            lambda op: self._generators(op),
            self.model.dt,
            settings.dtype,
            self.minibatch_size,
            self.unroll,
            settings.learning_phase,
        )

    def _hidden(self, feed: Any) -> Callable[[int, int], np.ndarray]:
        return lambda first, n: self._sources[feed].rows(first, n)

    def _warn_after_build(self) -> None:
        if self.model.toplevel is None:
            warnings.warn("No top-level network in model; assuming no trainable parameters",
                          stacklevel=3)
        for obj in self._compiled.lowered.overruled:
            warnings.warn(
                f"{obj} has a learning rule and is also set to be trainable; it is not trained",
                stacklevel=3,
            )

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """Precision and device of the simulation, restored afterwards."""
        with backend.precision(self._settings.dtype), backend.on_device(self.device):
            yield

    def _read_block(self, block: Any) -> np.ndarray | None:
        if self.closed:
            return None
        return np.asarray(self._graph.variable(block))

    # ------------------------------------------------------------------ life cycle

    def __enter__(self) -> Simulator:
        self._check_open()
        self._scope = contextlib.ExitStack()
        self._scope.enter_context(self._computing())
        return self

    def __exit__(self, *_: Any) -> None:
        if self._scope is not None:
            self._scope.close()
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            warnings.warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                f"simulators manually to ensure resources are properly freed.",
                RuntimeWarning,
                stacklevel=2,
            )
            self.close()

    def __getstate__(self) -> None:
        raise NotImplementedError("nengo_dl.Simulator cannot be pickled; use save_params")

    def close(self) -> None:
        """Free the compiled program. Recorded data stay; a closed simulator cannot run again."""
        if not self.closed:
            self.closed = True
            self._keras_model = None
            self._runner = None
            self._graph = None

    def _check_open(self) -> None:
        if self.closed:
            raise SimulatorClosed("The simulator is closed, and cannot be used any more")

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
        self._check_open()
        if seed is not None:
            warnings.warn(
                "Changing the seed does not affect tensor operations that are already compiled",
                stacklevel=2,
            )
            self._seed = seed
        with self._computing():
            if include_processes:
                self._generators = self._compiled.generators(self._seed)
                self._sources = self._compiled.sources(self._seed)
            self._graph.reset_state()
            if include_trainable:
                self._graph.reset_parameters()
        self._n_steps = 0
        if include_probes:
            self.clear_probes()

    def clear_probes(self) -> None:
        """Forget recorded data."""
        for parts in self._records.values():
            parts.clear()
        self.data.clear_cache()

    def soft_reset(self, include_trainable: bool = False, include_probes: bool = False) -> None:
        """Deprecated: use `reset`."""
        warnings.warn("soft_reset is deprecated, use reset", DeprecationWarning, stacklevel=2)
        self.reset(None, include_trainable, include_probes, include_processes=False)

    # ------------------------------------------------------------------ simulation

    def run(self, time_in_seconds: float, **kwargs: Any) -> None:
        """Simulate for a length of time, rounded to whole steps.

        Parameters
        ----------
        time_in_seconds : float
        **kwargs
            As for `run_steps`.

        Raises
        ------
        ValidationError
            If the time is negative.
        """
        self._check_open()
        if time_in_seconds < 0:
            raise ValidationError(
                f"Must be positive (got {time_in_seconds:g})", attr="time_in_seconds", obj=self
            )
        steps = int(np.round(float(time_in_seconds) / self.dt))
        if steps == 0:
            warnings.warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator still at time "
                f"{self.time}.",
                stacklevel=2,
            )
            return
        self.run_steps(steps, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Simulate one step; arguments as for `run_steps`."""
        kwargs.setdefault("progress_bar", False)
        self.run_steps(1, **kwargs)

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

        Notes
        -----
        Interrupted by Ctrl-C, the simulator keeps what it has simulated, and can go on.
        """
        self._check_open()
        whole = self.unroll * int(np.ceil(n_steps / self.unroll))
        if whole != n_steps:
            warnings.warn(
                f"Number of steps ({n_steps}) is not an even multiple of unroll_simulation "
                f"({self.unroll}); simulation will run for {whole} steps",
                RuntimeWarning,
                stacklevel=2,
            )
        if whole == 0:
            return
        given = {}
        if data is not None:
            given = calls.Call(self._compiled, data, whole, self.unroll, one_minibatch=True).data
        stateful = stateful and self._settings.stateful
        show = Progress(self.progress_bar if progress_bar is None else progress_bar)
        with self._computing(), show.stage("Simulation", whole) as stage:
            self._run(whole, given, stateful, stage)

    def _run(self, steps: int, given: dict, stateful: bool, stage: Any) -> None:
        start = first = self._n_steps
        sources = self._filled(given, start)
        carry = self._graph.carry()
        latest: set[nengo.Probe] = set()
        while first < start + steps:
            n = self._runner.chunk(start + steps - first)
            outputs, carry = self._run_chunk(carry, sources, first, n)
            with uninterrupted():
                first += n
                self._graph.keep(carry, state=stateful)
                self._n_steps = first if stateful else self._n_steps
                self._record(outputs, first - n, n, latest)
            stage.step(n)

    def _run_chunk(self, carry: dict, sources: dict, first: int, n: int) -> tuple[dict, dict]:
        inputs, constant = {}, set()
        for feed, source in sources.items():
            rows = source.rows(first, n)
            if feed.signal is None or feed.signal not in self._compiled.places:
                continue  # called for its effects
            block = self._compiled.block(feed)
            inputs[block] = rows
            if rows.shape[0] == 1 and not isinstance(source, Series) and _is_constant(source):
                constant.add(block)
        return self._runner.run(carry, inputs, constant, first, n)

    def _filled(self, given: dict, first: int) -> dict:
        """The source of each input: the user's data where there are some."""
        series = {node: Series(array, first) for node, array in given.items()}
        return {f: series.get(f.node, source) for f, source in self._sources.items()}

    def _record(self, outputs: dict, first: int, n: int, latest: set) -> None:
        """Append what probes recorded in steps first + 1 to first + n."""
        for output, array in outputs.items():
            probe = output.key
            value = _by_item(array, output, n)
            if output.last_only:
                if probe in latest:
                    self._records[probe].pop()
                latest.add(probe)
            elif probe.sample_every is not None:
                steps = np.arange(first + 1, first + n + 1)
                value = value[:, steps % (probe.sample_every / self.dt) < 1]
            if value.shape[1]:
                self._records[probe].append(value)

    # ------------------------------------------------------------------ Keras

    def predict(
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False, **kwargs: Any
    ) -> dict[nengo.Probe, np.ndarray]:
        """Simulate for each of many inputs.

        Parameters
        ----------
        x : dict, list, array, Dataset or generator, optional
            Values (batch, n_steps, size) of input nodes, in any number of minibatches. Keys of a
            dict are nodes or their names. What is missing comes from the nodes themselves.
        n_steps : int, optional
            Needed if no data are given.
        stateful : bool
            Whether each minibatch goes on where the last one ended, and the simulator after that.
            False by default: each begins from the present state.
        **kwargs
            As for `keras.Model.predict` (`callbacks`, `verbose`, `steps`).

        Returns
        -------
        dict of Probe to array (batch, n_steps, *shape)
            All steps, whatever `sample_every` says.
        """
        self._check_open()
        from .prediction import predict

        stateful = self._stateful(stateful)
        self._ignore_batch_size(kwargs)
        return predict(self, x, n_steps, stateful, **kwargs)

    def predict_on_batch(
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False, **kwargs: Any
    ) -> dict[nengo.Probe, np.ndarray]:
        """Like `predict`, for exactly one minibatch."""
        self._check_open()
        from .prediction import predict

        stateful = stateful and self._settings.stateful
        return predict(self, x, n_steps, stateful, one_minibatch=True, **kwargs)

    def compile(
        self,
        *args: Any,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        **kwargs: Any,
    ) -> None:
        """Set how `fit` trains and what `evaluate` measures.

        Parameters
        ----------
        *args
            The first is the optimizer.
        loss : str, callable, keras.losses.Loss, list or dict
            One for all probes, or for each: a list in their order, or a dict by probe or name.
        metrics : like `loss`, optional
            Entries may be lists.
        loss_weights : list or dict, optional
            Factors of the losses in their sum.
        **kwargs
            As for `keras.Model.compile`.
        """
        self._check_open()
        losses = calls.per_probe(self._compiled, loss, "loss", broadcast=True)
        weights = calls.per_probe(self._compiled, loss_weights, "loss_weights", broadcast=False)
        listed = calls.per_probe(self._compiled, metrics, "metric", broadcast=True)
        listed = {k: v if isinstance(v, list | tuple) else [v] for k, v in listed.items()}
        if args:
            kwargs["optimizer"] = args[0]
        kwargs.setdefault("jit_compile", self._graph.worth_compiling and backend.XLA)
        names = {self._compiled.names[p]: p for p in self.model.probes}
        self._loss_probes = [names[name] for name in losses]
        losses = {name: given for name, given in losses.items() if given is not None}
        with self._computing():
            self.keras_model.compile_for_probes(losses, weights, listed, **kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train parameters to make the losses of `compile` small.

        Spiking neurons give their rates while training, and their state stands still.

        Parameters
        ----------
        x
            As for `predict`.
        y : dict, list or array
            Targets (batch, n_steps, size) of probes, with probes or their names as keys.
        n_steps, stateful
            As for `predict`.
        **kwargs
            As for `keras.Model.fit`.

        Raises
        ------
        SimulationError
            If the network was configured with `inference_only`.
        """
        self._check_open()
        if self._settings.inference_only:
            raise SimulationError("Network was created with inference_only=True, cannot be trained")
        from .training import fit

        return fit(self, x, y, n_steps, self._stateful(stateful), **kwargs)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Losses and metrics of `compile`, for data as in `fit`.

        Returns
        -------
        dict of str to float
            "loss", "<probe>_loss" and "<probe>_<metric>".
        """
        self._check_open()
        from .training import evaluate

        return evaluate(self, x, y, n_steps, self._stateful(stateful), **kwargs)

    def _stateful(self, stateful: bool) -> bool:
        if stateful and not self._settings.stateful:
            warnings.warn(
                "stateful=True is ignored: the network was configured with stateful=False",
                stacklevel=3,
            )
            return False
        return stateful

    def _ignore_batch_size(self, kwargs: dict) -> None:
        if kwargs.pop("batch_size", None) is not None:
            warnings.warn(
                f"batch_size is ignored; the minibatch size is that of the simulator "
                f"({self.minibatch_size})",
                stacklevel=3,
            )

    # ------------------------------------------------------------------ parameters

    def get_nengo_params(self, nengo_objs: Any, as_dict: bool = False) -> Any:
        """Arguments with which Nengo makes objects that have the present parameters.

        Parameters
        ----------
        nengo_objs : Ensemble, Neurons, Connection, or a list of them
        as_dict : bool
            Return a dict by label instead of a list.

        Returns
        -------
        dict, list of dict, or dict of dict
            Keyword arguments of the objects' constructors.
        """
        single = not isinstance(nengo_objs, list | tuple)
        objects = [nengo_objs] if single else list(nengo_objs)
        params = [nengo_arguments(o, self.data, self._parameters, self.model) for o in objects]
        if as_dict:
            return by_label(objects, params)
        return params[0] if single else params

    def freeze_params(self, objs: Any) -> None:
        """Write the present parameters into Nengo's objects, for use in any simulator.

        Parameters
        ----------
        objs : Network, Ensemble, Connection, or a list of them
        """
        self._check_open()
        for obj in objs if isinstance(objs, list | tuple) else [objs]:
            for part in self._with_parameters(obj):
                for name, value in self.get_nengo_params(part).items():
                    setattr(part, name, value)

    def _with_parameters(self, obj: Any) -> list:
        network = self.model.toplevel
        obj = obj.ensemble if isinstance(obj, Neurons) else obj
        if isinstance(obj, nengo.Network):
            known = obj is network or obj in network.all_networks
            parts = [e for e in obj.all_ensembles if not _is_direct(e)] + obj.all_connections
        elif isinstance(obj, nengo.Ensemble | nengo.Connection):
            known = obj in (*network.all_ensembles, *network.all_connections)
            parts = [obj]
        else:
            raise TypeError(f"Cannot freeze a {type(obj).__name__}, only Networks, Ensembles and "
                            f"Connections ({obj})")
        if not known:
            raise ValueError(f"{obj} is not in the Simulator's network")
        return parts

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
        return self._n_steps

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        return self._n_steps * self.dt

    @property
    def seed(self) -> int:
        """Seed of the simulation."""
        self._check_open()
        return self._seed

    @property
    def stateful(self) -> bool:
        """Whether calls may go on from each other."""
        return self._settings.stateful

    @property
    def keras_model(self) -> SimulationModel:
        """The Keras model of the simulation."""
        self._check_open()
        if self._keras_model is None:
            with self._computing():
                self._keras_model = make_model(self._graph)
        return self._keras_model

    @property
    def tensor_graph(self) -> TensorGraph:
        """The Keras layer of the simulation."""
        self._check_open()
        return self._graph

    @property
    def program(self) -> Any:
        """The compiled program; print it to see stages and groups."""
        return self._compiled.program

    @property
    def compile_count(self) -> int:
        """How many functions were compiled to run the simulation."""
        self._check_open()
        return self._runner.compile_count

    @property
    def node_inputs(self) -> dict[nengo.Node, Any]:
        """The Keras input of each node that can be fed."""
        inputs = dict(zip(self.keras_model.input_names, self.keras_model.inputs, strict=True))
        return {n: inputs[self._compiled.names[n]] for n in self._compiled.nodes}

    def get_name(self, obj: nengo.Node | nengo.Probe) -> str:
        """Name of an input node or a probe in data, losses and logs."""
        if obj not in self._compiled.names:
            raise ValidationError(
                f"{obj} is not an input Node or a Probe of this network", attr="obj", obj=self
            )
        return self._compiled.names[obj]

    def trange(self, sample_every: float | None = None, dt: float | None = None) -> np.ndarray:
        """Times of the steps simulated so far [s], or of the samples of a probe."""
        if dt is not None:
            if sample_every is not None:
                raise ValidationError(
                    "Cannot specify both `dt` and `sample_every`. Use `sample_every` only.",
                    attr="dt",
                    obj=self,
                )
            warnings.warn("dt is deprecated, use sample_every", DeprecationWarning, stacklevel=2)
            sample_every = dt
        period = 1 if sample_every is None else sample_every / self.dt
        steps = np.arange(1, self.n_steps + 1)
        return self.dt * steps[steps % period < 1]

    def train(self, *_: Any, **__: Any) -> Sequence:
        """Removed: use `compile` and `fit`."""
        raise SimulationError("Simulator.train was removed; use Simulator.compile and .fit")

    def loss(self, *_: Any, **__: Any) -> Sequence:
        """Removed: use `compile` and `evaluate`."""
        raise SimulationError("Simulator.loss was removed; use Simulator.compile and .evaluate")


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValidationError(f"expected a positive integer, got {value!r}", attr=name)
    return int(value)


def _default_seed(network: nengo.Network | None) -> int:
    if network is not None and network.seed is not None:
        return network.seed + 1
    return int.from_bytes(os.urandom(4), "little") % (2**31 - 1)


def _by_item(array: np.ndarray, output: Any, n: int) -> np.ndarray:
    """(t, b, size) as the engine gives it -> (b, n, *shape)."""
    if array.shape[0] == 1 and not output.last_only:
        array = np.broadcast_to(array, (n, *array.shape[1:]))
    return np.ascontiguousarray(
        np.swapaxes(array, 0, 1).reshape(array.shape[1], array.shape[0], *output.view.shape)
    )


def _is_constant(source: Any) -> bool:
    return hasattr(source, "value")


def _is_direct(ens: nengo.Ensemble) -> bool:
    return isinstance(ens.neuron_type, nengo.Direct)
