"""Gradients of outputs by weights and by inputs, against finite differences."""

import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.dists import Uniform
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU, ThresholdedReLU

NETWORKS = {}
N_STEPS = 4
BATCH = 2


def network(build):
    """Register a function that connects a node of two values to one that a probe reads."""

    def make():
        with nengo.Network(seed=1) as net:
            nengo_dl.configure_settings(dtype="float64")
            node, out = nengo.Node([0.4, -0.3]), nengo.Node(size_in=2)
            build(node, out)
            nengo.Probe(out)
        return net

    NETWORKS[build.__name__] = make
    return build


def rates(node, out, neuron_type, synapse=None):
    """Connect two nodes through a population of neurons that are well above their thresholds."""
    bias = Uniform(1.5, 3) if isinstance(neuron_type, nengo.LIFRate) else Uniform(-1, 1)
    ens = nengo.Ensemble(5, 2, neuron_type=neuron_type, gain=Uniform(0.5, 1), bias=bias)
    nengo.Connection(node, ens, synapse=synapse)
    nengo.Connection(ens, out, synapse=synapse, solver=nengo.solvers.NoSolver(decoders(5)))
    return ens


def decoders(n_neurons):
    """Return decoders of a size that makes outputs of the order of one."""
    return np.random.RandomState(0).uniform(-0.05, 0.05, (n_neurons, 2))


@network
def dense(node, out):
    nengo.Connection(node, out, transform=[[1, 2], [3, 4]], synapse=None)


@network
def elementwise(node, out):
    relay = nengo.Node(size_in=2)
    nengo.Connection(node, relay, transform=[2, -0.5], synapse=None)
    nengo.Connection(relay, out, transform=3, synapse=None)


@network
def shared_and_sliced(node, out):
    nengo.Connection(node[0], out[1], transform=2, synapse=None)
    nengo.Connection(node[[1, 0]], out, transform=[[1, 0.5], [-2, 1]], synapse=None)
    nengo.Connection(node[::-1], out[[1, 0]], transform=0.3, synapse=None)


@network
def rectified_linear(node, out):
    rates(node, out, nengo.RectifiedLinear())


@network
def leaky_relu(node, out):
    rates(node, out, LeakyReLU(negative_slope=0.2, amplitude=0.5))


@network
def thresholded_relu(node, out):
    """Currents are away from the jumps."""
    rates(node, out, ThresholdedReLU(0.25, negative_slope=0.2, max_value=0.75, amplitude=0.5))


@network
def sigmoid(node, out):
    rates(node, out, nengo.Sigmoid(tau_ref=0.1))


@network
def tanh(node, out):
    rates(node, out, nengo.Tanh(tau_ref=0.1))


@network
def lif_rate(node, out):
    rates(node, out, nengo.LIFRate(amplitude=0.1))


@network
def soft_lif_rate(node, out):
    rates(node, out, SoftLIFRate(sigma=0.5, amplitude=0.1))


@network
def lif_as_a_rate(node, out):
    rates(node, out, nengo.LIF(amplitude=0.1))


@network
def spiking_rectified_linear_as_a_rate(node, out):
    rates(node, out, nengo.SpikingRectifiedLinear())


@network
def smoothed_rates(node, out):
    nengo_dl.configure_settings(lif_smoothing=0.5)
    rates(node, out, nengo.LIF(amplitude=0.1))
    rates(node, out, nengo.LIFRate(amplitude=0.1))
    rates(node, out, nengo.AdaptiveLIFRate(tau_n=0.005, inc_n=0.01, amplitude=0.1))


@network
def adaptive_lif_as_a_rate(node, out):
    rates(node, out, nengo.AdaptiveLIF(tau_n=0.005, inc_n=0.01, amplitude=0.1))


@network
def adaptive_lif_rate(node, out):
    rates(node, out, nengo.AdaptiveLIFRate(tau_n=0.005, inc_n=0.01, amplitude=0.1))


@network
def random_spikes_as_rates(node, out):
    rates(node, out, nengo.StochasticSpiking(nengo.Tanh(tau_ref=0.1), amplitude=0.5))
    rates(node, out, nengo.PoissonSpiking(nengo.Sigmoid(tau_ref=0.1), amplitude=0.5))
    rates(node, out, SpikingLeakyReLU(negative_slope=0.3, amplitude=0.5))


@network
def triangle(node, out):
    rates(node, out, nengo.Tanh(tau_ref=0.1), synapse=nengo.synapses.Triangle(0.002))


@network
def regular_spiking_as_a_rate(node, out):
    rates(node, out, nengo.RegularSpiking(nengo.Tanh(tau_ref=0.1)))


@network
def lowpass(node, out):
    rates(node, out, nengo.Tanh(tau_ref=0.1), synapse=0.002)


@network
def alpha(node, out):
    rates(node, out, nengo.Sigmoid(tau_ref=0.1), synapse=nengo.Alpha(0.001))


@network
def linear_filter(node, out):
    """A filter that passes part of its input on at once, behind one with three states."""
    relay = nengo.Node(size_in=2)
    nengo.Connection(
        node, relay, synapse=nengo.LinearFilter([0.002, 1], [0.001, 1]), transform=[1, 2]
    )
    nengo.Connection(
        relay,
        out,
        synapse=nengo.LinearFilter([1], [1e-9, 3e-6, 3e-3, 1]),
        transform=[[1, 1], [0, 2]],
    )


@network
def trained_time_constants(node, out):
    """Of each kind of filter, one for all dimensions and one for each."""
    nengo_dl.configure_settings(trainable_synapses=True)
    rates(node, out, nengo.Tanh(tau_ref=0.1), synapse=0.002)
    relay = nengo.Node(size_in=2)
    split = nengo.Connection(node, relay, transform=[[1, 2], [3, 4]], synapse=0.001)
    nengo.Connection(relay, out, synapse=nengo.Alpha(0.001))
    last = nengo.Connection(relay, out, synapse=nengo.Alpha(0.0005), transform=[2, -1])
    for conn in (split, last):
        nengo.Network.context[0].config[conn].trainable_synapses = "per_dimension"


@network
def recurrent(node, out):
    ens = rates(node, out, nengo.Tanh(tau_ref=0.1))
    weights = np.random.RandomState(1).uniform(-0.1, 0.1, (5, 5))
    nengo.Connection(ens.neurons, ens.neurons, transform=weights, synapse=0)
    nengo.Connection(ens, ens, synapse=0.001, solver=nengo.solvers.NoSolver(decoders(5)))


@network
def weight_solver(node, out):
    ens = rates(node, out, nengo.RectifiedLinear())
    post = nengo.Ensemble(
        4, 2, neuron_type=nengo.Tanh(tau_ref=0.1), gain=Uniform(0.5, 1), bias=Uniform(-1, 1)
    )
    nengo.Connection(
        ens, post, solver=nengo.solvers.NoSolver(decoders(5), weights=True), synapse=None
    )
    nengo.Connection(post.neurons, out, transform=decoders(4).T, synapse=None)


@network
def sparse(node, out):
    nengo.Connection(
        node, out, transform=nengo.Sparse((2, 2), [(0, 1), (1, 0)], init=[2.0, 3.0]), synapse=None
    )


@network
def convolution(node, out):
    image = nengo.Node(size_in=12)
    nengo.Connection(
        node, image, transform=np.random.RandomState(0).uniform(-1, 1, (12, 2)), synapse=None
    )
    conv = nengo.Convolution(2, (3, 4, 1), kernel_size=(2, 2))
    back = nengo.ConvolutionTranspose(1, (2, 3, 2), kernel_size=(2, 2))
    middle, last = nengo.Node(size_in=12), nengo.Node(size_in=12)
    nengo.Connection(image, middle, transform=conv, synapse=None)
    nengo.Connection(middle, last, transform=back, synapse=None)
    nengo.Connection(last[:2], out, synapse=None)


LEARNING = {
    "pes": nengo.PES(learning_rate=2.0, pre_synapse=None),
    "rls": nengo.RLS(learning_rate=2.0, pre_synapse=None),
    "voja": nengo.Voja(learning_rate=20.0, post_synapse=0.002),
    "oja": nengo.Oja(learning_rate=0.5, pre_synapse=None, post_synapse=None),
    "bcm": nengo.BCM(learning_rate=0.01, pre_synapse=None, post_synapse=0.002, theta_synapse=0.01),
}


def learning(name):
    """Return a network in which a rule changes weights, so that its input acts through them."""
    rule, voja = LEARNING[name], name == "voja"
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype="float64")
        node, out = nengo.Node([0.4, -0.3]), nengo.Node(size_in=2)
        constants = {"gain": Uniform(0.5, 1), "bias": Uniform(-1, 1)}
        pre = nengo.Ensemble(5, 2, neuron_type=nengo.Sigmoid(tau_ref=0.1), **constants)
        nengo.Connection(node, pre, synapse=None, learning_rule_type=rule if voja else None)
        if name in ("pes", "rls"):
            solver = nengo.solvers.NoSolver(decoders(5))
            conn = nengo.Connection(pre, out, synapse=None, solver=solver, learning_rule_type=rule)
            nengo.Connection(node, conn.learning_rule, synapse=None)
        elif voja:
            nengo.Connection(pre.neurons, out, transform=decoders(5).T, synapse=None)
        else:
            post = nengo.Ensemble(4, 1, neuron_type=nengo.Sigmoid(tau_ref=0.1), **constants)
            weights = np.random.RandomState(1).uniform(-0.1, 0.1, (4, 5))
            nengo.Connection(
                pre.neurons, post.neurons, transform=weights, synapse=None, learning_rule_type=rule
            )
            nengo.Connection(post.neurons, out, transform=decoders(4).T, synapse=None)
        nengo.Probe(out)
    return net


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", LEARNING)
def test_gradients_through_learning_rules(name, rng):
    x = rng.uniform(-1, 1, (1, N_STEPS, 2))
    with nengo_dl.Simulator(learning(name), progress_bar=False) as sim:
        (jacobians,) = sim.check_gradients(inputs=[x], atol=1e-7).values()
    by_step = jacobians["analytic"][0].reshape(N_STEPS, 2, N_STEPS, 2)
    later = [by_step[i, :, i + 1 :] for i in range(N_STEPS - 1)]
    # what is learned is the only memory
    assert max(np.abs(part).max() for part in later) > 1e-5


def pulled(outputs, weights):
    """Return a number that depends on each output differently, so that none cancel."""
    floating = [y for y in tf.nest.flatten(outputs) if y.dtype.is_floating]
    assert len(floating) == len(weights)
    return tf.add_n([tf.reduce_sum(y * w) for y, w in zip(floating, weights, strict=True)])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_parameters(name, rng):
    with nengo_dl.Simulator(NETWORKS[name](), minibatch_size=BATCH, progress_bar=False) as sim:
        inputs = {
            "node": tf.constant(rng.uniform(-1, 1, (BATCH, N_STEPS, 2))),
            "n_steps": tf.fill((BATCH, 1), N_STEPS),
        }
        pull = [rng.uniform(-1, 1, (BATCH, N_STEPS, 2))]
        variables = [v.value for v in sim.keras_model.trainable_weights]

        def loss():
            return pulled(sim.keras_model(inputs, training=True), pull)

        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(value, variables)
        traced = tf.function(loss)

        assert traced().numpy() == pytest.approx(value.numpy(), rel=1e-12)
        assert any(gradient is not None and np.any(gradient) for gradient in gradients)
        for variable, gradient in zip(variables, gradients, strict=True):
            numeric = finite_differences(traced, variable)
            if gradient is None:  # says that the output does not depend on it
                gradient = np.zeros_like(numeric)
            np.testing.assert_allclose(
                gradient, numeric, rtol=1e-6, atol=1e-7, err_msg=variable.name
            )


def finite_differences(loss, variable, eps=1e-5):
    """Return the central differences of a loss by each element of a variable."""
    start = np.array(variable.numpy())
    numeric = np.zeros_like(start)
    for index in np.ndindex(*start.shape):
        values = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * eps
            variable.assign(moved)
            values.append(float(loss()))
        numeric[index] = (values[0] - values[1]) / (2 * eps)
    variable.assign(start)
    return numeric


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_inputs(name, rng):
    with nengo_dl.Simulator(NETWORKS[name](), minibatch_size=BATCH, progress_bar=False) as sim:
        sim.check_gradients(inputs=[rng.uniform(-1, 1, (BATCH, N_STEPS, 2))], atol=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("neuron_type", [nengo.LIFRate(), nengo.LIF(), SoftLIFRate()], ids=str)
def test_gradients_at_and_below_threshold_are_finite(neuron_type):
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype="float64")
        ens = nengo.Ensemble(
            5,
            1,
            neuron_type=neuron_type,
            gain=np.ones(5),
            bias=np.array([-50, 0, 0.5, 1, 1 + 1e-12]),
        )
        node = nengo.Node([0])
        nengo.Connection(node, ens.neurons, transform=np.ones((5, 1)), synapse=None)
        nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        inputs = {"node": tf.zeros((1, 3, 1), tf.float64), "n_steps": tf.fill((1, 1), 3)}
        variables = [v.value for v in sim.keras_model.trainable_weights]
        with tf.GradientTape() as tape:
            value = pulled(sim.keras_model(inputs, training=True), [1.0])
        gradients = [g for g in tape.gradient(value, variables) if g is not None]
        assert gradients  # the encoders have none, as nothing is decoded into the ensemble
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)


# --- what `check_gradients` is given -------------------------------------------------------------


@pytest.fixture(scope="module")
def linear():
    """Return a simulator whose probe sees twice its first input."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node, other, out = nengo.Node([0.0]), nengo.Node([0.0, 0.0]), nengo.Node(size_in=1)
        nengo.Connection(node, out, transform=2.0, synapse=None)
        net.node, net.other, net.probe = node, other, nengo.Probe(out)
        nengo.Probe(other)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.net = net
        yield sim


@pytest.mark.parametrize("form", ["probe", "list", "tuple"])
def test_forms_of_outputs(linear, form):
    probe = linear.net.probe
    outputs = {"probe": probe, "list": [probe], "tuple": (probe,)}[form]
    found = linear.check_gradients({linear.net.node: np.ones((1, 3, 1))}, outputs)
    assert list(found) == [probe]
    for kind in ("analytic", "numeric"):
        by_node, by_other = found[probe][kind]
        np.testing.assert_allclose(by_node, 2 * np.eye(3), atol=1e-6)
        np.testing.assert_array_equal(by_other, np.zeros((6, 3)))


BAD_CHECKS = {
    "name": ({"outputs": ["probe"]}, "outputs: 'probe' is not a Probe of this network"),
    "node": (lambda net: {"outputs": [net.node]}, "outputs: <Node.*is not a Probe"),
    "negative": ({"atol": -1}, "atol: expected a number of at least 0, got -1"),
    "text": ({"rtol": "1e-3"}, "rtol: expected a number of at least 0, got '1e-3'"),
    "batch": (lambda net: {"inputs": {net.node: np.ones((2, 3, 1))}}, "2 items, expected exactly"),
    "size": (lambda net: {"inputs": {net.node: np.ones((1, 3, 2))}}, "expected .batch, steps, 1"),
}


@pytest.mark.parametrize("case", BAD_CHECKS)
def test_bad_arguments_of_check_gradients(linear, case):
    given, message = BAD_CHECKS[case]
    with pytest.raises(ValidationError, match=message):
        linear.check_gradients(**(given(linear.net) if callable(given) else given))
