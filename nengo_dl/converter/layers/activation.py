"""Layers that apply an activation."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from ...neurons import LeakyReLU, ThresholdedReLU
from ...utils import Connectable
from ..activations import Activation, Term, clipped
from ..neurons import rectify
from .base import LayerConverter, elements, register
from .products import convolve


@register(keras.layers.Activation)
class ConvertActivation(LayerConverter):
    """Neurons without biases."""

    unsupported_training_args = ("activity_regularizer",)
    along_time = True

    def convert(self, node_id: int) -> Connectable:
        output = self.add_nengo_obj(node_id, activation=self.activation)
        self.add_connection(node_id, output)
        return output

    @property
    def activation(self) -> Activation:
        """What is applied."""
        return self.layer.activation


@register(keras.layers.ReLU)
class ConvertReLU(ConvertActivation):
    """Rectifiers: one, or the difference of two where there is a largest value.

    With a threshold they jump, as no sum of rectifiers does: neurons that jump take their place.
    """

    @property
    def activation(self) -> Activation:
        """As of `ConvertActivation`."""
        slope, largest = float(self.layer.negative_slope), self.layer.max_value
        if threshold := float(self.layer.threshold):
            most = np.inf if largest is None else float(largest)
            return ThresholdedReLU(threshold, negative_slope=slope, max_value=most)
        if largest is not None:
            return clipped(float(largest), slope)
        return LeakyReLU(slope) if slope else keras.activations.relu


@register(keras.layers.LeakyReLU)
class ConvertLeakyReLU(ConvertActivation):
    """Rectifiers with a slope."""

    @property
    def activation(self) -> Activation:
        """As of `ConvertActivation`."""
        return LeakyReLU(float(self.layer.negative_slope))


@register(keras.layers.PReLU)
class ConvertPReLU(LayerConverter):
    """relu(x) - α relu(-x), with trainable α."""

    unsupported_training_args = ("alpha_regularizer", "alpha_constraint", "activity_regularizer")
    has_weights = True

    def convert(self, node_id: int) -> nengo.Node:
        label = self.label(node_id)
        inlet = nengo.Node(size_in=int(np.prod(self.output_shape(node_id))), label=label)
        output = nengo.Node(size_in=inlet.size_in, label=f"{label}.output")
        self.add_connection(node_id, inlet)
        self.connect(rectify(self, node_id, inlet, Term(), f"{label}.0"), output)
        negative = rectify(self, node_id, inlet, Term(gain=-1.0), f"{label}.1")
        shape = self.output_shape(node_id)
        self._multiply(negative, output, -np.asarray(self.layer.alpha), shape)
        return output

    def _multiply(
        self, negative: Connectable, output: nengo.Node, factors: np.ndarray, shape: tuple[int, ...]
    ) -> None:
        """Connect by trainable factors, which positions along the shared axes share."""
        shared = [axis - 1 for axis in self.layer.shared_axes or ()]
        if not shared:
            trainable = bool(self.layer.trainable)
            self.connect(negative, output, trainable, transform=factors.ravel())
            return
        own = [axis for axis in range(factors.ndim) if axis not in shared]
        index = elements(shape).transpose(*shared, *own).reshape(-1, factors.size)
        kernel = factors.transpose(*shared, *own).reshape(1, 1, -1)
        convolve(self, negative, index, output, kernel, groups=factors.size, out=index)
