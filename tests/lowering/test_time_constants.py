"""Trainable synapses: the same filters as Nengo's, with time constants that training may change."""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import BuildError, ValidationError

import nengo_dl

pytestmark = pytest.mark.training

STEPS = 60


def network(synapse=0.01, size=2, **settings):
    """Return a network of a node, a filtered connection of ones, and a probe."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        net.node = nengo.Node(nengo.processes.WhiteSignal(1, 50, seed=1), size_out=size, label="x")
        net.out = nengo.Node(size_in=size, label="y")
        net.conn = nengo.Connection(net.node, net.out, synapse=synapse)
        net.probe = nengo.Probe(net.out)
    return net


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def variable(sim):
    """Return the variable of the only trained time constants."""
    (found,) = [v for v in sim.keras_model.trainable_weights if "log_tau" in v.name]
    return found


@pytest.mark.parametrize("how", [True, "per_dimension"])
@pytest.mark.parametrize("synapse", [nengo.Lowpass(0.007), nengo.Alpha(0.02)], ids=str)
def test_filters_as_nengo(synapse, how):
    with nengo.Simulator(network(synapse), progress_bar=False) as ref:
        ref.run_steps(STEPS)
        (expected,) = (ref.data[p] for p in ref.model.probes)
    net = network(synapse, trainable_synapses=how)
    with simulator(net) as sim:
        sim.run_steps(STEPS)
        np.testing.assert_allclose(sim.data[net.probe], expected, rtol=1e-12, atol=1e-14)
        assert variable(sim).shape == ((1,) if how is True else (2,))


def test_filters_of_many_dimensions_and_items():
    """Time constants of several connections lie in one group, and each has its own."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", trainable_synapses=True)
        node = nengo.Node(np.linspace(-1, 1, 30), label="x")
        probes, synapses = [], [nengo.Lowpass(0.005), nengo.Lowpass(0.03), nengo.Alpha(0.002)]
        for synapse in synapses:
            out = nengo.Node(size_in=30)
            nengo.Connection(node, out, synapse=synapse)
            probes.append(nengo.Probe(out))
    x = np.random.RandomState(0).uniform(-1, 1, (2, STEPS, 30))
    with simulator(net, minibatch_size=2) as sim:
        found = sim.predict({node: x})
    for probe, synapse in zip(probes, synapses, strict=True):
        late = np.concatenate([np.zeros((2, 1, 30)), x[:, :-1]], axis=1)
        expected = [synapse.filt(item, dt=0.001, y0=0) for item in late]
        np.testing.assert_allclose(found[probe], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("synapse", [nengo.Lowpass(0.007), nengo.Alpha(0.02)], ids=str)
def test_every_value_is_stable(synapse):
    net = network(synapse, trainable_synapses=True)
    inputs = {"x": tf.ones((1, STEPS, 2), tf.float64), "n_steps": tf.fill((1, 1), STEPS)}
    with simulator(net) as sim:
        for value in (-1e3, -12.0, np.log(3e-5), 5.0, 50.0):
            variable(sim).assign([value])
            with tf.GradientTape() as tape:
                output = sim.keras_model(inputs, training=True)["probe"]
            gradient = tape.gradient(output, variable(sim).value)
            assert np.all(np.isfinite(gradient))
            assert np.all((output >= -1e-12) & (output <= 1 + 1e-12))
            (tau,) = sim.data[net.conn].tau
            np.testing.assert_allclose(tau, max(np.exp(value), 3e-5))
            if value < -10:  # what went in comes out in the next step
                np.testing.assert_allclose(output[0, 1:], 1)


def test_learns_a_time_constant():
    net = network(nengo.Lowpass(0.01), trainable_synapses=True)
    x = np.random.RandomState(0).uniform(-1, 1, (8, STEPS, 2))
    wanted = [nengo.Lowpass(0.004).filt(item, dt=0.001, y0=0) for item in x]
    y = np.concatenate([np.zeros((8, 1, 2)), wanted], axis=1)[:, :-1]
    with simulator(net, minibatch_size=8) as sim:
        sim.compile(keras.optimizers.Adam(0.1), loss="mse")
        sim.fit({net.node: x}, {net.probe: y}, epochs=60, verbose=0)
        (tau,) = sim.data[net.conn].tau
        np.testing.assert_allclose(tau, 0.004, rtol=0.05)
        assert sim.get_nengo_params(net.conn)["synapse"] == nengo.Lowpass(tau)
        sim.freeze_params(net)
        sim.reset(include_trainable=False)
        sim.run_steps(STEPS)
        trained = sim.data[net.probe][0]
    assert net.conn.synapse == nengo.Lowpass(tau)
    with nengo.Simulator(net, progress_bar=False) as ref:
        ref.run_steps(STEPS)
    np.testing.assert_allclose(trained, ref.data[net.probe], rtol=1e-10, atol=1e-13)


def test_untrained_synapses_keep_their_time_constants_to_the_bit():
    net = network(nengo.Alpha(0.0123), trainable_synapses="per_dimension")
    with simulator(net) as sim:
        np.testing.assert_array_equal(sim.data[net.conn].tau, [0.0123, 0.0123])
        assert sim.get_nengo_params(net.conn)["synapse"] == nengo.Alpha(0.0123)


@pytest.mark.parametrize("later", [nengo.Lowpass(0.5), nengo.Alpha(0.5), None], ids=str)
def test_synapses_that_a_connection_is_given_later_mean_nothing(later):
    net = network(nengo.Lowpass(0.0123), trainable_synapses=True)
    with simulator(net) as sim:
        net.conn.synapse = later
        np.testing.assert_array_equal(sim.data[net.conn].tau, [0.0123])
        assert sim.get_nengo_params(net.conn)["synapse"] == nengo.Lowpass(0.0123)
        variable(sim).assign(np.log([0.02]))
        (tau,) = sim.data[net.conn].tau
        sim.freeze_params(net)
    assert net.conn.synapse == nengo.Lowpass(tau)
    np.testing.assert_allclose(tau, 0.02)


def test_dimensions_that_differ_are_saved_but_are_no_nengo_synapse(tmp_path):
    net = network(nengo.Alpha(0.01), trainable_synapses="per_dimension")
    with simulator(net) as sim:
        variable(sim).assign(np.log([0.01, 0.02]))
        np.testing.assert_allclose(sim.data[net.conn].tau, [0.01, 0.02])
        message = r"x.*differ \(from 0.01 to 0.02 s\), and a Nengo connection has one synapse"
        with pytest.raises(ValidationError, match=message):
            sim.get_nengo_params(net.conn)
        with pytest.raises(ValidationError, match=message):
            sim.freeze_params(net)
        sim.save_params(tmp_path / "trained")
    assert net.conn.synapse == nengo.Alpha(0.01)
    with simulator(net) as sim:
        sim.load_params(tmp_path / "trained")
        np.testing.assert_allclose(sim.data[net.conn].tau, [0.01, 0.02])


# --- which ----------------------------------------------------------------------------------------


def trained(net):
    """Return the connections whose time constants are trained."""
    with simulator(net) as sim:
        return [c for c in net.all_connections if hasattr(sim.data[c], "tau")]


def several(**settings):
    with nengo.Network() as net:
        nengo_dl.configure_settings(trainable_synapses=None, **settings)
        a = nengo.Node([0])
        with nengo.Network() as net.inner:
            net.b = nengo.Node(size_in=1)
            net.loop = nengo.Connection(net.b, net.b)
        net.lowpass = nengo.Connection(a, net.b)
        net.alpha = nengo.Connection(a, net.b, synapse=nengo.Alpha(0.01))
        net.others = [
            nengo.Connection(a, net.b, synapse=synapse)
            for synapse in (
                None,
                0,
                1e-5,
                nengo.LinearFilter([1], [0.01, 1]),
                nengo.Lowpass(0.01, method="bilinear"),
                nengo.synapses.Triangle(0.01),
            )
        ]
    return net


def test_none_unless_configured():
    assert trained(several()) == []


def test_whoever_is_nearest_decides():
    net = several()
    net.config[nengo.Connection].trainable_synapses = True
    assert set(trained(net)) == {net.loop, net.lowpass, net.alpha}
    with net.inner:
        nengo_dl.configure_settings(trainable_synapses=False)
    assert set(trained(net)) == {net.lowpass, net.alpha}
    net.config[net.alpha].trainable_synapses = False
    net.inner.config[net.loop].trainable_synapses = "per_dimension"
    assert set(trained(net)) == {net.loop, net.lowpass}


def test_nothing_is_trained_without_training():
    assert trained(several(inference_only=True)) == []
    net = several(inference_only=True)
    net.config[nengo.Connection].trainable_synapses = True
    assert trained(net) == []


@pytest.mark.parametrize("number", range(6))
def test_named_connections_need_a_time_constant(number):
    net = several()
    conn = net.others[number]
    net.config[conn].trainable_synapses = True
    with pytest.raises(BuildError, match=r"trainable_synapses is True.*expected nengo.Lowpass or"):
        simulator(net)


@pytest.mark.parametrize("value", ["per_item", 1])
def test_configured_values_are_checked(value):
    with nengo.Network(), pytest.raises(ValidationError, match="True, False, 'per_dimension' or N"):
        nengo_dl.configure_settings(trainable_synapses=value)
