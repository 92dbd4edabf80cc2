"""`sim.data`: from Nengo objects to what was recorded, and to live parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from nengo.builder.connection import BuiltConnection
from nengo.builder.ensemble import BuiltEnsemble
from nengo.exceptions import ValidationError
from nengo.neurons import Direct

from .parameters import Parameters
from .types import Described


class SimulationData(Mapping):
    """Data of a simulation, by Nengo object; read only.

    - A Probe gives what it recorded in `run`, `run_steps` and `step`: array (steps, ...), or
      (batch, steps, ...) if the simulator was made with a `minibatch_size`.
    - An Ensemble gives a `BuiltEnsemble`, a Connection a `BuiltConnection`, both with the current
      values of what can be trained; a connection with a trained synapse also has ``tau`` [s].
    - Nodes, networks and learning rules give None.

    Parameters
    ----------
    params : dict
        What Nengo's builder stored for each object.
    parameters : Parameters
        Live values.
    recorded : callable
        `recorded(probe)` is the list of arrays (batch, steps, ...) recorded so far.

    Attributes
    ----------
    minibatched : bool
        Whether arrays keep their batch axis.
    raw : RawData
        As Nengo's: what probes recorded as lists of steps, from which steps can be deleted.
    """

    def __init__(
        self,
        params: Mapping,
        parameters: Parameters,
        recorded: Callable[[nengo.Probe], list[np.ndarray]],
    ) -> None:
        self._params = params
        self._parameters = parameters
        self._recorded = recorded
        self.minibatched = parameters.minibatched
        self.raw = RawData(params, self._rows)
        # number of arrays recorded, the last of them, and all as one
        self._cache: dict[nengo.Probe, tuple[int, np.ndarray, np.ndarray]] = {}

    def __getitem__(self, obj: Described) -> Any:
        if obj not in self._params:
            raise ValidationError(
                f"{obj!r} is not part of the simulated network", attr=str(obj), obj=self
            )
        if isinstance(obj, nengo.Probe):
            return self._probe(obj)
        if isinstance(obj, nengo.Ensemble):
            return self._ensemble(obj)
        if isinstance(obj, nengo.Connection):
            return self._connection(obj)
        return self._params[obj]

    def __contains__(self, obj: object) -> bool:
        return obj in self._params

    def __iter__(self) -> Iterator:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def get_params(self, *requests: tuple[Described, str]) -> list[np.ndarray | None]:
        """Live values of parameters.

        Parameters
        ----------
        *requests : (object, str)
            A Nengo object and "weights", "encoders", "scaled_encoders" or "bias".

        Returns
        -------
        list of array, each of the shape of its parameter
            Each in the shape that Nengo gives to such a parameter. After the simulator was closed,
            the values that it began with.
        """
        self._parameters.warn_if_closed()
        return [self._parameters.live(obj, attr) for obj, attr in requests]

    def _probe(self, probe: nengo.Probe) -> np.ndarray:
        parts = list(self._recorded(probe))
        if not parts:
            dtype = self._parameters.model.sig[probe]["in"].dtype
            shape = (*self._parameters.items, 0)  # as Nengo's
            return np.empty(shape, dtype).view(NothingRecorded)
        count, last, array = self._cache.get(probe, (0, None, None))
        # deleting steps replaces parts, perhaps by as many
        if count != len(parts) or last is not parts[-1] or array is None:
            array = np.concatenate(parts, axis=1)
            array = array if self.minibatched else array[0]
            # it is given out again the next time
            array.setflags(write=False)
            self._cache[probe] = (len(parts), parts[-1], array)
        return array

    def _rows(self, probe: nengo.Probe) -> Rows:
        return Rows(self._recorded(probe), self.minibatched)

    def clear_cache(self) -> None:
        """Forget the arrays that were made for probes."""
        self._cache.clear()

    def _ensemble(self, ens: nengo.Ensemble) -> BuiltEnsemble:
        self._parameters.warn_if_closed()
        built = self._params[ens]
        scaled = self._parameters.live(ens, "encoders")
        if isinstance(ens.neuron_type, Direct):
            return BuiltEnsemble(built.eval_points, scaled, None, None, scaled, None, None)
        bias = self._parameters.live(ens, "bias")
        if np.array_equal(scaled, built.scaled_encoders) and np.array_equal(bias, built.bias):
            return built  # to the last bit
        gain = _live_gain(scaled, built, ens.radius)
        encoders = ens.radius * scaled / gain[..., None]
        max_rates, intercepts = ens.neuron_type.max_rates_intercepts(gain, bias)
        return BuiltEnsemble(
            eval_points=built.eval_points,
            encoders=encoders,
            intercepts=intercepts,
            max_rates=max_rates,
            scaled_encoders=scaled,
            gain=gain,
            bias=bias,
        )

    def _connection(self, conn: nengo.Connection) -> BuiltConnection:
        self._parameters.warn_if_closed()
        built = self._params[conn]
        weights = self._parameters.live(conn, "weights")
        values = built.eval_points, built.solver_info, weights, built.transform
        taus = self._parameters.time_constants(conn)
        return BuiltConnection(*values) if taus is None else FilteredConnection(*values, tau=taus)


class RawData(Mapping):
    """`sim.data.raw`: for a Probe its `Rows`, else what Nengo's builder stored.

    Parameters
    ----------
    params : dict
        What Nengo's builder stored for each object.
    rows : callable
        `rows(probe)` gives the `Rows` of a probe.
    """

    def __init__(self, params: Mapping, rows: Callable[[nengo.Probe], Rows]) -> None:
        self._params, self._rows = params, rows

    def __getitem__(self, obj: Described) -> Any:
        stored = self._params[obj]
        return self._rows(obj) if isinstance(obj, nengo.Probe) else stored

    def __iter__(self) -> Iterator:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


class Rows(Sequence):
    """What a probe recorded, step by step, as the lists of `nengo.Simulator` show it.

    Steps can be deleted, so that a simulation without end, as in nengo_gui, does not fill the
    memory. Another thread than that of the simulation may do so.

    Parameters
    ----------
    parts : list of array (B, steps, ...)
        What was recorded; it is changed.
    minibatched : bool
        Whether a step has an axis of items.
    """

    def __init__(self, parts: list[np.ndarray], minibatched: bool) -> None:
        self._parts, self._minibatched = parts, minibatched

    def __len__(self) -> int:
        return sum(part.shape[1] for part in list(self._parts))

    def __getitem__(self, index: int | slice | np.ndarray) -> Any:
        parts = list(self._parts)
        array = np.concatenate(parts, axis=1) if parts else np.empty((1, 0))
        steps = np.swapaxes(array, 0, 1) if self._minibatched else array[0]
        return list(steps[index]) if isinstance(index, slice) else steps[index]

    def __delitem__(self, index: int | slice | np.ndarray) -> None:
        parts = list(self._parts)
        kept = [np.delete(np.concatenate(parts, axis=1), index, axis=1)] if parts else []
        # what was recorded meanwhile stays
        self._parts[: len(parts)] = [part for part in kept if part.shape[1]]


class NothingRecorded(np.ndarray):
    """What a probe shows before it has recorded anything: no steps; equal to an empty list."""

    def __eq__(self, other: object) -> Any:
        return True if isinstance(other, list) and not other else super().__eq__(other)

    def __ne__(self, other: object) -> Any:
        return False if isinstance(other, list) and not other else super().__ne__(other)

    __hash__ = None


class FilteredConnection(BuiltConnection):
    """A connection whose time constants are trained.

    Attributes
    ----------
    tau : array (1,) or (dimensions,)
        Time constants [s].
    """

    def __new__(cls, *values: Any, tau: np.ndarray) -> FilteredConnection:
        """Make one of the fields of a `BuiltConnection`, in order."""
        made = super().__new__(cls, *values)
        made.tau = tau
        return made


def _live_gain(scaled: np.ndarray, built: BuiltEnsemble, radius: float) -> np.ndarray:
    """Training moves scaled encoders; what of that is gain is their length.

    Encoders keep the length they were built with, and gains the sign.
    """
    length = np.linalg.norm(scaled, axis=-1)
    before = np.linalg.norm(built.encoders, axis=-1)
    gain = np.divide(radius * length, before, out=np.array(length), where=before > 0)
    gain = np.copysign(gain, built.gain)
    return np.where(gain == 0, built.gain, gain)
