"""Nengo's build functions, with parts that take less time for each object and do the same."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from nengo.builder import Builder, Model, connection, ensemble, neurons, processes, transforms
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.params import FrozenObject
from nengo.processes import Process
from nengo.synapses import Alpha, LinearFilter, Lowpass
from nengo.transforms import Dense

from .build_connections import BuildFunction, Connections
from .decoders import Decoders
from .random_states import RandomState
from .signals import Signals, view

FILTERS = (Lowpass, Alpha, LinearFilter)  # exact types; they are frozen


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of a synapse; while it is there, nothing else has its id.

    Attributes
    ----------
    synapse : LinearFilter
    text : str
        What it is as a str.
    signals : dict
        What the model holds of it.
    states : dict
        Its initial state, by the shape and type of what is filtered.
    """

    synapse: LinearFilter
    text: str
    signals: dict[str, Signal]
    states: dict[Hashable, dict[str, np.ndarray]] = field(default_factory=dict)


class Filters:
    """Builds synapses; their initial state is found once for each synapse and shape.

    Parameters
    ----------
    signals : Signals
        Makes the signals.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._known: dict[int, _Known] = {}

    def build(
        self,
        model: Model,
        process: Process,
        sig_in: Signal | None = None,
        sig_out: Signal | None = None,
        mode: str = "set",
    ) -> Signal:
        """Build what Nengo's function builds."""
        if type(process) not in FILTERS or sig_in is None or sig_out is not None:
            return processes.build_process(model, process, sig_in, sig_out, mode)
        known = self._known.get(id(process))
        if known is None:
            # to look something up by a frozen object takes long
            known = _Known(process, str(process), model.sig[process])
            self._known[id(process)] = known
        sig_out = self._signals(shape=sig_in.shape, name=f"{sig_in.name}.{known.text}")
        initial = _state(known, sig_out, model.dt)
        state = {name: view(value) for name, value in initial.items()}
        known.signals.update({"_state_" + name: sig for name, sig in state.items()})
        model.add_op(
            processes.SimProcess(
                process, sig_in, sig_out, model.time, mode=mode, state=state, tag=known.text
            )
        )
        return sig_out


def _state(known: _Known, sig: Signal, dt: float) -> dict[str, np.ndarray]:
    key = sig.shape, sig.dtype
    if key not in known.states:
        made = known.synapse.make_state(sig.shape, sig.shape, dt, dtype=sig.dtype)
        known.states[key] = {name: Signal(value).initial_value for name, value in made.items()}
    return known.states[key]


def build_functions() -> dict[BuildFunction, BuildFunction]:
    """What to call in the place of each of Nengo's own functions, in one build."""
    parts = {
        **vars(np),
        "random": SimpleNamespace(**{**vars(np.random), "RandomState": RandomState}),
    }
    numpy = SimpleNamespace(**parts)
    signals = Signals()
    found = {"np": numpy, "Signal": signals}
    others = _finding(connection.build_connection, **found)
    connections = Connections(signals, others)
    dense = connections.build_dense
    no_transform = transforms.build_no_transform
    return {
        ensemble.build_ensemble: _finding(ensemble.build_ensemble, **found),
        neurons.build_neurons: _finding(neurons.build_neurons, **found),
        connection.build_connection: connections.build,
        transforms.build_dense: dense,
        no_transform: _finding(no_transform, Dense=cache(Dense), build_dense=dense),
        connection.build_solver: Decoders().build,
        processes.build_process: Filters(signals).build,
    }


def _finding(function: FunctionType, **parts: object) -> BuildFunction:
    """The same function, which finds something else where it looks for some of its globals."""
    found = {**function.__globals__, **parts}
    name, defaults, closure = function.__name__, function.__defaults__, function.__closure__
    return FunctionType(function.__code__, found, name, defaults, closure)


class UncheckedModel(Model):
    """A model that is built without trying each operator: that is, with fail_fast off."""

    def add_op(self, op: Operator) -> None:
        """Add an operator."""
        self.operators.append(op)

    def build(self, obj: object, *args: object, **kwargs: object) -> Any:
        """Build an object; parts of others, which are frozen, count for no progress."""
        if isinstance(obj, FrozenObject):
            return self.builder.build(self, obj, *args, **kwargs)
        return super().build(obj, *args, **kwargs)


class NengoBuilder(Builder):
    """Nengo's builder, with build functions of our own that other simulators do not see.

    Attributes
    ----------
    own : dict of type
        Functions for types that only this package knows.
    """

    own: dict[type, BuildFunction] = {}

    def __init__(self) -> None:
        self._functions: dict[BuildFunction, BuildFunction] = {}
        self._found: dict[type, BuildFunction | None] = {}

    def build(self, model: Model, obj: object, *args: object, **kwargs: object) -> Any:
        """Build an object, with a function of ours if there is one."""
        if type(obj) not in self._found:
            self._found[type(obj)] = self._find(type(obj))
        function = self._found[type(obj)]
        # frozen objects may be built several times, and hashing them takes long
        if function is None or not isinstance(obj, FrozenObject) and model.has_built(obj):
            return Builder.build(model, obj, *args, **kwargs)
        return function(model, obj, *args, **kwargs)

    def _find(self, kind: type) -> BuildFunction | None:
        """Our function for a type; None if Nengo's, or the user's, is to be called."""
        if kind in self.own:
            return self.own[kind]
        if not self._functions:
            self._functions = build_functions()
        found = next((Builder.builders[c] for c in kind.__mro__ if c in Builder.builders), None)
        return None if found is None else self._functions.get(found)

    def forget(self) -> None:
        """Begin anew, without what is shared within a build."""
        self._functions.clear()
        self._found.clear()
