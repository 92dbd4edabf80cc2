"""Live parameters: reading them, turning them into Nengo's own arguments, saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.neurons import Direct
from nengo.solvers import NoSolver
from nengo.transforms import Convolution, ConvolutionTranspose, Dense, NoTransform, Sparse

from .compilation import Compilation
from .compiler.ir import Role
from .lowering.memory import coordinates, initial_of, positions
from .lowering.time_constants import LEAST_TAU
from .utils import warn


class Parameters:
    """Values of encoders, biases and weights.

    Parameters
    ----------
    model : nengo.builder.Model
    compiled : Compilation
        Knows where signals are.
    read : callable
        `read(block)` is the live array of a block, or None after the simulator was closed.
    minibatched : bool
        Whether values that differ by batch item keep their batch axis.
    """

    def __init__(
        self, model: Model, compiled: Compilation, read: Callable, minibatched: bool
    ) -> None:
        self.model, self.minibatched = model, minibatched
        self._where, self._places = compiled.lowered.where, compiled.places
        self._time_constants = compiled.lowered.time_constants
        self._read = read

    def warn_if_closed(self) -> None:
        """Warn if values are not live any more."""
        blocks = (b for b, _ in self._places.values() if b.role in (Role.PARAMETER, Role.ADAPTED))
        block = next(blocks, None)
        if block is not None and self._read(block) is None:
            warn("The simulator is closed: parameters have the values that they were built with")

    def live(self, obj: Any, attr: str) -> Any:
        """Current value of "weights", "encoders" or "bias" of an object; None if it has none."""
        attr = "encoders" if attr == "scaled_encoders" else attr
        if attr == "bias" and isinstance(obj, nengo.Ensemble):
            obj = obj.neurons
        sig = self.model.sig[obj].get(attr) if obj in self.model.sig else None
        if sig is None:
            return None
        return self.value(sig)

    def time_constants(self, conn: nengo.Connection) -> np.ndarray | None:
        """Trained time constants [s]: one, or one for each dimension; None if it has none."""
        sig = self._time_constants.get(conn)
        if sig is None:
            return None
        log_tau = np.asarray(self.value(sig))
        if np.array_equal(log_tau, sig.initial_value):
            return np.full(log_tau.shape, conn.synapse.tau)  # to the last bit
        return np.maximum(np.exp(log_tau), LEAST_TAU * self.model.dt)

    def value(self, sig: Any) -> Any:
        """Current value of a signal of Nengo's."""
        source = self._where.get(sig.base)
        if source is None or source.role not in (Role.PARAMETER, Role.ADAPTED):
            return sig.initial_value
        block, offset = self._places[source]
        array = self._read(block)
        if array is None:
            return sig.initial_value
        shape = initial_of(sig).shape or (1,)
        lead = array.shape[:1] if block.role is Role.ADAPTED else ()
        flat = array.reshape(*lead, -1)[..., offset : offset + source.size]
        index = positions(sig)
        value = (flat if index is None else flat[..., index]).reshape(*lead, *shape)
        return value[0] if lead and not self.minibatched else value


class FullWeights(NoSolver):
    """Weights (n_pre, n_post) between neurons as they are: no encoders are multiplied in."""

    compositional = False


def nengo_params(objs: Any, as_dict: bool, parameters: Parameters) -> Any:
    """See `Simulator.get_nengo_params`."""
    parameters.warn_if_closed()
    single = not isinstance(objs, list | tuple)
    objects = [objs] if single else list(objs)
    params = [nengo_arguments(obj, parameters) for obj in objects]
    if as_dict:
        return by_label(objects, params)
    return params[0] if single else params


def freeze(objs: Any, parameters: Parameters) -> None:
    """See `Simulator.freeze_params`."""
    parts = [
        part
        for obj in (objs if isinstance(objs, list | tuple) else [objs])
        for part in _with_parameters(obj, parameters.model.toplevel)
    ]
    # all of them are read before any is written
    for part, args in [(part, nengo_arguments(part, parameters)) for part in parts]:
        for name, value in args.items():
            setattr(part, name, value)


def _with_parameters(obj: Any, network: nengo.Network | None) -> list:
    """Ensembles and connections in an object of the network."""
    if not isinstance(obj, nengo.Network | nengo.Ensemble | nengo.Connection):
        raise TypeError(
            f"{obj} is a {type(obj).__name__}; only Networks, Ensembles and Connections can be "
            f"frozen"
        )
    known = [] if network is None else [network, *network.all_objects]
    if obj not in known:
        raise ValueError(f"{obj} is not in the Simulator's network")
    if not isinstance(obj, nengo.Network):
        return [obj]
    ensembles = [e for e in obj.all_ensembles if not isinstance(e.neuron_type, Direct)]
    return [*ensembles, *obj.all_connections]


def nengo_arguments(obj: Any, parameters: Parameters) -> dict[str, Any]:
    """Constructor arguments with which a Nengo object has its current parameters.

    Gains are those that the object was built with: training moves encoders, which then need no
    normalisation.

    Raises
    ------
    ValueError
        For objects that have no parameters.
    NotImplementedError
        For transforms that cannot be made from weights.
    """
    if isinstance(obj, Neurons):
        obj = obj.ensemble
    if isinstance(obj, nengo.Ensemble):
        return _ensemble_arguments(obj, parameters)
    if isinstance(obj, nengo.Connection):
        return _connection_arguments(obj, parameters)
    raise ValueError(
        f"{obj} is a {type(obj).__name__}; only Ensembles and Connections have parameters"
    )


def _ensemble_arguments(ens: nengo.Ensemble, parameters: Parameters) -> dict[str, Any]:
    if isinstance(ens.neuron_type, Direct):
        raise ValueError(f"{ens} is in Direct mode, and has no parameters")
    gain = np.asarray(parameters.model.params[ens].gain)
    scaled = _single(parameters.live(ens, "encoders"), ens)
    return {
        "encoders": scaled * ens.radius / gain[:, None],
        "normalize_encoders": False,
        "gain": gain,
        "bias": np.array(parameters.live(ens, "bias")),
        "max_rates": nengo.Ensemble.max_rates.default,
        "intercepts": nengo.Ensemble.intercepts.default,
    }


def _connection_arguments(conn: nengo.Connection, parameters: Parameters) -> dict[str, Any]:
    arguments = _weight_arguments(conn, parameters)
    taus = parameters.time_constants(conn)
    if taus is not None:
        if np.any(taus != taus[0]):
            raise ValidationError(
                f"{conn}: its dimensions have trained time constants that differ (from "
                f"{taus.min():g} to {taus.max():g} s), and a Nengo connection has one synapse. "
                f"Train one time constant (trainable_synapses=True), or connect each dimension by "
                f"a connection of its own",
                attr="synapse",
            )
        arguments["synapse"] = type(conn.synapse)(float(taus[0]))
    return arguments


def _weight_arguments(conn: nengo.Connection, parameters: Parameters) -> dict[str, Any]:
    weights = parameters.live(conn, "weights")
    if weights is None:
        return {"transform": None}
    transform = conn.transform
    if isinstance(transform, Sparse):
        return {"transform": _sparse(transform, conn, weights, parameters)}
    if isinstance(transform, Convolution | ConvolutionTranspose):
        twin = copy.copy(transform)
        type(twin).init.data[twin] = np.array(weights)
        return {"transform": twin}
    if not isinstance(transform, Dense | NoTransform):
        raise NotImplementedError(f"{conn}: cannot make a {type(transform).__name__} from weights")
    weights = _single(weights, conn)
    decoded = isinstance(conn.pre_obj, nengo.Ensemble) and not isinstance(
        conn.pre_obj.neuron_type, Direct
    )
    if decoded and not conn.solver.weights:
        size = weights.shape[0]
        return {
            "solver": NoSolver(weights.T, weights=False),
            "function": lambda x, size=size: np.zeros(size),
            "transform": None,
        }
    if decoded:
        return {"solver": FullWeights(weights.T, weights=True)}
    if weights.ndim == 0 or weights.size == 1 and weights.ndim < 2:
        weights = weights.reshape(())
    return {"transform": weights}


def _sparse(transform: Sparse, conn: Any, weights: Any, parameters: Parameters) -> Sparse:
    sig = parameters.model.sig[conn]["weights"]
    rows, columns, _ = coordinates(sig)
    indices = np.stack([rows, columns], axis=1)
    data = np.array(weights) if isinstance(weights, np.ndarray) else initial_of(sig)
    return Sparse(transform.shape, indices=indices, init=data)


def _single(value: np.ndarray, obj: Any) -> np.ndarray:
    """One set of values, where batch items may have learned different ones."""
    value = np.asarray(value)
    base = 2 if isinstance(obj, nengo.Ensemble) or value.ndim > 2 else value.ndim
    if value.ndim > base:
        warn(f"{obj} learned different parameters in each batch item; those of the first are used")
        return value[0]
    return value


def by_label(objects: Sequence[Any], params: Sequence[dict]) -> dict[str, dict]:
    """Arguments by label."""
    result = {}
    for obj, args in zip(objects, params, strict=True):
        label = obj.ensemble.label if isinstance(obj, Neurons) else obj.label
        if label in result:
            raise ValueError(
                f"Two objects have the label {label!r}; labels must differ for as_dict=True"
            )
        result[label] = args
    return result
