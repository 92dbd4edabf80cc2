"""Models in unusual forms: what Keras computes, in Nengo's own simulator too."""

import keras
import nengo
import numpy as np
import pytest

from nengo_dl import QuantizedReLU
from nengo_dl.converter import Calibrated, Converter

layers = keras.layers


def randomize(model):
    rng = np.random.RandomState(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.2, 1.0, weight.shape))


def difference(model, **arguments):
    """The largest between Keras and Nengo, relative; without fallbacks."""
    randomize(model)
    converter = Converter(model, allow_fallback=False, **arguments)
    rng = np.random.RandomState(1)
    tensors = converter.model.inputs
    values = [rng.uniform(-1, 1, (1, *t.shape[1:])).astype("float32") for t in tensors]
    for tensor, value in zip(tensors, values, strict=True):
        converter.inputs[tensor].output = value[0].ravel()
    with nengo.Simulator(converter.net, progress_bar=False) as sim:
        sim.step()
    given = keras.tree.pack_sequence_as(converter.model.input, values)
    wanted = keras.tree.flatten(model(given, training=False))
    worst = 0.0
    for tensor, right in zip(converter.model.outputs, wanted, strict=True):
        found = sim.data[converter.outputs[tensor]].ravel()
        worst = max(worst, np.max(np.abs(found - np.ravel(right))) / np.max(np.abs(right)))
    return worst


def pair():
    """A nested model of two inputs whose order matters, and two others."""
    a, b = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    return a, b, layers.Subtract()([a, b]), keras.Input((3,)), keras.Input((3,))


def test_nested_models_that_take_a_dict():
    a, b, y, p, q = pair()
    inner = keras.Model({"b": a, "a": b}, {"y": y})
    assert difference(keras.Model([p, q], inner({"a": q, "b": p})["y"])) < 1e-6


def test_nested_models_that_are_given_a_dict():
    """Keras finds inputs by their names, whatever the order of the keys."""
    a, b, y, p, q = pair()
    inner = keras.Model([a, b], y)
    assert difference(keras.Model([p, q], inner({"a": q, "b": p}))) < 1e-6


class Doubled(keras.Sequential):
    """Does more than its layers."""

    def call(self, x, training=None, mask=None):
        return layers.Rescaling(2.0)(super().call(x))


class DoubledFunctional(keras.Model):
    def __init__(self):
        x = keras.Input((3,))
        super().__init__(x, layers.Dense(2)(x))

    def call(self, x, training=None, mask=None):
        return layers.Rescaling(2.0)(super().call(x))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", [Doubled, DoubledFunctional])
@pytest.mark.filterwarnings("ignore:layer .*convert_to_tensor")
def test_models_with_a_call_of_their_own(kind, nested):
    model = kind([keras.Input((3,)), layers.Dense(2)]) if kind is Doubled else kind()
    if nested:
        x = keras.Input((3,))
        model = keras.Model(x, model(x))
    randomize(model)
    assert Converter(model).verify(inputs=np.random.RandomState(0).rand(2, 3))


def test_layers_of_nested_subclasses_are_calibrated():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(3, activation="relu")

        def call(self, x):
            return self.hidden(x)

    x = keras.Input((4,))
    model = keras.Model(x, Own()(x))
    data = np.random.RandomState(0).rand(9, 4)
    converter = Converter(model, recipe=Calibrated(), calibration=data)
    (record,) = [r for r in converter.records if r.class_name == "Dense"]
    assert np.shape(record.scale) == (3,)


def test_constants_have_an_axis_for_the_batch():
    x = keras.Input((3,))
    y = layers.Multiply()([x, np.array([[1.0, 2.0, 4.0]], dtype="float32")])
    assert difference(keras.Model(x, layers.Add()([y, np.full((1, 1), 3, "float32")]))) < 1e-6


@pytest.mark.parametrize("shape", [(3, 3), (3,)])
def test_constants_for_each_item_of_a_batch(shape):
    x = keras.Input((3,))
    model = keras.Model(x, layers.Add()([x, np.ones(shape, "float32")]))
    with pytest.raises(TypeError, match=r"a constant has shape \(3.*give it the shape \(1, ...\)"):
        Converter(model, allow_fallback=False)


def test_scales_of_pixels_have_axes_in_front():
    x = keras.Input((3,))
    y = layers.Rescaling(np.array([[1.0, 2.0, 4.0]]), np.array([[0.5]]))(x)
    assert difference(keras.Model(x, y)) < 1e-6


@pytest.mark.parametrize("name", ["Dense", "Conv1D", "EinsumDense"])
def test_low_rank_updates_are_merged_for_inference(name):
    x = keras.Input((4, 2))
    layer = {
        "Dense": lambda: layers.Dense(3),
        "Conv1D": lambda: layers.Conv1D(3, 2),
        "EinsumDense": lambda: layers.EinsumDense("abc,cd->abd", output_shape=(None, 3)),
    }[name]()
    if name == "EinsumDense":
        layer = layers.EinsumDense("abc,cd->abd", output_shape=(4, 3))
    model = keras.Model(x, layer(x))
    layer.enable_lora(2)
    assert difference(model, inference_only=True) < 1e-6
    with pytest.raises(TypeError, match="lora_rank=2, .*with inference_only=True"):
        Converter(model, allow_fallback=False)


# ------------------------------------------------------------------------------- activations


def hidden(activation, **arguments):
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(3, activation=activation)(x))
    return Converter(model, **arguments).records[-1]


@pytest.mark.filterwarnings("ignore:Activation 'silu'")
def test_swaps_to_functions_and_layers():
    relu, silu = keras.activations.relu, keras.activations.silu
    assert hidden("relu", swap_activations={relu: silu}).obj.tensor_func is silu
    record = hidden("relu", swap_activations={relu: layers.LeakyReLU(0.25)})
    assert record.ensembles[0].neuron_type.negative_slope == 0.25
    record = hidden(layers.ReLU(), swap_activations={relu: nengo.Tanh()})
    assert record.ensembles[0].neuron_type == nengo.Tanh()


def test_linear_activations_that_are_swapped_are_calibrated():
    data = np.random.RandomState(0).rand(9, 4)
    swaps = {keras.activations.linear: nengo.RectifiedLinear()}
    record = hidden(None, swap_activations=swaps, recipe=Calibrated(), calibration=data)
    assert np.shape(record.scale) == (3,)


def test_levels_that_are_swapped_in_keep_their_threshold():
    swaps = {keras.activations.relu: QuantizedReLU(4, amplitude=2)}
    record = hidden("relu", swap_activations=swaps, recipe=Calibrated())
    assert record.scale == 1000
    assert record.ensembles[0].neuron_type.amplitude == 2 / 1000


@pytest.mark.parametrize("activation", ["relu", "linear", "silu", "relu6"])
@pytest.mark.filterwarnings("ignore:Activation 'silu'")
def test_biases_of_frozen_layers_are_not_trained(activation):
    x = keras.Input((4,))
    layer = layers.Dense(3, activation=activation)
    model = keras.Model(x, layer(x))
    layer.trainable = False
    net = Converter(model).net
    objects = [*net.connections, *(ens.neurons for ens in net.ensembles)]
    assert not any(net.config[obj].trainable for obj in objects)


def test_names_may_look_like_markup():
    x = keras.Input((4,))
    y = layers.Dense(2, activation="relu", name="a[b]c")(x)
    converter = Converter(keras.Model(x, y, name="model[red]"))
    assert "a[b]c.0" in str(converter)
    assert "model[red]" in str(converter)
    assert "a[b]c.0" in str(converter.diagnose(np.ones((2, 4)), n_steps=1))


# ------------------------------------------------------------------------------------ in time


@pytest.mark.parametrize(
    "layer, shape, reason",
    [
        (lambda: layers.Dense(3), (5,), "the axis that it combines is time"),
        (lambda: layers.BatchNormalization(axis=1), (4, 4), "its axis=1 is that of time"),
        (lambda: layers.BatchNormalization(), (5,), "its axis=-1 is that of time"),
        (lambda: layers.Rescaling(np.ones((5, 4))), (5, 4), r"its scale has shape \(5, 4\)"),
    ],
)
def test_layers_that_would_combine_steps(layer, shape, reason):
    x = keras.Input(shape)
    with pytest.raises(TypeError, match=reason):
        Converter(keras.Model(x, layer()(x)), temporal_model=True, inference_only=True)


def test_sums_of_different_ranks_would_combine_steps():
    x, z = keras.Input((4, 4)), keras.Input((4,))
    with pytest.raises(TypeError, match="the ranks of its inputs differ"):
        Converter(keras.Model([x, z], layers.Add()([x, z])), temporal_model=True)


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_axes_of_wrapped_normalizations(axis):
    """They count without the axis of time."""
    x = keras.Input((5, 3, 3))
    model = keras.Model(x, layers.TimeDistributed(layers.BatchNormalization(axis=axis))(x))
    randomize(model)
    converter = Converter(model, temporal_model=True, inference_only=True)
    (conn,) = [
        c
        for c in converter.net.all_connections
        if c.pre_obj.label == "input_layer"
        or c.pre_obj is converter.inputs[converter.model.inputs[0]]
    ]
    inner = model.layers[-1].layer
    scale = np.ravel(inner.gamma) / np.sqrt(np.ravel(inner.moving_variance) + inner.epsilon)
    wide = scale[:, None] if axis == 1 or axis == -2 else scale
    np.testing.assert_allclose(conn.transform.init, np.broadcast_to(wide, (3, 3)).ravel())
