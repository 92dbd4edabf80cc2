"""Loss functions: values, gradients, and how Keras uses them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import ValidationError

from nengo_dl.losses import Regularize, nan_mse


def test_nan_mse_counts_all_elements():
    target = np.full(10, np.nan)
    target[3:5] = 0
    assert float(nan_mse(target, np.arange(10))) == pytest.approx((9 + 16) / 10)


def test_nan_mse_is_mse_without_nan(rng):
    x, y = rng.randn(2, 3, 4), rng.randn(2, 3, 4)
    loss = nan_mse(x, y)
    assert float(loss) == pytest.approx(np.mean((x - y) ** 2))
    assert keras.backend.standardize_dtype(loss.dtype) == "float64"
    assert float(nan_mse(x, tf.constant(y, tf.float32))) == pytest.approx(np.mean((x - y) ** 2))


def test_nan_mse_gradient_is_finite():
    y_pred = tf.Variable([[1.0, 2.0, 3.0]])
    with tf.GradientTape() as tape:
        loss = nan_mse(np.array([[np.nan, 0.0, 1.0]]), y_pred)
    np.testing.assert_allclose(tape.gradient(loss, y_pred), [[0, 4 / 3, 4 / 3]], rtol=1e-6)


def test_nan_mse_all_nan():
    assert float(nan_mse(np.full((2, 1, 1), np.nan), np.ones((2, 1, 1)))) == 0


@pytest.mark.parametrize(
    "order, numpy_order", [(2, 2), ("euclidean", 2), (1, 1), (3, 3), (np.inf,) * 2]
)
def test_regularize_whole_signal(order, numpy_order, rng):
    x = rng.randn(4, 3, 5, 2).astype(np.float32)
    expected = np.linalg.norm(x.reshape(4, 3, -1), ord=numpy_order, axis=-1).mean()
    assert float(Regularize(order)(None, x)) == pytest.approx(expected, rel=1e-5)
    assert float(Regularize(order)(np.zeros((4, 3, 10)), tf.constant(x))) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("order", [1, 2, np.inf])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_regularize_along_an_axis(axis, order, rng):
    x = rng.randn(2, 3, 4, 5, 6).astype(np.float32)
    expected = np.linalg.norm(x, ord=order, axis=axis + 2 if axis >= 0 else axis).mean()
    assert float(Regularize(order, axis=axis)(None, x)) == pytest.approx(expected, rel=1e-5)


def test_regularize_vector_along_its_axis(rng):
    x = rng.randn(2, 3, 4).astype(np.float32)
    assert float(Regularize(axis=0)(None, x)) == pytest.approx(float(Regularize()(None, x)))


@pytest.mark.parametrize("order", [1, 2, 3, np.inf])
def test_regularize_gradient_of_silence_is_finite(order):
    activity = tf.Variable(np.array([[[0.0, 0.0], [3.0, 4.0]]], dtype=np.float32))
    with tf.GradientTape() as tape:
        loss = Regularize(order)(None, activity)
    gradient = tape.gradient(loss, activity).numpy()
    assert np.all(np.isfinite(gradient))
    if order == 2:
        np.testing.assert_allclose(gradient, [[[0, 0], [0.3, 0.4]]], rtol=1e-6)


@pytest.mark.parametrize("axis, shape", [(None, (2, 3, 4)), (0, (2, 3, 4)), (1, (2, 3, 4, 5))])
def test_regularize_sample_weight(axis, shape, rng):
    x = rng.randn(*shape).astype(np.float32)
    loss = Regularize(axis=axis)
    weighted = loss(None, x, sample_weight=np.array([[0], [1]]))
    assert float(weighted) == pytest.approx(float(loss(None, x[1:])) / 2, rel=1e-5)


@pytest.mark.parametrize("order", ["fro", 0, -1])
def test_regularize_rejects_orders(order):
    with pytest.raises(ValidationError, match="Regularize.order: got .*, expected a number"):
        Regularize(order=order)


@pytest.mark.parametrize("axis", [1, -2])
def test_regularize_rejects_axes(axis):
    with pytest.raises(ValidationError, match=rf"got {axis}, but .*\(2, 3, 4\).* 1 axes follow"):
        Regularize(axis=axis)(None, np.ones((2, 3, 4)))


def test_regularize_config():
    loss = Regularize(order=1, axis=0, name="sparse", reduction="sum")
    config = loss.get_config()
    assert config["order"] == 1 and config["axis"] == 0
    assert Regularize.from_config(config).get_config() == config


def test_train_with_both():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 2))
    outputs = keras.layers.Dense(2, name="dense")(inputs)
    model = keras.Model(inputs, {"a": outputs, "b": outputs * 1.0})
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss={"a": nan_mse, "b": Regularize()},
        loss_weights={"a": 1.0, "b": 0.5},
    )
    target = np.full((8, 3, 2), np.nan)
    data = {"a": target, "b": np.zeros((8, 3, 2))}
    history = model.fit(np.ones((8, 3, 2)), data, batch_size=4, epochs=10, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert history["loss"][-1] < 0.5 * history["loss"][0]
