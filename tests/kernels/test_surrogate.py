"""What spikes do in training: values, gradients and how they are chosen.

Gradients are compared with those that NumPy finds below, by carrying the derivatives of all state
by all currents through Nengo's own equations.
"""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from nengo_dl import surrogate
from nengo_dl.neurons import IntegrateAndFire, SignedIntegrateAndFire, SpikingLeakyReLU
from nengo_dl.runtimes.tensorflow import execute
from nengo_dl.surrogate import Arctangent, FastSigmoid, Rates, SmoothRate, Triangle

pytestmark = pytest.mark.training

DT = 0.001
STEPS, NEURONS = 40, 6


class Bell(surrogate.Surrogate):
    """A surrogate of a user."""

    def shape(self, x):
        return 2.0 ** -(x * x)


SHAPES = {
    FastSigmoid(): lambda v: 1 / (1 + 3 * np.abs(v)) ** 2,
    Arctangent(slope=2.0, height=0.5): lambda v: 0.5 / (1 + (2 * v) ** 2),
    Triangle(height=0.3): lambda v: 0.3 * np.maximum(0, 1 - np.abs(v)),
    Bell(slope=3.0): lambda v: np.exp2(-9 * v * v),
}


@pytest.mark.parametrize("choice", SHAPES, ids=repr)
def test_shapes(choice):
    v = np.linspace(-2, 2, 41)
    np.testing.assert_allclose(choice.derivative(v), SHAPES[choice](v), rtol=1e-12)
    assert choice.derivative(0.0) == choice.height


# --- what NumPy says ------------------------------------------------------------------------------
#
# step(neurons, slope, detach, state, dstate, J, dJ) -> output, its derivative; state is changed in
# place.  Derivatives have an axis in front, for the steps at which a current is varied.


def lif(neurons, slope, detach, state, dstate, J, dJ):
    """Derivatives of one step of LIF neurons."""
    v, dv, ref = state["voltage"], dstate["voltage"], state["refractory_time"]
    part = -np.expm1(-np.clip(2 * DT - ref, 0, DT) / neurons.tau_rc)
    charged, dcharged = v + (J - v) * part, dv + (dJ - dv) * part
    dspike = slope(charged - 1) * dcharged
    output = np.zeros_like(J)
    fast = {name: state[name] for name in ("voltage", "refractory_time")}
    nengo.LIF.step(neurons, DT, J.copy(), output, **fast)
    floor = neurons.min_voltage
    dstate["voltage"] = np.where((output > 0) | (charged < floor), 0, dcharged)
    if not detach:
        dstate["voltage"] = dstate["voltage"] - np.maximum(charged, floor) * dspike
    return output, neurons.amplitude / DT * dspike


def adaptive_lif(neurons, slope, detach, state, dstate, J, dJ):
    """Derivatives of one step of AdaptiveLIF neurons."""
    n, dn = state["adaptation"], dstate["adaptation"]
    output, doutput = lif(neurons, slope, detach, state, dstate, J - n, dJ - dn)
    n += DT / neurons.tau_n * (neurons.inc_n * output - n)
    dstate["adaptation"] = dn + DT / neurons.tau_n * (neurons.inc_n * doutput - dn)
    return output, doutput


def integrator(neurons, slope, detach, state, dstate, J, dJ):
    """Derivatives of one step of neurons that integrate a drive."""
    leak = getattr(neurons, "negative_slope", 1.0 if neurons.negative else 0.0)
    both = isinstance(neurons, IntegrateAndFire)  # it integrates currents of both signs
    leak = 1.0 if both else leak
    below = 0 if neurons.negative else -1
    drive, ddrive = np.where(J < 0, leak * J, J), np.where(J < 0, leak * dJ, dJ)
    charged = state["voltage"] + DT * drive
    dcharged = dstate["voltage"] + DT * ddrive
    nearest = np.where(
        (drive < 0) & (not both),
        np.minimum(np.round(charged), below),
        np.maximum(np.round(charged), 1),
    )
    dspike = slope(charged - nearest) * dcharged
    output = np.zeros_like(J)
    neurons.step(DT, J.copy(), output, **state)
    dstate["voltage"] = dcharged if detach else dcharged - dspike
    return output, neurons.amplitude / DT * dspike


def izhikevich(neurons, slope, detach, state, dstate, J, dJ):
    """Derivatives of one step of Izhikevich neurons, whose reset has none."""
    v, u, dv, du = state["voltage"], state["recovery"], dstate["voltage"], dstate["recovery"]
    inside = J > -30
    charged = v + (0.04 * v**2 + 5 * v + 140 - u + np.where(inside, J, -30))
    dcharged = dv + (0.08 * v * dv + 5 * dv - du + np.where(inside, dJ, 0))
    height = 30 - neurons.reset_voltage
    dspike = slope((charged - 30) / height) * dcharged / height
    output = np.zeros_like(J)
    neurons.step(DT, J.copy(), output, **state)
    dstate["voltage"] = np.where(output > 0, 0, dcharged)
    tau = neurons.tau_recovery
    dstate["recovery"] = du + tau * (neurons.coupling * dstate["voltage"] - du)
    return output, dspike / DT


CASES = {
    "LIF": (nengo.LIF(), lif, (-2, 8)),
    "LIF-constants": (nengo.LIF(0.005, 0.0043, min_voltage=-0.5, amplitude=0.1), lif, (-2, 8)),
    "AdaptiveLIF": (nengo.AdaptiveLIF(tau_n=0.02, inc_n=0.01), adaptive_lif, (0, 12)),
    "SpikingRectifiedLinear": (
        nengo.SpikingRectifiedLinear(amplitude=0.5),
        integrator,
        (-500, 2500),
    ),
    "SpikingLeakyReLU": (SpikingLeakyReLU(negative_slope=0.5), integrator, (-2500, 2500)),
    "IntegrateAndFire": (IntegrateAndFire(0.5, max_spikes=2), integrator, (-1500, 2500)),
    "SignedIntegrateAndFire": (SignedIntegrateAndFire(), integrator, (-2000, 2500)),
    "RegularSpiking": (nengo.RegularSpiking(nengo.Tanh(tau_ref=0.001)), integrator, (-2, 2)),
    "Izhikevich": (nengo.Izhikevich(), izhikevich, (-40, 30)),
}


def expected(neurons, step, choice, state, currents):
    """Return outputs (T, N), and their derivatives (T, T, N): of which output, by which current."""
    slope = SHAPES.get(choice, choice.derivative)
    by = np.eye(len(currents))
    dstate = {name: np.zeros((len(currents), currents.shape[1])) for name in state}
    outputs, derivatives = [], []
    for i, J in enumerate(currents):
        output, d = step(neurons, slope, choice.detach_reset, state, dstate, J, by[i][:, None])
        outputs.append(output)
        derivatives.append(d)
    return np.array(outputs), np.array(derivatives)


def population(neuron_type, **settings):
    """Return a network of neurons whose currents a node gives."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        node = nengo.Node(np.zeros(NEURONS), label="node")
        unit = {"gain": np.ones(NEURONS), "bias": np.zeros(NEURONS), "seed": 17}
        net.ens = nengo.Ensemble(NEURONS, 1, neuron_type=neuron_type, **unit)
        nengo.Connection(node, net.ens.neurons, synapse=None)
        net.probe = nengo.Probe(net.ens.neurons)
    return net


def trained(sim, currents, pull):
    """Return outputs (T, N) in training, and the gradient (T, N) of their product with `pull`."""
    x = tf.constant(currents[None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        inputs = {"node": x, "n_steps": tf.fill((1, 1), len(currents))}
        outputs = sim.keras_model(inputs, training=True)
        value = outputs["probe"]
        loss = tf.reduce_sum(value * pull)
    return value.numpy()[0], tape.gradient(loss, x).numpy()[0]


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "reset"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_through_time(name, detach, rng):
    neurons, step, (low, high) = CASES[name]
    choice = FastSigmoid(slope=5.0, height=0.7, detach_reset=detach)
    currents = rng.uniform(low, high, (STEPS, NEURONS))
    pull = rng.uniform(-1, 1, (STEPS, NEURONS))
    net = population(neurons, training_spikes=choice)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        outputs, gradient = trained(sim, currents, pull)
        simulated = sim.predict({"node": currents[None]})[net.probe][0]
    state = neurons.make_state(NEURONS, rng=np.random.RandomState(18))
    currents = np.tanh(currents) / 0.001 if name == "RegularSpiking" else currents
    values, derivatives = expected(neurons, step, choice, state, currents)
    assert np.count_nonzero(values) > STEPS // 4
    np.testing.assert_array_equal(outputs, simulated)
    np.testing.assert_allclose(outputs, values)
    by_current = np.einsum("tsn,tn->sn", derivatives, pull)
    if name == "RegularSpiking":
        by_current = by_current * (1000 - currents**2 / 1000)
    np.testing.assert_allclose(gradient, by_current, rtol=1e-7, atol=1e-8)


SYNAPSES = {
    "lowpass": nengo.Lowpass(0.003),
    "alpha": nengo.Alpha(0.004),
    "feed-through": nengo.LinearFilter([0.3, 1], [0.01, 1], analog=True),
}


@pytest.mark.parametrize("name", SYNAPSES)
def test_gradient_follows_from_what_is_kept(name, monkeypatch, rng):
    """It is the same if all steps run again, for all that shares a loop with the neurons."""
    kinds = []

    def again(stage, ctx, residuals=execute._residuals):
        kinds.extend(g.kind for g in stage.groups)
        assert residuals(stage, ctx) is not None

    synapse, neurons = SYNAPSES[name], nengo.AdaptiveLIF(tau_n=0.02, inc_n=0.01)
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", training_spikes="fast_sigmoid")
        node = nengo.Node(np.zeros(NEURONS), label="node")
        unit = {"gain": np.ones(NEURONS), "bias": np.ones(NEURONS), "neuron_type": neurons}
        first, second = (nengo.Ensemble(NEURONS, 1, **unit).neurons for _ in range(2))
        nengo.Connection(node, first, synapse=synapse)
        nengo.Connection(first, second, synapse=synapse)
        nengo.Connection(first, second, synapse=nengo.Lowpass(0.01))
        nengo.Probe(second, synapse=synapse, label="probe")
    currents = rng.uniform(0, 8, (STEPS, NEURONS))
    pull = rng.uniform(-1, 1, (STEPS, NEURONS))
    found = []
    for _ in range(2):
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            found.append(trained(sim, currents, pull))
        monkeypatch.setattr(execute, "_residuals", again)
    assert {"neurons", "lowpass"} <= set(kinds)
    assert np.count_nonzero(found[0][1]) > STEPS
    for kept, computed in zip(*found, strict=True):
        np.testing.assert_array_equal(kept, computed)


def soft_rates(currents, sigma, **constants):
    """Return the rates of LIF neurons with a smooth onset."""
    output = np.zeros_like(currents)
    nengo_dl.SoftLIFRate(sigma=sigma, **constants).step(DT, currents, output)
    return output


def test_smooth_rate_has_no_memory(rng):
    currents = rng.uniform(-2, 8, (STEPS, NEURONS))
    pull = rng.uniform(-1, 1, (STEPS, NEURONS))
    sigma, eps = 0.3, 1e-6
    net = population(nengo.LIF(amplitude=0.5), training_spikes=SmoothRate(sigma))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        outputs, gradient = trained(sim, currents, pull)
        np.testing.assert_array_equal(outputs, sim.predict({"node": currents[None]})[net.probe][0])
    ends = [soft_rates(currents + d, sigma, amplitude=0.5) for d in (eps, -eps)]
    slope = (ends[0] - ends[1]) / (2 * eps)
    np.testing.assert_allclose(gradient, slope * pull, rtol=1e-6, atol=1e-6)


def test_smooth_rate_of_adapting_neurons(rng):
    """The adaptation is that of the spikes."""
    neurons = nengo.AdaptiveLIF(tau_n=0.02, inc_n=0.01)
    currents = rng.uniform(2, 12, (STEPS, NEURONS))
    net = population(neurons, training_spikes="smooth_rate")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        outputs, gradient = trained(sim, currents, np.ones((STEPS, NEURONS)))
    state = neurons.make_state(NEURONS, rng=np.random.RandomState(18))
    eps = 1e-6
    for J, output, slope in zip(currents, outputs, gradient, strict=True):
        driven = J - state["adaptation"]
        wanted = (soft_rates(driven + eps, 0.1) - soft_rates(driven - eps, 0.1)) / (2 * eps)
        np.testing.assert_allclose(slope, wanted, rtol=1e-6)
        values = np.zeros(NEURONS)
        neurons.step(DT, J.copy(), values, **state)
        np.testing.assert_allclose(output, values)


def test_stochastic_spikes_have_the_gradient_of_an_integrator(rng):
    """One whose voltage is a uniform number when the step begins."""
    choice = Triangle(slope=1.5, height=0.8)
    rates = rng.choice([-1, 1], (STEPS, NEURONS)) * rng.uniform(10, 2500, (STEPS, NEURONS))
    neurons = nengo.StochasticSpiking(nengo.Tanh(tau_ref=1 / 3000))
    net = population(neurons, training_spikes=choice)
    currents = np.arctanh(rates / 3000)
    with nengo_dl.Simulator(net, seed=3, progress_bar=False) as sim:
        outputs, gradient = trained(sim, currents, np.ones((STEPS, NEURONS)))
    generator = neurons.make_state(NEURONS, rng=np.random.RandomState(18))["rng"]
    voltage = DT * np.abs(rates) + 1 - generator.rand(STEPS, NEURONS)
    np.testing.assert_allclose(outputs, np.floor(voltage) * np.sign(rates) / DT)
    slope = choice.derivative(voltage - np.maximum(np.round(voltage), 1))
    np.testing.assert_allclose(gradient, slope * (3000 - rates**2 / 3000))


@pytest.mark.parametrize("choice", ["smooth_rate", "triangle"])
def test_poisson_spikes_have_the_gradient_of_their_rates(choice, rng):
    neurons = nengo.PoissonSpiking(nengo.Tanh(tau_ref=1 / 3000), amplitude=0.5)
    net = population(neurons, training_spikes=choice)
    currents = rng.uniform(-1, 1, (STEPS, NEURONS))
    pull = rng.uniform(-1, 1, (STEPS, NEURONS))
    with nengo_dl.Simulator(net, seed=3, progress_bar=False) as sim:
        outputs, gradient = trained(sim, currents, pull)
    state = neurons.make_state(NEURONS, rng=np.random.RandomState(18))
    for J, output in zip(currents, outputs, strict=True):
        wanted = np.zeros(NEURONS)
        neurons.step(DT, 3000 * np.tanh(J), wanted, **state)
        np.testing.assert_array_equal(output, wanted)
    np.testing.assert_allclose(gradient, 0.5 * 3000 / np.cosh(currents) ** 2 * pull)


@pytest.mark.parametrize("neuron_type", [nengo.LIF(), nengo.SpikingRectifiedLinear()])
def test_a_current_that_all_items_share(neuron_type):
    """It is a bias alone, whose gradient is that of all items."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(training_spikes="fast_sigmoid", dtype="float64", trainable=True)
        ens = nengo.Ensemble(4, 1, neuron_type=neuron_type, gain=np.ones(4), bias=np.arange(1, 5))
        probe = nengo.Probe(ens.neurons)
    trained = []
    for items in (1, 3):
        with nengo_dl.Simulator(net, minibatch_size=items, progress_bar=False) as sim:
            sim.compile(keras.optimizers.SGD(1e-6), "mse")
            sim.fit(n_steps=20, y={probe: np.ones((items, 20, 4))}, verbose=0)
            trained.append(sim.data[ens].bias)
    assert not np.allclose(trained[0], np.arange(1, 5), rtol=0, atol=1e-6)
    np.testing.assert_allclose(*trained, rtol=1e-12)


def test_a_surrogate_without_shape_is_incomplete():
    with pytest.raises(TypeError, match="abstract method '?shape"):
        surrogate.Surrogate(slope=1.0)


@pytest.mark.parametrize("name, cls", surrogate.NAMED.items())
def test_names(name, cls):
    assert surrogate.get(name) == cls()
    assert surrogate.get(surrogate.get(name)) is not None


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FastSigmoid(slope=0), "FastSigmoid.slope: got 0, expected a number greater than"),
        (lambda: FastSigmoid(height=np.inf), "FastSigmoid.height: got inf, expected a number"),
        (lambda: Arctangent(slope="2"), "Arctangent.slope: got '2', expected a number"),
        (lambda: Triangle(detach_reset=1), "Triangle.detach_reset: got 1, expected True or False"),
        (lambda: Rates(smoothing=-1), "Rates.smoothing: got -1, expected a number greater than 0"),
        (lambda: SmoothRate(None), "SmoothRate.smoothing: got None, expected a number greater"),
        (lambda: surrogate.get("sigmoid"), "got 'sigmoid', expected one of 'rates', 'smooth_rate'"),
        (
            lambda: surrogate.get(FastSigmoid),
            "expected .* or an object of a class in nengo",
        ),
        (lambda: surrogate.get([]), r"training_spikes: got \[\]"),
    ],
)
def test_invalid(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


# --- who does what --------------------------------------------------------------------------------


def layers(**settings):
    """Return a network of two ensembles in subnetworks, and a third one."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", training_spikes=None, **settings)
        with nengo.Network() as net.inner:
            net.a = nengo.Ensemble(20, 1, label="a")
        net.b = nengo.Ensemble(20, 1, label="b", neuron_type=nengo.AdaptiveLIF())
        net.c = nengo.Ensemble(20, 1, label="c", neuron_type=nengo.LIFRate())
        node = nengo.Node([0.5], label="node")
        for ens in (net.a, net.b, net.c):
            nengo.Connection(node, ens, synapse=None)
            nengo.Probe(ens.neurons, label=ens.label)
    return net


def in_training(net, steps=30):
    """Return what the probes see in training, by label."""
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        x = tf.fill((1, steps, 1), np.float64(0.5))
        outputs = sim.keras_model({"node": x, "n_steps": tf.fill((1, 1), steps)}, training=True)
        currents = {e.label: _current(sim, e) for e in (net.a, net.b, net.c)}
    return {name: outputs[name].numpy()[0] for name in "abc"}, currents


def _current(sim, ens):
    return sim.data[ens].gain * sim.data[ens].encoders[:, 0] * 0.5 + sim.data[ens].bias


def spikes(values):
    return set(np.unique(values)) == {0.0, 1 / DT}


def rates(values, currents, sigma=None):
    """Whether values are the rates of LIF neurons for constant currents."""
    kind = nengo.LIFRate() if sigma is None else nengo_dl.SoftLIFRate(sigma=sigma)
    return np.allclose(values, kind.rates([0], np.ones(len(currents)), currents))


def test_rates_unless_something_else_was_chosen():
    values, currents = in_training(layers())
    assert rates(values["a"], currents["a"])
    assert rates(values["c"], currents["c"])
    state = {"adaptation": np.zeros(20)}
    for row in values["b"]:
        wanted = np.zeros(20)
        nengo.AdaptiveLIFRate().step(DT, currents["b"], wanted, **state)
        np.testing.assert_allclose(row, wanted)


def test_smoothing_applies_to_all_lif_neurons():
    values, currents = in_training(layers(lif_smoothing=0.2))
    for name in "ac":
        assert rates(values[name], currents[name], sigma=0.2)
    assert rates(values["b"][0], currents["b"], sigma=0.2)
    assert not rates(values["b"], currents["b"], sigma=0.2)


def test_whoever_is_nearest_decides():
    net = layers(lif_smoothing=0.2)
    net.config[nengo.Ensemble].training_spikes = "fast_sigmoid"
    values, currents = in_training(net)
    assert spikes(values["a"]) and spikes(values["b"])
    assert rates(values["c"], currents["c"], sigma=0.2)  # it has no spikes
    net.config[net.a].training_spikes = "rates"
    values, currents = in_training(net)
    assert rates(values["a"], currents["a"]) and spikes(values["b"])
    with net.inner:
        nengo_dl.configure_settings(training_spikes=Rates(0.3))
    values, currents = in_training(net)
    assert rates(values["a"], currents["a"], sigma=0.3) and spikes(values["b"])
    net.config[net.b].training_spikes = Arctangent()
    net.config[net.c].training_spikes = Rates(0.4)
    values, currents = in_training(net)
    assert spikes(values["b"]) and rates(values["c"], currents["c"], sigma=0.4)


def test_the_rates_behind_spikes_follow_their_ensemble(rng):
    """They are smoothed where rates are trained, and never behind spikes."""
    currents = rng.uniform(0, 3, (STEPS, NEURONS))
    neurons = nengo.RegularSpiking(nengo.LIFRate(), amplitude=0.5)
    net = population(neurons, training_spikes=Rates(0.3), lif_smoothing=0.1)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        outputs, _ = trained(sim, currents, 1.0)
    np.testing.assert_allclose(outputs, 0.5 * soft_rates(currents, 0.3))
    net.config[net.ens].training_spikes = "triangle"
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        outputs, _ = trained(sim, currents, 1.0)
        simulated = sim.predict({"node": currents[None]})[net.probe][0]
    np.testing.assert_array_equal(outputs, simulated)


@pytest.mark.parametrize("value", ["spikes", 25, FastSigmoid])
def test_configured_values_are_checked(value):
    with nengo.Network() as net:
        nengo_dl.configure_settings(training_spikes="triangle")
        with pytest.raises(ValidationError, match="training_spikes: got .*, expected one of 'rat"):
            nengo_dl.configure_settings(training_spikes=value)
        with pytest.raises(ValidationError, match="training_spikes: got .*, expected one of 'rat"):
            net.config[nengo.Ensemble].training_spikes = value


def test_fit_goes_on_from_the_state_of_the_last_call():
    net = population(nengo.LIF(), training_spikes="fast_sigmoid")
    x = np.full((1, 30, NEURONS), 1.7)
    seen = []
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        whole = sim.predict({"node": x}, stateful=False)[net.probe]
        sim.compile(
            keras.optimizers.SGD(0.0), loss=lambda y, p: tf.reduce_sum(y * p), metrics=["mse"]
        )
        for part in np.split(np.arange(30), 3):
            y = np.eye(10)[None, :, :NEURONS]
            seen.append(sim.fit({"node": x[:, part]}, {net.probe: y}, verbose=0, stateful=True))
        assert sim.n_steps == 30
    losses = [h.history["loss"][0] for h in seen]
    wanted = [np.sum(whole[0, i : i + 10] * np.eye(10)[:, :NEURONS]) for i in (0, 10, 20)]
    np.testing.assert_allclose(losses, wanted)


def test_check_gradients_says_that_it_cannot_check_surrogates():
    net = layers()
    net.config[net.b].training_spikes = "triangle"
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(SimulationError, match="'b'.* with Triangle.*training_spikes='rates'"):
            sim.check_gradients()


def delayed_xor(choice):
    """Return a recurrent network for pulses in two channels, and its data: is it one, or both?"""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(training_spikes=choice)
        node = nengo.Node([0, 0], label="node")
        ens = nengo.Ensemble(
            40,
            1,
            neuron_type=nengo.LIF(amplitude=0.01),
            gain=np.ones(40),
            bias=np.ones(40),
        )
        out = nengo.Node(size_in=1)
        nengo.Connection(node, ens.neurons, transform=3 * rng.randn(40, 2), synapse=None)
        nengo.Connection(ens.neurons, ens.neurons, transform=0.1 * rng.randn(40, 40), synapse=0.005)
        nengo.Connection(ens.neurons, out, transform=0.05 * rng.randn(1, 40), synapse=0.005)
        net.probe = nengo.Probe(out)
    x = np.zeros((4, 20, 2))
    for item, (first, second) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        x[item, 1:6, 0], x[item, 8:13, 1] = first, second
    return net, {node: x}, np.array([0, 1, 1, 0])


def late(outputs):
    """Return the mean output of the last steps of each item."""
    return keras.ops.mean(outputs[:, -6:, 0], axis=1)


@pytest.mark.parametrize("choice", ["fast_sigmoid", "smooth_rate"])
def test_spikes_learn_a_delayed_xor(choice):
    """Trained with spikes, it is right with spikes."""
    net, x, wanted = delayed_xor(choice)
    with nengo_dl.Simulator(net, minibatch_size=4, seed=0, progress_bar=False) as sim:
        sim.compile(
            keras.optimizers.Adam(0.01),
            loss=lambda y, p: keras.ops.mean(keras.ops.square(y[:, 0, 0] - late(p))),
        )
        x = {node: np.tile(values, (20, 1, 1)) for node, values in x.items()}
        y = np.tile(wanted[:, None, None], (20, 20, 1)).astype(np.float32)
        losses = sim.fit(x, {net.probe: y}, epochs=8, verbose=0).history["loss"]
        outputs = np.array(late(sim.predict({n: v[:4] for n, v in x.items()})[net.probe]))
    assert losses[-1] < 0.05 < 0.2 < losses[0]
    np.testing.assert_array_equal(outputs > 0.5, wanted)
