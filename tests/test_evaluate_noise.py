"""`evaluate` measures what `predict` gives: noise does not depend on how items are cut."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

X = np.random.RandomState(1).uniform(-1, 1, (7, 12, 1))
NOISE = {
    "seeded": {"noise": nengo.processes.WhiteNoise(seed=5)},
    "unseeded": {"noise": nengo.processes.WhiteNoise()},
    "poisson": {"neuron_type": nengo.PoissonSpiking(nengo.LIFRate())},
}


def network(**options):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        inp = nengo.Node([0.0])
        ens = nengo.Ensemble(20, 1, **options)
        nengo.Connection(inp, ens)
        probe = nengo.Probe(ens)
    return net, inp, probe


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("minibatch", [1, 3])
def test_is_that_of_predict(kind, minibatch):
    net, inp, probe = network(**NOISE[kind])
    with nengo_dl.Simulator(net, minibatch_size=minibatch, progress_bar=False) as sim:
        want = np.mean(sim.predict({inp: X})[probe] ** 2)
        sim.compile("sgd", loss="mse")
        for _ in range(2):
            loss = sim.evaluate({inp: X}, {probe: np.zeros_like(X)}, verbose=0)["loss"]
            assert np.isclose(loss, want, rtol=1e-12)


def test_is_that_of_nengo():
    """A process with a seed gives every item the same noise, as every simulator of Nengo's."""
    net, inp, probe = network(**NOISE["seeded"])
    errors = []
    for item in X:
        inp.output = nengo.processes.PresentInput(item, 0.001)
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(len(item))
        errors.append(np.mean(sim.data[probe] ** 2))
    inp.output = [0.0]
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        loss = sim.evaluate({inp: X}, {probe: np.zeros_like(X)}, verbose=0)["loss"]
    assert np.isclose(loss, np.mean(errors), rtol=1e-10)


def test_validation_hears_it_too_and_training_goes_on():
    """Validation does not move the noise of training on."""
    net, inp, probe = network(**NOISE["seeded"])
    losses = []
    for data in (None, (X, np.zeros_like(X))):
        with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False, seed=1) as sim:
            sim.compile(keras.optimizers.SGD(0.0), loss="mse")
            history = sim.fit(
                X, np.zeros_like(X), epochs=2, shuffle=False, validation_data=data, verbose=0
            )
            losses.append(history.history["loss"])
    assert np.allclose(*losses, rtol=1e-12)
