"""The simulator: what users see.  All work is delegated."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import nengo
import numpy as np
from nengo.builder import Model
from nengo.exceptions import (
    ReadonlyError,
    SimulationError,
    SimulatorClosed,
    ValidationError,
)

from ..compiler.ir import Program
from ..config.settings import Settings
from ..runtimes import later
from ..runtimes.replicas import Replicas
from ..session.compilation import Compilation, build
from ..session.progress import Progress, stage_of
from ..session.recording import Recorder
from ..session.session import Session
from ..utils import warn
from . import (
    arguments,
    calls,
    checks,
    construction,
    explanation,
    gradients,
    options,
    prediction,
    saving,
    training,
)
from .parameters import Parameters, freeze, nengo_params
from .recorded import SimulationData
from .signals import LiveSignals
from .summary import summarize
from .turns import Turns, exclusive
from .types import Data, ForProbes, Freezable, Loss, Metric, Minibatches, Parametrized, Targets

if TYPE_CHECKING:
    import keras

    from ..runtimes.tensorflow.keras.layer import TensorGraph
    from ..runtimes.tensorflow.keras.model import SimulationModel
    from ..runtimes.tensorflow.strategy import Strategy

__all__ = ["SimulationData", "Simulator"]


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
        Items simulated side by side, on all cores. By default one, without a batch axis in `data`.
    progress_bar : bool, "always" or None
        Whether to show progress on a terminal or in Jupyter (True, the default), never (False or
        None), or always.
    optimize : bool
        Of no effect: taken since `nengo.Simulator` takes it. Programs are always optimized; see
        `configure_settings` for what can be switched off.

    Attributes
    ----------
    data : SimulationData
        Recorded data and live parameters by Nengo object.
    model : nengo.builder.Model
        The built model.
    closed : bool
        Whether the simulator was closed.
    signals : LiveSignals
        What the simulation holds between steps, by the signals of `model`, to read and write.
    session : Session
        What does the work.

    Raises
    ------
    BuildError
        If the network cannot be built.
    SimulationError
        If Keras runs on another back end than TensorFlow, or the simulator is made in the scope of
        a strategy that is not supported.
    ValidationError
        If an argument has a value that it cannot have.

    Notes
    -----
    A simulation waits once, until XLA has compiled the program; before, NumPy takes steps for about
    as long as that will take, if the minibatch is one and NumPy can compute all of the network. How
    many follows from the network alone, however runs are cut. `predict` compiles at once.

    One thread at a time can use a simulator, in the process that made it.

    Made in the scope of a `tf.distribute.MirroredStrategy` or `MultiWorkerMirroredStrategy`, it
    splits each minibatch (of `minibatch_size` in all) over the replicas in `fit`, `evaluate` and
    `predict`, not in `run`. Trained parameters are the same for all; state, noise, and what
    learning rules learn (in `data` after the call) are those of items. A loss that is not a mean
    over items, and `BatchNormalization`, see the items of one replica only.
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
        progress_bar: bool | str | None = True,
        optimize: bool = True,
    ) -> None:
        self.closed = True  # until everything is there
        self.turns = Turns()
        # without importing it, which takes seconds, unless Keras runs on something else already
        later.require_tensorflow(now=False)
        arguments.check_network(network, model)
        dt = arguments.step_length(dt)
        seed = None if seed is None else arguments.seed_of(seed)
        construction.check_device(device)
        construction.warn_of_dt(model, dt)
        self.unroll = arguments.whole(unroll_simulation, "unroll_simulation", 1)
        self.minibatch_size = arguments.items(minibatch_size)
        self.progress_bar = False if progress_bar is None else progress_bar
        progress = Progress(self.progress_bar)
        replicas = Replicas(self.minibatch_size, device)
        construction.log_device(device)
        settings = Settings.of(model.toplevel if model and network is None else network)
        with later.precision(settings.dtype), later.on_device(device):
            with progress.stage("Build") as stage:
                self.model = build(network, model, dt, settings, stage)
            with progress.stage("Optimization"):
                self._compiled = Compilation(
                    self.model, settings, self.minibatch_size, within_steps=not replicas.several
                )
            with progress.stage("Construction"):
                seed = construction.default_seed(network) if seed is None else seed
                self.session = Session(self._compiled, seed, self.unroll, replicas, device)
        self._recorder = Recorder(self.model.probes, self.model.dt)
        self._parameters = Parameters(
            self.model, self._compiled, self.session.read, minibatch_size is not None
        )
        self.data = SimulationData(self.model.params, self._parameters, self._recorder.of)
        self.signals = LiveSignals(self.session, self.model, minibatch_size is not None)
        self._scope = contextlib.ExitStack()
        self.closed = False
        construction.warn_after_build(self.session)

    # ------------------------------------------------------------------ life cycle

    def __enter__(self) -> Self:
        self._scope.enter_context(self._open().block())
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.close()
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                f"simulators manually to ensure resources are properly freed.",
                construction.OpenSimulatorWarning,
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
            # even if closing fails half-way: what is left cannot be used
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

        Raises
        ------
        ValidationError
            If the seed is not one.
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
                f"{time_in_seconds:g} results in running for 0 timesteps. Simulator still at time "
                f"{self.time}."
            )
            return
        self.run_steps(steps, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Simulate one step; arguments as for `run_steps`, and errors."""
        kwargs.setdefault("progress_bar", False)
        self.run_steps(1, **kwargs)

    @exclusive
    def run_steps(
        self,
        n_steps: int,
        data: Data | None = None,
        progress_bar: bool | str | None = None,
        stateful: bool = True,
        *,
        spikes: bool = True,
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
        spikes : bool
            False computes what neurons do in `fit`: rates, unless `training_spikes` says otherwise.
            So outputs can be looked at as losses see them. True by default.

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
        checks.check_stateful(stateful)
        given = calls.of_one_minibatch(session, data, whole)
        stateful = stateful and self.stateful
        show = self.progress_bar if progress_bar is None else progress_bar
        spiking = session.spiking(checks.check_spikes(spikes))
        with session.computing(), spiking, stage_of(show, "Simulation", whole) as stage:
            session.run(whole, given, self._recorder, stateful, stage)

    # ------------------------------------------------------------------ what can be asked

    @property
    def dt(self) -> float:
        """Step length [s]."""
        return self.model.dt

    @dt.setter
    def dt(self, _: object) -> None:
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
        return self._open().generators.first

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
    def program(self) -> Program:
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
    def strategy(self) -> Strategy:
        """How TensorFlow runs it: what XLA compiles, and how loops hold arrays; print it to see."""
        return self._open().runner.strategy

    @property
    def compile_count(self) -> int:
        """How many functions were compiled to run it; none that another simulator compiled."""
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

    def train(self, *_: object, **__: object) -> None:
        """Removed: use `compile` and `fit`."""
        raise SimulationError("Simulator.train was removed; use Simulator.compile and .fit")

    def loss(self, *_: object, **__: object) -> None:
        """Removed: use `compile` and `evaluate`."""
        raise SimulationError("Simulator.loss was removed; use Simulator.compile and .evaluate")

    # ------------------------------------------------------------------ learning

    @exclusive
    def predict(
        self,
        x: Data | Minibatches | None = None,
        n_steps: int | None = None,
        stateful: bool = False,
        *,
        spikes: bool = True,
        **kwargs: Any,
    ) -> dict[nengo.Probe, np.ndarray]:
        """Simulate for each of many inputs.

        Parameters
        ----------
        x : dict, list, array, Dataset or generator, optional
            Values (batch, n_steps, size) of input nodes, in any number of minibatches. Keys of a
            dict are nodes or their names. What is missing comes from the nodes themselves.
        n_steps : int, optional
            Needed if no data are given, or data (batch, 1, size) of one step, which are then held
            for all steps: what depends on them alone is computed once. The same is done for arrays
            that repeat a step without a copy of it, as `np.broadcast_to` makes them.
        stateful : bool
            Whether each minibatch goes on where the last one ended, and the simulator after that.
            False by default: each begins from the present state.
        spikes : bool
            False computes what neurons do in `fit`: rates, unless `training_spikes` says otherwise.
            So outputs can be looked at as losses see them. True by default.
        **kwargs
            As for `keras.Model.predict` (`callbacks`, `verbose`, `steps`).

        Returns
        -------
        dict of Probe to array (batch, n_steps, ...)
            All steps, whatever `sample_every` says.

        Raises
        ------
        ValidationError
            If data do not fit the network, or do not tell the number of steps.
        SimulationError
            If `n_steps` is given with a generator or Dataset, whose items tell it.
        """
        session = self._open()
        stateful = session.carries_on(checks.check_stateful(stateful))
        calls.ignore_batch_size(session, kwargs)
        with session.spiking(checks.check_spikes(spikes)):
            return prediction.predict(session, x, n_steps, stateful, **kwargs)

    @exclusive
    def predict_on_batch(
        self,
        x: Data | None = None,
        n_steps: int | None = None,
        stateful: bool = False,
        *,
        spikes: bool = True,
        **kwargs: Any,
    ) -> dict[nengo.Probe, np.ndarray]:
        """Like `predict`, for exactly one minibatch; arguments as for `predict`, and errors."""
        stateful = self.stateful and stateful
        session = self._open()
        with session.spiking(checks.check_spikes(spikes)):
            return prediction.predict(session, x, n_steps, stateful, one_minibatch=True, **kwargs)

    @exclusive
    def compile(
        self,
        *args: Any,
        loss: ForProbes[Loss] | None = None,
        metrics: ForProbes[Metric | Sequence[Metric]] | None = None,
        loss_weights: ForProbes[float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Set how `fit` trains and what `evaluate` measures.

        Parameters
        ----------
        *args
            In the order of `keras.Model.compile`: optimizer, loss, loss_weights, metrics, ...
        loss : str, callable, keras.losses.Loss, list or dict
            One for all probes, or for each: a list in their order, or a dict by probe or name.
        metrics : like `loss`, optional
            Entries may be lists.
        loss_weights : list or dict, optional
            Factors of the losses in their sum.
        **kwargs
            As for `keras.Model.compile`; `weighted_metrics` are given as `metrics` are.

        Raises
        ------
        TypeError
            If an argument is given twice, by position and by name.
        ValidationError
            If Keras knows no such optimizer, loss or metric, or something is given for what is no
            probe of the network, or for too many.
        """
        named = {"loss": loss, "metrics": metrics, "loss_weights": loss_weights, **kwargs}
        training.compile(self._open(), **options.by_name(args, named))

    @exclusive
    def fit(
        self,
        x: Data | Minibatches | None = None,
        y: Targets | None = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train parameters to make the losses of `compile` small.

        Spiking neurons give their rates while training, and their state stands still, but for those
        that train with a surrogate gradient: they spike.

        Parameters
        ----------
        x
            As for `predict`.
        y : dict, list or array
            Targets (batch, n_steps, size) of probes, with probes or their names as keys. They are
            never repeated.
        n_steps, stateful
            As for `predict`. Validation begins from the state that `fit` does, and leaves no trace.
        **kwargs
            As for `keras.Model.fit`. `class_weight` may be a dict by probe; `sample_weight` a list
            or dict, of arrays (batch,) or (batch, n_steps), by probe.

        Raises
        ------
        SimulationError
            If the network was configured with `inference_only`, or `n_steps` is given with a
            generator or Dataset.
        ValidationError
            If data, targets or weights do not fit the network, or each other.
        """
        session = self._open()
        checks.check_trainable(session.settings.inference_only, "cannot be trained")
        stateful = session.carries_on(checks.check_stateful(stateful))
        return training.fit(session, x, y, n_steps, stateful, kwargs)

    @exclusive
    def evaluate(
        self,
        x: Data | Minibatches | None = None,
        y: Targets | None = None,
        n_steps: int | None = None,
        stateful: bool = False,
        *,
        spikes: bool = True,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Losses and metrics of `compile`, for data as in `fit`.

        Arguments as for `fit`, and errors; besides:

        Parameters
        ----------
        spikes : bool
            False computes what neurons do in `fit`, as in `predict`. True by default.

        Returns
        -------
        dict of str to float
            "loss", "<probe>_loss" and "<probe>_<metric>".
        """
        session = self._open()
        stateful = session.carries_on(checks.check_stateful(stateful))
        with session.spiking(checks.check_spikes(spikes)):
            return training.evaluate(session, x, y, n_steps, stateful, kwargs)

    @exclusive
    def check_gradients(
        self,
        inputs: Data | None = None,
        outputs: nengo.Probe | Sequence[nengo.Probe] | None = None,
        atol: float = 1e-5,
        rtol: float = 1e-3,
    ) -> dict[nengo.Probe, dict[str, list[np.ndarray]]]:
        """Compare the gradients that training uses with finite differences.

        The simulation is reset, and simulated as in training.

        Parameters
        ----------
        inputs : list or dict of array (minibatch_size, n_steps, size), optional
            Values of input nodes at which to differentiate. By default zeros, two loops long.
        outputs : nengo.Probe or list of nengo.Probe, optional
            What to differentiate. By default all probes.
        atol, rtol : float
            Allowed difference, absolute, and relative to the finite difference.

        Returns
        -------
        dict of Probe to dict
            Under "analytic" and "numeric", a Jacobian (input elements, output elements) for each
            input node.

        Raises
        ------
        SimulationError
            If they differ, if one is not a number, or if the network is `inference_only`.
        ValidationError
            If inputs do not fit the network, or an output is no probe of it.
        """
        session = self._open()
        checks.check_trainable(session.settings.inference_only, "has no gradients")
        session.reset(parameters=False)
        return gradients.check(session, inputs, outputs, atol, rtol)

    # ------------------------------------------------------------------ parameters

    def get_nengo_params(
        self, nengo_objs: Parametrized | Sequence[Parametrized], as_dict: bool = False
    ) -> Any:
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

        Raises
        ------
        ValueError
            If an object has no such parameters, or two of a dict have one label.
        """
        return nengo_params(nengo_objs, as_dict, self._parameters)

    @exclusive
    def freeze_params(self, objs: Freezable | Sequence[Freezable]) -> None:
        """Write the present parameters into Nengo's objects, for use in any simulator.

        Parameters
        ----------
        objs : Network, Ensemble, Connection, or a list of them

        Raises
        ------
        TypeError
            If an object is of another kind.
        ValueError
            If one is not in the network, or no arguments of Nengo's give what was trained.
        ValidationError
            If dimensions of a connection have come to have time constants that differ.
        NotImplementedError
            If a transform is not one of Nengo's.
        """
        self._open()
        freeze(objs, self._parameters)

    @exclusive
    def save_params(
        self,
        path: str | os.PathLike,
        include_state: bool = False,
        include_optimizer: bool = False,
        include_non_trainable: bool | None = None,
    ) -> None:
        """Save all parameters to one file.

        These are encoders, biases and weights, and the weights of Keras layers. They are named
        after the objects of the network: the label, or the kind if there is none, behind the labels
        of the networks around it; connections without a label after what they connect. Of several
        with one name, the second is called ``..._1``: ``"sub.ens.encoders"``, ``"a->b_1.weights"``.

        The file is NumPy's ``.npz`` with a checksum. It is written beside the old one, and takes
        its place once it is on the disk: whatever happens meanwhile, one of both is there, whole.

        Parameters
        ----------
        path : path-like
            ``.npz`` is added unless the name ends so.
        include_state : bool
            Save what changes from step to step too, and all that random numbers are drawn from:
            after `load_params`, the simulation goes on as if it had not stopped, to the bit.
            Not saved are recorded data, what the user's own functions and step functions keep
            elsewhere than in a process's state, and TensorFlow's own random numbers.
        include_optimizer : bool
            Save what the optimizer of `compile` keeps too.
        include_non_trainable : bool, optional
            Deprecated name of `include_state`.

        Raises
        ------
        OSError
            If the file cannot be written; the old one is as it was.
        SimulationError
            If there is no optimizer to save.
        ValidationError
            If the path is not one.
        """
        state = _include_state(include_state, include_non_trainable)
        saving.save(self._open(), path, state, include_optimizer)

    @exclusive
    def load_params(
        self,
        path: str | os.PathLike,
        include_state: bool = False,
        include_optimizer: bool = False,
        include_non_trainable: bool | None = None,
    ) -> None:
        """Load what `save_params` saved, into any network that has the same objects.

        Their names, and the shapes of their parameters, have to be the same; minibatch size,
        precision, neuron types and settings may differ. What a learning rule has changed has a
        value for each batch item; into a simulator of another minibatch size it can be loaded if
        the items learned the same (or there was one), and then all items get it.

        A file with more in it, such as state, may be loaded without that.

        Parameters
        ----------
        path : path-like
            As given to `save_params`.
        include_state : bool
            Go on with the simulation that was saved: state, steps, seed and random numbers.
        include_optimizer : bool
            Go on with the optimizer, which has to be of the same kind.
        include_non_trainable : bool, optional
            Deprecated name of `include_state`.

        Raises
        ------
        SimulationError
            If the file is damaged, or does not fit; then nothing has changed. The message names
            what is missing, what is left over, and what has another shape.
        OSError
            If the file cannot be read.
        """
        state = _include_state(include_state, include_non_trainable)
        saving.load(self._open(), path, state, include_optimizer)

    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None
    ) -> None:
        """Print a table of the network: objects, neurons, parameters, and totals.

        There is a row for each ensemble, each TensorNode, and each connection with weights, by the
        names that `save_params` describes. Parameters are trainable ("yes"), not ("no"), or learned
        while the simulation runs ("online"). The last column tells which groups of operators
        compute with them: "dot ×64" is one product of 64 matrices, "unused" means no probe does.

        Parameters
        ----------
        line_length : int, optional
            Characters in a line; by default those of the terminal.
        print_fn : callable, optional
            Is called with the table as a string, instead of printing it.
        """
        summarize(self._open(), line_length, print_fn)

    # ------------------------------------------------------------------ for extensions

    @property
    def keras_model(self) -> SimulationModel:
        """The Keras model of the simulation."""
        return self._open().keras_model

    @property
    def tensor_graph(self) -> TensorGraph:
        """The Keras layer of the simulation."""
        return self._open().graph

    @property
    def node_inputs(self) -> dict[nengo.Node, Any]:
        """The Keras input of each node that can be fed."""
        model, names = self.keras_model, self._compiled.names
        inputs = {tensor.name: tensor for tensor in model.inputs}
        return {node: inputs[names[node]] for node in self._compiled.nodes}


def _include_state(include_state: bool, include_non_trainable: bool | None) -> bool:
    if include_non_trainable is None:
        return include_state
    warn("include_non_trainable is deprecated, use include_state", DeprecationWarning)
    return include_non_trainable
