"""Libraries that are used beside this one; docs/howto/ecosystem.md has more, and is executed."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

UNHELD = "no extra installs it: %s"


def regression(n_neurons):
    """Return a network that is to learn a function, and its probe."""
    with nengo.Network(seed=0) as net:
        x, out = nengo.Node([0.0]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(n_neurons, 1)
        nengo.Connection(x, ens, synapse=None)
        nengo.Connection(ens, out, synapse=None)
        return net, nengo.Probe(out)


@pytest.mark.training
def test_keras_lmu(rng):
    """A layer gives what it gives in Keras, and its weights train."""
    reason = UNHELD % "its licence forbids commercial use"
    lmu = pytest.importorskip("keras_lmu", reason=reason)
    layer = lmu.LMU(1, 4, 8, keras.layers.SimpleRNNCell(6))
    x = rng.normal(size=(4, 5, 1)).astype("float32")
    expected = np.asarray(layer(x))
    with nengo.Network() as net:
        out = nengo_dl.Layer(layer)(nengo.Node(np.zeros(5)), shape_in=(5, 1))
        probe = nengo.Probe(out)
    series = x.reshape(4, 1, 5)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.predict(series)[probe][:, 0], expected, atol=1e-5)
        sim.compile("adam", loss="mse")
        losses = sim.fit(series, np.ones((4, 1, 6)), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


@pytest.mark.training
def test_keras_tuner(tmp_path, rng):
    """A tuner finds the better of two learning rates."""
    tuner = pytest.importorskip("keras_tuner", reason=UNHELD % "only this test needs it")

    class Tuner(tuner.GridSearch):
        def run_trial(self, trial, x, y):
            rate = trial.hyperparameters.Choice("rate", [1e-7, 1e-4])
            net, probe = regression(20)
            with nengo_dl.Simulator(net, minibatch_size=10, progress_bar=False) as sim:
                sim.compile(keras.optimizers.Adam(rate), loss={probe: "mse"})
                return sim.fit(x, {probe: y}, epochs=2, verbose=0).history["loss"][-1]

    found = Tuner(max_trials=2, directory=tmp_path)
    x = rng.uniform(-1, 1, size=(100, 1, 1))
    found.search(x, x**2)
    assert found.get_best_hyperparameters()[0].get("rate") == 1e-4


def test_nengo_gui():
    """It offers this back end, and can do with the Simulator what it does with every one."""
    env = pytest.importorskip("nengo_gui.exec_env", reason=UNHELD % "only this test needs it")
    assert "nengo_dl" in env.discover_backends()
    shown = []
    with nengo.Network(seed=0) as model:
        ens = nengo.Ensemble(50, 1)
        nengo.Connection(nengo.Node([0.5]), ens)
        model.components = nengo.Node(lambda t, x: shown.append((t, *x)), size_in=1)
        nengo.Connection(ens, model.components, synapse=0.01)
    simulator = nengo_dl.Simulator
    with env.ExecutionEnvironment(None):  # scripts must not simulate by themselves
        with pytest.raises(env.StartedSimulatorException):
            nengo_dl.Simulator(model)
    assert nengo_dl.Simulator is simulator
    with env.ExecutionEnvironment(None, allow_sim=True):
        sim = nengo_dl.Simulator(model, progress_bar=False)
    for _ in range(100):
        sim.step()
    sim.close()
    assert len(shown) >= 100 and shown[-1][0] == pytest.approx(0.1)
    assert shown[-1][1] == pytest.approx(0.5, abs=0.1)
