"""The simulator: what users see.  All work is delegated."""

from __future__ import annotations

from typing import Any

import keras
import nengo
import numpy as np
from nengo.exceptions import SimulationError

from . import calls, gradients, prediction, training
from .data import SimulationData
from .engine.model import SimulationModel
from .engine.tensor_graph import TensorGraph
from .parameters import freeze, nengo_params
from .simulation import Simulation

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
    A simulator that is made in the scope of a `tf.distribute.MirroredStrategy` or
    `MultiWorkerMirroredStrategy` splits each minibatch over the replicas in `fit`, `evaluate` and
    `predict`; `minibatch_size` is that of all of them together. Trained parameters are the same
    for all; state, noise, and what learning rules learn, belong to items, and are those of one
    device. What is learned within a call of `fit` or `evaluate` shows in `data` after it. `run`,
    `run_steps` and `step` simulate all items where they are called. A loss that is not a mean over
    items, and `BatchNormalization`, see the items of one replica only.
    """

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
        session = self._open()
        stateful = session.carries_on(stateful)
        calls.ignore_batch_size(session, kwargs)
        return prediction.predict(session, x, n_steps, stateful, **kwargs)

    def predict_on_batch(
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False, **kwargs: Any
    ) -> dict[nengo.Probe, np.ndarray]:
        """Like `predict`, for exactly one minibatch."""
        stateful = stateful and self.stateful
        return prediction.predict(self._open(), x, n_steps, stateful, one_minibatch=True, **kwargs)

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
            As for `keras.Model.compile`; `weighted_metrics` are given as `metrics` are.
        """
        if len(args) > 1:
            raise TypeError("only the optimizer can be given by position; name other arguments")
        if args:
            kwargs["optimizer"] = args[0]
        training.compile(self._open(), loss, metrics, loss_weights, kwargs)

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
        session = self._open()
        return training.evaluate(session, x, y, n_steps, session.carries_on(stateful), kwargs)

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

    def freeze_params(self, objs: Any) -> None:
        """Write the present parameters into Nengo's objects, for use in any simulator.

        Parameters
        ----------
        objs : Network, Ensemble, Connection, or a list of them
        """
        self._open()
        freeze(objs, self._parameters)

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
        inputs = dict(zip(model.input_names, model.inputs, strict=True))
        return {node: inputs[names[node]] for node in self._compiled.nodes}

    def train(self, *_: Any, **__: Any) -> None:
        """Removed: use `compile` and `fit`."""
        raise SimulationError("Simulator.train was removed; use Simulator.compile and .fit")

    def loss(self, *_: Any, **__: Any) -> None:
        """Removed: use `compile` and `evaluate`."""
        raise SimulationError("Simulator.loss was removed; use Simulator.compile and .evaluate")
