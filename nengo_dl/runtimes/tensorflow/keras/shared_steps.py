"""Steps of training and testing that models share if they differ in nothing but variables.

What is known to depend on nothing else: losses, metrics and optimizers that Keras or this package
defines.  The user's own may be anything, so models that have some share nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Protocol

import keras

from ..calls import Function, with_captured
from ..description import Description, is_own
from ..shared_functions import SHARED, Holding, can_share, describe_simulation, holding_of
from ..strategy import Strategy
from .layer import TensorGraph
from .objective import Objective

UNWRITTEN = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern", "inner_optimizer")
STEPS = frozenset({"train_step", "test_step", "compute_loss", "compute_metrics", "call"})
WRAPPED = frozenset({"build", "quantize"})  # methods that Keras replaces in each layer


class Stepping(Protocol):
    """What this asks of a `SimulationModel`; see there, and Keras."""

    objective: Objective | None
    optimizer: keras.optimizers.Optimizer
    dtype_policy: keras.DTypePolicy
    losses: list
    trainable_weights: list[keras.Variable]

    @property
    def simulation(self) -> TensorGraph:
        """The layer."""
        ...

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """All of them."""
        ...


class _UnknownError(Exception):
    """Something is the user's."""


def step_function(
    model: Stepping,
    how: Strategy,
    training: bool,
    arguments: tuple[object, ...],
    make: Callable[[], Function],
) -> Callable:
    """A function that takes a step with the variables of a model.

    Parameters
    ----------
    model : Stepping
    how : Strategy
    training : bool
        Whether the step trains, or tests.
    arguments : tuple
        What the function is called with: names, shapes, types.
    make : callable
        Makes the function, if there is none.
    """
    graph = model.simulation
    if not can_share(graph, how):
        return make()
    holding = _holding(model, how, training)
    description = _description(model, how, training, holding, arguments)
    return with_captured(*SHARED.get(description, holding, make, graph.costs))


def _holding(model: Stepping, how: Strategy, training: bool) -> Holding:
    """What a model has: all that its layer has, metrics, state, and the optimizer's variables."""
    layer = holding_of(model.simulation, how)
    variables = [v for metric in model.metrics for v in metric.variables]
    if training:
        variables += model.optimizer.variables
    handles = [variable.value.handle for variable in variables]
    elements = sum(variable.shape.num_elements() for variable in variables)
    state = [variable.handle for variable in model.simulation.state_variables]
    return Holding(
        tensors=[*layer.tensors, *handles, *state],
        given=layer.given,
        elements=layer.elements + elements,
    )


def _description(
    model: Stepping,
    how: Strategy,
    training: bool,
    holding: Holding,
    arguments: tuple[object, ...],
) -> Description | None:
    """All that a step depends on besides variables; None if some of it is the user's."""
    graph = model.simulation
    if graph.draws(training) or graph.user_layers or STEPS & vars(model).keys() or model.losses:
        return None
    if not is_own(type(model)) or graph.activity_regularizer is not None:
        return None
    trained = model.trainable_weights
    if any(v.constraint or v.regularizer or v.overwrite_with_gradient for v in trained):
        return None
    places = {id(tensor): place for place, tensor in enumerate(holding.tensors)}
    try:
        _check_own(graph)
        measured = _measured(model)
        optimized = _optimized(model.optimizer, places) if training else None
    except _UnknownError:
        return None
    names = list(graph.plan.inputs.items()), list(graph.plan.outputs.items())
    facts = training, len(holding.tensors), graph.mode, str(model.dtype_policy.name), names
    trained_places = [places[id(v.value.handle)] for v in trained]
    return describe_simulation(graph, how, facts, trained_places, measured, optimized, arguments)


def _measured(model: Stepping) -> list[object]:
    """Losses with their weights, and metrics, by name."""
    objective = model.objective
    if objective is None:
        raise _UnknownError
    losses = [(k, objective.weights[k], _thing(loss)) for k, loss in objective.losses.items()]
    metrics = [(m.key, m.probe, m.weighted, _thing(m.metric)) for m in objective.metrics]
    own = {
        id(metric)
        for metric in (*objective.trackers.values(), *(m.metric for m in objective.metrics))
    }
    others = [(m.name, _thing(m)) for m in model.metrics if id(m) not in own]
    return [losses, metrics, others]


def _optimized(optimizer: keras.optimizers.Optimizer, places: dict[int, int]) -> list[object]:
    """An optimizer, without its rate of learning if that is a variable."""
    _check_own(optimizer)
    rate = getattr(optimizer, "_learning_rate", None)
    is_variable = isinstance(rate, keras.Variable)
    if rate is not None and not is_variable:
        _check_own(rate)
    config = _config(optimizer, "learning_rate" if is_variable else "")
    # which of its variables belong to which parameters, and what else its configuration lacks
    order = [places[id(v.value.handle)] for v in optimizer._trainable_variables]
    if any(getattr(optimizer, name, None) for name in UNWRITTEN):
        raise _UnknownError
    return [type(optimizer), config, order]


def _thing(thing: object) -> tuple[object, ...]:
    """A loss or a metric: what it is, and how it was made."""
    if not hasattr(thing, "get_config"):
        return (_name(thing),)
    _check_own(thing)
    function = getattr(thing, "fn", getattr(thing, "_fn", None))
    wrapped = None if function is None else _name(function)
    # a configuration of a loss has no precision
    known = wrapped, getattr(thing, "_fn_kwargs", None), str(getattr(thing, "dtype", None))
    return type(thing), _config(thing), *known


def _config(thing: object, without: str = "") -> dict[str, object]:
    """How something of Keras's was made; its name, which may count such things, aside."""
    config: Mapping[str, object] = thing.get_config()  # type: ignore[attr-defined]  # it has one
    return {key: value for key, value in config.items() if key not in ("name", without)}


def _name(function: object) -> str:
    """The name of a function that is found under it."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    # neither a method of some object, nor a function that only looks like another one
    if not is_own(function) or getattr(sys.modules.get(module), name, None) is not function:
        raise _UnknownError
    return f"{module}.{name}"


def _check_own(thing: object) -> None:
    """Raise an error if a class, or a method of this one object, is the user's."""
    kind = type(thing)
    replaced = (n for n in vars(thing) if callable(getattr(kind, n, None)) and n not in WRAPPED)
    if not is_own(kind) or any(replaced):
        raise _UnknownError
