"""What a simulator knows that can be saved: named arrays, in parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import SimulationError

from ...compiler.ir import Block, Role, Signal
from ...runtimes.later import keras
from ...session.session import Session

if TYPE_CHECKING:
    from ...runtimes.tensorflow.keras.parameters import Stored

N_KEYS = 624  # of the Mersenne twister, of which all generators of Nengo's are
MOST_STEPS = 2**53  # more are not counted exactly by times, and nobody has taken them


@dataclass(frozen=True)
class Value:
    """An array to save; `per_item` if its first axis is the minibatch."""

    array: np.ndarray
    per_item: bool = False


Values = dict[str, Value]
Arrays = Mapping[str, np.ndarray]


class Part:
    """What is saved, and loaded, together; its name begins the names of its arrays."""

    name = ""

    def values(self, session: Session) -> Values:
        """All arrays, by name without that of the part."""
        raise NotImplementedError

    def assign(self, session: Session, arrays: Arrays, info: Mapping[str, Any]) -> None:
        """Take over arrays like those in `values`."""
        raise NotImplementedError

    def invalid(self, session: Session, arrays: Arrays) -> list[str]:
        """Names of arrays whose values cannot be."""
        return []


class NetworkParameters(Part):
    """Encoders, biases and weights."""

    name = "parameters"

    def values(self, session: Session) -> Values:
        """As of `Part`."""
        return {
            signal.name: Value(array, signal.role is Role.ADAPTED)
            for signal, array in session.graph.parameters.values().items()
        }

    def assign(self, session: Session, arrays: Arrays, info: Mapping[str, Any]) -> None:
        """As of `Part`."""
        graph = session.graph
        signals = [signal for stored in graph.parameters.stored for signal in stored.members]
        graph.assign_parameters({signal: arrays[signal.name] for signal in signals})


class LayerWeights(Part):
    """Weights of Keras layers in TensorNodes."""

    name = "layers"

    def values(self, session: Session) -> Values:
        """As of `Part`."""
        return {key: Value(_numpy(v)) for key, v in self.variables(session).items()}

    def assign(self, session: Session, arrays: Arrays, info: Mapping[str, Any]) -> None:
        """As of `Part`."""
        for key, variable in self.variables(session).items():
            variable.assign(arrays[key])

    def variables(self, session: Session) -> dict[str, Any]:
        """Weights by name; of a layer in several nodes, that of the first."""
        return {
            f"{node}[{i}]": variable
            for node, layer in _layers(session)
            for i, variable in enumerate(layer.weights)
        }


class State(Part):
    """What changes from step to step."""

    name = "state"

    def values(self, session: Session) -> Values:
        """As of `Part`."""
        found = {f"layer {key}": Value(_numpy(v)) for key, v in self._layers(session).items()}
        arrays = {block: np.asarray(tensor) for block, tensor in session.graph.state.items()}
        for signal, (name, block, start) in _state_signals(session).items():
            part = arrays[block][:, start : start + signal.size]
            found[name] = Value(part.reshape(-1, *signal.shape), per_item=True)
        for key, generators in self._generators(session).items():
            found[key] = Value(_packed(generators))
        for key, array in self._memory(session).items():
            found[key] = Value(array)
        return found

    def assign(self, session: Session, arrays: Arrays, info: Mapping[str, Any]) -> None:
        """As of `Part`."""
        session.seed = info["seed"]
        session.reset(parameters=False)  # processes begin anew, with this seed
        for key, variable in self._layers(session).items():
            variable.assign(arrays[f"layer {key}"])
        # the generators of the processes that the reset has made
        for key, generators in self._generators(session).items():
            for generator, packed in zip(generators, arrays[key], strict=True):
                _unpack(generator, packed)
        for key, array in self._memory(session).items():
            array[...] = arrays[key]
        state = {block: np.array(tensor) for block, tensor in session.graph.state.items()}
        for signal, (name, block, start) in _state_signals(session).items():
            state[block][:, start : start + signal.size] = arrays[name].reshape(-1, signal.size)
        with session.computing():
            tensors = {b: keras.ops.convert_to_tensor(x, x.dtype) for b, x in state.items()}
            session.restore((info["n_steps"], tensors))

    def invalid(self, session: Session, arrays: Arrays) -> list[str]:
        """As of `Part`: NumPy does not check what generators are given."""
        limits = np.array([N_KEYS, 1])  # of the position among the keys, and of a flag
        packed = {key: arrays[key] for key in self._generators(session)}
        return [
            key
            for key, rows in packed.items()
            if np.any(rows[:, N_KEYS:-2] > limits)
            or not np.all(np.isfinite(rows[:, -2:].copy().view(np.float64)))
        ]

    def _layers(self, session: Session) -> dict[str, Any]:
        """What layers keep besides weights: the seeds of their random numbers."""
        found = {}
        for node, layer in _layers(session):
            weights = {id(w) for w in layer.weights}
            others = [v for v in layer.variables if id(v) not in weights]
            found.update({f"{node}[{i}]": variable for i, variable in enumerate(others)})
        return found

    def _generators(self, session: Session) -> dict[str, Sequence[np.random.RandomState]]:
        found = {f"generators of input {i}": s.generators for i, s in _sources(session)}
        made = session.graph.steppers.generators(session.compiled.program.ops, session.batch)
        found.update({f"generators of operator {i}": g for i, g in enumerate(made)})
        found["generators of all other operators"] = session.generators.shared
        return {key: generators for key, generators in found.items() if generators}

    def _memory(self, session: Session) -> dict[str, np.ndarray]:
        return {
            f"memory {number} of input {i}": array
            for i, source in _sources(session)
            for number, array in enumerate(source.memory)
        }


class OptimizerState(Part):
    """What Keras's optimizer keeps: for each parameter by itself, and for all."""

    name = "optimizer"

    def values(self, session: Session) -> Values:
        """As of `Part`."""
        found: Values = {}
        for variable, keys, stored in self._kept(session):
            array = _numpy(variable)
            parts = [array] if stored is None else stored.split(array).values()
            found.update({k: Value(part) for k, part in zip(keys, parts, strict=True)})
        return found

    def assign(self, session: Session, arrays: Arrays, info: Mapping[str, Any]) -> None:
        """As of `Part`."""
        for variable, keys, stored in self._kept(session):
            if stored is None:
                (array,) = (arrays[key] for key in keys)
            else:
                values = {s: arrays[k] for s, k in zip(stored.members, keys, strict=True)}
                array = stored.join(values)
            variable.assign(array)

    def invalid(self, session: Session, arrays: Arrays) -> list[str]:
        """As of `Part`: what counts steps cannot be negative, nor near the end of its type."""
        counters = {key: array for key, array in arrays.items() if array.dtype.kind in "iu"}
        return [
            key
            for key, array in counters.items()
            if np.any(array < 0) or np.any(array > min(MOST_STEPS, np.iinfo(array.dtype).max // 2))
        ]

    def _kept(self, session: Session) -> Iterator[tuple[Any, list[str], Stored | None]]:
        """Variables of the optimizer, with names; with the parameters they are like, if any."""
        model = session.keras_model
        optimizer = getattr(model, "optimizer", None)
        if optimizer is None:
            raise SimulationError(
                "include_optimizer=True needs an optimizer; call Simulator.compile before"
            )
        # what it keeps is made when it first trains, which may be after loading
        if not optimizer.built:
            with session.computing():
                optimizer.build(model.trainable_variables)
        owners: dict[str, tuple[Any, list[str], Stored | None]] = {}
        for s in session.graph.parameters.stored:
            owners[_base(s.variable)] = (s.variable, [m.name for m in s.members], s)
        for key, variable in LayerWeights().variables(session).items():
            owners[_base(variable)] = (variable, [key], None)
        taken: set[str] = set()
        for variable in optimizer.variables:
            owner, slot = _owner(variable.name, owners)
            if owner is None or owner[0].shape != variable.shape:
                yield variable, [unique(variable.name, taken)], None
            else:
                yield variable, [unique(f"{n}:{slot}", taken) for n in owner[1]], owner[2]


def _layers(session: Session) -> list[tuple[str, Any]]:
    """Keras layers, each with the name of its node."""
    network, names = session.compiled.model.toplevel, session.compiled.lowered.names
    nodes = [] if network is None else network.all_nodes
    found: dict[int, str] = {}
    for node in nodes:
        found.setdefault(id(getattr(node, "tensor_func", None)), names[node])
    numbers = count()
    return [
        (found.get(id(layer)) or f"layer {next(numbers)}", layer)
        for layer in session.graph.user_layers
    ]


def _state_signals(session: Session) -> dict[Signal, tuple[str, Block, int]]:
    """Each state signal's name, block and place; in an order that no grouping changes."""
    state, places = session.graph.state, session.compiled.places
    known = [s for s in session.compiled.lowered.where.values() if places.get(s, (0,))[0] in state]
    others = [s for block in state for s in block.members]
    taken: set[str] = set()
    found = {}
    for signal in dict.fromkeys([*known, *others]):
        block, start = places[signal]
        found[signal] = (unique(_lasting(signal.name), taken), block, start)
    return found


def _lasting(name: str) -> str:
    """A signal's name without addresses, which differ from run to run."""
    return re.sub(r" \(unlabeled\)| at 0x[0-9a-fA-F]+", "", name)


def _sources(session: Session) -> Iterable[tuple[int, Any]]:
    return enumerate(session.sources.values())


def _base(variable: keras.Variable) -> str:
    """How Keras begins the name of what an optimizer keeps for a variable."""
    return variable.path.replace("/", "_")


def _owner(name: str, owners: Mapping[str, Any]) -> tuple[Any, str]:
    """What a variable of an optimizer belongs to, and what it is called there."""
    cuts = [i for i, letter in enumerate(name) if letter == "_"]
    # the longest that fits: names of parameters have underscores too
    found = next((i for i in reversed(cuts) if name[:i] in owners), None)
    return (None, name) if found is None else (owners[name[:found]], name[found + 1 :])


def unique(name: str, taken: set[str]) -> str:
    """The name, or with a number if it is taken; then it is."""
    unique = name
    numbers = count(1)
    while unique in taken:
        unique = f"{name}_{next(numbers)}"
    taken.add(unique)
    return unique


def _numpy(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def _packed(generators: Sequence[np.random.RandomState]) -> np.ndarray:
    """The state of generators: array (generators, N_KEYS + 4)."""
    rows = []
    for generator in generators:
        _, key, position, has_gauss, gauss = generator.get_state()
        rest = np.array([position, has_gauss], np.uint32)
        rows.append(np.concatenate([key, rest, np.array([gauss]).view(np.uint32)]))
    return np.array(rows)


def _unpack(generator: np.random.RandomState, packed: np.ndarray) -> None:
    position, has_gauss = (int(n) for n in packed[N_KEYS:-2])
    gauss = float(packed[-2:].copy().view(np.float64)[0])
    generator.set_state(("MT19937", packed[:N_KEYS], position, has_gauss, gauss))
