"""Keras's callbacks in `fit`: what they watch, change, save and restore is the simulation."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl

pytestmark = pytest.mark.training

ONES, ZEROS = np.ones((4, 3, 1)), np.zeros((4, 3, 1))
DECAY = 0.8**4  # what an epoch of four minibatches multiplies the weight 2 with: 1 - 2 * 0.1


@pytest.fixture
def sim():
    """Return a simulator that multiplies its input by a weight, and learns to give zero."""
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node([0.0], label="a"), nengo.Node(size_in=1)
        conn = nengo.Connection(a, b, transform=2.0, synapse=None)
        nengo.Probe(b)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.weight = lambda: float(sim.data[conn].weights.ravel()[0])
        sim.compile(keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
        yield sim


def fit(sim, *callbacks, y=ZEROS, epochs=4, **kwargs):
    """Train, with validation on the same data; return the history."""
    options = {"epochs": epochs, "callbacks": list(callbacks), "verbose": 0, **kwargs}
    return sim.fit(ONES, y, validation_data=(ONES, y), **options).history


def rate_of(epoch, rate):
    """Return a learning rate: learn for two epochs, then forget."""
    return 0.1 if epoch < 2 else -0.1


def test_early_stopping_restores_the_best_weights(sim):
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = fit(sim, keras.callbacks.LearningRateScheduler(rate_of), stop, epochs=9)
    assert len(history["loss"]) == 4
    assert sim.weight() == pytest.approx(2 * DECAY**2, rel=1e-5)


def test_checkpoints_of_the_best_weights(sim, tmp_path):
    path = tmp_path / "best.weights.h5"
    save = keras.callbacks.ModelCheckpoint(
        path, "val_probe_loss", mode="min", save_best_only=True, save_weights_only=True
    )
    fit(sim, keras.callbacks.LearningRateScheduler(rate_of), save)
    assert sim.weight() > 2 * DECAY**2
    sim.keras_model.load_weights(path)
    assert sim.weight() == pytest.approx(2 * DECAY**2, rel=1e-5)


def test_whole_models_are_not_saved(sim, tmp_path):
    message = "cannot be saved.*as a Keras model.*model.keras.*save_weights_only=True"
    with pytest.raises(SimulationError, match=message):
        fit(sim, keras.callbacks.ModelCheckpoint(tmp_path / "model.keras"))


def test_learning_rates_fall_on_a_plateau(sim):
    reduce = keras.callbacks.ReduceLROnPlateau("loss", min_delta=100, patience=1, factor=0.5)
    np.testing.assert_allclose(fit(sim, reduce)["learning_rate"], [0.1, 0.1, 0.05, 0.025])


def test_training_ends_with_the_first_nan(sim):
    history = fit(sim, keras.callbacks.TerminateOnNaN(), y=np.nan * ZEROS)
    assert len(history["loss"]) == 1 and np.isnan(history["loss"][0])


def test_interrupted_training_is_continued(sim, tmp_path):
    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path)

    with pytest.raises(KeyboardInterrupt):
        fit(sim, backup(), keras.callbacks.LambdaCallback(on_epoch_end=interrupt))
    sim.reset()
    history = fit(sim, backup())
    assert len(history["loss"]) == 2  # of four, two were done
    assert sim.weight() == pytest.approx(2 * DECAY**4, rel=1e-5)


def test_averages_of_weights_are_validated(sim):
    sim.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), loss="mse")
    losses = fit(sim, keras.callbacks.SwapEMAWeights(), epochs=1)["val_loss"]
    weights = 2 * 0.8 ** np.arange(1, 5)
    average = weights[0]
    for weight in weights[1:]:
        average = (average + weight) / 2
    assert losses == pytest.approx([average**2], rel=1e-5)


def test_callbacks_can_use_the_simulator(sim):
    """What they see are the weights of the moment; the state of `fit` is not theirs."""
    seen = []

    def watch(epoch, logs):
        sim.run_steps(1, data=ONES[:1, :1])
        seen.append(float(sim.predict(ONES[:1, :1])[sim.model.probes[0]].item()))

    fit(sim, keras.callbacks.LambdaCallback(on_epoch_end=watch), epochs=2)
    assert seen == pytest.approx([2 * DECAY, 2 * DECAY**2], rel=1e-5)
    assert sim.n_steps == 2
