"""Callbacks for `fit`, `evaluate` and `predict`, besides those of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import nengo
import tensorflow as tf
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from .simulator import Simulator
from .utils import sanitize_name


class IsolateState(keras.callbacks.Callback):
    """Lets every minibatch begin with the state that the simulator has now.

    Parameters
    ----------
    sim : Simulator
        The simulator whose method is called with this callback.
    """

    def __init__(self, sim: Simulator) -> None:
        super().__init__()
        self._session = sim.session
        self._snapshot = sim.session.snapshot()

    def reset(self) -> None:
        """Go back to the state that the simulator had when this callback was made."""
        self._session.restore(self._snapshot)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Go back."""
        self.reset()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Go back."""
        self.reset()

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Go back."""
        self.reset()


class NengoSummaries(keras.callbacks.Callback):
    """Writes histograms of parameters for TensorBoard at the end of each epoch.

    Parameters
    ----------
    log_dir : str
        Directory of TensorBoard's files.
    sim : Simulator
    objects : sequence of Ensemble, Neurons or Connection
        Whose encoders, biases or weights are written.

    Raises
    ------
    ValidationError
        If an object has no parameters.
    """

    def __init__(self, log_dir: str, sim: Simulator, objects: Sequence[Any]) -> None:
        super().__init__()
        self._sim = sim
        self._tags = {_tag(obj, sim): obj for obj in objects}
        with tf.device("/cpu:0"):
            self._writer = tf.summary.create_file_writer(str(log_dir))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the histograms."""
        requests = [(obj, tag.rsplit("_", 1)[1]) for tag, obj in self._tags.items()]
        values = self._sim.data.get_params(*requests)
        with tf.device("/cpu:0"), self._writer.as_default():
            for tag, value in zip(self._tags, values, strict=True):
                tf.summary.histogram(tag, value, step=epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the file."""
        self._writer.close()


def _tag(obj: Any, sim: Simulator) -> str:
    if isinstance(obj, nengo.Ensemble):
        return sanitize_name(f"Ensemble_{obj.label}_encoders")
    if isinstance(obj, Neurons):
        return sanitize_name(f"Ensemble.neurons_{obj.ensemble.label}_bias")
    if not isinstance(obj, nengo.Connection):
        raise ValidationError(
            f"{obj} is a {type(obj).__name__}; expected Ensembles, Neurons or Connections",
            attr="objects",
        )
    if sim.data[obj].weights is None:
        raise ValidationError(f"{obj} has no weights", attr="objects")
    return sanitize_name(f"Connection_{obj.label}_weights")


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's callback, which also profiles `Simulator.predict` if it profiles.

    Parameters
    ----------
    log_dir : str
        Directory of TensorBoard's files.
    profile_batch : int or tuple of int
        0: do not profile. Anything else: a whole call of `predict` is profiled.
    **kwargs
        As for `keras.callbacks.TensorBoard`.
    """

    def __init__(
        self, log_dir: str = "logs", profile_batch: int | tuple[int, int] = 0, **kwargs: Any
    ) -> None:
        super().__init__(log_dir=log_dir, profile_batch=profile_batch, **kwargs)
        self._profiles_predict = profile_batch != 0

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Begin to profile."""
        if self._profiles_predict:
            tf.profiler.experimental.start(str(self.log_dir))

    def on_predict_end(self, logs: dict | None = None) -> None:
        """Write the profile."""
        if self._profiles_predict:
            tf.profiler.experimental.stop()
