"""Thresholds from activations, and what calibration data may look like."""

import keras
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.converter import Calibrated, Converter, LocalBalance, Maximum, Percentile
from nengo_dl.converter.recipes.readout import best_starts
from nengo_dl.converter.recipes.statistics import Activations, by_channel
from nengo_dl.converter.recipes.thresholds import method_of, thresholds_of


@pytest.fixture
def samples(rng):
    """Return samples (5000, 3) with different sizes and one outlier."""
    samples = np.maximum(rng.normal(size=(5000, 3)), 0) * [1, 10, 0.1]
    samples[7, 0] = 100
    return samples


def test_maximum_and_percentile(samples):
    np.testing.assert_array_equal(Maximum()(samples), samples.max(axis=0))
    assert Maximum()(samples)[0] == 100
    np.testing.assert_allclose(Percentile(99)(samples), np.percentile(samples, 99, axis=0))
    assert Percentile()(samples)[0] < 5


def represented(samples, threshold, n_steps):
    levels = np.clip(np.floor(samples * n_steps / threshold + 0.5), 0, n_steps)
    return levels * threshold / n_steps


@pytest.mark.parametrize("n_steps", [4, 16, 64])
def test_local_balance_has_the_least_error_of_all_candidates(samples, n_steps):
    method = LocalBalance(n_steps, candidates=25)
    found = method(samples)
    for channel, threshold in enumerate(found):
        values = samples[:, channel]
        errors = [
            np.mean((values - represented(values, values.max() * i / 25, n_steps)) ** 2)
            for i in range(1, 26)
        ]
        assert threshold == pytest.approx(values.max() * (1 + np.argmin(errors)) / 25)


def test_local_balance_clips_more_where_steps_are_few(rng):
    samples = np.maximum(rng.normal(size=(20000, 1)), 0)
    few, many = LocalBalance(4)(samples), LocalBalance(64)(samples)
    assert few < many < samples.max()


def test_scaled_activations_have_scaled_thresholds(samples):
    for method in (Maximum(), Percentile(), LocalBalance()):
        np.testing.assert_allclose(method(3 * samples), 3 * method(samples))


def test_silent_channels_do_not_fire_without_limit():
    samples = np.array([[0.0, 2.0, 0.001]])
    np.testing.assert_allclose(thresholds_of(samples, Maximum()), [0.02, 2, 0.02])
    np.testing.assert_array_equal(thresholds_of(np.zeros((4, 2)), Maximum()), [1, 1])


def test_statistics_of_chunks_are_those_of_all(rng):
    values, activations = rng.normal(size=(90, 4)), Activations()
    for part in np.split(values, 3):
        activations.add(part, most=40, rng=rng)
    np.testing.assert_allclose(activations.largest, np.abs(values).max(axis=0))
    np.testing.assert_allclose(activations.mean, np.abs(values).mean(axis=0))
    assert (activations.lowest, activations.highest) == (values.min(), values.max())
    assert [part.shape for part in activations.samples] == [(10, 4)] * 3


def test_channels_are_where_the_layer_says():
    values = np.arange(24.0).reshape(1, 2, 3, 4)
    last, first = keras.layers.Conv2D(1, 1), keras.layers.Conv2D(1, 1, data_format="channels_first")
    np.testing.assert_array_equal(by_channel(values, last, True)[:, 0], np.arange(0, 24, 4))
    np.testing.assert_array_equal(by_channel(values, first, True)[:, 0], np.arange(12))
    assert by_channel(values, first, False).shape == (24, 1)


def test_the_readout_waits_for_what_comes_late():
    outputs = np.ones((3, 6, 2))
    outputs[:, :2] = 0
    np.testing.assert_array_equal(best_starts(outputs, np.ones((3, 2))), [0, 0, 2, 2, 2, 2])
    np.testing.assert_array_equal(best_starts(np.ones((1, 4, 1)), np.ones((1, 1))), [0, 0, 0, 0])


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Percentile(0), "Percentile.percent: got 0, expected a number from 0 to 100"),
        (lambda: Percentile(101), "Percentile.percent: got 101"),
        (lambda: LocalBalance(0), "LocalBalance.n_steps: got 0, expected a positive int"),
        (lambda: LocalBalance(4, candidates=1.5), "LocalBalance.candidates: got 1.5"),
        (lambda: method_of("median"), "method: got 'median', expected one of 'maximum', 'percent"),
        (lambda: Calibrated(3), "method: got 3, expected one of"),
        (lambda: Calibrated(max_rate=0), "max_rate: got 0, expected a number positive"),
        (lambda: Calibrated(max_spikes=0.5), "max_spikes: got 0.5, expected a number of at least"),
        (lambda: Calibrated(initial_voltage=1), "initial_voltage: got 1, expected a number from 0"),
        (lambda: Calibrated(readout="late"), "readout: got 'late', expected 'auto' or an int"),
        (lambda: Calibrated(readout=-1), "readout: got -1"),
    ],
)
def test_arguments_of_recipes(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


def test_a_method_of_the_user_that_gives_nonsense():
    with pytest.raises(ValidationError, match="method: .* gave .*, expected 2 finite numbers, one"):
        thresholds_of(np.ones((5, 2)), lambda samples: samples.max())
    with pytest.raises(ValidationError, match="expected 2 finite numbers"):
        thresholds_of(np.ones((5, 2)), lambda samples: np.array([1, np.nan]))


X = keras.Input((4,), name="pixels")
MODEL = keras.Model(X, keras.layers.Dense(3, activation="relu", name="hidden")(X))


@pytest.mark.parametrize(
    "calibration, message",
    [
        (None, "calibration: this recipe looks at activations; give typical data .*calibration=x"),
        (np.ones((5, 3)), r"calibration: data for input 'pixels' have shape \(5, 3\) .*items, 4\)"),
        (np.ones(4), r"calibration: data for input 'pixels' have shape \(4,\)"),
        (np.ones((0, 4)), r"calibration: data for input 'pixels' have shape \(0, 4\)"),
        (np.full((2, 4), "a"), "calibration: data for input 'pixels' .*expected numbers"),
        (np.full((2, 4), np.nan), "calibration: data for input 'pixels' are not all finite"),
        ([np.ones((2, 4))] * 2, "calibration: got 2 arrays, the model has 1 inputs: 'pixels'"),
        ({"image": np.ones((2, 4))}, "calibration: got data for 'image', expected 'pixels'"),
    ],
)
def test_calibration_data(calibration, message):
    with pytest.raises(ValidationError, match=message):
        Converter(MODEL, scale_firing_rates="auto", calibration=calibration)


def test_a_word_that_is_not_auto():
    with pytest.raises(ValidationError, match="scale_firing_rates: got 'best', expected 'auto', a"):
        Converter(MODEL, scale_firing_rates="best")
