"""What a converter tells about itself: counts, evaluations, diagnoses, tables and plots."""

import keras
import nengo
import numpy as np
import pytest
from keras import layers
from nengo.exceptions import ValidationError

from nengo_dl.converter import Calibrated, Converter
from nengo_dl.converter.energy import FIGURES
from nengo_dl.converter.fanout import FanOut
from nengo_dl.converter.running import run
from nengo_dl.converter.tables import si

IMAGES = np.random.RandomState(0).uniform(0, 1, size=(12, 8, 8, 1)).astype("float32")


def convolutional():
    keras.utils.set_random_seed(5)
    x = inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(3, 3, activation="relu", name="first")(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Conv2D(4, 2, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(5, name="out")(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def converter():
    return Converter(convolutional(), scale_firing_rates="auto", calibration=IMAGES)


@pytest.fixture(scope="module")
def evaluation(converter):
    return converter.evaluate(IMAGES, n_steps=[3, 10])


# --- counts ---------------------------------------------------------------------------------------

CONVOLUTIONS = [
    nengo.Convolution(3, (7, 6, 2), kernel_size=(3, 2), strides=(2, 1), padding="valid"),
    nengo.Convolution(3, (7, 6, 2), kernel_size=(3, 4), strides=(2, 3), padding="same"),
    nengo.Convolution(4, (2, 7, 6), kernel_size=(2, 2), channels_last=False),
    nengo.Convolution(4, (7, 6, 2), kernel_size=(3, 3), padding="same", groups=2),
    nengo.Convolution(2, (9, 3), kernel_size=(3,), strides=(2,), padding="same"),
]


@pytest.mark.parametrize("transform", CONVOLUTIONS, ids=range(len(CONVOLUTIONS)))
def test_fan_out_is_the_number_of_weights(transform, rng):
    """Against the matrix of the transform, as Nengo computes it."""
    kernel = rng.uniform(1, 2, transform.kernel_shape) * (
        rng.uniform(size=transform.kernel_shape) > 0.3
    )
    transform = nengo.Convolution(
        transform.n_filters,
        transform.input_shape,
        kernel_size=transform.kernel_size,
        strides=transform.strides,
        padding=transform.padding,
        channels_last=transform.channels_last,
        groups=transform.groups,
        init=kernel,
    )
    size = transform.size_in
    with nengo.Network() as net:
        node = nengo.Node(nengo.processes.PresentInput(np.eye(size), 0.001))
        ens = nengo.Ensemble(transform.size_out, 1)
        nengo.Connection(node, ens.neurons, transform=transform, synapse=None)
        relay = nengo.Node(size_in=transform.size_out)
        nengo.Connection(node, relay, transform=transform, synapse=None)
        probe = nengo.Probe(relay)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(size)
    expected = np.count_nonzero(sim.data[probe], axis=1)
    net.connections.remove(net.connections[1])
    np.testing.assert_array_equal(FanOut(net).of(node), expected)


def test_fan_out_passes_through_nodes(rng):
    weights = np.array([[1.0, 0, 2], [0, 0, 3], [4, 0, 5], [0, 0, 0]])
    with nengo.Network() as net:
        a, b = (nengo.Ensemble(n, 1).neurons for n in (6, 4))
        relay, unused = nengo.Node(size_in=3), nengo.Node(size_in=6)
        nengo.Connection(a[:3], relay, transform=[1, 0, 1])
        nengo.Connection(a[3:], relay, transform=nengo.Sparse((3, 3), indices=[(2, 0)], init=[7.0]))
        nengo.Connection(relay, b, transform=weights)
        nengo.Connection(a, unused)
    np.testing.assert_array_equal(FanOut(net).of(a), [2, 0, 3, 3, 0, 0])
    with net:
        nengo.Probe(relay)
    np.testing.assert_array_equal(FanOut(net).of(a), [3, 0, 4, 4, 0, 0])


# --- evaluate -------------------------------------------------------------------------------------


def test_evaluation_counts_spikes_and_operations(converter, evaluation):
    """Against spikes that are recorded one by one."""
    net = converter.net
    with nengo.Network() as outer:
        nengo.Network.add(net)
        probes = [nengo.Probe(ens.neurons) for ens in net.all_ensembles]
    found = run(converter, [IMAGES], 10, outer, probes).probes
    fan_out = FanOut(net)
    operations = 0
    for i, (ens, array) in enumerate(zip(net.all_ensembles, found, strict=True)):
        spikes = array * (0.001 / ens.neuron_type.amplitude)
        assert np.allclose(spikes, np.round(spikes)) and spikes.any()
        expected = [spikes[:, :n].sum() / 12 for n in (3, 10)]
        np.testing.assert_allclose(evaluation.spikes[i], expected, rtol=1e-5)
        operations += (spikes.sum(axis=(0, 1)) / 12) @ fan_out.of(ens.neurons)
    assert evaluation.synaptic_operations[1] == pytest.approx(operations, rel=1e-5)
    # of the first convolution; of the second, by each of the four that were pooled; of the last
    assert evaluation.multiply_adds == 36 * 3 * 9 + 4 * (4 * 4 * 4 * 3) + 16 * 5
    np.testing.assert_allclose(
        evaluation.mean_rate, evaluation.spikes.sum(axis=0) / (124 * np.array([0.003, 0.01]))
    )


def test_scores_are_those_of_averaged_outputs(converter, evaluation):
    outputs = run(converter, [IMAGES], 10).outputs[0]
    right = np.argmax(converter.model.predict(IMAGES, verbose=0), axis=1)
    for n, start, score in zip((3, 10), evaluation.starts, evaluation.score, strict=True):
        assert score == np.mean(outputs[:, start:n].mean(axis=1).argmax(axis=1) == right)
    assert evaluation.keras_score == 1
    labels = np.roll(right, 1)
    for y in (labels, labels[:, None], np.eye(5)[labels]):
        assert converter.evaluate(IMAGES, y, n_steps=3).keras_score == np.mean(labels == right)
    own = converter.evaluate(IMAGES, n_steps=3, metric=lambda y, x: np.abs(y - x).max())
    assert own.keras_score == 0 < own.score[0]


def test_energies_have_sources(evaluation):
    for figure in FIGURES:
        assert "doi" in figure.source
        expected = figure.synaptic * evaluation.synaptic_operations
        expected = expected + figure.update * evaluation.updates
        expected = expected + (figure.multiply_add or 0) * evaluation.input_operations
        np.testing.assert_allclose(evaluation.energies[figure.name], 1e-12 * expected)
    assert FIGURES[1].synaptic > 10 * FIGURES[0].synaptic  # with memory
    text = str(evaluation)
    assert text.index("Synaptic operations") < text.index("Estimated energy")
    assert "Horowitz, ISSCC 2014" in text and "Loihi" in text


def test_small_numbers_have_prefixes():
    assert [si(x, "J") for x in (0, 2, 0.0123, 4.5e-7, 9e-14)] == [
        "0 J",
        "2 J",
        "12.3 mJ",
        "450 nJ",
        "0.09 pJ",
    ]


def test_networks_without_neurons_can_be_evaluated():
    inputs = keras.Input((3,))
    converter = Converter(keras.Model(inputs, layers.Dense(2)(inputs)))
    result = converter.evaluate(np.eye(3, dtype="float32"), n_steps=2)
    assert result.score[0] == 1 and result.layers == [] and "100.00%" in str(result)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": IMAGES[:, :4]}, r"x: data for input 'image' have shape \(12, 4, 8, 1\)"),
        ({"n_steps": 0}, "n_steps: got 0, expected a positive int"),
        ({"n_steps": [4, 2.5]}, "n_steps: got 2.5, expected a positive int"),
        ({"y": np.ones(5)}, r"y: y has shape \(5,\), expected one class for each of the 12 items"),
    ],
)
def test_bad_input(converter, arguments, message):
    with pytest.raises(ValidationError, match=message):
        converter.evaluate(**{"x": IMAGES, "n_steps": 2, **arguments})


def test_temporal_models_are_refused():
    inputs = keras.Input((10, 3))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    converter = Converter(model, temporal_model=True)
    for call in (converter.evaluate, converter.diagnose):
        with pytest.raises(ValidationError, match="shows one input for many steps.*is temporal"):
            call(np.ones((2, 10, 3)))


# --- diagnose -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["first", "second", "out"])
def test_diagnosis_names_the_layer_that_is_broken(name, tmp_path):
    converter = Converter(convolutional(), recipe=Calibrated(readout=0), calibration=IMAGES)
    made = [record for record in converter.records if record.layer.name == name][0]
    targets = [ens.neurons for ens in made.ensembles] or [made.obj]
    weights = nengo.Convolution if made.ensembles else nengo.transforms.Dense
    (conn,) = [
        conn
        for conn in converter.net.all_connections
        if conn.post_obj in targets
        and isinstance(conn.transform, weights)
        and conn.pre_obj.size_out > 1
    ]
    conn.transform = times_20(conn.transform)
    diagnosis = converter.diagnose(IMAGES, n_steps=10)
    assert diagnosis.worst.layer.name == name
    assert diagnosis[name].own_error > 5
    others = [row for row in diagnosis.layers if row.layer.name != name]
    assert all(row.own_error < 0.5 for row in others)
    assert f"{name}.0 loses most" in str(diagnosis).replace("\n", " ")
    if name == "first":
        pytest.importorskip("matplotlib").use("Agg")
        diagnosis.plot(tmp_path / "diagnosis.png")
        assert (tmp_path / "diagnosis.png").stat().st_size > 10_000


def test_a_normalization_that_was_taken_in_is_told_with_its_weights():
    x = inputs = keras.Input((4,))
    x = layers.Dense(6, name="weights")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    model = keras.Model(inputs, x)
    data = np.random.RandomState(0).normal(size=(9, 4)).astype("float32")
    recipe = Calibrated(readout=0)
    converter = Converter(model, inference_only=True, recipe=recipe, calibration=data)
    (conn,) = [
        c
        for c in converter.net.connections
        if np.ndim(getattr(c.transform, "init", 0)) == 2 and c.pre_obj.size_out == 4
    ]
    conn.transform = times_20(conn.transform)
    diagnosis = converter.diagnose(data, n_steps=10)
    assert [row.name for row in diagnosis.layers] == ["weights.0 + norm.0", "relu.0"]
    assert diagnosis.worst.layer is model.get_layer("weights")


def times_20(transform):
    if isinstance(transform, nengo.transforms.Dense):
        return nengo.transforms.Dense(transform.shape, 20 * transform.init)
    return nengo.Convolution(
        transform.n_filters,
        transform.input_shape,
        kernel_size=transform.kernel_size,
        strides=transform.strides,
        padding=transform.padding,
        init=20 * transform.init,
    )


def test_diagnosis_of_a_network_that_is_well(converter):
    before = [list(x) for x in (converter.net.all_objects, converter.net.all_probes)]
    diagnosis = converter.diagnose(IMAGES, n_steps=100, start=0, minibatch_size=5)
    assert [row.layer.name for row in diagnosis.layers] == ["first", "pool", "second", "out"]
    for row in diagnosis.layers:
        assert row.error < 0.1 and row.correlation > 0.99
        assert row.own_error <= row.error + 1e-3
    assert diagnosis["pool"].own_error < 1e-5 and np.isnan(diagnosis["pool"].silent)
    first = diagnosis["first.0"]
    assert first.neurons == 108 and first.input_error == 0
    assert first.silent == np.mean(np.all(first.actual == 0, axis=0))
    assert diagnosis["second"].input_error == diagnosis["pool"].error
    assert [list(x) for x in (converter.net.all_objects, converter.net.all_probes)] == before
    with pytest.raises(KeyError, match="'third' is none of first.0, pool.0"):
        diagnosis["third"]


def test_what_a_layer_gets_alone_is_exact(converter):
    """Its mean is that of neurons with constant currents."""
    diagnosis = converter.diagnose(IMAGES, n_steps=16, start=0)
    row = diagnosis["second"]
    (record,) = [r for r in converter.records if r.layer.name == "second"]
    counts = row.alone * record.scale * 0.016
    expected = np.floor(row.expected * record.scale * 0.016 + 0.5)
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)
    assert np.mean(np.abs(counts - expected) < 0.01) > 0.98  # up to rounding at the edges


def test_rates_can_be_diagnosed():
    """Without spikes nothing is lost."""
    diagnosis = Converter(convolutional()).diagnose(IMAGES, n_steps=1)
    assert all(row.error < 1e-5 for row in diagnosis.layers)
    assert np.isnan(diagnosis["first"].saturated)


# --- tables and plots -----------------------------------------------------------------------------


def test_the_table_of_a_converter(converter):
    text = str(converter)
    assert "recipe Calibrated" in text
    (row,) = [line for line in text.splitlines() if "first.0 (Conv2D)" in line]
    for part in ("IntegrateAndFire", "exact (mean of spikes)", "108", "30", "Hz"):
        assert part in row
    assert "2 exact" not in text and "6 layers (6 exact)" in text
    assert "Hz" not in str(Converter(convolutional()))


def test_rates_in_the_table_are_those_of_the_neurons(converter):
    result = converter.evaluate(IMAGES, n_steps=200)
    (row,) = [line for line in str(converter).splitlines() if "first.0" in line]
    said = float(row.split(" Hz")[0].split()[-1])
    assert said == pytest.approx(result.rates[0, 0], rel=0.02)


def test_plots(evaluation, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    figure = evaluation.plot()
    assert [axes.get_title() for axes in figure.axes][0] == "Score [%]"
    evaluation.plot(tmp_path / "evaluation.png")
    assert (tmp_path / "evaluation.png").stat().st_size > 10_000


def test_plots_say_what_they_need(evaluation, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plots need Matplotlib: pip install matplotlib"):
        evaluation.plot()
