"""Compiled functions that simulators share if their networks differ in nothing but parameters.

Who makes one simulator after the other, for other seeds or in a notebook, waits for the compiler
once.  This is the store, and what chunks of time put there; `keras/shared_steps.py` has the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import keras
import tensorflow as tf

from ...compiler.costs import Costs, current
from ...compiler.ir import Block, Role
from ...kernels.registry import neuron_kernel
from .. import switches
from .calls import Compiled, Function, are_quick, device, is_watched, quick
from .description import Description, describe
from .keras.layer import TensorGraph
from .strategy import Strategy

EMBEDDED_ELEMENTS = 128  # of a constant; it is TensorFlow's own bound


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What belongs to those who call a function, each of whom has it in the same order.

    Attributes
    ----------
    tensors : list of tensor
        Handles of variables, and constants.
    given : list of tensor
        Those of them whose values the description leaves out, so that no function may contain them.
    elements : int
        Numbers that all of them have, which a function keeps alive.
    """

    tensors: list[tf.Tensor]
    given: list[tf.Tensor]
    elements: int

    def places(self, function: Function) -> tuple[int, ...] | None:
        """Where in `tensors` each is that a function captured; None if another might not fit."""
        known = {id(tensor): place for place, tensor in enumerate(self.tensors)}
        captured = [id(tensor) for tensor in function.captured_inputs]
        if not set(captured) <= known.keys() or not {id(t) for t in self.given} <= set(captured):
            return None
        return tuple(known[key] for key in captured)


@dataclass(frozen=True)
class _Shared:
    function: Function
    places: tuple[int, ...]
    elements: int


class SharedFunctions:
    """The functions that were used last."""

    def __init__(self) -> None:
        self._known: OrderedDict[Description, _Shared] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget them all; whoever uses one keeps it."""
        with self._lock:
            self._known.clear()

    def get(
        self,
        description: Description | None,
        holding: Holding,
        make: Callable[[], Function],
        costs: Costs,
    ) -> tuple[Function, Sequence[tf.Tensor] | None]:
        """A function, made only if there is none, and what it is to read.

        Parameters
        ----------
        description : tuple or None
            All that the function depends on; None if nobody else can use it.
        holding : Holding
            What the caller has.
        make : callable
            Makes the function.
        costs : Costs

        Returns
        -------
        function : tf.types.experimental.ConcreteFunction
        captured : list of tensor or None
            What takes the place of what the function captured; None if that is the caller's own.
        """
        if description is None or holding.elements > costs.shared_elements:
            return make(), None
        with self._lock:
            shared = self._known.get(description)
        if shared is None:
            function = make()
            places = holding.places(function)
            if places is None:
                return function, None
            shared = _Shared(function, places, holding.elements)
        with self._lock:
            self._known[description] = shared
            self._known.move_to_end(description)
            self._forget(costs)
        return shared.function, [holding.tensors[place] for place in shared.places]

    def _forget(self, costs: Costs) -> None:
        """Keep no more than is to be kept, beginning with those that were not used for longest."""
        elements = sum(shared.elements for shared in self._known.values())
        while len(self._known) > costs.shared_functions or elements > costs.shared_elements:
            _, shared = self._known.popitem(last=False)
            elements -= shared.elements


SHARED = SharedFunctions()


def chunk_function(
    graph: TensorGraph,
    how: Strategy,
    arguments: tuple[object, ...],
    make: Callable[[], Function],
) -> Compiled:
    """A function that simulates a chunk of time, for the parameters of a layer.

    Parameters
    ----------
    graph : TensorGraph
    how : Strategy
    arguments : tuple
        What the function is called with: blocks, shapes, types.
    make : callable
        Makes the function, if there is none.
    """
    if not can_share(graph, how):
        return quick(make())
    description = describe_simulation(graph, how, arguments)
    return quick(*SHARED.get(description, holding_of(graph, how), make, graph.costs))


def can_share(graph: TensorGraph, how: Strategy) -> bool:
    """Whether a function has nothing in it that belongs to one simulator, as Python does."""
    apart = any(g.traits.user_code or not g.traits.compiled for g in how.program.groups)
    alone = graph.replicas.strategy is None and not apart
    return switches.SHARED_FUNCTIONS and are_quick() and alone and not is_watched()


def holding_of(graph: TensorGraph, how: Strategy) -> Holding:
    """What a layer has: its parameters, and its constants."""
    handles = [stored.variable.value.handle for stored in graph.parameters.stored]
    read = how.program.read
    return Holding(
        tensors=[*handles, *graph.constants.values()],
        given=[graph.constants[block] for block in _large(graph) if block in read],
        elements=sum(block.size for block in graph.plan.program.layout.blocks),
    )


def describe_simulation(graph: TensorGraph, how: Strategy, *more: object) -> Description | None:
    """All that a simulation depends on, and `more`, but not parameters; None if it is unknown."""
    plan, costs = graph.plan, graph.costs
    numbers = plan.dt, plan.dtype, plan.batch, graph.trains(how.trains)
    variables = [
        (b, [(s.start, s.stop, s.rows) for s in graph.parameters.of(b)]) for b in graph.parameters
    ]
    settings = keras.config.floatx(), keras.config.epsilon(), device(), current()
    given = [*plan.program.layout.of(Role.PARAMETER, Role.ADAPTED, Role.STATE), *_large(graph)]
    signals = {signal for block in given for signal in block.members}
    neurons = {type(op.attrs["neurons"]) for op in how.program.ops if "neurons" in op.attrs}
    # by name, as a set has no order
    kernels = [neuron_kernel(kind) for kind in sorted(neurons, key=str)]
    facts = how, plan.program.layout, numbers, variables, settings, kernels
    return describe(*facts, *more, most=costs.shared_values, given=signals)


def _large(graph: TensorGraph) -> list[Block]:
    """Constants that TensorFlow gives to a function with each call: others become a part of it."""
    return [block for block in graph.constants if block.size > EMBEDDED_ELEMENTS]
