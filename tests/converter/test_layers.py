"""Every layer of Keras: exact layers give Keras's numbers in both simulators."""

import warnings

import keras
import layer_table
import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.converter import Converter
from nengo_dl.converter.checks import data_for
from nengo_dl.converter.layers.refused import REFUSED, refusal
from nengo_dl.runtimes.tensorflow.backend import by_xla


def predict(converter, values):
    """Outputs of the network in float64, one array for each of the model's."""
    with converter.net:
        nengo_dl.configure_settings(dtype="float64")
    batch = len(values[0])
    with nengo_dl.Simulator(converter.net, minibatch_size=batch, progress_bar=False) as sim:
        found = sim.predict(data_for(converter, values))
    return [found[converter.outputs[t]].reshape(batch, -1) for t in converter.model.outputs]


def run_nengo(converter, values):
    """What Nengo's own simulator gives for the first item."""
    for tensor, value in zip(converter.model.inputs, values, strict=True):
        converter.inputs[tensor].output = value[0].ravel()
    with nengo.Simulator(converter.net, progress_bar=False) as sim:
        sim.step()
    return [sim.data[converter.outputs[t]].reshape(1, -1) for t in converter.model.outputs]


def expected(model, values):
    """Keras's outputs; by XLA where TensorFlow has no kernel on a CPU."""
    given = keras.tree.pack_sequence_as(model.input, values)
    try:
        outputs = model(given, training=False)
    except (tf.errors.OpError, TypeError):
        outputs = by_xla(lambda x: model(x, training=False), given)
    return [keras.ops.convert_to_numpy(x).reshape(len(x), -1) for x in keras.tree.flatten(outputs)]


@pytest.mark.parametrize("name", layer_table.EXACT)
def test_exact_layers(name):
    model, values = layer_table.build(name, layer_table.EXACT[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no fallback
        converter = Converter(model, allow_fallback=False, inference_only=True)
    assert {r.exactness for r in converter.records} == {"exact"}
    wanted = expected(model, values)
    worst = 0.0
    for found in (predict(converter, values), run_nengo(converter, values)):
        for actual, right in zip(found, wanted, strict=True):
            worst = max(worst, np.max(np.abs(actual - right[: len(actual)])))
    print(f"{name}: {worst:.1e}")
    assert worst < 1e-12


@pytest.mark.parametrize("name", layer_table.MAX_POOLING)
def test_maximum_pooling_by_rectifiers(name):
    """With `true_max_pool`, each class that is a fallback otherwise, over its options."""
    model, values = layer_table.build(name, layer_table.MAX_POOLING[name])
    converter = Converter(model, allow_fallback=False, true_max_pool=True)
    assert {r.exactness for r in converter.records} == {"exact"}
    tolerance = 1e-6 if name in layer_table.ONLY_FLOAT32 else 1e-12
    for found in (predict(converter, values), run_nengo(converter, values)):
        for actual, right in zip(found, expected(model, values), strict=True):
            np.testing.assert_allclose(actual, right[: len(actual)], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", layer_table.FALLBACK)
def test_fallbacks(name):
    model, values = layer_table.build(name, layer_table.FALLBACK[name])
    with pytest.warns(UserWarning, match=f"'.*' \\({name}\\) cannot be converted: .* TensorNode"):
        converter = Converter(model, inference_only=True)
    kinds = {r.class_name: r.exactness for r in converter.records}
    assert kinds.pop(name) == "fallback"
    assert set(kinds) == {"InputLayer"}
    tolerance = 1e-5 if name in layer_table.ONLY_FLOAT32 else 1e-12
    for actual, right in zip(predict(converter, values), expected(model, values), strict=True):
        np.testing.assert_allclose(actual, right, rtol=tolerance, atol=tolerance)
    with pytest.raises(TypeError, match=f"\\({name}\\) cannot be converted: .*allow_fallback=True"):
        Converter(model, inference_only=True, allow_fallback=False)


def test_every_layer_of_keras_is_accounted_for():
    """In exactly one of the tables; the input layer is in all models."""
    tables = [set(layer_table.EXACT), set(layer_table.FALLBACK), set(REFUSED), {"InputLayer"}]
    assert sum(map(len, tables)) == len(set.union(*tables))
    assert set.union(*tables) == set(layer_table.LAYERS)
    print(f"exact {len(tables[0]) + 1}, fallback {len(tables[1])}, refused {len(tables[2])}")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_layers(name):
    """By their type alone, so that what they need is not needed here."""
    layer = object.__new__(layer_table.LAYERS[name])
    object.__setattr__(layer, "name", "it")
    assert refusal(layer) == REFUSED[name]
    converter = Converter(layer_table.build("Dense", layer_table.EXACT["Dense"][:1])[0])
    with pytest.raises(TypeError, match=f"'it' \\({name}\\) cannot be converted: .{{20}}"):
        converter.get_converter(layer)


def test_layers_that_make_masks_are_refused():
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Embedding(5, 2, mask_zero=True)(x))
    with pytest.raises(TypeError, match="'embedding.*' .*would not see its mask"):
        Converter(model)
