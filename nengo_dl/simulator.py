"""The simulator: what users see.  All work is delegated."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .quiet import keras  # isort: skip
import nengo
import numpy as np
from nengo.exceptions import SimulationError

from . import calls, gradients, prediction, saving, training
from .data import SimulationData
from .engine.model import SimulationModel
from .engine.tensor_graph import TensorGraph
from .parameters import freeze, nengo_params
from .simulation import Simulation
from .summary import summarize
from .turns import exclusive
from .utils import warn

__all__ = ["SimulationData", "Simulator"]


class Simulator(Simulation):
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

    @exclusive
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
        dict of Probe to array (batch, n_steps, ...)
            All steps, whatever `sample_every` says.
        """
        session = self._open()
        stateful = session.carries_on(stateful)
        calls.ignore_batch_size(session, kwargs)
        return prediction.predict(session, x, n_steps, stateful, **kwargs)

    @exclusive
    def predict_on_batch(
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False, **kwargs: Any
    ) -> dict[nengo.Probe, np.ndarray]:
        """Like `predict`, for exactly one minibatch; arguments as for `predict`."""
        stateful = self.stateful and stateful
        return prediction.predict(self._open(), x, n_steps, stateful, one_minibatch=True, **kwargs)

    @exclusive
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
            The first is the optimizer; another is a TypeError.
        loss : str, callable, keras.losses.Loss, list or dict
            One for all probes, or for each: a list in their order, or a dict by probe or name.
        metrics : like `loss`, optional
            Entries may be lists.
        loss_weights : list or dict, optional
            Factors of the losses in their sum.
        **kwargs
            As for `keras.Model.compile`; `weighted_metrics` are given as `metrics` are.
        """
        if len(args) > 1:
            raise TypeError("only the optimizer can be given by position; name other arguments")
        if args:
            kwargs["optimizer"] = args[0]
        training.compile(self._open(), loss, metrics, loss_weights, kwargs)

    @exclusive
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
            As for `predict`. Validation begins from the state that `fit` does, and leaves no trace.
        **kwargs
            As for `keras.Model.fit`. `class_weight` may be a dict by probe; `sample_weight` a list
            or dict, of arrays (batch,) or (batch, n_steps), by probe.

        Raises
        ------
        SimulationError
            If the network was configured with `inference_only`.
        """
        session = self._open()
        if session.settings.inference_only:
            raise SimulationError("Network was created with inference_only=True, cannot be trained")
        return training.fit(session, x, y, n_steps, session.carries_on(stateful), kwargs)

    @exclusive
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Losses and metrics of `compile`, for data as in `fit`; arguments as for `fit`.

        Returns
        -------
        dict of str to float
            "loss", "<probe>_loss" and "<probe>_<metric>".
        """
        session = self._open()
        return training.evaluate(session, x, y, n_steps, session.carries_on(stateful), kwargs)

    @exclusive
    def check_gradients(
        self, inputs: Any = None, outputs: Any = None, atol: float = 1e-5, rtol: float = 1e-3
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
        """
        session = self._open()
        if session.settings.inference_only:
            raise SimulationError("Network was created with inference_only=True, has no gradients")
        session.reset(parameters=False)
        return gradients.check(session, inputs, outputs, atol, rtol)

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
        return nengo_params(nengo_objs, as_dict, self._parameters)

    @exclusive
    def freeze_params(self, objs: Any) -> None:
        """Write the present parameters into Nengo's objects, for use in any simulator.

        Parameters
        ----------
        objs : Network, Ensemble, Connection, or a list of them
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
