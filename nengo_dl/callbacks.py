"""Callbacks for `fit`, `evaluate` and `predict`, besides those of Keras."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from .simulator.types import Parametrized

from .runtimes.quiet import keras  # isort: skip
import nengo
import tensorflow as tf
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from .simulator import saving
from .simulator.simulator import Simulator
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

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Go back."""
        self.reset()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Go back."""
        self.reset()

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Go back."""
        self.reset()


class Checkpoint(keras.callbacks.Callback):
    """Saves the parameters of a simulator while `fit` trains it, and finds the best.

    Parameters
    ----------
    sim : Simulator
        The simulator whose `fit` is called with this callback.
    path : path-like, optional
        File, as of `Simulator.save_params`, written at the end of epochs. In braces, it may have
        what Keras reports: ``"weights_{epoch}_{loss:.3f}"``. By default nothing is written.
    monitor : str, optional
        What tells how good an epoch was: "loss", or any other key of the history of `fit`. By
        default "val_loss" if there are validation data, else "loss".
    mode : str
        "min" (the default): less is better. "max": more is better.
    save_best_only : bool
        Whether to write the file only if an epoch was better than all before (the default), or
        after each.
    restore_best : bool
        Whether the simulator has the parameters of the best epoch when `fit` ends, instead of
        those of the last (the default).
    include_optimizer : bool
        Whether files have the state of the optimizer too. False by default.

    Attributes
    ----------
    best : float or None
        The best value so far, in all calls of `fit`; None before the first.
    best_epoch : int or None
        Its epoch, counted from 0 as Keras does.

    Raises
    ------
    ValidationError
        If an argument is not one of these; at the end of the first epoch, if Keras does not
        report what is monitored.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     a, b = nengo.Node([0]), nengo.Node(size_in=1)
    ...     _ = nengo.Connection(a, b, transform=0.5, synapse=None)
    ...     probe = nengo.Probe(b)
    >>> x = np.ones((4, 1, 1))
    >>> with nengo_dl.Simulator(net, progress_bar=False) as sim:
    ...     sim.compile("sgd", loss="mse")
    ...     best = nengo_dl.callbacks.Checkpoint(sim, restore_best=True)
    ...     _ = sim.fit(x, {probe: x}, epochs=3, callbacks=[best], verbose=0)
    >>> best.best_epoch
    2
    """

    def __init__(
        self,
        sim: Simulator,
        path: str | os.PathLike | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        save_best_only: bool = True,
        restore_best: bool = False,
        include_optimizer: bool = False,
    ) -> None:
        super().__init__()
        if mode not in ("min", "max"):
            raise ValidationError(f"got {mode!r}, expected 'min' or 'max'", attr="mode")
        self._sim, self.monitor, self.mode = sim, monitor, mode
        self._path = None if path is None else saving.file_name(path)
        self._best_only, self._restores = save_best_only, restore_best
        self._include_optimizer = include_optimizer
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._restore: Callable[[], None] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Check that it is the simulator's own `fit`."""
        if self.model is not self._sim.keras_model:
            raise ValidationError("fit was called on another simulator", attr="sim")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save, if that is wanted after this epoch."""
        logs = dict(logs or {})
        better = self._is_better(self._value(logs))
        if better:
            self.best, self.best_epoch = self._value(logs), epoch
            if self._restores:
                self._restore = saving.remember(self._sim.session)
        if self._path is not None and (better or not self._best_only):
            path = _completed(self._path, epoch=epoch + 1, **logs)
            self._sim.save_params(path, include_optimizer=self._include_optimizer)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Go back to the best epoch, if that is wanted."""
        if self._restore is not None:
            self._restore()

    def _value(self, logs: Mapping[str, float]) -> float:
        name = self.monitor or ("val_loss" if "val_loss" in logs else "loss")
        if name not in logs:
            raise ValidationError(
                f"{name!r} is not reported; expected one of {', '.join(map(repr, logs))}",
                attr="monitor",
            )
        return float(logs[name])

    def _is_better(self, value: float) -> bool:
        """Whether a value is the best so far; NaN never is."""
        if self.best is None:
            return value == value
        return value < self.best if self.mode == "min" else value > self.best


def _completed(path: str, **values: float) -> str:
    """A path with values in place of their names in braces."""
    try:
        return path.format(**values)
    except (LookupError, ValueError) as error:
        raise ValidationError(
            f"{path!r} cannot be completed; in braces may be {', '.join(values)}", attr="path"
        ) from error


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
    ImportError
        If TensorBoard is not installed.
    ValidationError
        If an object has no parameters.
    """

    def __init__(self, log_dir: str, sim: Simulator, objects: Sequence[Parametrized]) -> None:
        super().__init__()
        _check_tensorboard(type(self))
        self._sim = sim
        self._tags = {_tag(obj, sim): obj for obj in objects}
        with tf.device("/cpu:0"):
            self._writer = tf.summary.create_file_writer(str(log_dir))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write the histograms."""
        requests = [(obj, tag.rsplit("_", 1)[1]) for tag, obj in self._tags.items()]
        values = self._sim.data.get_params(*requests)
        with tf.device("/cpu:0"), self._writer.as_default():
            for tag, value in zip(self._tags, values, strict=True):
                tf.summary.histogram(tag, value, step=epoch)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()


def _check_tensorboard(cls: type) -> None:
    # TensorFlow would say so in the midst of training, and from 2.21 on does not bring it along.
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            f"{cls.__name__} writes files by TensorBoard, which is not installed: pip install "
            f"tensorboard"
        )


def _tag(obj: Parametrized, sim: Simulator) -> str:
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

    Raises
    ------
    ImportError
        If TensorBoard is not installed.
    """

    def __init__(
        self, log_dir: str = "logs", profile_batch: int | tuple[int, int] = 0, **kwargs: Any
    ) -> None:
        _check_tensorboard(type(self))
        super().__init__(log_dir=log_dir, profile_batch=profile_batch, **kwargs)
        self._profiles_predict = profile_batch != 0

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begin to profile."""
        # Keras's own profiles batches of `fit` only
        if self._profiles_predict:
            tf.profiler.experimental.start(str(self.log_dir))

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Write the profile."""
        if self._profiles_predict:
            tf.profiler.experimental.stop()
