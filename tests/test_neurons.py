"""Neuron types of this package, against their formulae and inside Nengo's own simulator."""

import copy
import pickle

import nengo
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nengo.exceptions import ValidationError

from nengo_dl.neurons import (
    IntegrateAndFire,
    LeakyReLU,
    QuantizedReLU,
    SignedIntegrateAndFire,
    SoftLIFRate,
    SpikingLeakyReLU,
    ThresholdedReLU,
)

ALL = [
    SoftLIFRate(),
    SoftLIFRate(sigma=0.1, tau_rc=0.03, tau_ref=0.001, amplitude=0.5),
    LeakyReLU(),
    LeakyReLU(negative_slope=0.1, amplitude=2),
    SpikingLeakyReLU(),
    SpikingLeakyReLU(negative_slope=0.2, initial_state={"voltage": nengo.dists.Choice([0])}),
    QuantizedReLU(),
    QuantizedReLU(levels=8, amplitude=2.5),
    ThresholdedReLU(),
    ThresholdedReLU(0.75, negative_slope=0.25, max_value=200, amplitude=2),
    IntegrateAndFire(),
    IntegrateAndFire(amplitude=0.5, max_spikes=1),
    IntegrateAndFire(negative_slope=0.2),
    SignedIntegrateAndFire(),
    SignedIntegrateAndFire(max_spikes=2, initial_state={"voltage": nengo.dists.Choice([0.5])}),
]
SPIKING = (SpikingLeakyReLU, IntegrateAndFire)


@pytest.mark.parametrize("neuron_type", ALL, ids=repr)
def test_is_a_nengo_object(neuron_type):
    for other in (copy.deepcopy(neuron_type), pickle.loads(pickle.dumps(neuron_type))):
        assert other == neuron_type and repr(other) == repr(neuron_type)
    assert neuron_type.negative is False
    assert neuron_type.spiking is isinstance(neuron_type, SPIKING)
    assert type(neuron_type).step_math is type(neuron_type).step


def test_repr_and_equality():
    assert repr(SoftLIFRate()) == "SoftLIFRate()"
    assert repr(SoftLIFRate(sigma=0.5, tau_ref=0.001)) == "SoftLIFRate(sigma=0.5, tau_ref=0.001)"
    assert repr(LeakyReLU(negative_slope=0.1)) == "LeakyReLU(negative_slope=0.1)"
    assert repr(SpikingLeakyReLU(amplitude=2)) == "SpikingLeakyReLU(amplitude=2)"
    assert SoftLIFRate(sigma=0.5) != SoftLIFRate()
    assert LeakyReLU() != SpikingLeakyReLU()


@given(
    current=st.floats(-50, 200),
    sigma=st.floats(0.01, 3),
    tau_rc=st.floats(0.005, 0.1),
    tau_ref=st.floats(0.0005, 0.01),
    amplitude=st.floats(0.01, 5),
)
def test_soft_lif_formula(current, sigma, tau_rc, tau_ref, amplitude):
    j = np.longdouble(current) - 1
    z = sigma * np.logaddexp(np.longdouble(0), j / sigma)
    inverse = np.log1p(1 / z) if np.isfinite(1 / z) else -j / sigma - np.log(sigma)
    expected = amplitude / (tau_ref + tau_rc * inverse)

    neuron_type = SoftLIFRate(sigma, tau_rc=tau_rc, tau_ref=tau_ref, amplitude=amplitude)
    output = np.zeros(1)
    neuron_type.step(dt=0.001, J=np.array([current]), output=output)
    np.testing.assert_allclose(output, float(expected), rtol=1e-6)
    np.testing.assert_allclose(neuron_type.rates([current - 2], [1], [2]), [output])


def test_soft_lif_is_finite_and_increasing_far_from_threshold():
    with np.errstate(all="raise", under="ignore"):
        rates = SoftLIFRate(sigma=0.02).rates(np.linspace(-100, 1e4, 20001), [1], [0])
    assert np.all(np.isfinite(rates)) and np.all(rates > 0)
    assert np.all(np.diff(rates, axis=0) > 0)


def test_soft_lif_approaches_lif():
    x = np.linspace(1.2, 20, 50)
    np.testing.assert_allclose(
        SoftLIFRate(sigma=0.01).rates(x, [1], [0]), nengo.LIFRate().rates(x, [1], [0]), rtol=1e-4
    )


def test_leaky_relu_rates():
    np.testing.assert_allclose(LeakyReLU(negative_slope=0.1).rates([-2, 2], 1, 0), [[-0.2], [2]])
    np.testing.assert_allclose(LeakyReLU(amplitude=2).rates([-1, 0, 3], 1, 0), [[-0.6], [0], [6]])


def test_spiking_leaky_relu_has_the_rates_of_leaky_relu(rng):
    x, gain, bias = rng.uniform(-1, 1, 20), rng.uniform(1, 5, 7), rng.uniform(-1, 1, 7)
    args = {"negative_slope": 0.2, "amplitude": 0.5}
    np.testing.assert_array_equal(
        SpikingLeakyReLU(**args).rates(x, gain, bias), LeakyReLU(**args).rates(x, gain, bias)
    )


def test_spiking_leaky_relu_step():
    neuron_type = SpikingLeakyReLU(negative_slope=0.5, amplitude=2)
    voltage, output = np.array([0.2, 0.9, -0.8, 0.0]), np.zeros(4)
    neuron_type.step(0.001, np.array([100.0, 250.0, -1000.0, -5000.0]), output, voltage)
    np.testing.assert_allclose(output, [0, 2000, -2000, -4000])
    np.testing.assert_allclose(voltage, [0.3, 0.15, -0.3, -0.5])


def test_quantized_relu_levels():
    output, J = np.zeros(9), np.array([-1, 0.12, 0.13, 0.37, 0.38, 0.6, 0.99, 1, 3])
    QuantizedReLU(levels=4, amplitude=2).step(0.001, J, output)
    np.testing.assert_array_equal(output, [0, 0, 0.5, 0.5, 1, 1, 2, 2, 2])
    assert repr(QuantizedReLU(levels=8)) == "QuantizedReLU(levels=8)"


def test_thresholded_relu_is_that_of_the_formula():
    J = np.array([-2, 0, 0.5, np.nextafter(0.5, 1), 0.75, 2, 9])
    output = np.zeros(7)
    ThresholdedReLU(0.5, negative_slope=0.25, max_value=2, amplitude=2).step(0.001, J, output)
    np.testing.assert_allclose(output, [-1.25, -0.25, 0, 1, 1.5, 4, 4], rtol=1e-15)
    ThresholdedReLU(0.5).step(0.001, J, output)
    np.testing.assert_array_equal(output, np.where(J > 0.5, J, 0))
    shown = "ThresholdedReLU(threshold=0.5, max_value=2)"
    assert repr(ThresholdedReLU(threshold=0.5, max_value=2)) == shown


def test_thresholded_relu_jumps_at_its_intercept():
    neuron_type = ThresholdedReLU(threshold=20)
    gain, bias = neuron_type.gain_bias(np.array([100.0, 60.0]), np.array([-0.5, 0.25]))
    x = np.array([-0.51, -0.49, 0.24, 0.26, 1])
    rates = neuron_type.rates(x, gain, bias)
    np.testing.assert_array_equal(rates > 20, [[0, 0], [1, 0], [1, 0], [1, 1], [1, 1]])
    np.testing.assert_allclose(rates[-1], [100, 60])
    found = neuron_type.max_rates_intercepts(gain, bias)
    np.testing.assert_allclose(found, [[100, 60], [-0.5, 0.25]])


@pytest.mark.parametrize("neuron_type", [ThresholdedReLU(200), ThresholdedReLU(max_value=99)])
def test_thresholded_relu_with_rates_that_it_has_not(neuron_type):
    with pytest.raises(ValidationError, match="max_rates: got rates from 100 to 150; .*threshold"):
        neuron_type.gain_bias([100, 150], [0, 0])


def run(neuron_type, currents, **state):
    """Return spikes and states of one neuron that gets one current after the other."""
    state = {name: np.array([float(value)]) for name, value in state.items()}
    outputs = []
    for current in currents:
        output = np.zeros(1)
        neuron_type.step(1.0, np.array([float(current)]), output, **state)
        outputs.append(output[0])
    return outputs, {name: value[0] for name, value in state.items()}


def test_integrate_and_fire_integrates_negative_currents():
    currents = [0.75, -1, 2.5, 0, -3, 1]
    outputs, state = run(IntegrateAndFire(), currents, voltage=0.5)
    assert outputs == [1, 0, 1, 0, 0, 0] and state == {"voltage": -1.25}
    rectified, _ = run(nengo.SpikingRectifiedLinear(), currents, voltage=0.5)
    assert sum(rectified) == 4 > sum(outputs)


def test_integrate_and_fire_keeps_what_is_above_the_limit():
    outputs, state = run(IntegrateAndFire(2, max_spikes=1), [2.5, 0, 0, 0], voltage=0.5)
    assert outputs == [2, 2, 2, 0] and state == {"voltage": 0}


def test_integrate_and_fire_has_negative_spikes_for_a_slope():
    outputs, state = run(IntegrateAndFire(negative_slope=0.5), [-1, -2, 1.5, 0.5, -7], voltage=0)
    assert outputs == [0, -1, 0, 1, -3] and state == {"voltage": -1}


@pytest.mark.parametrize("limit", [np.inf, 1, 2])
def test_signed_spikes_sum_to_the_formula(rng, limit):
    neuron_type = SignedIntegrateAndFire(max_spikes=limit)
    for _ in range(20):
        currents = rng.uniform(-2, 2.5, 12).round(2)
        outputs, state = run(neuron_type, currents, voltage=0.5, emitted=0, allowed=0)
        for steps in range(1, 13):
            expected = np.floor(0.5 + currents[:steps].sum())
            assert sum(outputs[:steps]) == np.clip(expected, 0, steps * limit)
        assert state["emitted"] == sum(outputs)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SoftLIFRate(sigma=0), "SoftLIFRate.sigma: .*greater than 0"),
        (lambda: SoftLIFRate(tau_rc=0), "SoftLIFRate.tau_rc: .*greater than 0"),
        (lambda: LeakyReLU(negative_slope=-1), "LeakyReLU.negative_slope: .*greater than or equal"),
        (lambda: SpikingLeakyReLU(negative_slope="x"), "SpikingLeakyReLU.negative_slope: .*number"),
        (
            lambda: IntegrateAndFire(max_spikes=0.5),
            "IntegrateAndFire.max_spikes: .*greater than or",
        ),
        (lambda: IntegrateAndFire(negative_slope=-1), "IntegrateAndFire.negative_slope: .*greater"),
        (lambda: ThresholdedReLU(threshold=-1), "ThresholdedReLU.threshold: .*greater than or"),
        (lambda: ThresholdedReLU(negative_slope=-1), "ThresholdedReLU.negative_slope: .*greater"),
        (lambda: ThresholdedReLU(max_value=-1), "ThresholdedReLU.max_value: .*greater than or"),
        (lambda: SignedIntegrateAndFire(initial_state={"spikes": [0]}), "'spikes' not recognized"),
        (lambda: LeakyReLU(initial_state={"voltage": [0]}), "'voltage' not recognized"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


@pytest.mark.parametrize("neuron_type", ALL, ids=repr)
def test_in_nengo_simulator(neuron_type):
    current = np.array([-30.0, 0.5, 40.0])
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(
            3, 1, neuron_type=neuron_type, gain=np.ones(3), bias=current, encoders=np.ones((3, 1))
        )
        probe = nengo.Probe(ens.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(1000)
    rates = neuron_type.rates([0], np.ones(3), current)[0]
    tolerance = 1.0 * neuron_type.amplitude if neuron_type.spiking else 1e-9
    np.testing.assert_allclose(sim.data[probe].mean(axis=0), rates, atol=tolerance)


#: A few levels are no basis for functions.
SMOOTH = [neuron_type for neuron_type in ALL if not isinstance(neuron_type, QuantizedReLU)]


@pytest.mark.parametrize("neuron_type", SMOOTH, ids=repr)
def test_decoders_can_be_solved(neuron_type):
    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(50, 1, neuron_type=neuron_type, max_rates=nengo.dists.Uniform(50, 100))
        post = nengo.Node(size_in=1)
        conn = nengo.Connection(pre, post)
    with nengo.Simulator(net, progress_bar=False) as sim:
        x, activities = nengo.utils.ensemble.tuning_curves(pre, sim, inputs=np.c_[-0.5:0.5:11j])
        decoded = activities @ sim.data[conn].weights.T
    np.testing.assert_allclose(decoded, x, atol=0.05)
