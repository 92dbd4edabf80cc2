"""What `fit` and `evaluate` call for each minibatch: a compiled function for each of its shapes.

The first number of steps that comes has a function of its own, and so has one that many minibatches
have. Others share functions that have room for more steps: only those that are there are
simulated, and losses, metrics and learning rules see nothing else.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import keras
import tensorflow as tf

from ....compiler import costs
from ....compiler.ir import Block
from ....utils import warn
from ..backend import Nested, check_finite
from ..gradients import traced
from ..strategy import Scope, Strategy
from .minibatch import Minibatch, Tensors, read
from .objective import Logs
from .padding import bucket
from .shared_steps import Stepping, step_function
from .targets import Measure, check_targets, class_checks, known_functions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is fixed in a compiled function.

    Attributes
    ----------
    room : int
        Steps that there is room for.
    masked : bool
        Whether `n_steps` says how many of them are simulated.
    carries_over : bool
        Whether calls go on from each other.
    names : tuple of (tuple of str or None)
        Of inputs, of targets, and of weights.
    specs : tuple of tf.TensorSpec
        Of all data, in the same order.
    still : frozenset of Block
        Inputs that have one row for all of several steps.
    spikes : bool
        Whether neurons do what they do in simulations, where they do not train.
    """

    room: int
    masked: bool
    carries_over: bool
    names: tuple[tuple[str, ...] | None, ...]
    specs: tuple[tf.TensorSpec, ...]
    still: frozenset[Block]
    spikes: bool

    def facts(self, blocks: Iterable[Block]) -> tuple[object, ...]:
        """The same as plain data."""
        specs = [(spec.shape.as_list(), spec.dtype.name) for spec in self.specs]
        still = [block in self.still for block in blocks]
        return self.room, self.masked, self.carries_over, self.names, specs, still, self.spikes


class Stepped(Stepping, Protocol):
    """What this asks of a `SimulationModel`, beside what it compiles.

    Attributes
    ----------
    expected_minibatches : int
        That the present call has; 0 if that is not known.
    testing : callable
        The context of a minibatch of `evaluate`, by its number.
    tested : int
        Minibatches of the present evaluation.
    steps_per_execution : int
        As of Keras.
    run_eagerly : bool
        As of Keras.
    distribute_strategy : tf.distribute.Strategy
        As of Keras.
    """

    expected_minibatches: int
    testing: Callable[[int], contextlib.AbstractContextManager]
    tested: int
    steps_per_execution: int
    run_eagerly: bool
    distribute_strategy: tf.distribute.Strategy

    @property
    def loss_names(self) -> list[str]:
        """Names of the probes that have a loss, in order."""
        ...

    def measures(self) -> Mapping[str, list[Measure]]:
        """The loss and the metrics of each probe, by name."""
        ...

    def can_share_lengths(self) -> bool:
        """Whether a function may simulate fewer steps than it has room for."""
        ...

    def strategy(self, training: bool) -> Strategy:
        """How a step of training, or of testing, runs."""
        ...

    def train_step(self, data: Nested) -> Logs:
        """Take a step of training."""
        ...

    def test_step(self, data: Nested) -> Logs:
        """Take a step of testing."""
        ...


class StepFunctions:
    """Functions of a model that take a step of training, or of testing.

    Parameters
    ----------
    model : SimulationModel
    training : bool

    Attributes
    ----------
    compile_count : int
        Functions compiled so far.
    """

    def __init__(self, model: Stepped, training: bool) -> None:
        self._model, self._training = model, training
        self._measured = known_functions(model.measures())
        self._class_checks = class_checks(model.measures(), model.simulation.plan)
        self._shares = model.can_share_lengths()
        self._functions: OrderedDict[Kind, Callable[..., Logs]] = OrderedDict()
        self._warned = False
        self.compile_count = 0

    def __call__(self, iterator: Iterator[Nested]) -> Logs | None:
        """Take the next minibatches of an iterator, and return the logs, as Keras expects."""
        logs = None
        for number in range(self._model.steps_per_execution):
            try:
                data = next(iterator)
            except StopIteration:
                if number == 0:
                    raise
                break
            logs = self._step(data) if self._training else self._test(data)
        return logs

    def _test(self, data: Nested) -> Logs:
        """Take a step of testing; items hear the same noise whatever the minibatch size."""
        model = self._model
        with model.testing(model.tested):
            model.tested += 1
            return self._step(data)

    def _step(self, data: Nested) -> Logs:
        """Take a step with one minibatch."""
        model, graph = self._model, self._model.simulation
        minibatch = read(data, model.loss_names, graph.plan)
        shapes = {name: tuple(y.shape) for name, y in (minibatch.y or {}).items()}
        check_targets(shapes, self._measured, graph.plan, minibatch.steps)
        self._check_items(minibatch.items)
        if graph.inputs_unknown:
            self._check_values(minibatch)
        if model.run_eagerly:
            still = self._still(minibatch, minibatch.steps)
            with graph.tracing(minibatch.steps, masked=False, still=still):
                return self._take(minibatch.x, minibatch.y, minibatch.weight)
        return self._compiled(minibatch)

    def _check_values(self, minibatch: Minibatch) -> None:
        """Raise ValidationError for inputs that are no numbers, and classes that do not exist."""
        for name in self._model.simulation.plan.inputs:
            check_finite(minibatch.x[name].numpy(), name)
        targets = minibatch.y or {}
        for name, check in self._class_checks.items():
            if name in targets:
                check(targets[name].numpy())

    def _compiled(self, minibatch: Minibatch) -> Logs:
        """Take a step with a function that was compiled for it, now or before."""
        exact = self._kind(minibatch, minibatch.steps, masked=False)
        # a function of exactly so many steps computes nothing in vain
        if exact not in self._functions and self._is_shared(minibatch.steps):
            room = bucket(minibatch.steps, self._model.simulation.plan.unroll)
            kind = self._kind(minibatch.with_room(room), room, masked=True)
            fits = not self._is_divided(room, kind.still)
            if fits and (kind in self._functions or self._can_compile(kind)):
                return self._call(kind, minibatch.with_room(room))
        if exact not in self._functions:
            self._compile(exact)
        return self._call(exact, minibatch)

    def _is_shared(self, steps: int) -> bool:
        """Whether to simulate so many steps by a function that has room for more."""
        others = {k.room for k in self._functions if not k.masked} - {steps}
        few = self._model.expected_minibatches < costs.current().own_function_minibatches
        return self._shares and bool(others) and few

    def _is_divided(self, room: int, still: frozenset[Block]) -> bool:
        """Whether gradients compute chunks of so many steps again: all of them are simulated."""
        model = self._model
        with model.simulation.tracing(room, masked=False, still=still):
            return self._training and model.strategy(True).checkpoint_steps is not None

    def _can_compile(self, kind: Kind) -> bool:
        """Compile, unless losses and metrics need a number of steps that is known."""
        try:
            self._compile(kind)
        except (TypeError, ValueError) as error:
            logger.info("Each number of steps is compiled by itself: %s", error)
            self._shares = False
        return self._shares

    def _compile(self, kind: Kind) -> None:
        model, graph = self._model, self._model.simulation

        def run(*tensors: tf.Tensor) -> Logs:
            self.compile_count += 1  # this is Python: it runs once per trace
            return self._take(*_structured(kind.names, tensors))

        with graph.tracing(kind.room, kind.masked, kind.still):
            how = model.strategy(self._training)
            jit = True if how.scope is Scope.CALL else None
            function = tf.function(run, jit_compile=jit, autograph=False)
            make = partial(traced, partial(function.get_concrete_function, *kind.specs))
            arguments = kind.facts(graph.plan.inputs.values())
            made = step_function(model, how, self._training, arguments, make)
            self._functions[kind] = made
        while len(self._functions) > costs.current().kept_functions:
            self._functions.popitem(last=False)

    def _call(self, kind: Kind, minibatch: Minibatch) -> Logs:
        self._functions.move_to_end(kind)
        return self._functions[kind](*_flat(minibatch))

    def _take(self, x: Tensors, y: Tensors | None, weight: Tensors | None) -> Logs:
        model = self._model
        step = model.train_step if self._training else model.test_step
        if model.simulation.replicas.strategy is None:
            return step((x, y, weight))
        return model.distribute_strategy.run(step, args=((x, y, weight),))

    def _kind(self, minibatch: Minibatch, room: int, masked: bool) -> Kind:
        parts = minibatch.x, minibatch.y, minibatch.weight
        names = tuple(None if part is None else tuple(part) for part in parts)
        specs = [tf.TensorSpec(t.shape, t.dtype) for t in minibatch.x.values()]
        for part in parts[1:]:
            specs += [_spec(t, masked) for t in (part or {}).values()]
        graph = self._model.simulation
        still = self._still(minibatch, room)
        return Kind(
            room=room,
            masked=masked,
            carries_over=graph.carries_over,
            names=names,
            specs=tuple(specs),
            still=still,
            spikes=graph.spikes,
        )

    def _still(self, minibatch: Minibatch, room: int) -> frozenset[Block]:
        """Inputs that have one row for all steps, if these are enough to make use of it."""
        graph = self._model.simulation
        enough = room >= graph.costs.still_steps
        return minibatch.still(graph.plan) if enough else frozenset()

    def _check_items(self, items: int) -> None:
        """Warn of layers that see items which are not there."""
        graph = self._model.simulation
        if self._warned or graph.plan.batch % items == 0 or not graph.trains(self._training):
            return
        self._warned = True
        names = [layer.name for layer in _normalizing(graph.user_layers)]
        if names:
            warn(
                f"A minibatch has {items} of {graph.plan.batch} items, and copies of them in the "
                f"place of the others, which {', '.join(map(repr, names))} sees too: its "
                f"statistics are not exact. Give a multiple of the minibatch size"
            )


def _flat(minibatch: Minibatch) -> list[tf.Tensor]:
    parts = minibatch.x, minibatch.y or {}, minibatch.weight or {}
    return [tensor for part in parts for tensor in part.values()]


def _structured(names: Sequence[Sequence[str] | None], tensors: Sequence[tf.Tensor]) -> list:
    left = iter(tensors)
    return [None if part is None else {name: next(left) for name in part} for part in names]


def _spec(tensor: tf.Tensor, masked: bool) -> tf.TensorSpec:
    """The shape of targets or weights; if steps are masked, without their number."""
    shape = list(tensor.shape)
    if masked and len(shape) > 1:
        shape[1] = None
    return tf.TensorSpec(shape, tensor.dtype)


def _normalizing(layers: Sequence[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Layers that take statistics over a minibatch."""
    found = []
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            found.append(layer)
        found += _normalizing(getattr(layer, "layers", ()))
    return found
