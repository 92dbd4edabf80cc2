"""Rates or spikes, at each call."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl

X = np.random.RandomState(0).uniform(0.1, 1, (2, 1, 3))
STEPS = 4


def network(neuron_type, **settings):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        net.inp = nengo.Node(np.full(3, 0.5))
        ens = nengo.Ensemble(12, 3, neuron_type=neuron_type)
        nengo.Connection(net.inp, ens, synapse=None)
        net.p = nengo.Probe(ens, synapse=0.01)
    return net


def simulator(net):
    return nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)


@pytest.mark.training
def test_rates_at_each_call():
    """They are those of the rate neurons; spikes come back with the next call."""
    y = np.zeros((2, STEPS, 3))
    with simulator(network(nengo.LIFRate())) as sim:
        net = sim.model.toplevel
        rates = sim.predict(X, n_steps=STEPS)[net.p]
        sim.run_steps(STEPS)
        run = sim.data[net.p].copy()
    with simulator(network(nengo.LIF())) as sim:
        net = sim.model.toplevel
        spikes = sim.predict(X, n_steps=STEPS)[net.p]
        for found in (
            sim.predict(X, n_steps=STEPS, spikes=False)[net.p],
            sim.predict_on_batch(X, n_steps=STEPS, spikes=np.False_)[net.p],
        ):
            np.testing.assert_allclose(found, rates, rtol=1e-12, atol=1e-14)
        sim.compile("sgd", loss="mse")
        loss = [sim.evaluate(X, y, STEPS, verbose=0, spikes=s)["loss"] for s in (True, False)]
        np.testing.assert_allclose(loss, [(spikes**2).mean(), (rates**2).mean()], rtol=1e-6)
        np.testing.assert_array_equal(sim.predict(X, n_steps=STEPS)[net.p], spikes)
        sim.run_steps(STEPS, spikes=False)
        np.testing.assert_allclose(sim.data[net.p], run, rtol=1e-12, atol=1e-14)
        assert sim.n_steps == STEPS
        with pytest.raises(ValidationError, match="spikes.*must be True, or False.*got 'rates'"):
            sim.predict(X, n_steps=STEPS, spikes="rates")


def test_what_trains_with_spikes_has_them():
    with simulator(network(nengo.LIF(), training_spikes="fast_sigmoid")) as sim:
        net = sim.model.toplevel
        found = [sim.predict(X, n_steps=STEPS, spikes=s)[net.p] for s in (True, False)]
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-14)
