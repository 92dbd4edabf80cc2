"""A zoo of tiny, seeded Nengo networks, each showing one kind of thing to get right.

Every entry of ``NETWORKS`` is a function without arguments that returns a new ``nengo.Network``;
its attribute ``probes_to_check`` lists the probes to compare with ``nengo.Simulator``. A network is
added by writing a function that creates Nengo objects and returns probes, under ``@network``. All
are small enough that both simulators build them and run 60 steps in a moment.
"""

import functools
import zlib

import nengo
import numpy as np
from nengo.builder import Builder, Operator, Signal
from nengo.builder.operator import Reset
from nengo.dists import Choice, Uniform

from nengo_dl.neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU

NETWORKS = {}


def network(build):
    """Register a function that, inside a new seeded network, creates objects and returns probes."""

    @functools.wraps(build)
    def make():
        with nengo.Network(
            label=build.__name__, seed=zlib.crc32(build.__name__.encode()) % 10_000
        ) as net:
            net.probes_to_check = list(build())
        return net

    assert build.__name__ not in NETWORKS
    NETWORKS[build.__name__] = make
    return make


def wave(t):
    """Return the scalar that drives most networks: signed, and not periodic in few steps."""
    return np.sin(40 * t + 0.3)


def wave2(t):
    """Return two values from the time."""
    return [np.sin(40 * t), np.cos(70 * t)]


def wave4(t):
    """Return four values from the time, as an array."""
    return np.sin(np.array([20, 35, 50, 65]) * t + np.arange(4))


def sink(size):
    """Return a pass-through node, to see the sum of what several connections bring."""
    return nengo.Node(size_in=size)


# --- what a user may define: a process, a neuron type, an object with its own operator ------------


class Leaky(nengo.Process):
    """A leaky sum of the input and of the number of calls so far, all in its own state."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"total": np.zeros(shape_out, dtype=dtype), "calls": np.zeros(1, dtype=dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t, x=0.0):
            state["calls"] += 1
            state["total"] *= 0.9
            state["total"] += x + 0.01 * state["calls"]
            return state["total"]

        return step


class Clocked(nengo.Process):
    """Adds the time to its input."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x + t


class Jitter(nengo.Process):
    """Adds noise to its input: a process with an input that draws from its generator."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x + rng.uniform(-0.5, 0.5, size=shape_out)


class Squaring(nengo.neurons.NeuronType):
    """Rates that are the square of a leaky current: a neuron type that no back end knows."""

    state = {"memory": Choice([0.25])}
    negative = False

    def gain_bias(self, max_rates, intercepts):
        return np.sqrt(np.asarray(max_rates)), -np.asarray(intercepts) * np.sqrt(
            np.asarray(max_rates)
        )

    def max_rates_intercepts(self, gain, bias):
        return (gain + bias) ** 2, -bias / gain

    def rates(self, x, gain, bias):
        return np.maximum(self.current(x, gain, bias), 0) ** 2

    def step(self, dt, J, output, memory):
        memory[...] = 0.5 * memory + 0.5 * np.maximum(J, 0)
        output[...] = memory**2


class PlainLIF(nengo.LIF):
    """A subclass with other dynamics, which must not be taken for its base class."""

    def step(self, dt, J, output, voltage, refractory_time):
        super().step(dt, 0.5 * J, output, voltage, refractory_time)


class Cube(nengo.Node):
    """A node that is built by its own builder into its own operator."""


class SimCube(Operator):
    """Sets ``y = x**3``, and updates ``total += dt * y``."""

    def __init__(self, x, y, total, tag=None):
        super().__init__(tag=tag)
        self.sets, self.incs, self.reads, self.updates = [y], [], [x], [total]

    def make_step(self, signals, dt, rng):
        x, y, total = (signals[s] for s in (self.reads[0], self.sets[0], self.updates[0]))

        def step():
            y[...] = x**3
            total[...] += dt * y

        return step


@Builder.register(Cube)
def build_cube(model, node):
    x = Signal(shape=node.size_in, name="cube.in")
    y = Signal(shape=node.size_in, name="cube.y")
    total = Signal(np.zeros(node.size_in), name="cube.total")
    model.add_op(Reset(x))
    model.add_op(SimCube(x, y, total))
    model.sig[node].update({"in": x, "out": total, "y": y})
    model.params[node] = None


class Dice(nengo.Node):
    """A node that is built into an operator that draws from the generator it is given."""


class SimDice(Operator):
    """Sets ``y`` to random numbers."""

    def __init__(self, y, tag=None):
        super().__init__(tag=tag)
        self.sets, self.incs, self.reads, self.updates = [y], [], [], []

    def make_step(self, signals, dt, rng):
        y = signals[self.sets[0]]

        def step():
            y[...] = rng.uniform(size=y.shape)

        return step


@Builder.register(Dice)
def build_dice(model, node):
    y = Signal(np.zeros(node.size_in), name="dice.y")
    model.add_op(SimDice(y))
    model.sig[node].update({"in": None, "out": y})
    model.params[node] = None


# --- nodes ----------------------------------------------------------------------------------------


@network
def empty():
    return []


@network
def constant_nodes():
    nodes = [nengo.Node(0.5), nengo.Node([1.0, -2.0, 3.0]), nengo.Node([1])]
    return [nengo.Probe(node) for node in nodes] + [nengo.Probe(nodes[1], synapse=0.01)]


@network
def time_nodes():
    nodes = [nengo.Node(wave), nengo.Node(wave2), nengo.Node(lambda t: t), nengo.Node(wave4)]
    nodes.append(nengo.Node(lambda t: t > 0.02))
    return [nengo.Probe(node) for node in nodes] + [nengo.Probe(nodes[3][1:3])]


@network
def identical_nodes_read_by_many():
    nodes = [nengo.Node(wave2), nengo.Node(wave2), nengo.Node([0.1, 0.2]), nengo.Node([0.1, 0.2])]
    sinks = [sink(2) for _ in range(4)]
    for i, node in enumerate(nodes):
        for j, post in enumerate(sinks):
            nengo.Connection(
                node, post, transform=1 + i - j, synapse=None if (i + j) % 2 else 0.005
            )
    return [nengo.Probe(node) for node in nodes + sinks]


@network
def processes_of_time():
    steps = nengo.processes.PresentInput([[1.0, 2.0], [3.0, -4.0], [0.5, 0.0]], 0.0075)
    pieces = nengo.processes.Piecewise({0.005: [0.5], 0.01: [-1.0], 0.03: [0.25]})
    mixed = nengo.processes.Piecewise({0.0: 0, 0.02: np.sin})
    return [nengo.Probe(nengo.Node(process)) for process in (steps, pieces, mixed)]


@network
def seeded_processes():
    processes = [
        nengo.processes.WhiteSignal(0.1, high=100, seed=1),
        nengo.processes.WhiteSignal(0.05, high=50, y0=0, rms=0.3, seed=2),
        nengo.processes.WhiteNoise(seed=3),
        nengo.processes.WhiteNoise(dist=Uniform(-1, 1), scale=False, seed=4),
        nengo.processes.FilteredNoise(synapse=nengo.Alpha(0.01), seed=5),
        nengo.processes.FilteredNoise(seed=5),
        nengo.processes.BrownNoise(seed=6),
    ]
    nodes = [nengo.Node(p, size_out=2) for p in processes]
    return [nengo.Probe(node) for node in nodes] + [nengo.Probe(nodes[0], synapse=0.01)]


@network
def unseeded_process():
    """One process, and nothing else: its seed is the first drawn from the simulator's."""
    return [nengo.Probe(nengo.Node(nengo.processes.WhiteSignal(0.1, high=100), size_out=2))]


@network
def nodes_with_input():
    stimulus = nengo.Node(wave2)
    timed = nengo.Node(lambda t, x: x[0] * x[1] + t, size_in=2)
    vector = nengo.Node(lambda t, x: [x[1], -x[0], t], size_in=2, size_out=3)
    chain = [sink(2) for _ in range(3)]
    for post in (timed, vector, chain[0]):
        nengo.Connection(stimulus, post, synapse=None)
    for pre, post in zip(chain[:-1], chain[1:], strict=True):
        nengo.Connection(pre, post, synapse=None, transform=2)
    nengo.Connection(chain[-1], vector, synapse=0.003)
    return [nengo.Probe(node) for node in (timed, vector, *chain)]


@network
def nodes_without_output():
    stimulus = nengo.Node(wave)
    quiet = nengo.Node(lambda t, x: None, size_in=1, size_out=0)
    nengo.Node(lambda t: None, size_in=0, size_out=0)
    unconnected = nengo.Node(lambda t, x: 2 * x + t, size_in=2)
    nengo.Connection(stimulus, quiet, synapse=None)
    return [nengo.Probe(stimulus), nengo.Probe(unconnected), nengo.Probe(sink(3))]


@network
def nodes_in_a_loop():
    """Python nodes inside the loop, one after the other, in one step."""
    first = nengo.Node(lambda t, x: 0.9 * x + 0.1, size_in=1)
    second = nengo.Node(lambda t, x: np.tanh(x) - t, size_in=1)
    ens = nengo.Ensemble(10, 1)
    nengo.Connection(first, second, synapse=None)
    nengo.Connection(second, first, synapse=0)
    nengo.Connection(second, ens, synapse=None)
    nengo.Connection(ens, second, synapse=0.005, transform=0.5)
    return [nengo.Probe(first), nengo.Probe(second), nengo.Probe(ens.neurons)]


@network
def functions_on_nodes():
    stimulus, other = nengo.Node(wave2), nengo.Node([0.3, 0.7])
    posts = [sink(2), sink(1), sink(3)]
    nengo.Connection(stimulus, posts[0], function=lambda x: x**2, synapse=None)
    nengo.Connection(other, posts[0], function=lambda x: x**2, synapse=None)
    nengo.Connection(stimulus[1], posts[1], function=np.exp, synapse=0.002)
    nengo.Connection(
        stimulus[[1, 0]], posts[2], function=lambda x: x[0] - x[1], transform=[[1], [2], [3]]
    )
    return [nengo.Probe(post) for post in posts]


@network
def processes_with_input():
    stimulus = nengo.Node(wave2)
    leaky = nengo.Node(Leaky(), size_in=2, size_out=2)
    source = nengo.Node(Leaky(), size_out=2)
    jitter = nengo.Node(Jitter(seed=4), size_in=2, size_out=2)
    filtered = nengo.Node(nengo.Lowpass(0.01), size_in=2, size_out=2)
    clocked = nengo.Node(Clocked(), size_in=2, size_out=2)
    for post in (leaky, jitter, filtered, clocked):
        nengo.Connection(stimulus, post, synapse=None)
    return [nengo.Probe(node) for node in (leaky, source, jitter, filtered, clocked)]


@network
def user_operator():
    stimulus, cube = nengo.Node(wave2), Cube(size_in=2)
    ens = nengo.Ensemble(10, 2)
    nengo.Connection(stimulus, cube, synapse=None)
    nengo.Connection(cube, ens, synapse=None, transform=10)
    return [nengo.Probe(cube), nengo.Probe(ens.neurons), nengo.Probe(ens, synapse=0.01)]


@network
def user_operator_with_noise():
    """It draws from the generator that the seeds of processes are drawn from."""
    noise = nengo.Node(nengo.processes.WhiteSignal(0.1, high=100), size_out=2)
    return [nengo.Probe(Dice(size_in=2)), nengo.Probe(noise)]


# --- neurons --------------------------------------------------------------------------------------


def driven(neuron_type, n_neurons=12, synapse=None, **kwargs):
    """Return an ensemble with inputs of both kinds, and probes of all that its neurons show."""
    ens = nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type, **kwargs)
    current = nengo.Node(np.linspace(-0.5, 1.5, n_neurons))
    nengo.Connection(nengo.Node(wave), ens, synapse=synapse)
    nengo.Connection(current, ens.neurons, synapse=None)
    shown = [name for name in ens.neurons.probeable if name != "rng"]
    return ens, [nengo.Probe(ens.neurons, name) for name in shown] + [
        nengo.Probe(ens, synapse=0.01)
    ]


@network
def rectified_linear():
    return driven(nengo.RectifiedLinear())[1] + driven(nengo.RectifiedLinear(amplitude=0.1))[1]


@network
def spiking_rectified_linear():
    many_spikes = Uniform(1500, 3000)
    return (
        driven(nengo.SpikingRectifiedLinear())[1]
        + driven(nengo.SpikingRectifiedLinear(amplitude=0.5), max_rates=many_spikes)[1]
        + driven(nengo.SpikingRectifiedLinear(initial_state={"voltage": Choice([0])}))[1]
    )


@network
def sigmoid():
    slow = driven(nengo.Sigmoid(), max_rates=Uniform(250, 350), intercepts=Uniform(-1, 0.9))
    fast = driven(
        nengo.Sigmoid(tau_ref=0.001), max_rates=Uniform(600, 900), intercepts=Uniform(-1, 0.9)
    )
    return slow[1] + fast[1]


@network
def tanh():
    return driven(nengo.Tanh())[1] + driven(nengo.Tanh(tau_ref=0.001))[1]


@network
def lif_rate():
    return (
        driven(nengo.LIFRate())[1]
        + driven(nengo.LIFRate(tau_rc=0.05, tau_ref=0.001, amplitude=0.2))[1]
    )


@network
def lif():
    return driven(nengo.LIF())[1]


@network
def lif_parameters():
    initial = {"voltage": np.linspace(0, 0.9, 12), "refractory_time": Choice([0.0, 0.0015])}
    types = [
        nengo.LIF(tau_rc=0.05),
        nengo.LIF(tau_ref=0.0005, amplitude=0.1),
        nengo.LIF(tau_ref=0.0),
        nengo.LIF(min_voltage=-np.inf),
        nengo.LIF(min_voltage=-0.5, amplitude=2),
        nengo.LIF(initial_state=initial),
    ]
    return [probe for t in types for probe in driven(t, max_rates=Uniform(100, 300))[1]]


@network
def adaptive_lif():
    return (
        driven(nengo.AdaptiveLIF())[1]
        + driven(nengo.AdaptiveLIF(tau_n=0.05, inc_n=0.1, amplitude=0.5))[1]
    )


@network
def adaptive_lif_rate():
    return (
        driven(nengo.AdaptiveLIFRate())[1] + driven(nengo.AdaptiveLIFRate(tau_n=0.05, inc_n=0.1))[1]
    )


@network
def izhikevich():
    bursting = nengo.Izhikevich(reset_voltage=-50, reset_recovery=2)
    return (
        driven(nengo.Izhikevich(), max_rates=Uniform(40, 60))[1]
        + driven(bursting, max_rates=Uniform(40, 60))[1]
    )


@network
def direct_mode():
    stimulus = nengo.Node(wave2)
    ens, post = (nengo.Ensemble(1, 2, neuron_type=nengo.Direct()) for _ in range(2))
    nengo.Connection(stimulus, ens, synapse=None)
    nengo.Connection(ens, post, function=lambda x: [x[0] * x[1], x[0]])
    nengo.Connection(post, post, synapse=0.02, transform=0.5)
    return [nengo.Probe(ens), nengo.Probe(post), nengo.Probe(post, synapse=0.01)]


@network
def regular_spiking():
    bases = [
        nengo.LIFRate(),
        nengo.Tanh(),
        nengo.RectifiedLinear(),
        nengo.AdaptiveLIFRate(inc_n=0.1),
    ]
    types = [nengo.RegularSpiking(base, amplitude=1 + i) for i, base in enumerate(bases)]
    return [probe for t in types for probe in driven(t)[1]]


@network
def stochastic_spiking():
    """Draws from a generator that the network's seed determines."""
    return (
        driven(nengo.StochasticSpiking(nengo.LIFRate()))[1]
        + driven(nengo.StochasticSpiking(nengo.Tanh()))[1]
    )


@network
def poisson_spiking():
    """Draws from a generator that the network's seed determines."""
    return (
        driven(nengo.PoissonSpiking(nengo.LIFRate()))[1]
        + driven(nengo.PoissonSpiking(nengo.Tanh()))[1]
    )


@network
def neurons_of_this_package():
    types = [
        LeakyReLU(),
        LeakyReLU(negative_slope=0.1, amplitude=2),
        SpikingLeakyReLU(),
        SpikingLeakyReLU(negative_slope=0.1, amplitude=2),
        SoftLIFRate(),
        SoftLIFRate(sigma=0.05, tau_rc=0.03, amplitude=0.5),
    ]
    return [probe for t in types for probe in driven(t)[1]]


@network
def user_neuron_types():
    return driven(Squaring())[1] + driven(PlainLIF())[1] + driven(nengo.LIF())[1]


@network
def sizes_and_types_mixed():
    """Several sizes and constants of one type: what is computed together is not alike."""
    kinds = [
        (3, nengo.LIF()),
        (17, nengo.LIF(tau_rc=0.03)),
        (5, nengo.RectifiedLinear()),
        (1, nengo.LIF(amplitude=2)),
    ]
    ensembles = [
        nengo.Ensemble(n, 1, neuron_type=t, intercepts=Uniform(-1, -0.5)) for n, t in kinds
    ]
    nengo.Connection(nengo.Node(wave), ensembles[0])
    for pre, post in zip(ensembles[:-1], ensembles[1:], strict=True):
        nengo.Connection(pre, post)
    return [nengo.Probe(ens.neurons) for ens in ensembles] + [
        nengo.Probe(ensembles[-1], synapse=0.01)
    ]


@network
def many_like_ensembles():
    stimulus = nengo.Node(np.linspace(-1, 1, 64))
    ensembles = [nengo.Ensemble(3, 1, intercepts=Uniform(-1, -0.5)) for _ in range(64)]
    for i, ens in enumerate(ensembles):
        nengo.Connection(stimulus[i], ens, synapse=None)
        nengo.Connection(ens, ensembles[(i + 1) % 64], transform=0.5)
    return [nengo.Probe(ens, synapse=0.01) for ens in ensembles] + [
        nengo.Probe(ensembles[7].neurons)
    ]


# --- ensembles ------------------------------------------------------------------------------------


@network
def communication_channel():
    a, b = nengo.Ensemble(20, 2), nengo.Ensemble(15, 2)
    nengo.Connection(nengo.Node(wave2), a)
    nengo.Connection(a, b)
    return [
        nengo.Probe(a, synapse=0.01),
        nengo.Probe(b, synapse=0.01),
        nengo.Probe(b),
        nengo.Probe(b.neurons),
    ]


@network
def integrator():
    array = nengo.networks.EnsembleArray(10, 3)
    nengo.Connection(nengo.Node([0.5, -1, wave(0)]), array.input, transform=0.1)
    nengo.Connection(array.output, array.input, synapse=0.1)
    array.add_output("square", np.square)
    return [
        nengo.Probe(array.output, synapse=0.01),
        nengo.Probe(array.square),
        nengo.Probe(array.input),
    ]


@network
def radius_and_encoders():
    wide = nengo.Ensemble(10, 2, radius=3, encoders=[[1, 0], [0, 2], [-1, 0], [0, -1], [1, 1]] * 2)
    raw = nengo.Ensemble(
        6, 1, encoders=np.linspace(-2, 2, 6)[:, None] + 0.1, normalize_encoders=False
    )
    fixed = nengo.Ensemble(6, 1, gain=np.full(6, 1.5), bias=np.linspace(0, 2, 6))
    for ens in (wide, raw, fixed):
        nengo.Connection(nengo.Node(wave), ens[0], transform=2)
    probes = [nengo.Probe(ens.neurons) for ens in (wide, raw, fixed)]
    return probes + [nengo.Probe(ens, synapse=0.01) for ens in (wide, raw, fixed)]


@network
def ensemble_noise():
    noisy = nengo.Ensemble(10, 1, noise=nengo.processes.WhiteNoise(Uniform(-1, 1), seed=5))
    smooth = nengo.Ensemble(10, 1, noise=nengo.processes.FilteredNoise(synapse=0.02, seed=6))
    calm = nengo.Ensemble(10, 1)
    for ens in (noisy, smooth, calm):
        nengo.Connection(nengo.Node(wave), ens)
    return [
        nengo.Probe(ens.neurons, attr)
        for ens in (noisy, smooth, calm)
        for attr in ("output", "input")
    ]


@network
def inhibitory_gating():
    gate, gated, post = nengo.Ensemble(10, 1), nengo.Ensemble(12, 2), nengo.Ensemble(10, 2)
    nengo.Connection(nengo.Node(lambda t: float(t > 0.03)), gate, synapse=None)
    nengo.Connection(nengo.Node([0.8, -0.4]), gated)
    nengo.Connection(gate, gated.neurons, transform=-3 * np.ones((12, 1)))
    nengo.Connection(gated, post)
    return [nengo.Probe(ens, synapse=0.01) for ens in (gate, gated, post)] + [
        nengo.Probe(gated.neurons, "voltage")
    ]


@network
def subnetworks():
    with nengo.Network(label="outer") as outer:
        outer.input, outer.output = sink(1), sink(2)
        with nengo.Network(label="inner", seed=3) as inner:
            inner.ens = nengo.Ensemble(10, 2, seed=8)
        nengo.Connection(outer.input, inner.ens[1])
        nengo.Connection(inner.ens, outer.output)
        probe = nengo.Probe(inner.ens, synapse=0.005)
    nengo.Connection(nengo.Node(wave), outer.input, synapse=None)
    return [probe, nengo.Probe(outer.output)]


@network
def circular_convolution():
    conv = nengo.networks.CircularConvolution(5, 4)
    nengo.Connection(nengo.Node([0.5, -0.5, 0.5, 0.5]), conv.input_a)
    nengo.Connection(nengo.Node(wave4), conv.input_b, synapse=None)
    return [nengo.Probe(conv.output), nengo.Probe(conv.output, synapse=0.01)]


@network
def product():
    prod = nengo.networks.Product(20, 2)
    nengo.Connection(nengo.Node([0.5, -0.9]), prod.input_a)
    nengo.Connection(nengo.Node(wave2), prod.input_b, synapse=None)
    return [nengo.Probe(prod.output, synapse=0.01), nengo.Probe(prod.sq1.output)]


@network
def basal_ganglia_and_thalamus():
    bg = nengo.networks.BasalGanglia(3, n_neurons_per_ensemble=15)
    thalamus = nengo.networks.Thalamus(3, n_neurons_per_ensemble=10)
    nengo.Connection(nengo.Node([0.8, 0.5, 0.3]), bg.input, synapse=None)
    nengo.Connection(bg.output, thalamus.input)
    return [nengo.Probe(bg.output, synapse=0.01), nengo.Probe(thalamus.output, synapse=0.01)]


@network
def memory_networks():
    gated = nengo.networks.InputGatedMemory(10, 2)
    oscillator = nengo.Ensemble(20, 2)
    nengo.Connection(oscillator, oscillator, synapse=0.1, transform=[[1, 1], [-1, 1]])
    nengo.Connection(nengo.Node(wave2), gated.input)
    nengo.Connection(nengo.Node(lambda t: float(t > 0.02)), gated.gate, synapse=None)
    nengo.Connection(nengo.Node([1, 0]), oscillator)
    return [nengo.Probe(gated.output, synapse=0.01), nengo.Probe(oscillator, synapse=0.01)]


# --- synapses -------------------------------------------------------------------------------------


def filtered_by(*synapses):
    """Return probes of one and of two values behind each synapse, and of a reader of all."""
    scalar, vector, ens = nengo.Node(wave), nengo.Node(wave2), nengo.Ensemble(10, 2)
    probes = []
    for synapse in synapses:
        for pre in (scalar, vector):
            post = sink(pre.size_out)
            nengo.Connection(pre, post, synapse=synapse)
            probes.append(nengo.Probe(post))
        nengo.Connection(post, ens, synapse=None, transform=1 / len(synapses))
    return [*probes, nengo.Probe(ens.neurons), nengo.Probe(scalar, synapse=synapses[-1])]


@network
def lowpass_synapses():
    return filtered_by(None, 0, 1e-5, 0.0005, 0.001, 0.02, nengo.Lowpass(0.1))


@network
def alpha_synapses():
    return filtered_by(nengo.Alpha(0.003), nengo.Alpha(0.05), nengo.Alpha(1e-4))


@network
def linear_filters():
    lin = nengo.LinearFilter
    return filtered_by(
        lin([2], [1]),  # a gain alone
        lin([1], [1, 0]),  # an integrator
        lin([0.02, 1], [0.01, 1]),  # passes part of its input on at once (D != 0)
        lin([1, 0], [0.01**2, 0.02, 1]),
        lin([1e-4, 0, 1], [1e-4, 0.01, 1]),  # D != 0, two states
        lin([1], [1e-6, 3e-4, 0.03, 1]),  # three states
        lin([1], [0.01, 1], method="euler"),
        lin([1], [0.01, 1], method="bilinear"),
    )


@network
def digital_filters():
    lin = nengo.LinearFilter
    return filtered_by(
        lin([0.1], [1, -0.9], analog=False),
        lin([0.3], [1], analog=False),
        lin([0.5, 0.2], [1, -0.4], analog=False),
        lin([0.1, 0.05], [1, -1.2, 0.4], analog=False),
        lin([1, 0.5, 0.25], [1, 0, 0], analog=False),
    )


@network
def triangle_synapses():
    return filtered_by(
        nengo.synapses.Triangle(0.005), nengo.synapses.Triangle(0.02), nengo.synapses.Triangle(0)
    )


@network
def spikes_behind_synapses():
    """Spikes behind every family of synapse, decoded and not, with one loop through each."""
    ens, probes = nengo.Ensemble(10, 1), []
    nengo.Connection(nengo.Node(wave), ens, synapse=None)
    for synapse in (None, 0, 0.005, nengo.Alpha(0.01), nengo.synapses.Triangle(0.01)):
        probes += [nengo.Probe(ens, synapse=synapse), nengo.Probe(ens.neurons, synapse=synapse)]
        if synapse is not None:
            nengo.Connection(ens, ens, synapse=synapse, transform=0.2)
    return probes


# --- slices ---------------------------------------------------------------------------------------

PRE_SLICES = [0, -1, slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(3, 0, -2)]
PRE_SLICES += [[2, 0], [1, 1, 3], [-1, 0], [True, False, True, True], np.array([3, 1])]
POST_SLICES = [0, -1, slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(3, 0, -2)]
POST_SLICES += [[2, 0], [0, 2, 1], [-1, 0], [False, True, True, True], [1, 1, 3], np.array([3, 1])]


def size_of(key):
    """Return how many of four things a slice selects."""
    return np.arange(4)[key].size


@network
def slices_of_nodes():
    pre, posts = nengo.Node(wave4), []
    for key in PRE_SLICES:
        posts.append(sink(size_of(key)))
        nengo.Connection(pre[key], posts[-1], synapse=None)
    for i, key in enumerate(POST_SLICES):
        posts.append(sink(4))
        nengo.Connection(pre[: size_of(key)], posts[-1][key], synapse=0.002 if i % 2 else None)
    return [nengo.Probe(post) for post in posts] + [
        nengo.Probe(pre[::-1]),
        nengo.Probe(pre[[1, 1]]),
    ]


@network
def slices_of_ensembles():
    pre, posts = nengo.Ensemble(16, 4), []
    nengo.Connection(nengo.Node(wave4), pre, synapse=None)
    for key in PRE_SLICES:
        posts.append(sink(size_of(key)))
        nengo.Connection(pre[key], posts[-1])
    for key in POST_SLICES:
        posts.append(nengo.Ensemble(6, 4))
        nengo.Connection(pre[: size_of(key)], posts[-1][key])
    nengo.Connection(pre[[3, 1]], pre[:2], transform=[[0, 0.3], [0.1, 0]])
    return [nengo.Probe(post, synapse=0.01) for post in posts] + [
        nengo.Probe(pre[1:3], synapse=0.01)
    ]


@network
def slices_of_neurons():
    pre, posts = nengo.Ensemble(4, 1, intercepts=Uniform(-1, -0.5), max_rates=Choice([300])), []
    nengo.Connection(nengo.Node(wave), pre, synapse=None)
    for key in PRE_SLICES:
        posts.append(sink(size_of(key)))
        nengo.Connection(pre.neurons[key], posts[-1])
    for key in POST_SLICES:
        posts.append(nengo.Ensemble(4, 1).neurons)
        nengo.Connection(pre.neurons[: size_of(key)], posts[-1][key], transform=0.01)
    probes = [
        nengo.Probe(post, "input" if isinstance(post, nengo.ensemble.Neurons) else None)
        for post in posts
    ]
    return [*probes, nengo.Probe(pre.neurons[::2]), nengo.Probe(pre.neurons[[3, 0]], "voltage")]


# --- connections ----------------------------------------------------------------------------------


@network
def transforms():
    node, ens = nengo.Node(wave2), nengo.Ensemble(12, 2)
    nengo.Connection(node, ens, synapse=None)
    matrix, posts = [[1, 2], [-1, 0.5], [0, 3]], []
    for pre in (node, ens):
        for transform in (None, 2, -0.5, [1, -2], matrix, Uniform(-1, 1)):
            posts.append(sink(3 if transform is matrix else 2))
            kwargs = {} if transform is None else {"transform": transform}
            nengo.Connection(pre, posts[-1], **kwargs)
    return [nengo.Probe(post) for post in posts]


@network
def functions():
    ens, points = nengo.Ensemble(20, 2), np.random.RandomState(0).uniform(-1, 1, (30, 2))
    nengo.Connection(nengo.Node(wave2), ens, synapse=None)
    posts = [sink(1), sink(2), sink(3), sink(1), nengo.Ensemble(10, 1)]
    nengo.Connection(ens, posts[0], function=lambda x: x[0] * x[1])
    nengo.Connection(ens, posts[1], function=np.square, transform=[[0, 1], [1, 1]])
    nengo.Connection(ens[1], posts[2], function=lambda x: [x[0], x[0] ** 2, 1])
    nengo.Connection(ens, posts[3], eval_points=points, function=points[:, :1] ** 2)
    nengo.Connection(ens, posts[4], function=lambda x: x[0] - x[1], scale_eval_points=False)
    return [nengo.Probe(post, synapse=0.005) for post in posts]


@network
def solvers():
    solvers = [
        nengo.solvers.LstsqL2(weights=True),
        nengo.solvers.Lstsq(),
        nengo.solvers.NoSolver(np.full((12, 2), 1e-3)),
    ]
    pre, posts = nengo.Ensemble(12, 2), [nengo.Ensemble(10, 2) for _ in solvers]
    nengo.Connection(nengo.Node(wave2), pre, synapse=None)
    for solver, post in zip(solvers, posts, strict=True):
        nengo.Connection(pre, post, solver=solver)
    sliced = nengo.Ensemble(10, 3)
    nengo.Connection(
        pre[1],
        sliced[2],
        solver=nengo.solvers.LstsqL2(weights=True),
        function=np.square,
        transform=-1,
    )
    probes = [
        nengo.Probe(post.neurons, attr) for post in [*posts, sliced] for attr in ("input", "output")
    ]
    return [*probes, nengo.Probe(pre, synapse=0.01, solver=nengo.solvers.LstsqL2(reg=0.5))]


@network
def neuron_connections():
    rng = np.random.RandomState(1)
    a, b = nengo.Ensemble(10, 1), nengo.Ensemble(8, 2, neuron_type=nengo.RectifiedLinear())
    stimulus = nengo.Node(wave)
    nengo.Connection(stimulus, a, synapse=None)
    nengo.Connection(stimulus, b.neurons, transform=np.ones((8, 1)), synapse=None)
    nengo.Connection(a.neurons, b.neurons, transform=rng.uniform(-1, 1, (8, 10)) * 1e-2)
    nengo.Connection(a.neurons[:8], b.neurons, synapse=0.01, transform=1e-2)
    nengo.Connection(a, b.neurons, transform=rng.uniform(-1, 1, (8, 1)))
    nengo.Connection(b.neurons, a, transform=rng.uniform(-1, 1, (1, 8)) * 1e-3)
    nengo.Connection(b.neurons, b.neurons, transform=rng.uniform(-1, 1, (8, 8)) * 1e-3, synapse=0)
    out = sink(10)
    nengo.Connection(a.neurons, out, synapse=None)
    return [
        nengo.Probe(out),
        nengo.Probe(b.neurons),
        nengo.Probe(b.neurons, "input"),
        nengo.Probe(a, synapse=0.01),
    ]


@network
def sparse_transforms():
    ens = nengo.Ensemble(4, 1, intercepts=Choice([-1.5]))
    sparse = nengo.Sparse(
        (3, 4), indices=[(0, 0), (0, 3), (2, 1), (2, 2)], init=[1.0, -2.0, 0.5, 3.0]
    )
    node, posts = nengo.Node(wave4), [sink(3), sink(3), sink(4)]
    nengo.Connection(node, posts[0], transform=sparse, synapse=None)
    nengo.Connection(ens.neurons, posts[1], transform=sparse)
    nengo.Connection(
        posts[0], posts[2], transform=nengo.Sparse((4, 3), indices=[(3, 0), (1, 2)], init=2.0)
    )
    return [nengo.Probe(post) for post in posts]


def convolved(transform_type, input_shape, **kwargs):
    """Return a probe of a node that receives an image of the waves through a convolution."""
    rates = np.linspace(10, 60, int(np.prod(input_shape)))
    pre = nengo.Node(lambda t: np.sin(rates * t))
    transform = transform_type(input_shape=input_shape, **kwargs)
    post = sink(transform.output_shape.size)
    nengo.Connection(pre, post, transform=transform, synapse=None)
    return nengo.Probe(post)


@network
def convolutions():
    conv = functools.partial(convolved, nengo.Convolution)
    ens = nengo.Ensemble(16, 1)
    post = nengo.Ensemble(8, 1)
    nengo.Connection(nengo.Node(wave), ens, synapse=None)
    nengo.Connection(
        ens.neurons, post.neurons, transform=nengo.Convolution(2, (4, 4, 1), init=Uniform(0, 0.01))
    )
    return [
        nengo.Probe(post.neurons, "input"),
        conv((5, 4, 2), n_filters=3),
        conv((5, 4, 2), n_filters=3, padding="same"),
        conv((5, 6, 1), n_filters=2, strides=(2, 1), kernel_size=(2, 3), padding="same"),
        conv((2, 5, 4), n_filters=2, channels_last=False),
        conv((9, 2), n_filters=3, kernel_size=(3,), strides=(2,)),
    ]


@network
def grouped_convolutions():
    conv = functools.partial(convolved, nengo.Convolution)
    return [
        conv((4, 4, 4), n_filters=4, groups=2),
        conv((4, 4, 4), n_filters=2, groups=2, channels_last=False),
    ]


@network
def convolutions_transposed():
    conv = functools.partial(convolved, nengo.ConvolutionTranspose)
    return [
        conv((3, 4, 2), n_filters=3),
        conv((3, 4, 2), n_filters=2, strides=(2, 2), padding="same"),
        conv((2, 3, 3), n_filters=2, channels_last=False, strides=(1, 2)),
        conv((5, 2), n_filters=3, kernel_size=(3,), strides=(2,)),
    ]


# --- learning -------------------------------------------------------------------------------------


def shown_by(conn, *attributes):
    """Return probes of a connection's weights, and of what its learning rule shows."""
    return [
        nengo.Probe(conn, "weights"),
        *(nengo.Probe(conn.learning_rule, name) for name in attributes),
    ]


def pes(pre, post, error, rate=1e-3, rule=nengo.PES, **kwargs):
    """Return a connection that learns from an error node."""
    conn = nengo.Connection(pre, post, learning_rule_type=rule(learning_rate=rate), **kwargs)
    nengo.Connection(error, conn.learning_rule)
    return conn


@network
def pes_on_ensembles():
    pre, post, error = nengo.Ensemble(10, 2), nengo.Ensemble(12, 2), nengo.Ensemble(15, 2)
    stimulus = nengo.Node(wave2)
    nengo.Connection(stimulus, pre, synapse=None)
    conn = pes(pre, post, error, function=lambda x: [0, 0])
    nengo.Connection(post, error)
    nengo.Connection(stimulus, error, transform=-1)
    return [*shown_by(conn, "error", "activities", "delta"), nengo.Probe(post, synapse=0.01)]


@network
def pes_variants():
    """On slices, with a transform, from neurons, to neurons, and on a full weight matrix."""
    pre, post, error = nengo.Ensemble(10, 2), nengo.Ensemble(6, 2), nengo.Node(wave2)
    nengo.Connection(nengo.Node(wave2), pre, synapse=None)
    full = nengo.solvers.LstsqL2(weights=True)
    conns = [
        pes(pre, post[1], error[0], function=lambda x: x[0]),
        pes(pre[0], post[:1], error[1], transform=0.5),
        pes(pre, post, error, solver=full),
        pes(pre, post[1:], error[1], function=lambda x: x[1], solver=full),
        pes(pre.neurons, post, error, transform=np.zeros((2, 10))),
        pes(pre.neurons[2:6], post[[1, 0]], error, transform=np.full((2, 4), 1e-3)),
        pes(pre.neurons, post.neurons, error, transform=np.full((6, 10), 1e-3)),
        pes(pre.neurons, post.neurons[1:4], error, transform=np.full((3, 10), 1e-3)),
        pes(pre, sink(2), error, rate=1e-2),
    ]
    return [probe for conn in conns for probe in shown_by(conn, "delta", "error")] + [
        nengo.Probe(post, synapse=0.01)
    ]


@network
def rls():
    pre, error = nengo.Ensemble(10, 1), nengo.Node(wave)
    nengo.Connection(nengo.Node(wave), pre, synapse=None)
    conn = pes(pre, sink(1), error, rule=nengo.RLS)
    return shown_by(conn, "delta", "pre_filtered", "inv_gamma")


@network
def bcm():
    pre, post = nengo.Ensemble(8, 1), nengo.Ensemble(6, 1)
    nengo.Connection(nengo.Node(wave), pre, synapse=None)
    rule, full = nengo.BCM(learning_rate=1e-6), nengo.solvers.LstsqL2(weights=True)
    slow = nengo.BCM(
        learning_rate=1e-8, pre_synapse=None, post_synapse=0.01, theta_synapse=nengo.Alpha(0.02)
    )
    decoded = nengo.Connection(pre, post, solver=full, learning_rule_type=rule)
    between = nengo.Connection(
        pre.neurons, post.neurons, transform=np.full((6, 8), 1e-3), learning_rule_type=slow
    )
    probes = [
        probe
        for conn in (decoded, between)
        for probe in shown_by(conn, "delta", "theta", "post_filtered")
    ]
    return [*probes, nengo.Probe(post.neurons)]


@network
def oja():
    pre, post = nengo.Ensemble(8, 1), nengo.Ensemble(6, 1)
    nengo.Connection(nengo.Node(wave), pre, synapse=None)
    rule, full = nengo.Oja(learning_rate=1e-5, beta=0.5), nengo.solvers.LstsqL2(weights=True)
    decoded = nengo.Connection(pre, post, solver=full, learning_rule_type=rule)
    weights = np.full((6, 8), 1e-3)
    between = nengo.Connection(
        pre.neurons, post.neurons, transform=weights, learning_rule_type=nengo.Oja(1e-6)
    )
    return [p for conn in (decoded, between) for p in shown_by(conn, "delta", "pre_filtered")] + [
        nengo.Probe(post.neurons)
    ]


@network
def voja():
    """The learning signal is one, plus what a connection brings."""
    pre, probes = nengo.Node(wave2), []
    for gate in (None, nengo.Node([-1]), nengo.Node(lambda t: -float(t > 0.03))):
        post = nengo.Ensemble(8, 2, radius=1.5)
        conn = nengo.Connection(
            pre, post, learning_rule_type=nengo.Voja(learning_rate=0.5), synapse=None
        )
        if gate is not None:
            nengo.Connection(gate, conn.learning_rule, synapse=None)
        probes += [
            nengo.Probe(conn.learning_rule, attr)
            for attr in ("scaled_encoders", "delta", "post_filtered")
        ]
        probes += [nengo.Probe(post, "scaled_encoders"), nengo.Probe(post.neurons)]
    return probes


@network
def several_rules():
    pre, post, error = nengo.Ensemble(8, 1), nengo.Ensemble(6, 1), nengo.Node(wave)
    nengo.Connection(nengo.Node(wave), pre, synapse=None)
    rules = {"pes": nengo.PES(1e-4), "voja": nengo.Voja()}
    conn = nengo.Connection(pre, post, learning_rule_type=rules)
    nengo.Connection(error, conn.learning_rule["pes"])
    listed = nengo.Connection(
        pre.neurons,
        post.neurons,
        transform=np.full((6, 8), 1e-3),
        learning_rule_type=[nengo.BCM(1e-8), nengo.Oja(1e-6)],
    )
    probes = [
        nengo.Probe(conn, "weights"),
        nengo.Probe(listed, "weights"),
        nengo.Probe(post, "scaled_encoders"),
    ]
    return [*probes, nengo.Probe(post.neurons), nengo.Probe(conn.learning_rule["pes"], "delta")]


# --- probes ---------------------------------------------------------------------------------------


@network
def probes_of_everything():
    stimulus, ens, post = nengo.Node(wave2), nengo.Ensemble(10, 2), nengo.Ensemble(6, 2)
    first = nengo.Connection(stimulus, ens, transform=[[1, 0.5], [0, 1]])
    second = nengo.Connection(ens, post, synapse=0.01)
    return [
        *(nengo.Probe(ens, attr) for attr in ens.probeable),
        *(nengo.Probe(ens.neurons, attr) for attr in ens.neurons.probeable),
        *(nengo.Probe(conn, attr) for conn in (first, second) for attr in conn.probeable),
        nengo.Probe(ens[1], synapse=0.01),
        nengo.Probe(ens[[1, 0]], "input"),
        nengo.Probe(ens.neurons[2:5], "voltage"),
        nengo.Probe(ens.neurons, synapse=nengo.Alpha(0.01)),
        nengo.Probe(second, "weights", synapse=0.01),
        nengo.Probe(stimulus[1], synapse=0),
    ]


@network
def probes_at_intervals():
    stimulus, ens = nengo.Node(wave2), nengo.Ensemble(10, 2)
    nengo.Connection(stimulus, ens)
    every = [None, 0.001, 0.002, 0.003, 0.0025, 0.01, 0.1]
    return [nengo.Probe(ens, sample_every=dt, synapse=0.01) for dt in every] + [
        nengo.Probe(stimulus, sample_every=0.007)
    ]
