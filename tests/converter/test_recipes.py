"""Recipes: which neurons layers become, how they are scaled, and that their means are exact."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.converter import QCFS, Calibrated, Converter, Rates, Recipe
from nengo_dl.converter.recipes import scaling
from nengo_dl.converter.running import expected_outputs, run
from nengo_dl.neurons import (
    IntegrateAndFire,
    QuantizedReLU,
    SignedIntegrateAndFire,
    SoftLIFRate,
    ThresholdedReLU,
)

DATA = np.random.RandomState(1).normal(size=(30, 5)).astype("float32")


def model_of(*activations, units=8):
    """Return dense layers with activations (names, or layers), and a linear one."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((5,))
    for i, activation in enumerate(activations):
        is_layer = isinstance(activation, keras.layers.Layer)
        x = keras.layers.Dense(
            units,
            None if is_layer else activation,
            bias_initializer="uniform",
            name=f"hidden{i}",
        )(x)
        x = activation(x) if is_layer else x
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def in_double_precision(converter):
    with converter.net:
        nengo_dl.configure_settings(dtype="float64")
    return converter


def outputs_of(converter, n_steps):
    """Return the mean output of the network, and what Keras gives."""
    found = run(in_double_precision(converter), [DATA], n_steps).outputs[0].mean(axis=1)
    return found, expected_outputs(converter, [DATA])[0]


# --- auto -----------------------------------------------------------------------------------------


def test_auto_is_calibrated_by_local_balance_for_each_channel():
    converter = Converter(model_of("relu"), scale_firing_rates="auto", calibration=DATA)
    (ens,) = converter.net.ensembles
    assert type(ens.neuron_type) is IntegrateAndFire
    voltage = ens.neuron_type.initial_state["voltage"]
    assert voltage == nengo.dists.Choice([0.5])
    (activations,) = (
        np.asarray(v[0]) for n, _, v in converter.activations(DATA) if n == "hidden0.0"
    )
    np.testing.assert_array_equal(ens.gain >= 999 / activations.max(axis=0), True)
    assert len(set(np.round(ens.gain, 6))) == 8


def test_one_scale_for_a_layer():
    recipe = Calibrated("maximum", per_channel=False, max_rate=200)
    converter = Converter(model_of("relu"), recipe=recipe, calibration=DATA)
    largest = max(np.max(v[0]) for n, _, v in converter.activations(DATA) if n == "hidden0.0")
    (record,) = [r for r in converter.records if r.ensembles]
    assert record.scale == pytest.approx(200 / largest)
    assert record.ensembles[0].neuron_type.amplitude == pytest.approx(largest / 200)


@pytest.mark.parametrize(
    "method, options",
    [
        ("local", {}),
        ("local", {"signed": True}),
        ("percentile", {"max_spikes": 3}),
        ("maximum", {"per_channel": False}),
        (lambda samples: samples.max(axis=0), {}),
    ],
)
def test_means_of_spikes_approach_keras(method, options):
    recipe = Calibrated(method, **options)
    converter = Converter(model_of("relu", "relu"), recipe=recipe, calibration=DATA)
    found, expected = outputs_of(converter, 200)
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


@pytest.mark.parametrize(
    "activation", [keras.layers.ReLU(max_value=0.5), "hard_tanh"], ids=["ReLU", "hard_tanh"]
)
def test_terms_of_an_activation_are_not_clipped_at_the_threshold_of_their_sum(activation):
    recipe = Calibrated("maximum", max_spikes=1)
    converter = Converter(model_of(activation), recipe=recipe, calibration=3 * DATA)
    found, expected = outputs_of(converter, 200)
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def test_neurons_that_rectify_first_fire_too_much():
    """What `IntegrateAndFire` is for: currents of spikes are not constant."""
    model = model_of("relu", "relu", "relu", units=20)
    swap = {nengo.RectifiedLinear(): nengo.SpikingRectifiedLinear()}
    first = Converter(model, scale_firing_rates="auto", calibration=DATA, swap_activations=swap)
    errors = []
    for converter in (first, Converter(model, scale_firing_rates="auto", calibration=DATA)):
        found, expected = outputs_of(converter, 100)
        errors.append(np.abs(found - expected).mean())
    assert errors[0] > 5 * errors[1]


@pytest.mark.parametrize(
    "activation",
    [
        *("sigmoid", "tanh", keras.layers.LeakyReLU(negative_slope=0.2)),
        keras.layers.ReLU(threshold=0.25),
        keras.layers.ReLU(threshold=0.25, negative_slope=0.2, max_value=1),
    ],
)
def test_other_activations_spike_with_their_function(activation):
    converter = Converter(model_of(activation), scale_firing_rates="auto", calibration=DATA)
    (ens,) = converter.net.ensembles
    assert ens.neuron_type.spiking
    found, expected = outputs_of(converter, 200)
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert np.abs(found - expected).max() > 0  # spikes


def test_negative_activations_give_negative_spikes():
    slope = keras.layers.LeakyReLU(negative_slope=0.5)
    converter = Converter(model_of(slope), scale_firing_rates="auto", calibration=DATA)
    (ens,) = converter.net.ensembles
    assert ens.neuron_type.negative_slope == 0.5
    with converter.net:
        probe = nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(converter.net, minibatch_size=30, progress_bar=False) as sim:
        shown = np.repeat(DATA[:, None], 20, axis=1)
        spikes = sim.predict({converter.inputs[converter.model.inputs[0]]: shown})[probe]
    assert spikes.min() < 0 < spikes.max()


def test_it_runs_in_nengo_with_the_same_numbers():
    converter = Converter(
        model_of("relu", "relu"), recipe=Calibrated(signed=True), calibration=DATA
    )
    expected = run(in_double_precision(converter), [DATA[:1]], 20).outputs[0][0]
    node = converter.inputs[converter.model.inputs[0]]
    node.output = DATA[0].astype(float)
    with nengo.Simulator(converter.net, progress_bar=False) as sim:
        sim.run_steps(20)
    (probe,) = converter.net.probes
    np.testing.assert_allclose(sim.data[probe], expected, atol=1e-9)


def test_random_voltages_are_those_of_the_neuron_type():
    recipe = Calibrated(initial_voltage="uniform")
    converter = Converter(model_of("relu"), recipe=recipe, calibration=DATA)
    assert not converter.net.ensembles[0].neuron_type.initial_state


def test_the_readout_is_chosen_or_given():
    model = model_of("relu", "relu")
    converter = Converter(model, recipe=Calibrated(readout=3), calibration=DATA)
    assert [converter.recipe.readout(converter, n) for n in (2, 4, 10)] == [1, 3, 3]
    converter = Converter(model, recipe=Calibrated(), calibration=DATA)
    starts = [converter.recipe.readout(converter, n) for n in (1, 5, 20)]
    assert starts[0] == 0 and all(0 <= s < n for s, n in zip(starts, (1, 5, 20), strict=True))


def test_the_model_of_keras_is_not_changed():
    model = model_of("relu")
    before, config = model.get_weights(), model.get_config()
    Converter(model, scale_firing_rates="auto", calibration=DATA)
    assert model.get_config() == config
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# --- scales through the step ----------------------------------------------------------------------

CURVES = [
    nengo.LIF(amplitude=0.5),
    nengo.LIFRate(tau_rc=0.03),
    SoftLIFRate(sigma=0.5),
    nengo.RegularSpiking(nengo.Sigmoid()),
    nengo.RegularSpiking(nengo.Tanh(tau_ref=1), amplitude=2),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.RegularSpiking(ThresholdedReLU(2, negative_slope=0.5, max_value=9), amplitude=0.5),
]


@pytest.mark.parametrize("neuron_type", CURVES, ids=repr)
def test_curves_keep_their_function(neuron_type):
    currents = np.linspace(-3, 20, 50)
    faster = scaling.through_step(neuron_type, 7.0)
    base = getattr(neuron_type, "base_type", neuron_type)
    made = getattr(faster, "base_type", faster)
    by_amplitude = 1 if made is faster else 7  # rates of the base do not have the amplitude
    np.testing.assert_allclose(
        scaling.rates(made, currents), by_amplitude * scaling.rates(base, currents), rtol=1e-9
    )
    assert faster.amplitude == pytest.approx(neuron_type.amplitude / 7)


class ByNeuron(Recipe):
    """A scale for each neuron."""

    def scale(self, layer, activation):
        return np.linspace(10, 400, 8)


JUMP = keras.layers.ReLU(threshold=0.25, negative_slope=0.5, max_value=1)


@pytest.mark.parametrize("activation", [QCFS(4, 1.5), JUMP], ids=["QCFS", "ReLU"])
@pytest.mark.parametrize("recipe", [Rates(250), ByNeuron()], ids=["number", "array"])
def test_jumps_stay_where_they_are(activation, recipe):
    """Larger gains would move them."""
    converter = Converter(model_of(activation), recipe=recipe)
    assert converter.verify(inputs=DATA, atol=1e-5)


@pytest.mark.parametrize("recipe", [Rates(250), ByNeuron()], ids=["number", "array"])
def test_spiking_neurons_that_jump_fire_faster(recipe):
    rate = ThresholdedReLU(0.25, negative_slope=0.5, max_value=1)
    swaps = {rate: nengo.RegularSpiking(rate)}
    converter = Converter(model_of(JUMP), swap_activations=swaps, recipe=recipe)
    (ens,) = converter.net.ensembles
    assert ens.neuron_type.amplitude == 1 / (250 if isinstance(recipe, Rates) else 400)
    found, expected = outputs_of(converter, 400)
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_lif_is_scaled_by_its_time_constants():
    """The function of `LIF` stays; spikes are smaller and more frequent."""
    swap = {nengo.RectifiedLinear(): nengo.LIF(amplitude=0.01)}
    model = model_of("relu", units=4)
    plain = Converter(model, swap_activations=swap)
    auto = Converter(model, swap_activations=swap, scale_firing_rates="auto", calibration=5 * DATA)
    slow, fast = plain.net.ensembles[0].neuron_type, auto.net.ensembles[0].neuron_type
    factor = slow.tau_rc / fast.tau_rc
    assert factor > 1
    assert fast.tau_ref == pytest.approx(slow.tau_ref / factor)
    assert fast.amplitude == pytest.approx(slow.amplitude / factor)
    np.testing.assert_array_equal(auto.net.ensembles[0].gain.sample(1), 1)


def test_a_curve_that_cannot_be_scaled_is_told_with_its_error():
    swap = {nengo.RectifiedLinear(): nengo.AdaptiveLIF(amplitude=0.01)}
    with pytest.warns(
        UserWarning,
        match=r"layer 'hidden0' are scaled by .*changes the function of AdaptiveLIF.*by ",
    ):
        Converter(
            model_of("relu"), swap_activations=swap, scale_firing_rates="auto", calibration=DATA
        )


def test_neurons_without_amplitude_stay():
    swap = {nengo.RectifiedLinear(): nengo.Izhikevich()}
    with pytest.warns(UserWarning, match="'hidden0' cannot be scaled: Izhikevich.*no amplitude"):
        converter = Converter(
            model_of("relu"), swap_activations=swap, scale_firing_rates="auto", calibration=DATA
        )
    assert converter.net.ensembles[0].neuron_type == nengo.Izhikevich()


# --- QCFS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 4, 8])
def test_qcfs_is_exact_after_as_many_steps_as_levels(levels):
    layers = [QCFS(levels, threshold) for threshold in (1.5, 0.8, 0.6)]
    converter = Converter(model_of(*layers), recipe=Calibrated())
    kinds = {type(ens.neuron_type) for ens in converter.net.all_ensembles}
    assert kinds == {SignedIntegrateAndFire}
    found, expected = outputs_of(converter, levels)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected) > 0.1


def test_qcfs_as_rates():
    converter = Converter(model_of(QCFS(4, 1.5), QCFS(8, 0.7)))
    assert {type(ens.neuron_type) for ens in converter.net.ensembles} == {QuantizedReLU}
    assert converter.verify(inputs=DATA, atol=1e-5)


def test_qcfs_values_and_gradients():
    layer = QCFS(levels=4, threshold=2.0)
    z = np.array([-1, 0.1, 0.3, 0.9, 1.3, 1.8, 5], dtype="float32")
    expected = 2 * np.clip(np.floor(4 * z / 2 + 0.5) / 4, 0, 1)
    np.testing.assert_allclose(layer(z), expected, atol=1e-6)
    tf = pytest.importorskip("tensorflow")
    x = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    dx, dthreshold = tape.gradient(y, [x, layer.threshold.value])
    np.testing.assert_array_equal(dx, (z > 0) & (z < 2))
    inside = (z > 0) & (z < 2)
    by_threshold = np.where(z >= 2, 1, np.where(inside, (expected - z) / 2, 0))
    np.testing.assert_allclose(dthreshold, by_threshold.sum(), atol=1e-6)


def test_quantized_neurons_train_as_the_layer_does():
    """The gradient of the network is that of the Keras model."""
    model = model_of(QCFS(4, 1.5))
    for layer in model.layers:
        layer.trainable = not isinstance(layer, QCFS)
    assert Converter(model).verify(training=True, atol=1e-5)


def test_qcfs_is_saved_and_trained(tmp_path):
    model = model_of(QCFS(4, 3.0, name="levels"))
    model.compile("adam", "mse")
    model.fit(DATA, DATA[:, :3], epochs=1, verbose=0)
    trained = float(model.get_layer("levels").threshold)
    assert trained != 3.0
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(loaded.get_layer("levels").threshold) == trained
    np.testing.assert_array_equal(loaded.predict(DATA, verbose=0), model.predict(DATA, verbose=0))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"levels": 0}, "QCFS.levels: got 0, expected a positive int"),
        ({"levels": 2.5}, "QCFS.levels: got 2.5"),
        ({"threshold": 0}, "QCFS.threshold: got 0, expected a positive number"),
    ],
)
def test_arguments_of_qcfs(arguments, message):
    with pytest.raises(ValidationError, match=message):
        QCFS(**arguments)


# --- a user's own ---------------------------------------------------------------------------------


class OnlySecond(Recipe):
    """Makes one layer spike."""

    def prepare(self, converter, calibration):
        self.layer = converter.model.layers[2]

    def activation(self, layer, neuron_type):
        return nengo.SpikingRectifiedLinear() if layer is self.layer else neuron_type

    def scale(self, layer, activation):
        return 500.0 if layer is self.layer else None


def test_a_recipe_of_the_user():
    converter = Converter(model_of("relu", "relu"), recipe=OnlySecond())
    first, second = (ens.neuron_type for ens in converter.net.ensembles)
    assert first == nengo.RectifiedLinear()
    assert second == nengo.SpikingRectifiedLinear(amplitude=1 / 500)
