"""`QCFS`: an activation to train with, which a few steps of spikes represent exactly.

y = λ clip(⌊L z/λ + 1/2⌋ / L, 0, 1).  Integrate-and-fire neurons with threshold λ that begin at λ/2
emit as many spikes in L steps as there are levels below y.       [Bu et al. 2022, arXiv:2303.04347]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from nengo.exceptions import ValidationError

from ..utils import Tensor


@keras.saving.register_keras_serializable(package="nengo_dl")
class QCFS(keras.layers.Layer):
    r"""Quantised clip-floor-shift activation with a trained threshold.

    .. math::

        y = \lambda \operatorname{clip}\left(
        \tfrac{1}{L} \left\lfloor \tfrac{L z}{\lambda} + \tfrac{1}{2} \right\rfloor, 0, 1\right)

    Use it instead of ReLU, at best behind batch normalisation. The gradient is that of the line
    between the levels (straight-through), so that the threshold :math:`\lambda` is trained too.

    Parameters
    ----------
    levels : int, default 4
        Number of levels above zero, :math:`L` (at least 1): how many steps the spiking network will
        need. 4 or 8 are usual.
    threshold : float, default 2.0
        Initial threshold (positive). Of the size of most inputs, which is 1 to 3 behind batch
        normalisation: with a much higher one (the reference begins at 8), few levels are used, and
        the spiking network is right after `levels` steps alone.
    **kwargs
        Passed to `keras.layers.Layer`.

    Raises
    ------
    ValidationError
        If ``levels`` is not a positive integer, or ``threshold`` not a positive number.

    References
    ----------
    Bu et al. (2022). Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking
    neural networks. https://arxiv.org/abs/2303.04347
    """

    def __init__(self, levels: int = 4, threshold: float = 2.0, **kwargs: Any) -> None:
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise ValidationError(f"got {levels!r}, expected a positive int", "levels", obj=self)
        if not isinstance(threshold, int | float) or not 0 < threshold < float("inf"):
            raise ValidationError(
                f"got {threshold!r}, expected a positive number", "threshold", obj=self
            )
        super().__init__(**kwargs)
        self.levels, self.initial_threshold = levels, float(threshold)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the threshold.

        Parameters
        ----------
        input_shape : tuple
            Any: (B, ...).
        """
        self.threshold = self.add_weight(
            name="threshold",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_threshold),
        )
        self.built = True

    def call(self, z: Tensor) -> Tensor:
        """Levels of the inputs (B, ...), in the same shape."""
        threshold = self.current_threshold()
        line = ops.clip(z / threshold, 0, 1)
        level = ops.clip(ops.floor(self.levels * (z / threshold) + 0.5), 0, self.levels)
        return threshold * (line + ops.stop_gradient(level / self.levels - line))

    def current_threshold(self) -> Tensor:
        """The threshold, kept positive."""
        return ops.maximum(self.threshold, keras.config.epsilon())

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        """The shape of the input.

        Parameters
        ----------
        input_shape : tuple
            (B, ...)
        """
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"levels": self.levels, "threshold": self.initial_threshold}
        return {**super().get_config(), **own}
