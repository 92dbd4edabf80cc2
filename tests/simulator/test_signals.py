"""`sim.signals`: live, to be read and written, as in Nengo's simulator."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl

N_STEPS = 30  # NumPy takes the first 16


@pytest.fixture
def net():
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.pre, net.post = nengo.Ensemble(20, 1), nengo.Ensemble(10, 1)
        nengo.Connection(nengo.Node([0.5]), net.pre)
        net.conn = nengo.Connection(net.pre, net.post, learning_rule_type=nengo.PES())
        nengo.Connection(net.post, net.conn.learning_rule)
        net.p = nengo.Probe(net.post, synapse=0.01)
        nengo.Probe(net.pre.neurons, "voltage")
    return net


def signals(sim, net):
    """Return a learned parameter, a parameter and state."""
    sig = sim.model.sig
    found = sig[net.conn]["weights"], sig[net.post]["encoders"], sig[net.pre.neurons]["voltage"]
    return [sim.signals[s] for s in found]


def both(net):
    return nengo.Simulator(net, progress_bar=False), nengo_dl.Simulator(net, progress_bar=False)


def test_arrays_follow_the_simulation(net):
    theirs, ours = both(net)
    with theirs, ours:
        expected, found = signals(theirs, net), signals(ours, net)
        for n_steps in (3, N_STEPS, 1):
            for sim in (theirs, ours):
                sim.run_steps(n_steps)
            for got, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
        assert ours.signals[ours.model.step] == theirs.signals[theirs.model.step]
        np.testing.assert_allclose(ours.signals[ours.model.time], ours.time)
        ours.reset()
        assert ours.signals[ours.model.step] == 0
        np.testing.assert_array_equal(signals(ours, net)[0], found[0])


@pytest.mark.parametrize("n_steps", [3, N_STEPS])
@pytest.mark.parametrize("which", [0, 2])
def test_what_is_written_counts(net, which, n_steps):
    """In NumPy and in the compiled program; in place, and by assignment."""
    theirs, ours = both(net)
    with theirs, ours:
        for factor in (0.5, 0.7):
            for sim in (theirs, ours):
                sim.run_steps(n_steps)
                signals(sim, net)[which][...] *= factor
                sim.run_steps(3)
            np.testing.assert_allclose(ours.data[net.p], theirs.data[net.p], rtol=1e-9, atol=1e-12)
        sig = ours.model.sig[net.conn]["weights"]
        ours.signals[sig] = np.zeros((1, 20))
        assert not np.any(ours.data[net.conn].weights)


def test_parameters_can_be_written(net):
    """Those of Nengo's simulator cannot, unless a learning rule changes them."""
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sig = sim.model.sig[net.post]["encoders"]
        sim.signals[sig][:] = 0
        for n_steps in (3, N_STEPS):
            sim.run_steps(n_steps)
            assert not np.any(sim.signals[sig]) and not np.any(sim.data[net.post].scaled_encoders)
        (bias,) = sim.data.get_params((net.post, "bias"))
        sim.signals[sim.model.sig[net.post.neurons]["bias"]] = bias - 1
        assert np.allclose(sim.data[net.post].bias, bias - 1)


def test_items_of_a_minibatch(net):
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        weights, encoders, voltage = signals(sim, net)
        assert weights.shape == (2, 1, 20) and encoders.shape == (10, 1)
        assert voltage.shape == (2, 20)
        weights[1] = 0
        sim.step()
        learned = sim.data[net.conn].weights
        np.testing.assert_array_equal(learned, weights)
        assert np.abs(learned[1]).max() < 0.01 * np.abs(learned[0]).max()


def test_parts_of_signals(net):
    """A view of a signal is a part of what the signal holds."""
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sig = sim.model.sig[net.conn]["weights"]
        assert sim.signals[sig[:, 3:5]].shape == (1, 2)
        sim.signals[sig[:, 3:5]] = 7
        np.testing.assert_array_equal(sim.data[net.conn].weights[0, 3:5], 7)


def test_what_is_there(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        held = list(sim.signals)
        assert len(held) == len(sim.signals) and sim.model.sig[net.conn]["weights"] in sim.signals
        computed = sim.model.sig[net.post.neurons]["in"]
        assert computed not in sim.signals and "weights" not in sim.signals
        with pytest.raises(KeyError, match="not held between steps.*nengo.Probe"):
            sim.signals[computed]


def test_what_cannot_be_written(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="time of a simulation cannot be set"):
            sim.signals[sim.model.time] = 3
        sim.step()
        assert sim.signals[sim.model.step] == 1
        constants = [s for s in sim.signals if s.name == "ZERO" or "alpha" in s.name]
        before = [sim.signals[s].copy() for s in constants]
        for sig in constants:
            with pytest.raises(ValidationError, match="constant of the compiled program"):
                sim.signals[sig] = 3
        for sig, array in zip(constants, before, strict=True):
            np.testing.assert_array_equal(sim.signals[sig], array)
