"""Forms of models: nested, shared, subclassed, temporal; and networks after conversion."""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.converter import Converter
from nengo_dl.converter.checks import data_for

layers = keras.layers


def predict(converter, arrays):
    with nengo_dl.Simulator(
        converter.net, minibatch_size=len(arrays[0]), progress_bar=False
    ) as sim:
        found = sim.predict(data_for(converter, arrays))
    return [found[converter.outputs[t]] for t in converter.model.outputs]


# -------------------------------------------------------------------- what the original made


def test_a_convolution_has_one_bias_for_each_filter():
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, layers.Conv2D(3, 3, activation="relu", bias_initializer="ones")(x))
    converter = Converter(model)
    net, name = converter.net, model.layers[-1].name
    by_label = {node.label: node for node in net.nodes}
    bias, relay = by_label[f"{name}.0.bias"], by_label[f"{name}.0.bias_relay"]
    np.testing.assert_array_equal(bias.output, [1])
    assert relay.size_in == 3
    kinds = {type(c.transform).__name__: c for c in net.connections}
    assert set(kinds) == {"Dense", "Sparse", "Convolution"}
    assert [net.config[kinds[k]].trainable for k in ("Dense", "Sparse", "Convolution")] == [
        True,
        False,
        True,
    ]
    (ens,) = net.ensembles
    assert kinds["Sparse"].pre_obj is relay
    assert kinds["Sparse"].post_obj == ens.neurons
    assert not net.config[ens.neurons].trainable
    assert converter.verify()
    assert converter.verify(training=True)


def test_scaling_leaves_the_users_neurons_as_they_are():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(3, activation="relu")(x))
    neurons = nengo.RectifiedLinear(amplitude=2)
    converter = Converter(
        model, swap_activations={nengo.RectifiedLinear(): neurons}, scale_firing_rates=5
    )
    assert converter.net.ensembles[0].neuron_type.amplitude == 2 / 5
    assert neurons.amplitude == 2


def test_scales_by_layer():
    x = keras.Input((4,))
    first, second = layers.Dense(3, activation="relu"), layers.Dense(2, activation="relu")
    model = keras.Model(x, second(first(x)))
    converter = Converter(model, scale_firing_rates={second: 10.0})
    assert [r.scale for r in converter.records] == [None, None, 10.0]
    assert converter.verify()


def test_scales_by_channel():
    class ByChannel(nengo_dl.converter.Recipe):
        def scale(self, layer, activation):
            return np.array([2.0, 4.0, 8.0])

    x = keras.Input((3, 2))
    y = layers.Dense(3, activation="relu", bias_initializer="uniform")(x)
    y = layers.Permute((2, 1))(layers.Activation("relu6")(y))
    converter = Converter(keras.Model(x, y), recipe=ByChannel())
    assert converter.verify()
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.data[converter.net.ensembles[0]].gain, [2, 4, 8] * 3)


def test_custom_activations_keep_a_trainable_bias():
    x = keras.Input((4,))
    y = layers.Dense(3, activation=lambda z: keras.ops.sin(z), bias_initializer="ones")(x)
    model = keras.Model(x, y)
    with pytest.warns(UserWarning, match="'<lambda>' of layer .* has no Nengo equivalent"):
        converter = Converter(model)
    (record,) = [r for r in converter.records if r.class_name == "Dense"]
    assert record.exactness == "fallback"
    assert converter.verify()
    assert converter.verify(training=True)
    swapped = Converter(model, swap_activations={model.layers[-1].activation: nengo.Tanh(1)})
    assert len(swapped.net.ensembles) == 1
    assert [n.size_in for n in swapped.net.nodes] == [0]  # the input: no Node for the bias
    with pytest.raises(TypeError, match="swap_activations, or set allow_fallback=True"):
        Converter(model, allow_fallback=False)


def test_keys_of_swaps():
    x = keras.Input((4,))
    y = layers.Activation(tf.nn.relu)(layers.Dense(3, activation="relu")(x))
    model = keras.Model(x, y)
    swaps = {tf.nn.relu: nengo.LIF(), nengo.LIF(): nengo.SpikingRectifiedLinear()}
    converter = Converter(model, swap_activations=swaps)
    found = [type(ens.neuron_type) for ens in converter.net.ensembles]
    assert found == [nengo.RectifiedLinear, nengo.SpikingRectifiedLinear]
    converter = Converter(model, swap_activations={nengo.RectifiedLinear(): nengo.LIF()})
    assert [type(ens.neuron_type) for ens in converter.net.ensembles] == [nengo.LIF] * 2
    with pytest.warns(UserWarning, match=r"swap_activations contained Tanh\(\)"):
        converter = Converter(model, swap_activations={nengo.Tanh(): nengo.LIF()})
    assert converter.swap_activations.unused_keys() == {nengo.Tanh()}


def test_scales_of_wrapped_layers():
    x = keras.Input((3, 5, 2))
    layer = layers.TimeDistributed(layers.Conv1D(2, 2, activation="relu"))
    model = keras.Model(x, layer(x))
    converter = Converter(model, scale_firing_rates={layer: 10.0})
    assert converter.net.ensembles[0].neuron_type.amplitude == 0.1
    assert converter.verify()


def test_activations_with_weights_are_copied():
    x = keras.Input((4,))
    activation = layers.PReLU(alpha_initializer="ones")
    activation.build((None, 3))
    model = keras.Model(x, layers.Dense(3, activation=activation)(x))
    converter = Converter(model)
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        sim.compile(optimizer="sgd", loss="mse")
        sim.fit(-np.ones((1, 1, 4)), np.ones((1, 1, 3)), epochs=3, verbose=0)
    np.testing.assert_array_equal(activation.alpha, np.ones(3))


def test_activations_that_are_layers():
    x = keras.Input((4,))
    y = layers.Dense(3, activation=layers.LeakyReLU(negative_slope=0.25))(x)
    y = layers.Activation(layers.Activation(layers.ReLU(max_value=0.5)))(y)
    converter = Converter(keras.Model(x, y), allow_fallback=False)
    first = converter.net.ensembles[0]
    assert first.neuron_type == nengo_dl.LeakyReLU(0.25)
    assert len(converter.net.ensembles) == 3
    assert converter.verify()


def test_lists_of_tensors_are_keys():
    x = keras.Input((4,))
    y = layers.ReLU()(x)
    converter = Converter(keras.Model(x, [y, layers.Dense(2)(y)]))
    assert converter.inputs[converter.model.inputs] is converter.inputs[x]
    first, second = converter.outputs[converter.model.outputs]
    assert first is converter.outputs[y]
    assert list(converter.net.probes) == [first, second]
    assert "no tensor" not in converter.layers


# -------------------------------------------------------------------- forms of models


def test_submodels_in_submodels_and_inputs_that_pass_through():
    a = keras.Input((2,))
    innermost = keras.Model(a, layers.Dense(2, bias_initializer="ones")(a))
    b, c = keras.Input((2,)), keras.Input((3,))
    inner = keras.Model([b, c], [innermost(b), c, layers.Concatenate()([b, c])])
    x, y = keras.Input((2,)), keras.Input((3,))
    p, q, r = inner([x, y])
    s, t, u = inner([p, q])
    model = keras.Model([x, y], [u, r, s, layers.ReLU()(t), q])
    with pytest.raises(ValueError, match="'dense.*' .*is called more than once"):
        Converter(model)
    converter = Converter(model, split_shared_weights=True)
    assert converter.verify()
    nested = converter.net.networks[0]
    assert nested.label == f"{inner.name}.0"
    assert nested.networks[0].label == f"{innermost.name}.0"
    assert len(nested.layers) == 4


def test_models_without_weights_may_repeat():
    x = keras.Input((2, 3))
    flat = layers.Reshape((6,))
    y = layers.Concatenate()([flat(x), flat(layers.ReLU()(x))])
    model = keras.Model(x, y)
    converter = Converter(model)
    assert converter.verify()
    assert converter.layers[model.layers[-1]] is converter.layers[y]
    with pytest.raises(KeyError, match="'reshape.*' is called 2 times, .*ambiguous"):
        converter.layers[flat]
    with pytest.raises(KeyError, match="is not among the layers"):
        converter.layers[keras.Input((1,))]


def test_repeated_fallbacks_share_their_weights():
    x = keras.Input((3,))
    norm = layers.LayerNormalization(gamma_initializer="uniform")
    model = keras.Model(x, norm(layers.Dense(3)(norm(x))))
    converter = Converter(model)
    assert converter.verify()
    assert converter.verify(training=True)


def test_fallbacks_with_several_inputs_are_trained():
    a, b = keras.Input((3, 4)), keras.Input((2, 4))
    y = layers.MultiHeadAttention(2, 3, dropout=0.0)(a, b)
    converter = Converter(keras.Model([a, b], layers.Flatten()(y)))
    assert converter.verify(atol=1e-6)
    assert converter.verify(training=True, atol=1e-4)


def test_inputs_that_are_numbers():
    x = keras.Input(())
    model = keras.Model(x, layers.Dense(2)(layers.Lambda(lambda z: keras.ops.sin(z)[:, None])(x)))
    assert Converter(model).verify()


def test_operations_on_tensors():
    x = keras.Input((3,))
    model = keras.Model(x, keras.ops.square(x) * 2 + layers.Dense(3)(x))
    with pytest.warns(UserWarning, match=r"\(Square\) cannot be converted"):
        converter = Converter(model)
    assert converter.verify()


def test_sequential_models():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu")])
    with pytest.warns(UserWarning, match="is Sequential; .*converter.model"):
        converter = Converter(model)
    assert converter.verify()
    assert model.layers[0] in converter.layers


def test_subclassed_models_are_traced():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(3, activation="relu"), layers.Dense(2)

        def call(self, x, training=False):
            return self.second(self.first(x))

    model = Model()
    model(np.ones((1, 4)))
    converter = Converter(model)
    assert converter.verify()
    x = keras.Input((4,))
    nested = Converter(keras.Model(x, model(x)))
    assert [r.exactness for r in nested.records] == ["exact"] * 4
    assert nested.verify()


def test_temporal_models():
    x = keras.Input((None, 4))
    y = layers.TimeDistributed(layers.Dense(3, activation="relu"))(x)
    y = layers.Dense(2)(layers.LeakyReLU()(y))
    model = keras.Model(x, y)
    with pytest.raises(ValueError, match="use temporal_model=True"):
        Converter(model)
    converter = Converter(model, temporal_model=True)
    assert converter.verify()
    assert converter.verify(training=True)


def test_temporal_models_need_layers_that_work_step_by_step():
    x = keras.Input((5, 4))
    model = keras.Model(x, layers.Flatten()(x))
    with pytest.raises(TypeError, match="'flatten.*' .* it may combine steps of time"):
        Converter(model, temporal_model=True)


def test_the_keras_model_stays_as_it_is():
    x = keras.Input((4, 4, 1))
    y = layers.BatchNormalization()(layers.Conv2D(2, 3)(x))
    model = keras.Model(x, layers.GlobalMaxPooling2D()(y))
    before, config = model.get_weights(), model.get_config()
    converter = Converter(model)
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        sim.compile(optimizer="sgd", loss="mse")
        sim.fit(np.ones((1, 1, 16)), np.ones((1, 1, 2)), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert config == model.get_config()


# -------------------------------------------------------------------- after conversion


def small_network():
    x = keras.Input((6, 6, 1))
    y = layers.Conv2D(2, 3, activation="relu")(x)
    y = layers.AveragePooling2D(2)(layers.DepthwiseConv2D(2, padding="same")(y))
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(y)))


def test_converted_networks_are_trained_frozen_and_saved(tmp_path):
    model = small_network()
    converter = Converter(model)
    x = np.random.RandomState(0).uniform(size=(4, 1, 36))
    with nengo_dl.Simulator(converter.net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
        losses = sim.fit(x, np.ones((4, 1, 3)), epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
        trained = sim.predict(x)[converter.outputs[model.output]]
        sim.save_params(tmp_path / "params")
        sim.freeze_params(converter.net)
    converter.inputs[model.input].output = x[0, 0]
    with nengo.Simulator(converter.net, progress_bar=False) as sim:
        sim.step()
    np.testing.assert_allclose(sim.data[converter.outputs[model.output]], trained[0], atol=1e-5)
    again = Converter(model)
    with nengo_dl.Simulator(again.net, minibatch_size=2, progress_bar=False) as sim:
        sim.load_params(tmp_path / "params")
        found = sim.predict(x)[again.outputs[model.output]]
    np.testing.assert_allclose(found, trained, atol=1e-6)


def test_spikes_average_to_the_activations():
    model = small_network()
    converter = Converter(
        model,
        swap_activations={nengo.RectifiedLinear(): nengo.SpikingRectifiedLinear()},
        scale_firing_rates=10000,
    )
    x = np.random.RandomState(0).uniform(size=(2, 6, 6, 1))
    steps = np.repeat(x.reshape(2, 1, -1), 200, axis=1)
    with nengo_dl.Simulator(converter.net, minibatch_size=2, progress_bar=False) as sim:
        found = sim.predict(steps)[converter.outputs[model.output]]
    right = model.predict(x, verbose=0)
    np.testing.assert_allclose(found.mean(axis=1), right, atol=0.01 * np.abs(right).max())


@pytest.mark.filterwarnings("ignore:layer 'max_pooling2d.*becomes a TensorNode")
@pytest.mark.parametrize("true_max_pool", [False, True])
def test_the_maximum_of_spikes_is_that_of_filtered_rates(true_max_pool):
    """Unfiltered, any spike in a pool counts, and the mean of maxima is too large."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 1))
    y = layers.Conv2D(4, 3, activation="relu", bias_initializer="uniform")(x)
    model = keras.Model(x, layers.MaxPooling2D(2)(y))
    data = np.random.RandomState(0).uniform(size=(4, 8, 8, 1))
    right = model.predict(data, verbose=0).reshape(4, -1)
    errors = []
    for synapse in (None, 0.02, 0.05):
        converter = Converter(
            model,
            swap_activations={nengo.RectifiedLinear(): nengo.SpikingRectifiedLinear()},
            scale_firing_rates=200,
            synapse=synapse,
            true_max_pool=true_max_pool,
        )
        steps = np.repeat(data.reshape(4, 1, -1), 500, axis=1)
        with nengo_dl.Simulator(converter.net, minibatch_size=4, progress_bar=False) as sim:
            found = sim.predict(steps)[converter.outputs[model.output]][:, 250:]
        errors.append(np.mean(np.abs(found.mean(axis=1) - right)) / right.mean())
    assert errors[0] > 0.5
    assert errors[1] < errors[0] / 5
    assert errors[2] < 0.03


def test_activations_by_layer():
    x = keras.Input((4,))
    inner = keras.Model(y := keras.Input((4,)), layers.Dense(3, activation="relu")(y))
    model = keras.Model(x, layers.Dense(2)(inner(x)))
    converter = Converter(model)
    data = np.random.RandomState(0).uniform(size=(5, 4)).astype(np.float32)
    found = {name: outputs for name, _, outputs in converter.activations(data)}
    assert {record.name for record in converter.records} <= set(found)
    last = f"{model.layers[-1].name}.0"
    np.testing.assert_allclose(found[last][0], model.predict(data, verbose=0), rtol=1e-5)
    dense = inner.layers[-1]
    np.testing.assert_allclose(found[f"{inner.name}.0/{dense.name}.0"][0], dense(data), rtol=1e-5)


def test_what_nengo_lacks_is_trained_as_by_keras():
    """As many trainable weights, and the same ones after training."""
    many = {
        "dilated": (layers.Conv1D(3, 2, dilation_rate=2, padding="causal"), (7, 2)),
        "grouped": (layers.Conv2D(4, 2, groups=2, data_format="channels_last"), (4, 4, 2)),
        "transposed": (layers.Conv2DTranspose(3, 2, strides=2), (3, 2, 2)),
        "depthwise": (layers.DepthwiseConv2D(2, depth_multiplier=2), (4, 4, 2)),
        "separable": (layers.SeparableConv1D(3, 2), (5, 2)),
        "three": (layers.Conv3D(2, 2), (3, 3, 3, 1)),
        "dense": (layers.Dense(3), (3, 4)),
        "einsum": (layers.EinsumDense("abc,bcd->abd", (3, 2), bias_axes="d"), (3, 4)),
        "jump": (layers.Dense(3, activation=layers.ReLU(1.0, 0.5, threshold=0.25)), (3, 4)),
        "maximum": (
            keras.Sequential([layers.Conv1D(3, 2), layers.MaxPooling1D(3)], name="maximum"),
            (9, 2),
        ),
        "slopes": (layers.PReLU(shared_axes=[1], alpha_initializer="ones"), (3, 4)),
    }
    inputs = [keras.Input(shape) for _, shape in many.values()]
    pairs = zip(many.values(), inputs, strict=True)
    model = keras.Model(inputs, [layer(x) for (layer, _), x in pairs])
    converter = Converter(model, allow_fallback=False, true_max_pool=True)
    rng = np.random.RandomState(0)
    values = [rng.uniform(-1, 1, size=(2, *x.shape[1:])) for x in inputs]
    before = [w.copy() for w in model.get_weights()]
    assert converter.verify(training=True, inputs=values, atol=1e-6)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.any(np.abs(new - old) > 1e-4)
