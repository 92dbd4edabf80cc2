"""Bad input: what is wrong, where, and what to do about it."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.converter import ConvertDense, Converter, Rates

layers = keras.layers


def dense(**arguments):
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(3, **arguments)(x))


def test_models_that_are_not_built():
    for model in (keras.Sequential([layers.Dense(2)]), type("Own", (keras.Model,), {})()):
        with pytest.raises(ValidationError, match="is not built.*model.build"):
            Converter(model)


def test_what_is_no_model():
    with pytest.raises(TypeError, match="needs a keras.Model, got 'model.keras'"):
        Converter("model.keras")


def test_subclassed_models_that_cannot_be_traced():
    class Own(keras.Model):
        def call(self, x):
            return x if float(x[0, 0]) > 0 else -x

    model = Own()
    model(np.ones((1, 4)))
    with pytest.raises(TypeError, match="Own.* cannot trace .*keras.Model.inputs, outputs"):
        Converter(model)


@pytest.mark.parametrize("shape", [(None,), (None, 3), (4, None)])
def test_shapes_that_are_not_known(shape):
    x = keras.Input(shape)
    with pytest.raises(ValidationError, match=r"has shape \(.*None.*full shape"):
        Converter(keras.Model(x, layers.ReLU()(x)))


def test_shapes_of_nested_models_that_are_not_known():
    y = keras.Input((None, 3))
    x = keras.Input((4, 3))
    with pytest.raises(ValidationError, match=r"has shape \(None, 3\).*full shape"):
        Converter(keras.Model(x, keras.Model(y, layers.ReLU()(y))(x)))


def test_shapes_in_the_middle_that_are_not_known():
    x = keras.Input((3, 4))
    y = layers.EinsumDense("abc,cd->abd", output_shape=(None, 2))(x)
    with pytest.raises(ValidationError, match=r"'einsum_dense.*' .*\(None, 2\)"):
        Converter(keras.Model(x, y))


@pytest.mark.parametrize("swaps", [[1], "relu", 3])
def test_swaps_that_are_no_dict(swaps):
    with pytest.raises(ValidationError, match="swap_activations: got .*expected a dict"):
        Converter(dense(), swap_activations=swaps)


def test_swaps_of_what_is_no_activation():
    with pytest.raises(ValidationError, match="'relu' is no activation; .*keras.activations.relu"):
        Converter(dense(), swap_activations={"relu": nengo.LIF()})


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, True, [1.0], {"dense": "fast"}])
def test_scales_that_are_no_positive_numbers(scale):
    with pytest.raises(ValidationError, match="scale_firing_rates: got .*positive number"):
        Converter(dense(), scale_firing_rates=scale)


def test_scales_of_layers_that_the_model_lacks():
    for key in ("dense", layers.Dense(3, name="other")):
        with pytest.raises(ValidationError, match="is not a layer of model"):
            Converter(dense(), scale_firing_rates={key: 10})


def test_scales_of_neurons_without_amplitude():
    with pytest.warns(UserWarning, match="layer 'dense.*' are scaled.*no amplitude"):
        Converter(dense(activation="sigmoid"), scale_firing_rates=10)


def test_recipes():
    with pytest.raises(ValidationError, match="recipe: got 'auto', expected an instance of Recipe"):
        Converter(dense(), recipe="auto")
    with pytest.raises(ValidationError, match="give either recipe or scale_firing_rates"):
        Converter(dense(), recipe=Rates(3), scale_firing_rates=3)


def test_regularisers_are_for_training():
    model = dense(kernel_regularizer="l2")
    with pytest.warns(UserWarning, match=r"kernel_regularizer=L2\(\).*inference_only=True"):
        converter = Converter(model)
    assert converter.records[-1].exactness == "fallback"
    assert Converter(model, inference_only=True).records[-1].exactness == "exact"
    with pytest.raises(TypeError, match="kernel_regularizer=.*allow_fallback=True"):
        Converter(model, allow_fallback=False)


def test_functions_of_the_user():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Lambda(lambda z: z**2, name="squares")(x))
    with pytest.warns(UserWarning, match=r"'squares' \(Lambda\) cannot be converted"):
        assert Converter(model).verify()


def test_layers_that_cannot_be_copied():
    class Own(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.factor = self.add_weight(shape=(units,))

        def call(self, x):
            return x * self.factor

    x = keras.Input((4,))
    with pytest.raises(TypeError, match="cannot be copied .*get_config may be incomplete"):
        Converter(keras.Model(x, Own(4)(x)))


def test_batch_normalisation_that_is_trained():
    x = keras.Input((4,))
    layer = layers.BatchNormalization()
    model = keras.Model(x, layer(x))
    with pytest.warns(UserWarning, match="depends on the batch; set layer.trainable=False"):
        assert Converter(model).verify()
    layer.trainable = False
    assert Converter(model, allow_fallback=False).verify()


def test_verify_says_how_far_outputs_are_apart():
    converter = Converter(
        dense(activation="relu"), swap_activations={nengo.RectifiedLinear(): nengo.Tanh(1)}
    )
    with pytest.raises(ValueError, match="differs from that of the Keras model: .*[0-9.]+$"):
        converter.verify()


@pytest.mark.parametrize("inputs", [np.ones((2, 3)), [np.ones((2, 4))] * 2, np.ones(4)])
def test_verify_with_inputs_of_another_shape(inputs):
    with pytest.raises(ValidationError, match=r"inputs: got arrays of shape .*\(None, 4\)"):
        Converter(dense()).verify(inputs=inputs)


def test_verify_counts_what_is_trained():
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, layers.MaxPooling2D()(layers.Conv2D(2, 2)(x)))
    converter = Converter(model, inference_only=True, max_to_avg_pool=True)
    with pytest.raises((ValueError), match="0 trainable parameters, the Keras model 18"):
        converter.verify(training=True)


def test_maximum_pooling_is_one_of_two():
    with pytest.raises(ValidationError, match="true_max_pool: .*either true_max_pool or max_to"):
        Converter(dense(), max_to_avg_pool=True, true_max_pool=True)
    with pytest.raises(ValidationError, match="true_max_pool: got 0.1, expected True or False"):
        Converter(dense(), true_max_pool=0.1)


def test_maximum_pooling_says_what_it_can_become():
    x = keras.Input((4, 4, 2))
    with pytest.warns(UserWarning, match="true_max_pool=True rectifiers .*max_to_avg_pool=True"):
        Converter(keras.Model(x, layers.MaxPooling2D()(x)))


def test_converters_are_registered_by_class():
    class Own(layers.Dense):
        pass

    x = keras.Input((4,))
    model = keras.Model(x, Own(3)(x))
    assert Converter(model).records[-1].exactness == "fallback"
    try:
        Converter.register(Own)(ConvertDense)
        assert Converter(model).records[-1].exactness == "exact"
        with pytest.warns(UserWarning, match="converter of layer type Own is overwritten"):
            Converter.register(Own)(ConvertDense)
    finally:
        Converter.converters.pop(Own)
