"""Whole models: what they become, and that their numbers stay."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.converter import Converter


def dense_model():
    x = keras.Input((4,))
    y = keras.layers.Dense(3, activation="relu", bias_initializer="uniform")(x)
    z = keras.layers.Dense(2, bias_initializer="uniform")(y)
    return keras.Model(x, z)


def test_two_dense_layers_become_what_the_original_made():
    converter = Converter(dense_model())
    net = converter.net
    assert [node.size_out for node in net.nodes] == [4, 2, 1]
    assert [ens.n_neurons for ens in net.ensembles] == [3]
    assert len(net.connections) == 3
    assert all(net.config[conn].trainable for conn in net.connections)
    assert len(converter.layers) == 3
    assert [r.exactness for r in converter.records] == ["exact"] * 3
    assert converter.verify()
    assert converter.verify(training=True)


def test_converted_networks_run_in_nengo():
    converter = Converter(dense_model())
    x = np.random.RandomState(0).uniform(-1, 1, size=4)
    converter.inputs[converter.model.inputs[0]].output = x
    with nengo.Simulator(converter.net, progress_bar=False) as sim:
        sim.step()
    (probe,) = converter.net.probes
    np.testing.assert_allclose(sim.data[probe], converter.model.predict(x[None], verbose=0), 1e-5)


def test_positional_data_are_for_the_inputs_of_keras():
    a, b = keras.Input((2,)), keras.Input((2,))
    x = keras.layers.Dense(2, bias_initializer="ones")(a)
    model = keras.Model([a, b], [x, keras.layers.Dense(3, bias_initializer="ones")(b)])
    converter = Converter(model)
    assert converter.verify()
    data = [np.ones((1, 1, 2)), np.full((1, 1, 2), 2.0)]
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        found = sim.predict(data)
    expected = model.predict([x[:, 0] for x in data], verbose=0)
    for tensor, array in zip(model.outputs, expected, strict=True):
        np.testing.assert_allclose(found[converter.outputs[tensor]][:, 0], array, rtol=1e-5)


def test_scaled_neurons():
    converter = Converter(dense_model(), scale_firing_rates=4, synapse=0.01)
    (ens,) = converter.net.ensembles
    assert ens.neuron_type == nengo.RectifiedLinear(amplitude=0.25)
    synapses = {type(c.pre_obj).__name__: c.synapse for c in converter.net.connections}
    assert synapses["Neurons"] == nengo.Lowpass(0.01)
    assert synapses["Node"] is None
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.data[ens].gain, 4)


@pytest.mark.parametrize("nested", [1, 2])
def test_nested_models(nested):
    inner = dense_model()
    x = keras.Input((4,))
    y = inner(x)
    for _ in range(nested - 1):
        y = inner(keras.layers.Dense(4)(y))
    model = keras.Model(x, y)
    converter = Converter(model, split_shared_weights=nested > 1)
    assert [n.label for n in converter.net.networks] == [f"{inner.name}.{i}" for i in range(nested)]
    assert converter.verify()


def test_layers_without_an_equivalent_become_tensor_nodes():
    a, b = keras.Input((2,)), keras.Input((2,))
    model = keras.Model([a, b], keras.layers.Maximum()([a, b]))
    with pytest.warns(UserWarning, match="'maximum' .* cannot be converted"):
        converter = Converter(model)
    assert converter.verify(inputs=[np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]])])
    with pytest.raises(TypeError, match="allow_fallback=True"):
        Converter(model, allow_fallback=False)


def test_converters_of_the_original_are_public():
    for family in ("AvgPool", "Conv", "UpSampling", "ZeroPadding"):
        base = getattr(nengo_dl.converter, f"Convert{family}")
        for rank in (1, 2, 3):
            assert issubclass(getattr(nengo_dl.converter, f"Convert{family}{rank}D"), base)
    assert nengo_dl.Converter is Converter
    assert all(hasattr(nengo_dl.converter, name) for name in nengo_dl.converter.__all__)
