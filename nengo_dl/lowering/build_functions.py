"""Nengo's build functions, with parts that take less time for each object and do the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
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
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import ArrayLike, DTypeLike

from .decoders import Decoders

BuildFunction = Callable[..., Any]  # (model, object, ...), as Nengo's builder calls it
FILTERS = (Lowpass, Alpha, LinearFilter)  # exact types; they are frozen


class _NoSeed(ISeedSequence):
    """What a generator begins with that is seeded next; looking for entropy takes long."""

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> np.ndarray:
        return np.ones(n_words, dtype)


class _AnyRandomState(type):
    def __instancecheck__(cls, obj: object) -> bool:
        return isinstance(obj, np.random.RandomState)


class RandomState(np.random.RandomState, metaclass=_AnyRandomState):
    """NumPy's, with the same numbers; it is made, and shuffles columns, in a fraction of the time.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.MT19937(_NoSeed()))  # type: ignore[arg-type]
        self.seed(seed)

    def shuffle(self, x: ArrayLike) -> None:
        """Shuffle in place; a column as the vector that it is."""
        if isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] == 1:
            x = x[:, 0]
        super().shuffle(x)


class Filters:
    """Builds synapses; their initial state is found once for each synapse and shape."""

    def __init__(self) -> None:
        self._states: dict[Hashable, tuple[LinearFilter, dict[str, np.ndarray]]] = {}

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
        sig_out = Signal(shape=sig_in.shape, name=f"{sig_in.name}.{process}")
        initial = self._state(process, sig_out, model.dt)
        state = {name: Signal(value.copy()) for name, value in initial.items()}
        model.sig[process].update({"_state_" + name: sig for name, sig in state.items()})
        model.add_op(
            processes.SimProcess(
                process, sig_in, sig_out, model.time, mode=mode, state=state, tag=str(process)
            )
        )
        return sig_out

    def _state(self, synapse: LinearFilter, sig: Signal, dt: float) -> dict[str, np.ndarray]:
        key = id(synapse), sig.shape, sig.dtype
        if key not in self._states:
            state = synapse.make_state(sig.shape, sig.shape, dt, dtype=sig.dtype)
            self._states[key] = synapse, state  # while it is there, nothing else has its id
        return self._states[key][1]


def build_functions() -> dict[BuildFunction, BuildFunction]:
    """What to call in the place of each of Nengo's own functions, in one build."""
    parts = {
        **vars(np),
        "random": SimpleNamespace(**{**vars(np.random), "RandomState": RandomState}),
    }
    numpy = SimpleNamespace(**parts)
    return {
        ensemble.build_ensemble: _finding(ensemble.build_ensemble, np=numpy),
        neurons.build_neurons: _finding(neurons.build_neurons, np=numpy),
        connection.build_connection: _finding(connection.build_connection, np=numpy),
        transforms.build_no_transform: _finding(transforms.build_no_transform, Dense=cache(Dense)),
        connection.build_solver: Decoders().build,
        processes.build_process: Filters().build,
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
