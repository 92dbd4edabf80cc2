"""Batch normalisations become part of the weights before them, where nothing can tell."""

import keras
import layer_table
import numpy as np
import pytest
from test_layers import expected, predict

from nengo_dl.converter import Converter

layers = keras.layers
PRODUCTS = {
    "Dense": (dict(units=4), (5,)),
    "Dense of any rank": (dict(units=4, use_bias=False), (3, 5)),
    "Conv1D": (dict(filters=4, kernel_size=2, dilation_rate=2), (7, 2)),
    "Conv2D": (dict(filters=4, kernel_size=2, use_bias=False), (5, 6, 2)),
    "Conv2D first": (dict(filters=4, kernel_size=2, data_format="channels_first"), (2, 5, 6)),
    "Conv2DTranspose": (dict(filters=4, kernel_size=2, strides=2), (3, 2, 2)),
    "DepthwiseConv2D": (dict(kernel_size=2, depth_multiplier=2), (5, 6, 2)),
    "SeparableConv1D": (dict(filters=4, kernel_size=2), (5, 2)),
}


def randomized(model):
    rng = np.random.RandomState(0)
    for weight in model.weights:
        layer_table.randomize(weight, rng)
    values = [rng.uniform(-1, 1, size=(2, *x.shape[1:])) for x in model.inputs]
    return model, values


@pytest.mark.parametrize("name", PRODUCTS)
def test_weights_take_normalisations_in(name):
    arguments, shape = PRODUCTS[name]
    x = keras.Input(shape, dtype="float64")
    y = getattr(layers, name.split()[0])(**arguments, dtype="float64")(x)
    axis = 1 if "first" in name else -1
    z = layers.BatchNormalization(axis=axis, dtype="float64")(y)
    model, values = randomized(keras.Model(x, layers.ReLU(dtype="float64")(z)))
    converter = Converter(model, inference_only=True)
    np.testing.assert_allclose(predict(converter, values), expected(model, values), atol=1e-12)
    product, norm = converter.records[1:3]
    assert product.objects == ()
    assert product.reason == f"with the normalisation {norm.layer.name!r} in its weights"
    assert norm.reason == "part of the weights before it"
    assert converter.layers[z] is norm.obj
    with pytest.raises(KeyError, match="batch normalisation alone is not computed"):
        converter.layers[y]


@pytest.mark.parametrize("case", ["read twice", "output", "activation", "axis", "training"])
def test_what_something_else_needs_is_not_folded(case):
    x = keras.Input((4, 4, 2), dtype="float64")
    activation = "relu" if case == "activation" else None
    y = layers.Conv2D(2, 2, activation=activation, dtype="float64")(x)
    norm = layers.BatchNormalization(axis=1 if case == "axis" else -1, dtype="float64")
    z = norm(y)
    if case == "read twice":
        z = layers.Add(dtype="float64")([y, z])
    model, values = randomized(keras.Model(x, [z, y] if case == "output" else z))
    norm.trainable = case != "training"
    converter = Converter(model, inference_only=case != "training", allow_fallback=False)
    for actual, right in zip(predict(converter, values), expected(model, values), strict=True):
        np.testing.assert_allclose(actual, right, atol=1e-12)
    assert all(record.objects for record in converter.records)
    assert y in converter.layers
