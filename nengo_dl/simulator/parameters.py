"""Live parameters: reading them, and turning them into Nengo's own arguments (`freeze_params`)."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, overload

import nengo
import numpy as np
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.signal import Signal as NengoSignal
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.neurons import Direct
from nengo.solvers import NoSolver
from nengo.transforms import Convolution, ConvolutionTranspose, Dense, NoTransform, Sparse

from ..compiler.ir import Block, Role
from ..lowering.memory import coordinates, initial_of, positions
from ..lowering.time_constants import LEAST_TAU, TimeConstant
from ..session.compilation import Compilation
from ..utils import warn
from .types import Freezable, Parametrized

#: Keyword arguments of a Nengo object's constructor.
Arguments: TypeAlias = dict[str, Any]


class Parameters:
    """Values of encoders, biases and weights.

    Parameters
    ----------
    model : nengo.builder.Model
    compiled : Compilation
        Knows where signals are.
    read : callable
        `read(block)` gives the live values (1 or B, size) of a block; None after the simulator was
        closed.
    minibatched : bool
        Whether values that differ by batch item keep their batch axis.

    Attributes
    ----------
    items : tuple of int
        The batch axis of recorded data; empty if they have none.
    """

    def __init__(
        self,
        model: Model,
        compiled: Compilation,
        read: Callable[[Block], np.ndarray | None],
        minibatched: bool,
    ) -> None:
        self.model, self.minibatched = model, minibatched
        self._where, self._places = compiled.lowered.where, compiled.places
        self._time_constants: dict[object, TimeConstant] = compiled.lowered.time_constants
        self._read = read
        self.items = (compiled.batch,) if minibatched else ()
        self.readable = compiled.lowered.readable

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Read every array once for all objects that share it; nothing changes meanwhile."""
        read = self._read
        self._read = functools.cache(read)
        try:
            yield
        finally:
            self._read = read

    def warn_if_closed(self) -> None:
        """Warn if values are not live any more."""
        if self.closed:
            warn("The simulator is closed: parameters have the values that they were built with")

    # An ensemble has always encoders and biases; there are connections without weights.
    @overload
    def live(
        self, obj: nengo.Ensemble, attr: Literal["encoders", "scaled_encoders", "bias"]
    ) -> np.ndarray: ...

    @overload
    def live(self, obj: NengoObject | Neurons, attr: str) -> np.ndarray | None: ...

    def live(self, obj: NengoObject | Neurons, attr: str) -> np.ndarray | None:
        """Current value of "weights", "encoders" or "bias" of an object; None if it has none."""
        attr = "encoders" if attr == "scaled_encoders" else attr
        if attr == "bias" and isinstance(obj, nengo.Ensemble):
            obj = obj.neurons
        sig = self.signal(obj, attr)
        return None if sig is None else self.value(sig)

    @overload
    def single(self, obj: nengo.Ensemble, attr: Literal["encoders"]) -> np.ndarray: ...

    @overload
    def single(self, obj: NengoObject | Neurons, attr: str) -> np.ndarray | None: ...

    def single(self, obj: NengoObject | Neurons, attr: str) -> np.ndarray | None:
        """As `live`, of the first batch item where each has learned values of its own."""
        sig = self.signal(obj, attr)
        if sig is None:
            return None
        value = self.value(sig)
        if not (self.minibatched and self._is_learned(sig)):
            return value
        if not np.array_equal(value, np.broadcast_to(value[:1], value.shape)):
            name = self.readable(str(obj))
            warn(f"{name} learned different {attr} in each batch item; those of the first are used")
        return value[0]

    def signal(self, obj: NengoObject | Neurons, attr: str) -> NengoSignal | None:
        """Nengo's signal of an attribute of an object; None if there is none."""
        return self.model.sig[obj].get(attr) if obj in self.model.sig else None

    def _is_learned(self, sig: NengoSignal) -> bool:
        source = self._where.get(sig.base)
        return source is not None and source.role is Role.ADAPTED and not self.closed

    @property
    def closed(self) -> bool:
        """Whether values are not live any more."""
        blocks = (b for b, _ in self._places.values() if b.role in (Role.PARAMETER, Role.ADAPTED))
        block = next(blocks, None)
        return block is not None and self._read(block) is None

    def is_changed(self, ens: nengo.Ensemble) -> bool:
        """Whether encoders or biases of an ensemble are not those that it was built with."""
        signals = [self.model.sig[ens]["encoders"], self.model.sig[ens.neurons]["bias"]]
        return any(np.any(self.value(sig) != sig.initial_value) for sig in signals)

    def time_constants(self, conn: nengo.Connection) -> np.ndarray | None:
        """Trained time constants [s]: one, or one for each dimension; None if it has none."""
        constant = self._time_constants.get(conn)
        if constant is None:
            return None
        log_tau = np.asarray(self.value(constant.sig))
        if np.array_equal(log_tau, constant.sig.initial_value):
            return np.full(log_tau.shape, constant.synapse.tau)  # to the last bit
        return np.maximum(np.exp(log_tau), LEAST_TAU * self.model.dt)

    def synapse(self, conn: nengo.Connection, tau: float) -> nengo.synapses.Synapse:
        """The filter of a connection with trained time constants, if all are `tau` [s]."""
        return type(self._time_constants[conn].synapse)(tau)

    def value(self, sig: NengoSignal) -> np.ndarray:
        """Current value of a signal of Nengo's."""
        source = self._where.get(sig.base)
        if source is None or source.role not in (Role.PARAMETER, Role.ADAPTED):
            return sig.initial_value
        block, offset = self._places[source]
        array = self._read(block)
        if array is None:
            return sig.initial_value
        shape = initial_of(sig).shape or (1,)
        flat = array[:, offset : offset + source.size]
        index = positions(sig)
        value = (flat if index is None else flat[:, index]).reshape(len(array), *shape)
        # only what learning rules change has a value for each item
        shared = block.role is not Role.ADAPTED or not self.minibatched
        return value[0] if shared else value


class FullWeights(NoSolver):
    """Weights (n_pre, n_post) between neurons as they are: no encoders are multiplied in."""

    compositional = False


def nengo_params(
    objs: Parametrized | Sequence[Parametrized], as_dict: bool, parameters: Parameters
) -> Arguments | list[Arguments] | dict[str, Arguments]:
    """See `Simulator.get_nengo_params`."""
    parameters.warn_if_closed()
    single = not isinstance(objs, list | tuple)
    objects = [objs] if single else list(objs)
    with parameters.at_once():
        params = [nengo_arguments(obj, parameters) for obj in objects]
    if as_dict:
        return by_label(objects, params)
    return params[0] if single else params


def freeze(objs: Freezable | Sequence[Freezable], parameters: Parameters) -> None:
    """See `Simulator.freeze_params`."""
    network = parameters.model.toplevel
    known = set() if network is None else {network, *network.all_objects}
    with parameters.at_once():
        parts = [
            part
            for obj in (objs if isinstance(objs, list | tuple) else [objs])
            for part in _with_parameters(obj, known, parameters)
        ]
        # all of them are read before any is written
        found = [(part, nengo_arguments(part, parameters)) for part in parts]
        found += _decoded_probes(parts, parameters)
        _warn_of_other_decoders(parts, parameters)
    for part, args in found:
        for name, value in args.items():
            setattr(part, name, value)


def _with_parameters(
    obj: Freezable, known: set[NengoObject | nengo.Network], parameters: Parameters
) -> list[nengo.Ensemble | nengo.Connection]:
    """Ensembles and connections in an object of the network."""
    if not isinstance(obj, nengo.Network | nengo.Ensemble | nengo.Connection):
        raise TypeError(
            f"{obj} is a {type(obj).__name__}; only Networks, Ensembles and Connections can be "
            f"frozen"
        )
    if obj not in known:
        raise ValueError(f"{obj} is not in the Simulator's network")
    if not isinstance(obj, nengo.Network):
        return [obj]
    ensembles = []
    for ens in obj.all_ensembles:
        if not isinstance(ens.neuron_type, Direct):
            ensembles.append(ens)
        elif not np.array_equal(parameters.live(ens, "encoders"), np.eye(ens.dimensions)):
            name = parameters.readable(str(ens))
            raise ValueError(
                f"{name} is in Direct mode, where Nengo knows no encoders, and its encoders were "
                f"trained; configure it to be not trainable"
            )
    return [*ensembles, *obj.all_connections]


def _decoded_probes(
    parts: Sequence[NengoObject], parameters: Parameters
) -> list[tuple[nengo.Probe, Arguments]]:
    """Probes that decode frozen ensembles, with arguments that keep their decoders.

    A simulator solves for them when it is built, and would do so for trained neurons; here they
    are as they were built, whatever training changed.
    """
    frozen = {ens for ens in parts if isinstance(ens, nengo.Ensemble)}
    model = parameters.model
    hidden = [obj for obj in model.params if isinstance(obj, nengo.Connection)]
    found = []
    for conn in hidden:
        if isinstance(conn.post_obj, nengo.Probe) and _is_decoded(conn) and conn.pre_obj in frozen:
            weights = parameters.value(parameters.signal(conn, "weights"))
            found.append((conn.post_obj, {"solver": NoSolver(np.transpose(weights))}))
    return found


def _warn_of_other_decoders(parts: Sequence[NengoObject], parameters: Parameters) -> None:
    """Warn of connections that are not frozen, but decode what is, and was trained."""
    frozen, network = set(parts), parameters.model.toplevel
    left = [
        conn
        for conn in ([] if network is None else network.all_connections)
        if conn not in frozen
        and _is_decoded(conn)
        and conn.pre_obj in frozen
        and not isinstance(conn.solver, NoSolver)
        and parameters.is_changed(conn.pre_obj)
    ]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        warn(
            f"{left[0]}{more} will be solved again for frozen ensembles that were trained, and "
            f"may decode something else; freeze the connections too, or the whole network"
        )


def _is_decoded(conn: nengo.Connection) -> bool:
    """Whether decoders are solved for."""
    ens = conn.pre_obj
    return isinstance(ens, nengo.Ensemble) and not isinstance(ens.neuron_type, Direct)


def nengo_arguments(obj: Parametrized, parameters: Parameters) -> Arguments:
    """Constructor arguments with which a Nengo object has its current parameters.

    The rule about gains: what is trained is the product of gain and encoder (divided by the
    radius), one vector for each neuron. Arguments keep the gain that the ensemble was built with,
    which also scales connections to its neurons, and put all that training changed into the
    encoders, which are then no longer of length one (`normalize_encoders=False`). A neuron that was
    built with a gain of 0 and has been trained gets a gain of 1.

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


def _ensemble_arguments(ens: nengo.Ensemble, parameters: Parameters) -> Arguments:
    if isinstance(ens.neuron_type, Direct):
        raise ValueError(
            f"{parameters.readable(str(ens))} is in Direct mode, and has no parameters"
        )
    built = parameters.model.params[ens]
    scaled = parameters.single(ens, "encoders")
    gain = _gain(ens, np.array(built.gain), scaled, parameters.model.toplevel)
    encoders = np.divide(
        scaled * ens.radius, gain[:, None], out=np.array(built.encoders), where=gain[:, None] != 0
    )
    return {
        "encoders": encoders,
        "normalize_encoders": False,
        "gain": gain,
        "bias": np.array(parameters.live(ens, "bias")),
        "max_rates": nengo.Ensemble.max_rates.default,
        "intercepts": nengo.Ensemble.intercepts.default,
    }


def _gain(
    ens: nengo.Ensemble, gain: np.ndarray, scaled: np.ndarray, network: nengo.Network | None
) -> np.ndarray:
    """The gains that an ensemble was built with, but none of 0 where encoders are not."""
    wrong = (gain == 0) & np.any(scaled != 0, axis=-1)
    if not wrong.any():
        return gain
    connections = [] if network is None else network.all_connections
    if any(conn.post_obj == ens.neurons for conn in connections):
        raise ValueError(
            f"{ens} has neurons with a gain of 0 whose encoders were trained, and connections to "
            f"its neurons, which need that gain; no arguments give both"
        )
    return np.where(wrong, 1, gain)


def _connection_arguments(conn: nengo.Connection, parameters: Parameters) -> Arguments:
    arguments = _weight_arguments(conn, parameters)
    taus = parameters.time_constants(conn)
    if taus is not None:
        if np.any(taus != taus[0]):
            name = parameters.readable(str(conn))
            raise ValidationError(
                f"{name}: its dimensions have trained time constants that differ (from "
                f"{taus.min():g} to {taus.max():g} s), and a Nengo connection has one synapse. "
                f"Train one time constant (trainable_synapses=True), or connect each dimension by "
                f"a connection of its own",
                attr="synapse",
            )
        arguments["synapse"] = parameters.synapse(conn, float(taus[0]))
    return arguments


def _weight_arguments(conn: nengo.Connection, parameters: Parameters) -> Arguments:
    transform = conn.transform
    if isinstance(transform, Sparse) and parameters.signal(conn, "weights") is not None:
        return {"transform": _sparse(transform, conn, parameters)}
    weights = parameters.single(conn, "weights")
    if weights is None:
        return {"transform": None}
    if isinstance(transform, Convolution | ConvolutionTranspose):
        twin = copy.copy(transform)
        type(twin).init.data[twin] = np.array(weights)
        return {"transform": twin}
    if not isinstance(transform, Dense | NoTransform):
        raise NotImplementedError(f"{conn}: cannot make a {type(transform).__name__} from weights")
    if _is_decoded(conn) and not conn.solver.weights:
        return {
            "solver": NoSolver(weights.T, weights=False),
            "function": functools.partial(_zeros, size=weights.shape[0]),
            "transform": None,
        }
    if _is_decoded(conn):
        return {"solver": FullWeights(weights.T, weights=True)}
    return {"transform": weights.reshape(()) if weights.shape == (1,) else weights}


def _zeros(x: object, size: int) -> np.ndarray:
    """A function of the right size that is never called; it can be pickled, as a network can."""
    return np.zeros(size)


def _sparse(transform: Sparse, conn: nengo.Connection, parameters: Parameters) -> Sparse:
    sig = parameters.signal(conn, "weights")
    rows, columns, _ = coordinates(sig)
    indices = np.stack([rows, columns], axis=1)
    values = parameters.single(conn, "weights")
    data = np.array(values) if isinstance(values, np.ndarray) else initial_of(sig)
    return Sparse(transform.shape, indices=indices, init=data)


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
