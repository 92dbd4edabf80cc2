"""Each neuron type and each synapse against Nengo's own NumPy step, fed with the same numbers.

Nengo's simulator is not used: what is expected comes from ``NeuronType.step`` and
``Synapse.filt``.
"""

import nengo
import numpy as np
import pytest
from nengo.dists import Choice, Uniform
from nengo.synapses import Triangle

import nengo_dl
from nengo_dl.kernels.spiking import decay, log_ratio
from nengo_dl.neurons import (
    IntegrateAndFire,
    LeakyReLU,
    QuantizedReLU,
    SignedIntegrateAndFire,
    SoftLIFRate,
    SpikingLeakyReLU,
    ThresholdedReLU,
)

N_STEPS = 200
DT = 0.001


def piecewise(rng, values, n_columns):
    """Return currents (N_STEPS, n_columns) that change at random times, often to ``values``."""
    low, high = min(values), max(values)
    currents = np.empty((N_STEPS, n_columns))
    for column in currents.T:
        start = 0
        while start < N_STEPS:
            stop = start + rng.randint(1, 25)
            column[start:stop] = rng.choice(values) if rng.rand() < 0.5 else rng.uniform(low, high)
            start = stop
    for i, value in enumerate(values):
        currents[100 + i :: 20, i % n_columns] = value
    return currents


def simulate(build, inputs):
    """Return data of the probes that ``build(node)`` returns; the node gives ``inputs``."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        probes = build(nengo.Node(nengo.processes.PresentInput(inputs, DT)))
    with nengo_dl.Simulator(net, dt=DT, progress_bar=False) as sim:
        sim.run_steps(len(inputs))
        return {name: np.array(sim.data[probe]) for name, probe in probes.items()}


# --- neurons --------------------------------------------------------------------------------------

#: Currents at which something changes: around the threshold, at rest, inhibited, and far above.
THRESHOLD = [0.0, 1.0, np.nextafter(1, 2), np.nextafter(1, 0), 1.0 + 1e-6, -3.0, -0.0, 8.0, 100.0]
SIGNED = [0.0, -40.0, 40.0, -1e-9, 1.0, 5.0, -5.0]
RATES = [0.0, 1.0, 999.0, 1500.0, 2700.5, -800.0, 0.5]
MILLIAMPS = [0.0, -30.0, -50.0, 5.0, 10.0, 40.0, 1.0]

NEURONS = {
    "RectifiedLinear": (nengo.RectifiedLinear(), SIGNED),
    "RectifiedLinear-amplitude": (nengo.RectifiedLinear(amplitude=0.3), SIGNED),
    "Sigmoid": (nengo.Sigmoid(), SIGNED),
    "Sigmoid-tau": (nengo.Sigmoid(tau_ref=0.01), SIGNED),
    "Tanh": (nengo.Tanh(), SIGNED),
    "Tanh-tau": (nengo.Tanh(tau_ref=0.01), SIGNED),
    "LIFRate": (nengo.LIFRate(), THRESHOLD),
    "LIFRate-constants": (nengo.LIFRate(tau_rc=0.1, tau_ref=0.0, amplitude=0.5), THRESHOLD),
    "SpikingRectifiedLinear": (nengo.SpikingRectifiedLinear(), RATES),
    "SpikingRectifiedLinear-amplitude": (nengo.SpikingRectifiedLinear(amplitude=0.25), RATES),
    "LIF": (nengo.LIF(), THRESHOLD),
    "LIF-constants": (nengo.LIF(tau_rc=0.05, tau_ref=0.0043, amplitude=0.5), THRESHOLD),
    "LIF-no-refractory": (nengo.LIF(tau_ref=0.0), THRESHOLD),
    "LIF-unbounded": (nengo.LIF(min_voltage=-np.inf), THRESHOLD),
    "LIF-bounded-below-zero": (nengo.LIF(min_voltage=-0.7), THRESHOLD),
    "LIF-started": (
        nengo.LIF(initial_state={"voltage": Uniform(-1, 1), "refractory_time": Uniform(0, 0.003)}),
        THRESHOLD,
    ),
    "AdaptiveLIF": (nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.1), THRESHOLD),
    "AdaptiveLIF-started": (
        nengo.AdaptiveLIF(initial_state={"adaptation": Choice([0.5])}),
        THRESHOLD,
    ),
    "AdaptiveLIFRate": (nengo.AdaptiveLIFRate(tau_n=0.1, inc_n=0.1), THRESHOLD),
    "LeakyReLU": (LeakyReLU(negative_slope=0.2, amplitude=0.5), SIGNED),
    "SpikingLeakyReLU": (SpikingLeakyReLU(negative_slope=0.2, amplitude=0.5), RATES),
    "QuantizedReLU": (QuantizedReLU(levels=3, amplitude=0.5), THRESHOLD),
    "ThresholdedReLU": (ThresholdedReLU(amplitude=0.5), THRESHOLD),
    "ThresholdedReLU-limited": (ThresholdedReLU(1, 0.2, max_value=8), THRESHOLD),
    "IntegrateAndFire": (IntegrateAndFire(amplitude=0.5), RATES),
    "IntegrateAndFire-limited": (IntegrateAndFire(max_spikes=2), RATES),
    "IntegrateAndFire-leaky": (IntegrateAndFire(0.5, max_spikes=2, negative_slope=0.25), RATES),
    "SignedIntegrateAndFire": (SignedIntegrateAndFire(amplitude=0.5), RATES),
    "SignedIntegrateAndFire-limited": (SignedIntegrateAndFire(max_spikes=1), RATES),
    "SoftLIFRate": (SoftLIFRate(), THRESHOLD),
    "SoftLIFRate-sharp": (SoftLIFRate(sigma=0.02, tau_ref=0.004, amplitude=0.5), THRESHOLD),
    "Izhikevich": (nengo.Izhikevich(), MILLIAMPS),
    "Izhikevich-bursting": (nengo.Izhikevich(reset_voltage=-50, reset_recovery=2), MILLIAMPS),
    "Izhikevich-resonator": (nengo.Izhikevich(tau_recovery=0.1, coupling=0.26), MILLIAMPS),
}

CONVERTED = {
    "RegularSpiking-LIFRate": (nengo.RegularSpiking(nengo.LIFRate()), THRESHOLD),
    "RegularSpiking-Tanh": (nengo.RegularSpiking(nengo.Tanh(), amplitude=0.5), SIGNED),
    "RegularSpiking-Sigmoid": (nengo.RegularSpiking(nengo.Sigmoid(tau_ref=0.0004)), SIGNED),
    "RegularSpiking-RectifiedLinear": (
        nengo.RegularSpiking(nengo.RectifiedLinear(amplitude=2)),
        RATES,
    ),
    "RegularSpiking-AdaptiveLIFRate": (
        nengo.RegularSpiking(nengo.AdaptiveLIFRate(inc_n=0.1)),
        THRESHOLD,
    ),
    "StochasticSpiking-LIFRate": (nengo.StochasticSpiking(nengo.LIFRate()), THRESHOLD),
    "StochasticSpiking-Tanh": (nengo.StochasticSpiking(nengo.Tanh(), amplitude=0.5), SIGNED),
    "PoissonSpiking-RectifiedLinear": (nengo.PoissonSpiking(nengo.RectifiedLinear()), RATES),
    "PoissonSpiking-Tanh": (nengo.PoissonSpiking(nengo.Tanh()), SIGNED),
}


def population(neuron_type, n_neurons):
    """Return a builder of neurons whose currents are a node's output, and of their probes."""

    def build(node):
        unit = {"gain": np.ones(n_neurons), "bias": np.zeros(n_neurons), "seed": 17}
        ens = nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type, **unit)
        nengo.Connection(node, ens.neurons, synapse=None)
        return {
            name: nengo.Probe(ens.neurons, name)
            for name in ens.neurons.probeable
            if name != "input"
        }

    return build


def initial_state(neuron_type, n_neurons):
    """Return the state that Nengo's builder gives to an ensemble with seed 17."""
    return neuron_type.make_state(n_neurons, rng=np.random.RandomState(17 + 1))


def expected_of(neuron_type, currents):
    """Return what NumPy's step of a neuron type gives: output and state, after each step."""
    state = initial_state(neuron_type, currents.shape[1])
    shown = {"output": np.empty_like(currents)}
    shown.update(
        {
            name: np.empty_like(currents)
            for name, value in state.items()
            if isinstance(value, np.ndarray)
        }
    )
    for i, J in enumerate(currents):
        output = np.zeros_like(J)
        neuron_type.step(DT, J.copy(), output, **state)
        for name, values in shown.items():
            values[i] = output if name == "output" else state[name]
    return shown


def assert_same(got, expected, label):
    """Check numbers to rounding, and say where a spike differs."""
    different = np.argwhere((got != 0) != (expected != 0))
    if label == "output":
        assert len(different) == 0, f"first at (step, neuron) {different[0]}, of {len(different)}"
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9, err_msg=label)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("n_neurons", [1, 11])
def test_neurons(name, n_neurons, rng):
    neuron_type, values = NEURONS[name]
    currents = piecewise(rng, values, n_neurons)

    expected = expected_of(neuron_type, currents)
    got = simulate(population(neuron_type, n_neurons), currents)

    # Euler steps of a squared voltage multiply rounding by about 6 each: no two programs that
    # round differently stay together for long
    n_steps = 40 if isinstance(neuron_type, nengo.Izhikevich) else N_STEPS
    assert np.any(expected["output"][:n_steps] != 0)
    for label, values in expected.items():
        assert_same(got[label][:n_steps], values[:n_steps], label)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CONVERTED)
def test_rates_to_spikes(name, rng):
    neuron_type, values = CONVERTED[name]
    currents = piecewise(rng, values, 11)

    rates = expected_of(neuron_type.base_type, currents)
    expected = expected_of(neuron_type, rates.pop("output"))
    got = simulate(population(neuron_type, 11), currents)

    assert np.any(expected["output"] != 0)
    for label, values in {**rates, **expected}.items():
        assert_same(got[label], values, label)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "kind",
    [
        *(nengo.LIF, nengo.LIFRate, nengo.AdaptiveLIF),
        *(nengo.SpikingRectifiedLinear, ThresholdedReLU),
    ],
)
def test_populations_computed_together(kind, rng):
    """Populations of one kind with other constants and sizes are what they are alone."""
    amplitudes, sizes = (1, 0.5, 2, 0.1), (3, 8, 1, 5)
    values = RATES if kind is nengo.SpikingRectifiedLinear else THRESHOLD
    currents = piecewise(rng, values, sum(sizes))
    types = [kind(amplitude=amplitude) for amplitude in amplitudes]
    if kind is ThresholdedReLU:
        types = [kind(0.3 * i, 0.1 * i, max_value=[np.inf, 5][i % 2]) for i in range(4)]
    elif kind is not nengo.SpikingRectifiedLinear:
        types = [
            kind(amplitude=a, tau_rc=0.02 * (i + 1), tau_ref=0.001 * i)
            for i, a in enumerate(amplitudes)
        ]
    columns = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])

    def build(node):
        probes = {}
        for i, (neuron_type, mine) in enumerate(zip(types, columns, strict=True)):
            for label, probe in population(neuron_type, len(mine))(node[mine.tolist()]).items():
                probes[i, label] = probe
        return probes

    got = simulate(build, currents)
    for i, (neuron_type, mine) in enumerate(zip(types, columns, strict=True)):
        for label, values in expected_of(neuron_type, currents[:, mine]).items():
            assert_same(got[i, label], values, label)


# --- synapses -------------------------------------------------------------------------------------

LIN = nengo.LinearFilter
SYNAPSES = {
    "Lowpass": nengo.Lowpass(0.005),
    "Lowpass-0": nengo.Lowpass(0),
    "Lowpass-tiny": nengo.Lowpass(1e-5),
    "Lowpass-below-dt": nengo.Lowpass(0.0004),
    "Lowpass-slow": nengo.Lowpass(1.0),
    "Alpha": nengo.Alpha(0.005),
    "Alpha-below-dt": nengo.Alpha(0.0003),
    "Alpha-slow": nengo.Alpha(0.2),
    "gain": LIN([2.5], [1]),
    "integrator": LIN([1], [1, 0]),
    "double-integrator": LIN([1], [1, 0, 0]),
    "passes-on": LIN([0.02, 1], [0.01, 1]),
    "passes-on-2": LIN([1e-4, 0, 1], [1e-4, 0.01, 1]),
    "order-2": LIN([1, 0], [0.01**2, 0.02, 1]),
    "order-3": LIN([1], [1e-6, 3e-4, 0.03, 1]),
    "order-5": LIN([1], np.poly([-100, -200, -300, -400, -500]) / 1.2e12),
    "oscillator": LIN([1], [1e-4, 1e-4, 1]),
    "euler": LIN([1], [0.01, 1], method="euler"),
    "bilinear": LIN([1], [0.01, 1], method="bilinear"),
    "backward_diff": LIN([1], [1e-4, 0.02, 1], method="backward_diff"),
    "digital": LIN([0.1], [1, -0.9], analog=False),
    "digital-gain": LIN([0.3], [1], analog=False),
    "digital-delay": LIN([1], [1, 0], analog=False),
    "digital-fir": LIN([1, 0.5, 0.25], [1, 0, 0], analog=False),
    "digital-order-2": LIN([0.1, 0.05], [1, -1.2, 0.4], analog=False),
    "Triangle": Triangle(0.006),
    "Triangle-0": Triangle(0),
    "Triangle-below-dt": Triangle(0.0004),
}


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("size", [1, 3])
def test_synapses(name, size, rng):
    """On a connection a synapse is an update: what it gives is seen one step later."""
    synapse = SYNAPSES[name]
    inputs = piecewise(rng, [0.0, 1.0, -1.0, 1000.0], size)

    def build(node):
        post = nengo.Node(size_in=size)
        nengo.Connection(node, post, synapse=synapse)
        return {"connection": nengo.Probe(post), "probe": nengo.Probe(node, synapse=synapse)}

    got = simulate(build, inputs)
    expected = np.vstack([np.zeros((1, size)), synapse.filt(inputs, dt=DT)[:-1]])
    scale = max(1, np.abs(expected).max())
    for label, values in got.items():
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-10 * scale, err_msg=label)


def test_synapses_computed_together(rng):
    """All synapses in one network, each twice, with inputs of different sizes."""
    inputs = piecewise(rng, [0.0, 1.0, -1.0], 5)
    slices = [slice(0, 1), slice(1, 5)]

    def build(node):
        probes = {}
        for name, synapse in SYNAPSES.items():
            for i, mine in enumerate(slices):
                post = nengo.Node(size_in=mine.stop - mine.start)
                nengo.Connection(node[mine], post, synapse=synapse)
                probes[name, i] = nengo.Probe(post)
        return probes

    got = simulate(build, inputs)
    for (name, i), values in got.items():
        filtered = SYNAPSES[name].filt(inputs[:, slices[i]], dt=DT)
        expected = np.vstack([np.zeros_like(filtered[:1]), filtered[:-1]])
        scale = max(1, np.abs(expected).max())
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-10 * scale, err_msg=name)


@pytest.mark.parametrize("synapse", [nengo.Lowpass(0.01), nengo.Lowpass(0)], ids=str)
def test_synapse_on_a_matrix(synapse, rng):
    """A synapse on a probe of learned weights filters each of them."""
    inputs = piecewise(rng, [0.0, 1.0, -1.0], 2)

    def build(node):
        ens = nengo.Ensemble(6, 2, seed=1)
        conn = nengo.Connection(ens, nengo.Node(size_in=2), learning_rule_type=nengo.PES(0.1))
        nengo.Connection(node, ens, synapse=None)
        nengo.Connection(node, conn.learning_rule)
        return {
            "raw": nengo.Probe(conn, "weights"),
            "filtered": nengo.Probe(conn, "weights", synapse=synapse),
        }

    got = simulate(build, inputs)
    filtered = synapse.filt(got["raw"], dt=DT)
    expected = np.concatenate([np.zeros_like(filtered[:1]), filtered[:-1]])
    assert np.ptp(got["raw"], axis=0).max() > 0
    np.testing.assert_allclose(got["filtered"], expected, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------- exact to rounding


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("longest", [1e-4, 0.01, 0.05, 0.056, 0.1, 0.25, 0.26, 3.0])
def test_decay_and_its_inverse(dtype, longest):
    """Series and fractions stand for `expm1` and `log1p` wherever they are as exact."""
    rng, rounding = np.random.default_rng(0), 6 * np.finfo(dtype).eps
    x = rng.uniform(0, longest, 10_000).astype(dtype)
    found = np.asarray(decay(x, 1.0, longest))
    np.testing.assert_allclose(found, -np.expm1(-x.astype("float64")), rtol=rounding)

    drive = rng.uniform(0.01, 20, x.size).astype(dtype)
    excess = (drive * -np.expm1(-x)).astype(dtype)
    expected = -np.log1p(-excess.astype("float64") / drive)
    # where the ratio nears 1, its own rounding counts for more
    rounding = max(rounding, 2 * np.finfo(dtype).eps * np.exp(longest))
    np.testing.assert_allclose(log_ratio(excess, drive, longest), expected, rtol=rounding)
