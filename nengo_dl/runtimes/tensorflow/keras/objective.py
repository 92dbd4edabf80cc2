"""What a model is compiled for: losses and metrics of probes."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import tensorflow as tf

from .metrics import ProbeMetric
from .targets import Loss

Logs = dict[str, tf.Tensor]  # what Keras shows of a step, by name


@dataclass
class Objective:
    """What a model was compiled for; a plain object, so that Keras does not look into it."""

    losses: dict[str, Loss] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    trackers: dict[str, keras.metrics.Metric] = field(default_factory=dict)
    metrics: list[ProbeMetric] = field(default_factory=list)

    def results(self) -> Logs:
        """Losses, then metrics, by name."""
        found = {f"{name}_loss": m.result() for name, m in self.trackers.items()}
        return {**found, **{m.key: m.metric.result() for m in self.metrics}}
