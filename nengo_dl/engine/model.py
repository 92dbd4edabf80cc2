"""The Keras model around a simulation: losses and metrics belong to probes, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from . import backend
from .tensor_graph import TensorGraph


@dataclass
class Objective:
    """What a model was compiled for; a plain object, so that Keras does not look into it."""

    losses: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    trackers: dict[str, keras.metrics.Metric] = field(default_factory=dict)
    metrics: list[tuple[str, str, keras.metrics.Metric]] = field(default_factory=list)

    def results(self) -> dict[str, Any]:
        """Current values by key of logs."""
        """Losses, then metrics, by name."""
        found = {f"{name}_loss": m.result() for name, m in self.trackers.items()}
        for key, _, metric in self.metrics:
            found[key] = metric.result()
        return found


class SimulationModel(keras.Model):
    """A functional Keras model; see `make_model`."""

    objective: Objective | None = None
    inference_only = False
    chooses_jit = False

    @property
    def trainable_weights(self) -> list:
        """Weights that `fit` changes; none, not even those of Keras layers, if `inference_only`."""
        return [] if self.inference_only else super().trainable_weights

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return [tensor.name for tensor in self.inputs]

    def compile_for_probes(
        self,
        losses: Mapping[str, Any],
        loss_weights: Mapping[str, float],
        metrics: Mapping[str, list],
        **kwargs: Any,
    ) -> None:
        """Compile with a loss and a list of metrics for each probe, by name.

        Without `jit_compile` among the arguments, XLA compiles what it can and makes faster.
        """
        objective = Objective()
        for name, loss in losses.items():
            objective.losses[name] = keras.losses.get(loss)
            objective.weights[name] = loss_weights.get(name, 1.0)
            objective.trackers[name] = keras.metrics.Mean(name=f"{name}_loss")
        used: set[int] = set()
        for name, listed in metrics.items():
            for metric in listed:
                instance, label = _as_metric(metric)
                if id(instance) in used:  # one object would mix what it measures
                    instance = type(instance).from_config(instance.get_config())
                used.add(id(instance))
                objective.metrics.append((f"{name}_{label}", name, instance))
        self.objective = objective
        self.chooses_jit = kwargs.setdefault("jit_compile", "auto") == "auto"
        self.compile(**kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Make what `fit` calls."""
        self._choose_jit(training=True)
        return super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> Any:
        """Make what `evaluate` calls."""
        self._choose_jit(training=False)
        return super().make_test_function(force)

    def _choose_jit(self, training: bool) -> None:
        """Training may be compiled where simulating cannot, and the other way round."""
        if self.chooses_jit:
            graph = self.get_layer(index=-1)
            self.jit_compile = backend.XLA and graph.worth_compiling(training)

    @property
    def metrics(self) -> list:
        """All metrics, those of probes last."""
        objective = self.objective
        own = [] if objective is None else list(objective.trackers.values())
        own += [] if objective is None else [m for _, _, m in objective.metrics]
        return [*super().metrics, *own]

    def get_metrics_result(self) -> dict[str, Any]:
        """Total loss, then each probe's loss, then each probe's metrics."""
        objective = self.objective
        if objective is None:
            return super().get_metrics_result()
        own = {id(m) for m in objective.trackers.values()}
        own |= {id(m) for _, _, m in objective.metrics}
        results = {m.name: m.result() for m in super().metrics if id(m) not in own}
        return {**results, **objective.results()}

    def in_order(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Logs with the total loss first, then losses of probes, then metrics.

        Keras sorts by name.
        """
        order = ["loss", *(self.objective.results() if self.objective else ())]
        order += [f"val_{key}" for key in order]
        known = [key for key in order if key in logs]
        return {key: logs[key] for key in (*known, *(k for k in logs if k not in known))}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The weighted sum of the probes' losses, and of what layers add."""
        objective = self.objective
        if objective is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        targets = _by_name(y, objective.losses, y_pred)
        total = ops.zeros((), dtype=keras.config.floatx())
        for name, loss in objective.losses.items():
            if name not in targets:
                continue
            weight = sample_weight
            if isinstance(sample_weight, Mapping):
                weight = sample_weight.get(name)
            value = _loss_value(loss, targets[name], y_pred[name], weight)
            objective.trackers[name].update_state(value, sample_weight=y_pred[name].shape[0])
            total = total + ops.cast(value, total.dtype) * objective.weights[name]
        for extra in self.losses:
            total = total + ops.sum(ops.cast(extra, total.dtype))
        if training and self.trainable_weights:
            smallest = min(self.trainable_weights, key=lambda w: w.shape.num_elements())
            idle = [smallest, *self.get_layer(index=-1).unread_parameters()]
            for weight in {id(w): w for w in idle}.values():
                total = _reaching(total, tf.convert_to_tensor(weight.value))
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Update the probes' metrics, and give all results."""
        objective = self.objective
        if objective is None:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        names = dict.fromkeys(name for _, name, _ in objective.metrics)
        targets = _by_name(y, objective.losses or names, y_pred)
        for _, name, metric in objective.metrics:
            if name in targets:
                metric.update_state(targets[name], y_pred[name])
        return self.get_metrics_result()


def make_model(graph: TensorGraph) -> SimulationModel:
    """A Keras model of a simulation.

    Its inputs are the nodes by name, and `n_steps`; its outputs the probes, and `steps_run`.
    """
    inputs = graph.build_inputs()
    outputs = graph(inputs)
    model = SimulationModel(inputs=inputs, outputs=outputs, name="simulation")
    model.output_names = list(outputs)  # Keras names them after the layer that they come from
    return model


def _by_name(y: Any, names: Mapping[str, Any], y_pred: Any) -> Mapping[str, Any]:
    """Targets by probe name; data that are not a dictionary match probes in order."""
    if isinstance(y, Mapping):
        return y
    items = y if isinstance(y, list | tuple) else [y]
    return {name: v for name, v in zip(names, items, strict=False) if v is not None}


def _loss_value(loss: Any, y_true: Any, y_pred: Any, weight: Any) -> Any:
    """The mean of a loss over items and whatever axes it leaves, weighted by item."""
    if weight is not None:  # (B, 1) or (B, T)
        weight = ops.cast(ops.convert_to_tensor(weight), y_pred.dtype)
        weight = ops.reshape(weight, (ops.shape(y_true)[0], -1))
    if isinstance(loss, keras.losses.Loss):
        return loss(y_true, y_pred, sample_weight=weight)
    values = ops.convert_to_tensor(loss(y_true, y_pred), y_pred.dtype)
    if weight is None or values.shape == ():
        return ops.mean(values)
    steps = ops.shape(weight)[1]
    values = ops.reshape(values, (y_pred.shape[0], steps, -1))
    return ops.mean(values * weight[..., None])


@tf.custom_gradient
def _reaching(total: Any, weight: Any) -> Any:
    """Let the loss depend on a weight, with a gradient of zero.

    Keras refuses losses that depend on nothing that is trained, such as those of networks in which
    Python code lies between all weights and the probe; and it warns of weights that are trained
    but never read, such as encoders of ensembles whose neurons are connected directly.
    """
    return tf.identity(total), lambda g: (g, tf.zeros_like(weight))


def _as_metric(metric: Any) -> tuple[keras.metrics.Metric, str]:
    """A metric object, and the name that the user gave it."""
    if isinstance(metric, str):
        label = metric
        metric = _accuracy if metric in ("accuracy", "acc") else keras.metrics.get(metric)
    else:
        label = getattr(metric, "__name__", None) or metric.name
    if not isinstance(metric, keras.metrics.Metric):
        metric = keras.metrics.MeanMetricWrapper(metric, name=label)
    return metric, label


def _accuracy(y_true: Any, y_pred: Any) -> Any:
    """Binary, sparse or categorical accuracy, whichever fits the shapes, as in Keras."""
    if y_pred.shape[-1] == 1:
        return keras.metrics.binary_accuracy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)
    return keras.metrics.categorical_accuracy(y_true, y_pred)
