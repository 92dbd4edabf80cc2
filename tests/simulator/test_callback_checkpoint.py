"""`Checkpoint`: the callback that saves and restores the best parameters."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.callbacks import Checkpoint

pytestmark = pytest.mark.training

X, Y = np.ones((4, 1, 1)), np.zeros((4, 1, 1))


@pytest.fixture(scope="module")
def scaled():
    """Return a simulator of one weight, which is the square root of the loss."""
    with nengo.Network() as net:
        out = nengo.Node(size_in=1)
        net.conn = nengo.Connection(nengo.Node([0]), out, transform=1.0, synapse=None)
        net.probe = nengo.Probe(out)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse", metrics=["mae"])
        yield sim


def weight(sim):
    return sim.data[sim.model.toplevel.conn].weights.item()


class Script(keras.callbacks.Callback):
    """Gives the weight these values, one in each epoch."""

    def __init__(self, sim, values):
        super().__init__()
        self.sim, self.values = sim, values

    def on_epoch_begin(self, epoch, logs=None):
        (variable,) = self.sim.keras_model.weights
        variable.assign(self.values[epoch])


def fit(sim, values, *callbacks, **kwargs):
    script = Script(sim, values)
    options = {"epochs": len(values), "verbose": 0, "callbacks": [script, *callbacks]}
    return sim.fit(X, Y, **options | kwargs)


@pytest.mark.parametrize(
    "values, options, best",
    [
        ([3.0, 1.0, 2.0], {}, 1),
        ([3.0, 1.0, 2.0], {"monitor": "probe_mae"}, 1),
        ([3.0, 1.0, 4.0, 2.0], {"mode": "max"}, 2),
        ([np.nan, 3.0, np.nan, 5.0], {}, 1),
        ([2.0, 2.0, 2.0], {}, 0),
    ],
)
def test_the_best_epoch_is_saved_and_restored(values, options, best, scaled, tmp_path):
    checkpoint = Checkpoint(scaled, tmp_path / "best", restore_best=True, **options)
    fit(scaled, values, checkpoint)
    assert checkpoint.best_epoch == best and weight(scaled) == values[best]
    power = 1 if "monitor" in options else 2
    assert checkpoint.best == pytest.approx(values[best] ** power)
    scaled.reset()
    scaled.load_params(tmp_path / "best")
    assert weight(scaled) == values[best]
    assert [path.name for path in tmp_path.iterdir()] == ["best.npz"]


def test_every_epoch_can_be_saved(scaled, tmp_path):
    fit(
        scaled,
        [3.0, 1.0, 2.0],
        Checkpoint(scaled, tmp_path / "{epoch}_{loss:.1f}", save_best_only=False),
    )
    assert weight(scaled) == 2
    names = {"1_9.0.npz": 3, "2_1.0.npz": 1, "3_4.0.npz": 2}
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    for name, value in names.items():
        scaled.load_params(tmp_path / name)
        assert weight(scaled) == value


def test_validation_data_are_monitored_if_there_are_some(scaled):
    checkpoint = Checkpoint(scaled, restore_best=True)
    fit(scaled, [3.0, 1.0, 2.0], checkpoint, validation_data=(X, 2 * X))
    assert checkpoint.best == 0 and weight(scaled) == 2


def test_the_best_is_that_of_all_calls(scaled, tmp_path):
    checkpoint = Checkpoint(scaled, tmp_path / "best", restore_best=True)
    fit(scaled, [1.0], checkpoint)
    written = (tmp_path / "best.npz").stat().st_mtime_ns
    fit(scaled, [2.0], checkpoint)
    assert weight(scaled) == 1 and (tmp_path / "best.npz").stat().st_mtime_ns == written


def test_the_state_of_the_optimizer_goes_along(scaled, tmp_path):
    fit(scaled, [1.0], Checkpoint(scaled, tmp_path / "x", include_optimizer=True))
    scaled.load_params(tmp_path / "x", include_optimizer=True)


def test_wrong_arguments_of_checkpoints(scaled, tmp_path):
    with pytest.raises(ValidationError, match="mode: got 'least', expected 'min' or 'max'"):
        Checkpoint(scaled, mode="least")
    with pytest.raises(ValidationError, match="path: got 5, expected a path"):
        Checkpoint(scaled, path=5)
    with pytest.raises(ValidationError, match="'val_loss' is not reported; expected one of 'loss'"):
        fit(scaled, [1.0], Checkpoint(scaled, monitor="val_loss"))
    with pytest.raises(ValidationError, match="in braces may be epoch, .*loss"):
        fit(scaled, [1.0], Checkpoint(scaled, tmp_path / "{accuracy}"))
    with nengo.Network() as net:
        nengo.Node([0])
    with nengo_dl.Simulator(net, progress_bar=False) as other:
        with pytest.raises(ValidationError, match="fit was called on another simulator"):
            fit(scaled, [1.0], Checkpoint(other))
