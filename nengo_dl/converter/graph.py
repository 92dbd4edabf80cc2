"""Reads the graph of calls that a Keras 3 model is; never changes the model.

A model is a set of calls of operations (nearly always layers) on symbolic tensors. Keras records
them on the tensors and operations; this module alone reads these records.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from ..utils import Tensor


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation.

    Attributes
    ----------
    layer : keras.Layer or Keras operation
    index : int
        How many calls of the same layer in the same graph came before.
    inputs, outputs : tuple of KerasTensor
        All tensors among the arguments, in order, and all tensors returned.
    arguments : object
        All arguments as they were given, with ``args`` and ``kwargs``.
    """

    layer: keras.Operation
    index: int
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    arguments: Any  # Keras's `SymbolicArguments`, which has no public name

    @property
    def is_plain(self) -> bool:
        """Whether nothing but tensors was given, so that the layer alone says what happens.

        What was given as `training` does not count: Keras's models overrule it.
        """
        kwargs = self.arguments.kwargs
        given = [*self.arguments.args, *(kwargs[k] for k in kwargs if k != "training")]
        return all(map(_is_tensors, given))

    def repeat(
        self, values: Callable[[keras.KerasTensor], Tensor], training: bool = False
    ) -> list[Tensor]:
        """Call the layer again, or another in its place.

        Parameters
        ----------
        values : callable
            Gives the value of each tensor among the arguments.
        training : bool
            Whether it is called in training.

        Returns
        -------
        list of tensor
        """
        return self.repeat_with(self.layer, values, training)

    def repeat_with(
        self,
        layer: keras.Operation,
        values: Callable[[keras.KerasTensor], Tensor],
        training: bool = False,
    ) -> list[Tensor]:
        """As `repeat`, with another layer in the place of the one that was called."""

        def replace(value: object) -> object:
            return values(value) if isinstance(value, keras.KerasTensor) else value

        args, kwargs = self.arguments.convert(replace)
        if "training" in inspect.signature(layer.call).parameters:
            kwargs["training"] = training
        return keras.tree.flatten(layer(*args, **kwargs))


def _is_tensors(value: object) -> bool:
    """Whether it is a tensor, none, or several of these; masks and switches may be left out."""
    if isinstance(value, list | tuple | dict):
        return all(map(_is_tensors, value.values() if isinstance(value, dict) else value))
    return isinstance(value, keras.KerasTensor) or value is None or value is False


class Graph:
    """The calls between some input tensors and some output tensors.

    Parameters
    ----------
    inputs, outputs : list of KerasTensor
    has_keys : bool
        Whether the inputs are given as a dict, whose keys say which is which.

    Attributes
    ----------
    calls : list of Call
        Those that the outputs depend on; each after those it depends on.
    """

    def __init__(
        self,
        inputs: Sequence[keras.KerasTensor],
        outputs: Sequence[keras.KerasTensor],
        has_keys: bool = False,
    ) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.has_keys = has_keys
        counts: dict[int, int] = {}
        self.calls: list[Call] = []
        self._calls: dict[tuple[int, int], Call] = {}
        for node in _sorted_nodes(self.inputs, self.outputs):
            layer = node.operation
            index = counts.get(id(layer), 0)
            counts[id(layer)] = index + 1
            call = Call(
                layer, index, tuple(node.input_tensors), tuple(node.outputs), node.arguments
            )
            self.calls.append(call)
            self._calls[id(layer), index] = call

    @classmethod
    def of(cls, model: keras.Model) -> Graph:
        """The graph of a functional or Sequential model."""
        return cls(model.inputs, model.outputs, isinstance(model.input, dict))

    def given(self, call: Call) -> list[keras.KerasTensor]:
        """The tensors that a call of the model gives, in the order of its inputs.

        Keras matches a dict by the names of inputs, unless the inputs were given as a dict too.
        """
        args, kwargs = call.arguments.args, call.arguments.kwargs
        value = args[0] if args else kwargs.get("inputs")
        # positions in a dict mean nothing to Keras: it looks for the names of the inputs
        if isinstance(value, dict) and not self.has_keys:
            return [value[tensor.name] for tensor in self.inputs]
        return list(call.inputs)

    def call(self, layer: keras.Operation, index: int) -> Call:
        """One of the calls of a layer."""
        return self._calls[id(layer), index]

    def calls_of(self, layer: keras.Operation) -> list[Call]:
        """All calls of a layer, in order."""
        return [call for call in self.calls if call.layer is layer]

    def readers(self, tensor: keras.KerasTensor) -> list[Call]:
        """The calls that a tensor is an argument of."""
        return [call for call in self.calls if any(t is tensor for t in call.inputs)]


def _node_of(tensor: keras.KerasTensor) -> Any:
    """What Keras recorded of the call that made a tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _sorted_nodes(
    inputs: Sequence[keras.KerasTensor], outputs: Sequence[keras.KerasTensor]
) -> list[Any]:
    """Depth first from the outputs; inputs that nothing reads come first."""
    given = {id(t) for t in inputs}
    found: dict[int, Any] = {}
    for tensor in inputs:
        node = _node_of(tensor)
        found[id(node)] = node
    # no recursion: models may be deeper than Python's stack
    stack = [(_node_of(t), False) for t in reversed(outputs) if id(t) not in given]
    while stack:
        node, is_ready = stack.pop()
        if id(node) in found:
            continue
        if is_ready:
            found[id(node)] = node
            continue
        stack.append((node, True))
        stack.extend((_node_of(t), False) for t in reversed(node.input_tensors))
    return list(found.values())


def is_model(layer: keras.Operation) -> bool:
    """Whether a layer is a model whose graph Keras knows, and which does nothing else."""
    if not isinstance(layer, keras.Sequential) and not (
        isinstance(layer, keras.Model) and hasattr(layer, "operations")
    ):
        return False
    # a `call` of the user's own may do more than its graph shows
    calls = (cls for cls in type(layer).__mro__ if "call" in vars(cls))
    return next(calls).__module__.startswith("keras.")


def compute(
    graph: Graph,
    values: Sequence[Tensor],
    graph_of: Callable[[keras.Operation], Graph | None],
    path: str = "",
) -> Iterator[tuple[str, Call, list[Tensor]]]:
    """What each call gives in inference, one after the other, those of nested models included.

    Parameters
    ----------
    graph : Graph
    values : list of array
        For each input, (B, ...).
    graph_of : callable
        Gives the graph of a nested model; None for what is computed as a whole.
    path : str
        Comes before the names of layers.

    Yields
    ------
    path : str
        Such as ``"model.0/dense.0"``.
    call : Call
    outputs : list of tensor (B, ...)
    """
    known = {id(t): v for t, v in zip(graph.inputs, values, strict=True)}
    left = _counts(graph)
    for call in graph.calls:
        name = f"{path}{call.layer.name}.{call.index}"
        if any(id(t) in known for t in call.outputs):  # an input
            yield name, call, [known[id(t)] for t in call.outputs]
            continue
        if (inner := graph_of(call.layer)) is not None:
            given = [known[id(t)] for t in inner.given(call)]
            results = yield from _inner(inner, given, graph_of, f"{name}/")
        else:
            results = call.repeat(lambda tensor: known[id(tensor)])
        known.update({id(t): v for t, v in zip(call.outputs, results, strict=True)})
        yield name, call, results
        # all activations of a large model at once could take more memory than there is
        _forget(call, known, left)


def _inner(
    graph: Graph,
    values: Sequence[Tensor],
    graph_of: Callable[[keras.Operation], Graph | None],
    path: str,
) -> Generator[tuple[str, Call, list[Tensor]], None, list[Tensor]]:
    """As `compute`; returns what the graph gives out."""
    outputs: dict[int, Tensor] = {}
    wanted = {id(t) for t in graph.outputs}
    for step in compute(graph, values, graph_of, path):
        found = zip(step[1].outputs, step[2], strict=True)
        outputs.update({id(t): v for t, v in found if id(t) in wanted})
        yield step
    return [outputs[id(t)] for t in graph.outputs]


def _counts(graph: Graph) -> dict[int, int]:
    """How often each tensor is still to be read."""
    counts: dict[int, int] = {}
    for call in graph.calls:
        for tensor in call.inputs:
            counts[id(tensor)] = counts.get(id(tensor), 0) + 1
    for tensor in graph.outputs:
        counts[id(tensor)] = counts.get(id(tensor), 0) + 1
    return counts


def _forget(call: Call, known: dict[int, Tensor], left: dict[int, int]) -> None:
    """Free what nothing will read."""
    for tensor in call.inputs:
        left[id(tensor)] -= 1
        if left[id(tensor)] == 0:
            del known[id(tensor)]
