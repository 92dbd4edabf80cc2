"""Every layer of Keras: exact layers give Keras's numbers in both simulators."""

import warnings

import keras
import layer_table
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.converter import Converter
from nengo_dl.converter.checks import data_for
from nengo_dl.engine.backend import by_xla


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
    """Keras's outputs, by XLA: TensorFlow's own kernels lack some layers on a CPU."""
    given = keras.tree.pack_sequence_as(model.input, values)
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
