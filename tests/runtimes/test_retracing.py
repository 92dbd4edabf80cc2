"""Nothing is compiled twice: what `fit`, `evaluate` and `predict` trace, they trace once."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtimes.tensorflow.keras.layer import TensorGraph

pytestmark = pytest.mark.training


@pytest.fixture
def traced(monkeypatch):
    """Return a list to which each trace of a simulation adds whether it was for training."""
    found = []
    simulate = TensorGraph.simulate

    def noted(self, inputs, carry, span, how, *args):
        found.append(how.purpose == "train")
        return simulate(self, inputs, carry, span, how, *args)

    monkeypatch.setattr(TensorGraph, "simulate", noted)
    return found


def spiking():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(training_spikes="fast_sigmoid")
        net.inp = nengo.Node([0.0])
        ens = nengo.Ensemble(5, 1)
        nengo.Connection(net.inp, ens, synapse=0.01)
        net.p = nengo.Probe(ens, synapse=0.01)
    return net


def test_everything_is_traced_once(traced, tmp_path):
    """Again and again, with callbacks, another learning rate, weights and state."""
    net = spiking()
    x = np.ones((6, 4, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(1e-3), loss="mse", metrics=["mae"])
        for turn in range(2):
            sim.fit(
                {net.inp: x},
                {net.p: x},
                epochs=3,
                validation_data=({net.inp: x[:2]}, {net.p: x[:2]}),
                callbacks=[
                    keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=1e9),
                    keras.callbacks.EarlyStopping("val_loss", patience=9),
                    keras.callbacks.ModelCheckpoint(
                        tmp_path / "w.weights.h5", save_weights_only=True
                    ),
                ],
                verbose=0,
            )
            sim.evaluate({net.inp: x}, {net.p: x}, verbose=0)
            sim.predict(x)
            sim.predict(x[:5])  # one item is left over
            sim.keras_model.optimizer.learning_rate = 1e-4
            sim.keras_model.load_weights(tmp_path / "w.weights.h5")
            sim.reset()
            assert sorted(traced) == [False, False, True], f"after turn {turn}"
        assert sim.compile_count == 1


def test_stateful_calls_are_traced_once(traced):
    """Truncated backpropagation: slice after slice of a long series."""
    net = spiking()
    x = np.ones((2, 12, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        for start in range(0, 12, 4):
            part = x[:, start : start + 4]
            sim.fit({net.inp: part}, {net.p: part}, stateful=True, verbose=0)
        assert traced == [True]
        assert sim.n_steps == 12


@pytest.mark.parametrize("stateful", [True, False])
def test_gradients_end_where_a_slice_begins(stateful):
    """A filter decodes with one weight: dL/dw follows by hand, with the state as a constant."""
    w, steps, rate, decay = 0.5, 3, 0.1, np.exp(-0.001 / 0.002)
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        inp, out = nengo.Node([1.0]), nengo.Node(size_in=1)
        nengo.Connection(inp, out, transform=w, synapse=nengo.Lowpass(0.002))
        p = nengo.Probe(out)
    x = np.ones((1, steps, 1))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(rate), loss=lambda y, out: out)
        before = 0.0  # the filtered product, at the end of the last slice
        for _ in range(3):
            sim.fit({inp: x}, {p: x}, stateful=stateful, verbose=0)
            filtered, slope, slopes = before, 0.0, []
            for _ in range(steps):
                slopes.append(slope)  # the filter delays by a step
                filtered = decay * filtered + (1 - decay) * w
                slope = decay * slope + (1 - decay)
            w, before = w - rate * np.mean(slopes), filtered if stateful else 0.0
        np.testing.assert_allclose(np.squeeze(sim.keras_model.get_weights()[0]), w, rtol=1e-12)
        assert sim.n_steps == (9 if stateful else 0)
