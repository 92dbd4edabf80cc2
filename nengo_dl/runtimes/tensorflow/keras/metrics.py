"""Metrics of probes, under the names that Keras gives them in logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

import keras

from ....compiler.tensors import Tensor
from .targets import Measure


@dataclass(frozen=True)
class ProbeMetric:
    """A metric of a probe, its name in logs, and whether weights of samples count."""

    key: str
    probe: str
    metric: keras.metrics.Metric
    weighted: bool


def probe_metrics(
    metrics: Mapping[str, Sequence[Measure]], weighted_metrics: Mapping[str, Sequence[Measure]]
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


def _as_metric(metric: Measure) -> tuple[keras.metrics.Metric, str]:
    """A metric object, and the name that the user gave it."""
    if isinstance(metric, str):
        label = metric
        metric = _accuracy if metric in ("accuracy", "acc") else keras.metrics.get(metric)
    else:
        label = getattr(metric, "__name__", None) or metric.name  # type: ignore[union-attr]  # of Keras
    if not isinstance(metric, keras.metrics.Metric):
        metric = keras.metrics.MeanMetricWrapper(metric, name=label)
    return metric, label


def _accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Binary, sparse or categorical accuracy, whichever fits the shapes, as in Keras."""
    if y_pred.shape[-1] == 1:
        return keras.metrics.binary_accuracy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)
    return keras.metrics.categorical_accuracy(y_true, y_pred)
