"""Loss functions for `Simulator.compile`."""

from __future__ import annotations

from typing import Any, Literal

from .utils import Tensor

from .runtimes.quiet import keras  # isort: skip
from keras import ops
from nengo.exceptions import ValidationError


def nan_mse(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the mean squared error, where NaN targets count as no error.

    NaN marks the steps or dimensions at which any output is right. They have no gradient, but
    count in the mean.

    Parameters
    ----------
    y_true : tensor or array (B, T, D)
        Targets, of which any may be NaN.
    y_pred : tensor or array (B, T, D)
        Outputs.

    Returns
    -------
    loss : tensor ()
        Sum of squared errors, divided by the number of all elements.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if not keras.backend.is_float_dtype(y_pred.dtype):
        y_pred = ops.cast(y_pred, keras.backend.floatx())
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    # Replacing the target, not the error, keeps NaN out of the gradient.
    y_true = ops.where(ops.isnan(y_true), y_pred, y_true)
    return ops.mean(ops.square(y_pred - y_true))


class Regularize(keras.losses.Loss):
    """Penalises the norm of the output, whatever the target.

    On a probe of neural activity it keeps rates low, on a probe of weights it keeps weights small.
    Its strength is set by ``loss_weights`` of `Simulator.compile`. Targets are ignored; `fit`
    still expects some, of shape (B, T, ``probe.size_in``).

    Parameters
    ----------
    order : float or str, default 2
        Order of the norm: a number greater than 0, ``np.inf``, or ``"euclidean"`` (which is 2).
    axis : int, default None
        Axis of the probed signal along which the norm is taken; axes of batch and time do not
        count. None: the norm of the whole signal.
    **kwargs
        ``name``, ``reduction`` and ``dtype`` of `keras.losses.Loss`.

    Raises
    ------
    ValidationError
        If ``order`` is not a positive number or ``"euclidean"``, or if the output has no ``axis``.
    """

    def __init__(
        self, order: float | Literal["euclidean"] = 2, axis: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.order = order
        self.axis = axis
        exponent = 2 if order == "euclidean" else order
        if isinstance(exponent, str) or not exponent > 0:
            raise ValidationError(
                f"got {order!r}, expected a number greater than 0, np.inf or 'euclidean'",
                attr="order",
                obj=self,
            )
        self._exponent = exponent

    def __call__(
        self, y_true: Tensor | None, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Compute the loss; ``y_true`` may be None."""
        return super().__call__(y_pred if y_true is None else y_true, y_pred, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the norm at each step.

        Parameters
        ----------
        y_true : object
            Ignored.
        y_pred : tensor (B, T, ...)
            Outputs.

        Returns
        -------
        norms : tensor (B, T)
            Norm, or mean of the norms if there are several, of each example and step.

        Raises
        ------
        ValidationError
            If the output has no such axis.
        """
        batch, steps, *signal = y_pred.shape
        if self.axis is None:
            return self._norm(ops.reshape(y_pred, (*ops.shape(y_pred)[:2], -1)), axis=2)
        if not -len(signal) <= self.axis < len(signal):
            raise ValidationError(
                f"got {self.axis}, but the output has shape {(batch, steps, *signal)}, "
                f"in which {len(signal)} axes follow batch and time",
                attr="axis",
                obj=self,
            )
        norms = self._norm(y_pred, axis=2 + self.axis % len(signal))
        return ops.mean(norms, axis=tuple(range(2, len(signal) + 1))) if signal[1:] else norms

    def _norm(self, x: Tensor, axis: int) -> Tensor:
        p = self._exponent
        x = ops.abs(x)
        if p == float("inf"):
            return ops.max(x, axis=axis)
        if p == 1:
            return ops.sum(x, axis=axis)
        total = ops.sum(ops.power(x, p), axis=axis)
        # The root has an infinite slope at 0, where silent neurons are.
        positive = total > 0
        root = ops.power(ops.where(positive, total, ops.ones_like(total)), 1 / p)
        return ops.where(positive, root, ops.zeros_like(root))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        return {**super().get_config(), "order": self.order, "axis": self.axis}
