"""The Keras model around a simulation: losses and metrics belong to probes, by name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from nengo.exceptions import ValidationError

from .. import backend
from ..backend import Nested
from ..strategy import Purpose, Scope, Strategy
from .export import check_exportable, not_a_config
from .layer import TensorGraph
from .metrics import probe_metrics
from .minibatch import Data, Tensors, inputs_by_name, inputs_of_call, targets_by_name
from .objective import Logs, Objective
from .step_functions import StepFunctions
from .targets import Loss, Measure, check_classes, check_targets, class_checks, known_functions

# what a model has of a call of `fit` or `evaluate` that it is in
OF_CALLS: tuple[str, ...] = ("train_function", "test_function", "stop_training", "stop_evaluating")
OF_CALLS += ("history", "validating", "testing", "tested", "expected_minibatches")


Around = contextlib.AbstractContextManager
MinibatchFunction = Callable[..., Nested]  # of an iterator over minibatches, as Keras calls it
Weights: TypeAlias = Tensors | tf.Tensor | None  # of samples: by probe, or for all


class SimulationModel(keras.Model):
    """A functional Keras model; see `make_model`."""

    train_function: MinibatchFunction | None
    test_function: MinibatchFunction | None
    predict_function: MinibatchFunction | None
    objective: Objective | None = None
    inference_only = False
    jit_wanted: bool | str = "auto"
    expected_minibatches = 0  # that the present call has; 0 if that is not known
    validating: Callable[[], Around] = contextlib.nullcontext  # around each validation of `fit`
    testing: Callable[[int], Around] = (
        contextlib.nullcontext
    )  # around each minibatch, by its number
    tested: int = 0  # minibatches of the present evaluation
    at_present: Callable[[], Around] = contextlib.nullcontext  # calls begin from the present state

    @property
    def trainable_weights(self) -> list:
        """Weights that `fit` changes; none, not even those of Keras layers, if `inference_only`."""
        return [] if self.inference_only else super().trainable_weights

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs: the nodes in order, and `n_steps`."""
        return [*self.simulation.plan.inputs, "n_steps"]

    @property
    def loss_names(self) -> list[str]:
        """Names of the probes that have a loss, in order."""
        losses = self.objective.losses if self.objective is not None else {}
        return [name for name in self.simulation.plan.outputs if name in losses]

    def measures(self) -> dict[str, list]:
        """The loss and the metrics of each probe, by name."""
        found: dict[str, list] = {name: [] for name in self.simulation.plan.outputs}
        if self.objective is not None:
            for name, loss in self.objective.losses.items():
                found[name].append(loss)
            for entry in self.objective.metrics:
                found[entry.probe].append(entry.metric)
        return found

    def check_targets(self, y: Mapping[str, np.ndarray] | None, steps: int) -> None:
        """Raise ValidationError for targets that would be broadcast, or are no classes."""
        shapes = {name: array.shape for name, array in (y or {}).items()}
        check_targets(shapes, known_functions(self.measures()), self.simulation.plan, steps)
        check_classes(y or {}, self.measures(), self.simulation.plan)

    def compile_for_probes(
        self,
        losses: Mapping[str, Measure],
        loss_weights: Mapping[str, float],
        metrics: Mapping[str, Sequence[Measure]],
        weighted_metrics: Mapping[str, Sequence[Measure]],
        **kwargs: Any,
    ) -> None:
        """Compile with a loss and lists of metrics for each probe, by name.

        Without `jit_compile` among the arguments, XLA compiles what it can and makes faster.
        """
        objective, replicas = Objective(), self.simulation.replicas
        optimizer = kwargs.get("optimizer")
        if isinstance(optimizer, keras.optimizers.Optimizer):
            replicas.check_made_here(optimizer.variables, "the optimizer", "optimizer")
        for name, loss in losses.items():
            objective.losses[name] = keras.losses.get(loss)
            objective.weights[name] = loss_weights.get(name, 1.0)
            objective.trackers[name] = keras.metrics.Mean(name=f"{name}_loss")
        objective.metrics = probe_metrics(metrics, weighted_metrics)
        for entry in objective.metrics:
            what = f"the metric {entry.key!r}"
            replicas.check_made_here(entry.metric.variables, what, "metrics")
        self.objective = objective
        self.jit_wanted = kwargs.pop("jit_compile", "auto")
        kwargs["jit_compile"] = False  # until it is known what is to be compiled
        self.compile(**kwargs)

    def make_train_function(self, force: bool = False) -> MinibatchFunction:
        """Make what `fit` calls."""
        self.jit_compile = self.strategy(True).scope is Scope.CALL
        # replicas could not agree on it in their functions; others would be traced twice
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if self._is_keras_own():
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = StepFunctions(self, training=True)
        return self.train_function

    def make_test_function(self, force: bool = False) -> MinibatchFunction:
        """Make what `evaluate` calls."""
        self.jit_compile = self.strategy(False).scope is Scope.CALL
        if self.test_function is None or force:
            if self._is_keras_own():
                super().make_test_function(force)
                self.test_function = self._numbered(self.test_function)  # type: ignore[arg-type]  # Keras made it
            else:
                self.test_function = StepFunctions(self, training=False)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> MinibatchFunction:
        """Make what Keras's own `predict` calls."""
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._checking(self.predict_function)  # type: ignore[arg-type]  # Keras made it
        return self.predict_function

    def _checking(self, function: MinibatchFunction) -> MinibatchFunction:
        """Raise ValidationError for inputs that are no numbers, before they are part of a graph."""
        plan = self.simulation.plan

        def predict(minibatches: Sequence[Nested]) -> Nested:
            for data in minibatches:
                inputs_of_call(keras.utils.unpack_x_y_sample_weight(data)[0], plan)
            return function(minibatches)

        return predict

    def __call__(self, inputs: Data, *args: object, **kwargs: object) -> Tensors:
        """As of Keras; inputs without names are the nodes in order, and then `n_steps`."""
        return super().__call__(inputs_of_call(inputs, self.simulation.plan), *args, **kwargs)

    def _numbered(self, function: MinibatchFunction) -> MinibatchFunction:
        """Let minibatches hear the same noise whatever their size, as `StepFunctions` does."""

        def test(iterator: Iterator[Nested]) -> Nested:
            with self.testing(self.tested):
                self.tested += self.steps_per_execution
                return function(iterator)

        return test

    def _is_keras_own(self) -> bool:
        """Whether functions are Keras's: replicas read their data within one."""
        return self.simulation.replicas.several or self.objective is None

    def can_share_lengths(self) -> bool:
        """Whether a function may simulate fewer steps than it has room for."""
        plan = self.simulation.plan
        return self.jit_wanted is not True and plan.checkpoint_steps in (None, "auto")

    def evaluate(self, *args: object, **kwargs: object) -> Any:
        """As of Keras, whose `fit` validates by it: numbers or logs, as `return_dict` asks."""
        # so that each evaluation hears the same noise
        self.tested = 0
        with self.validating():
            return super().evaluate(*args, **kwargs)

    @contextlib.contextmanager
    def interrupted(self) -> Iterator[None]:
        """Let a callback of `fit` or `evaluate` call one of them, and go on as if it had not."""
        attributes = {name: getattr(self, name, None) for name in OF_CALLS}
        measured = [(v, tf.identity(v.value)) for m in self.metrics for v in m.variables]
        try:
            yield
        finally:
            for name, value in attributes.items():
                setattr(self, name, value)
            for variable, value in measured:
                variable.assign(value)

    def _maybe_symbolic_build(
        self, iterator: Iterator[Nested] | None = None, data_batch: Nested = None
    ) -> None:
        """Take no minibatch out of the data just to see its shapes: everything is built."""

    @cached_property  # Keras goes through all layers to find one
    def simulation(self) -> TensorGraph:
        """The layer."""
        return self.get_layer(index=-1)

    def strategy(self, training: bool) -> Strategy:
        """Training may be compiled where simulating cannot, and the other way round."""
        asked = False if self.run_eagerly else self.jit_wanted
        purpose: Purpose = "train" if training else "test"
        graph = self.simulation
        return graph.strategy(purpose, asked, masked=graph.masked, still=graph.still)

    def train_step(self, data: Nested) -> Logs:
        """Keras's own, or one of which XLA compiles all but the draws and the optimizer."""
        how = self.strategy(training=True)
        with self.simulation.following(how):
            if how.scope is Scope.STEP:
                return self._train_step_within(data)
            return self._logged(super().train_step(self._unpacked(data)))

    def _train_step_within(self, data: Nested) -> Logs:
        x, y, weight = self._unpacked(data)

        def compute(x: Tensors, y: Tensors | None, weight: Tensors | None) -> tuple:
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x, y, y_pred, weight, training=True)
                scaled = self.optimizer.scale_loss(loss)
            return y_pred, loss, tape.gradient(scaled, self.trainable_weights)

        y_pred, gradients = self._compiled(compute, x, y, weight, training=True)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._logged(self.compute_metrics(x, y, y_pred, weight))

    def test_step(self, data: Nested) -> Logs:
        """Keras's own, or one of which XLA compiles all but the draws."""
        how = self.strategy(training=False)
        with self.simulation.following(how):
            if how.scope is Scope.STEP:
                return self._test_step_within(data)
            return self._logged(super().test_step(self._unpacked(data)))

    def _test_step_within(self, data: Nested) -> Logs:
        x, y, weight = self._unpacked(data)

        def compute(x: Tensors, y: Tensors | None, weight: Tensors | None) -> tuple:
            y_pred = self(x, training=False)
            return y_pred, self.compute_loss(x, y, y_pred, weight, training=False), []

        y_pred, _ = self._compiled(compute, x, y, weight, training=False)
        return self._logged(self.compute_metrics(x, y, y_pred, weight))

    def _unpacked(self, data: Nested) -> tuple[Tensors, Tensors | None, Tensors | None]:
        """Inputs, targets and weights by name; each replica has as many items as another."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self._is_keras_own():
            return x, y, weight
        plan, size = self.simulation.plan, self.simulation.replicas.size
        x = inputs_by_name(x, plan)
        shapes = {tensor.name: tensor.shape for tensor in self.inputs}
        x = {k: backend.of_shape(v, shapes[k], k) for k, v in x.items()}
        if "n_steps" not in x:
            first = next(iter(x.values()))
            x["n_steps"] = tf.fill((size, 1), tf.shape(first)[1])
        unknown, host = self.simulation.inputs_unknown, self.simulation.host
        checks: dict[str, Callable[[np.ndarray], None]]
        if unknown:
            checks = {k: partial(backend.check_finite, name=k) for k in plan.inputs}
            x = {k: backend.checked(v, checks[k], host) if k in checks else v for k, v in x.items()}
        if y is not None and self.objective is not None:
            y = targets_by_name(y, self.loss_names, plan) or {}
            checks = class_checks(self.measures(), plan) if unknown else {}
            y = {k: backend.checked(v, checks[k], host) if k in checks else v for k, v in y.items()}
        if y is not None:
            y = keras.tree.map_structure(lambda v: backend.of_shape(v, (size, ...), "targets"), y)
        return x, y, weight

    def _logged(self, logs: Logs) -> Logs:
        """Logs of a step; Keras takes the mean over replicas of several processes along an axis."""
        if not self.simulation.replicas.elsewhere:
            return logs
        return {key: ops.expand_dims(value, 0) for key, value in logs.items()}

    def _compiled(
        self,
        compute: Callable[[Tensors, Tensors | None, Tensors | None], tuple],
        x: Tensors,
        y: Tensors | None,
        weight: Tensors | None,
        training: bool,
    ) -> tuple[Tensors, list[tf.Tensor | None]]:
        """Outputs and gradients, by XLA; the loss is added to the mean that the log shows."""
        with self.simulation.drawing_ahead(x, training):
            y_pred, loss, gradients = backend.by_xla(compute, x, y, weight)
        (mean,) = (m for m in super().metrics if m.name == "loss")
        items = y_pred["steps_run"].shape[0]
        mean.update_state(loss * self.simulation.replicas.count, sample_weight=items)
        return y_pred, gradients

    @property
    def metrics(self) -> list:
        """All metrics, those of probes last."""
        objective = self.objective
        own = [] if objective is None else list(objective.trackers.values())
        own += [] if objective is None else [m.metric for m in objective.metrics]
        return [*super().metrics, *own]

    def get_metrics_result(self) -> Logs:
        """Total loss, then each probe's loss, then each probe's metrics."""
        objective = self.objective
        if objective is None:
            return super().get_metrics_result()
        own = {id(m) for m in objective.trackers.values()}
        own |= {id(m.metric) for m in objective.metrics}
        results = {m.name: m.result() for m in super().metrics if id(m) not in own}
        return {**results, **objective.results()}

    def in_order(self, logs: Logs) -> Logs:
        """Logs with the total loss first, then losses of probes, then metrics.

        Keras sorts by name.
        """
        order = ["loss", *(self.objective.results() if self.objective else ())]
        order += [f"val_{key}" for key in order]
        known = [key for key in order if key in logs]
        return {key: logs[key] for key in (*known, *(k for k in logs if k not in known))}

    def compute_loss(
        self,
        x: Tensors | None = None,
        y: Tensors | None = None,
        y_pred: Tensors | None = None,
        sample_weight: Weights = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The weighted sum of the probes' losses, and of what layers add."""
        objective = self.objective
        if objective is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        targets, shown = y or {}, y_pred or {}
        total = ops.zeros((), dtype=keras.config.floatx())
        count, items = self.simulation.replicas.count, shown["steps_run"].shape[0]
        for name, loss in objective.losses.items():
            if name not in targets:
                continue
            weight = _weight_of(name, sample_weight, shown)
            value = _loss_value(name, loss, targets[name], shown[name], weight, count)
            objective.trackers[name].update_state(value, sample_weight=items)
            total = total + ops.cast(value, total.dtype) * objective.weights[name]
        for extra in self.losses:
            total = total + ops.sum(ops.cast(extra, total.dtype))
        total = total / count  # the gradients of all replicas are added up
        if training and self.trainable_weights:
            smallest = min(self.trainable_weights, key=lambda w: w.shape.num_elements())
            idle = [smallest, *self.get_layer(index=-1).unread_parameters()]
            for weight in {id(w): w for w in idle}.values():
                total = _reaching(total, tf.convert_to_tensor(weight.value))
        return total

    def compute_metrics(
        self, x: Tensors, y: Tensors | None, y_pred: Tensors, sample_weight: Weights = None
    ) -> Logs:
        """Update the probes' metrics, and give all results."""
        objective = self.objective
        if objective is None:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        targets = y or {}
        for m in objective.metrics:
            if m.probe in targets:
                weight = _weight_of(m.probe, sample_weight, y_pred) if m.weighted else None
                m.metric.update_state(targets[m.probe], y_pred[m.probe], sample_weight=weight)
        return self.get_metrics_result()

    def save(self, filepath: str | os.PathLike[str], *args: object, **kwargs: object) -> None:
        """Not possible: Keras cannot write down a network."""
        raise not_a_config(f" ({filepath})")

    def get_config(self) -> dict[str, object]:
        """As `save`; Keras asks for it when it saves or clones a model."""
        raise not_a_config()

    def export(self, filepath: str | os.PathLike[str], *args: object, **kwargs: object) -> None:
        """Keras's own; each call of what is exported begins from the state of now."""
        check_exportable(self)
        with self.at_present():
            super().export(filepath, *args, **kwargs)


def make_model(graph: TensorGraph) -> SimulationModel:
    """A Keras model of a simulation.

    Its inputs are the nodes by name, and `n_steps`; its outputs the probes, and `steps_run`.
    """
    inputs = graph.build_inputs()
    outputs = graph(inputs)
    model = SimulationModel(inputs=inputs, outputs=outputs, name="simulation")
    model.output_names = list(outputs)  # Keras names them after the layer that they come from
    half = any(layer.compute_dtype == "float16" for layer in graph.user_layers)
    model.dtype_policy = "mixed_float16" if half else graph.plan.dtype  # whether losses are scaled
    return model


def _weight_of(name: str, sample_weight: Weights, y_pred: Tensors) -> tf.Tensor | None:
    """The weights of a probe's items, as (B, 1) or (B, T)."""
    if isinstance(sample_weight, Mapping):
        sample_weight = sample_weight.get(name)
    if sample_weight is None:
        return None
    weight = ops.cast(ops.convert_to_tensor(sample_weight), y_pred[name].dtype)
    return ops.reshape(weight, (y_pred["steps_run"].shape[0], -1))


def _loss_value(
    name: str,
    loss: Loss,
    y_true: tf.Tensor,
    y_pred: tf.Tensor,
    weight: tf.Tensor | None,
    count: int,
) -> tf.Tensor:
    """The mean of a loss over items and whatever axes it leaves, weighted by item.

    Keras's own losses give it divided by the `count` of replicas.
    """
    if isinstance(loss, keras.losses.Loss):
        return loss(y_true, y_pred, sample_weight=weight) * count
    found = loss(y_true, y_pred)
    if found is None or isinstance(found, str):
        raise ValidationError(f"the loss of {name!r} gave {found!r}, no tensor", attr="loss")
    values = ops.convert_to_tensor(found, y_pred.dtype)
    if weight is None or values.shape == ():
        return ops.mean(values)
    steps = ops.shape(weight)[1]
    known = weight.shape[1]
    if known not in (1, None) and values.shape[1:2] not in ((known,), (None,)):
        raise ValidationError(
            f"the loss of {name!r} gives values of shape {tuple(values.shape)}, which weights of "
            f"{known} steps do not fit; give one weight for each item, or a loss with an axis of "
            f"steps",
            attr="sample_weight",
        )
    values = ops.reshape(values, (y_pred.shape[0], steps, -1))
    return ops.mean(values * weight[..., None])


def _reaching(total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Let the loss depend on a weight, with a gradient of zero.

    Keras refuses losses that depend on nothing that is trained, such as those of networks in which
    Python code lies between all weights and the probe; and it warns of weights that are trained
    but never read, such as encoders of ensembles whose neurons are connected directly.
    """
    return total + tf.where(False, tf.cast(tf.reduce_sum(weight), total.dtype), 0)
