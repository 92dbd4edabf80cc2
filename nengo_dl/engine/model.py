"""The Keras model around a simulation: losses and metrics belong to probes, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

import keras
import tensorflow as tf
from keras import ops
from nengo.exceptions import SimulationError, ValidationError

from . import backend
from .tensor_graph import TensorGraph


@dataclass(frozen=True)
class ProbeMetric:
    """A metric of a probe, its name in logs, and whether weights of samples count."""

    key: str
    probe: str
    metric: keras.metrics.Metric
    weighted: bool


@dataclass
class Objective:
    """What a model was compiled for; a plain object, so that Keras does not look into it."""

    losses: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    trackers: dict[str, keras.metrics.Metric] = field(default_factory=dict)
    metrics: list[ProbeMetric] = field(default_factory=list)

    def results(self) -> dict[str, Any]:
        """Losses, then metrics, by name."""
        found = {f"{name}_loss": m.result() for name, m in self.trackers.items()}
        return {**found, **{m.key: m.metric.result() for m in self.metrics}}


class SimulationModel(keras.Model):
    """A functional Keras model; see `make_model`."""

    objective: Objective | None = None
    inference_only = False
    jit_wanted: bool | str = "auto"

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
        weighted_metrics: Mapping[str, list],
        **kwargs: Any,
    ) -> None:
        """Compile with a loss and lists of metrics for each probe, by name.

        Without `jit_compile` among the arguments, XLA compiles what it can and makes faster.
        """
        objective, replicas = Objective(), self._simulation.replicas
        optimizer = kwargs.get("optimizer")
        if isinstance(optimizer, keras.optimizers.Optimizer):
            replicas.check_made_here(optimizer.variables, "the optimizer", "optimizer")
        for name, loss in losses.items():
            objective.losses[name] = keras.losses.get(loss)
            objective.weights[name] = loss_weights.get(name, 1.0)
            objective.trackers[name] = keras.metrics.Mean(name=f"{name}_loss")
        objective.metrics = _probe_metrics(metrics, weighted_metrics)
        for entry in objective.metrics:
            what = f"the metric {entry.key!r}"
            replicas.check_made_here(entry.metric.variables, what, "metrics")
        self.objective = objective
        self.jit_wanted = kwargs.pop("jit_compile", "auto")
        kwargs["jit_compile"] = False  # until it is known what is to be compiled
        self.compile(**kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Make what `fit` calls."""
        simulation = self._simulation
        whole = simulation.compiles_whole(True)
        chosen = self.jit_wanted == "auto" and backend.XLA and whole
        simulation.apart = chosen and simulation.trains_apart
        within = simulation.apart or simulation.inputs_unknown
        self.jit_compile = self._uses_xla(True) and whole and not within
        # replicas could not agree on it in their functions; others would be traced twice
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> Any:
        """Make what `evaluate` calls."""
        whole = self._simulation.compiles_whole(False) and not self._simulation.inputs_unknown
        self.jit_compile = self._uses_xla(False) and whole
        return super().make_test_function(force)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Take no minibatch out of the data just to see its shapes: everything is built."""

    @property
    def _simulation(self) -> TensorGraph:
        return self.get_layer(index=-1)

    def _uses_xla(self, training: bool) -> bool:
        """Training may be compiled where simulating cannot, and the other way round."""
        if self.jit_wanted == "auto":
            return backend.XLA and self._simulation.worth_compiling(training)
        return bool(self.jit_wanted)

    def _uses_xla_within(self, training: bool) -> bool:
        """Whether XLA compiles a part of the call, and not the whole of it."""
        simulation = self._simulation
        if training and simulation.apart:
            return False
        whole = simulation.compiles_whole(training) and not simulation.inputs_unknown
        return self._uses_xla(training) and not whole and not self.run_eagerly

    def train_step(self, data: Any) -> dict[str, Any]:
        """Keras's own, or one of which XLA compiles all but the draws and the optimizer."""
        if not self._uses_xla_within(training=True):
            return self._logged(super().train_step(self._unpacked(data)))
        x, y, weight = self._unpacked(data)

        def compute(x: Any, y: Any, weight: Any) -> Any:
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x, y, y_pred, weight, training=True)
                scaled = self.optimizer.scale_loss(loss)
            return y_pred, loss, tape.gradient(scaled, self.trainable_weights)

        y_pred, gradients = self._compiled(compute, x, y, weight, training=True)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._logged(self.compute_metrics(x, y, y_pred, weight))

    def test_step(self, data: Any) -> dict[str, Any]:
        """Keras's own, or one of which XLA compiles all but the draws."""
        if not self._uses_xla_within(training=False):
            return self._logged(super().test_step(self._unpacked(data)))
        x, y, weight = self._unpacked(data)

        def compute(x: Any, y: Any, weight: Any) -> Any:
            y_pred = self(x, training=False)
            return y_pred, self.compute_loss(x, y, y_pred, weight, training=False), None

        y_pred, _ = self._compiled(compute, x, y, weight, training=False)
        return self._logged(self.compute_metrics(x, y, y_pred, weight))

    def _unpacked(self, data: Any) -> tuple[dict[str, Any], Any, Any]:
        """Inputs by name, targets and weights, of the shapes of a minibatch."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if not isinstance(x, Mapping):
            x = dict(zip(self.input_names, x if isinstance(x, list | tuple) else [x], strict=False))
        shapes = {tensor.name: tensor.shape for tensor in self.inputs}
        x = {k: backend.of_shape(v, shapes[k], k) if k in shapes else v for k, v in x.items()}
        if self._simulation.inputs_unknown:
            x = {k: backend.finite(v, k, self._simulation.host) for k, v in x.items()}
        if y is not None:
            size = self._simulation.replicas.size
            y = keras.tree.map_structure(lambda v: backend.of_shape(v, (size, ...), "targets"), y)
        return x, y, weight

    def _logged(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Logs of a step; Keras takes the mean over replicas of several processes along an axis."""
        if not self._simulation.replicas.elsewhere:
            return logs
        return {key: ops.expand_dims(value, 0) for key, value in logs.items()}

    def _compiled(self, compute: Any, x: Any, y: Any, weight: Any, training: bool) -> Any:
        """Outputs and gradients, by XLA; the loss is added to the mean that the log shows."""
        with self._simulation.drawing_ahead(x, training):
            y_pred, loss, gradients = backend.by_xla(compute, x, y, weight)
        (mean,) = (m for m in super().metrics if m.name == "loss")
        items = self._simulation.replicas.items()
        mean.update_state(loss * self._simulation.replicas.count, sample_weight=len(items))
        return y_pred, gradients

    @property
    def metrics(self) -> list:
        """All metrics, those of probes last."""
        objective = self.objective
        own = [] if objective is None else list(objective.trackers.values())
        own += [] if objective is None else [m.metric for m in objective.metrics]
        return [*super().metrics, *own]

    def get_metrics_result(self) -> dict[str, Any]:
        """Total loss, then each probe's loss, then each probe's metrics."""
        objective = self.objective
        if objective is None:
            return super().get_metrics_result()
        own = {id(m) for m in objective.trackers.values()}
        own |= {id(m.metric) for m in objective.metrics}
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
        count = self._simulation.replicas.count
        for name, loss in objective.losses.items():
            if name not in targets:
                continue
            weight = _weight_of(name, sample_weight, y_pred)
            value = _loss_value(loss, targets[name], y_pred[name], weight, count)
            objective.trackers[name].update_state(value, sample_weight=y_pred[name].shape[0])
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

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Update the probes' metrics, and give all results."""
        objective = self.objective
        if objective is None:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        names = dict.fromkeys(m.probe for m in objective.metrics)
        targets = _by_name(y, objective.losses or names, y_pred)
        for m in objective.metrics:
            if m.probe in targets:
                weight = _weight_of(m.probe, sample_weight, y_pred) if m.weighted else None
                m.metric.update_state(targets[m.probe], y_pred[m.probe], sample_weight=weight)
        return self.get_metrics_result()

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Not possible: what is simulated is a network, which Keras cannot write down."""
        raise SimulationError(
            f"A simulation cannot be saved as a Keras model ({filepath}): Keras cannot write down "
            f"the network. Save its parameters (Simulator.save_params, or save_weights_only=True)."
        )


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


def _by_name(y: Any, names: Mapping[str, Any], y_pred: Any) -> Mapping[str, Any]:
    """Targets by probe name; data that are not a dictionary match probes in order."""
    if isinstance(y, Mapping):
        unknown = [name for name in y if name not in y_pred]
        if unknown:
            raise ValidationError(
                f"{', '.join(map(repr, unknown))} is not one of the network's probes; targets can "
                f"be given for {', '.join(repr(n) for n in y_pred if n != 'steps_run')}",
                attr="y",
            )
        return y
    items = y if isinstance(y, list | tuple) else [y]
    return {name: v for name, v in zip(names, items, strict=False) if v is not None}


def _weight_of(name: str, sample_weight: Any, y_pred: Mapping[str, Any]) -> Any:
    """The weights of a probe's items, as (B, 1) or (B, T)."""
    if isinstance(sample_weight, Mapping):
        sample_weight = sample_weight.get(name)
    if sample_weight is None:
        return None
    weight = ops.cast(ops.convert_to_tensor(sample_weight), y_pred[name].dtype)
    return ops.reshape(weight, (y_pred[name].shape[0], -1))


def _loss_value(loss: Any, y_true: Any, y_pred: Any, weight: Any, count: int) -> Any:
    """The mean of a loss over items and whatever axes it leaves, weighted by item.

    Keras's own losses give it divided by the `count` of replicas.
    """
    if isinstance(loss, keras.losses.Loss):
        return loss(y_true, y_pred, sample_weight=weight) * count
    values = ops.convert_to_tensor(loss(y_true, y_pred), y_pred.dtype)
    if weight is None or values.shape == ():
        return ops.mean(values)
    steps = ops.shape(weight)[1]
    values = ops.reshape(values, (y_pred.shape[0], steps, -1))
    return ops.mean(values * weight[..., None])


def _reaching(total: Any, weight: Any) -> Any:
    """Let the loss depend on a weight, with a gradient of zero.

    Keras refuses losses that depend on nothing that is trained, such as those of networks in which
    Python code lies between all weights and the probe; and it warns of weights that are trained
    but never read, such as encoders of ensembles whose neurons are connected directly.
    """
    return total + tf.where(False, tf.cast(tf.reduce_sum(weight), total.dtype), 0)


def _probe_metrics(
    metrics: Mapping[str, list], weighted_metrics: Mapping[str, list]
) -> list[ProbeMetric]:
    """Metrics of probes, each an object of its own, with a name of its own, as Keras gives them."""
    found: dict[str, ProbeMetric] = {}
    used: set[int] = set()
    for weighted, listed in ((False, metrics), (True, weighted_metrics)):
        for name, metric in ((n, metric) for n in listed for metric in listed[n]):
            instance, label = _as_metric(metric)
            if id(instance) in used:  # one object would mix what it measures
                instance = type(instance).from_config(instance.get_config())
            used.add(id(instance))
            base = f"{name}_{label}"
            if weighted and base in found:
                base = f"{name}_weighted_{label}"
            numbered = (f"{base}_{number}" for number in count(1))
            key = next(k for k in chain([base], numbered) if k not in found)
            found[key] = ProbeMetric(key, name, instance, weighted)
    return list(found.values())


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
