"""Random networks give the numbers of Nengo's simulator: hypothesis looks for one that does not.

CI tries 50 networks; for more, set NENGO_DL_FUZZ=500.
"""

import os
import warnings

import nengo
import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import nengo_dl

N_STEPS = 40
BOUNDED = 1e6  # rates are hundreds; what feeds its own growth goes far beyond within these steps
N_NETWORKS = int(os.environ.get("NENGO_DL_FUZZ", "50"))

NEURONS = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0.001, amplitude=0.5),
    nengo.LIFRate(),
    nengo.RectifiedLinear(),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.AdaptiveLIF(tau_n=0.2, inc_n=0.02),
    nengo.AdaptiveLIFRate(tau_n=0.2, inc_n=0.02),
    nengo.Izhikevich(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.RegularSpiking(nengo.AdaptiveLIFRate(inc_n=0.02)),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.Tanh(), amplitude=0.5),
    nengo_dl.LeakyReLU(),
    nengo_dl.SpikingLeakyReLU(),
    nengo_dl.IntegrateAndFire(max_spikes=3),
    nengo_dl.SignedIntegrateAndFire(),
    nengo_dl.SoftLIFRate(),
    nengo.Direct(),
]
SYNAPSES = [
    nengo.Lowpass(0.005),
    nengo.Lowpass(0.02),
    nengo.Lowpass(0),
    nengo.Alpha(0.01),
    nengo.Triangle(0.004),
    nengo.LinearFilter([1, 2], [0.0005, 0.02, 1]),
]
PROCESSES = [
    nengo.processes.WhiteSignal(0.05, high=100, seed=1),
    nengo.processes.WhiteNoise(),
    nengo.processes.FilteredNoise(nengo.Alpha(0.01)),
    nengo.processes.PresentInput([[1, -0.5], [0.2, 0.7]], 0.003),
    nengo.processes.Piecewise({0.005: [0.5, -1], 0.02: [0, 1]}),
]


def signal(t):
    return [np.sin(40 * t), np.cos(30 * t), 0.5 - 20 * t]


def echo(t, x):
    return 0.9 * x - t


class Builder:
    """Adds random objects to a network; choices come from hypothesis."""

    def __init__(self, draw):
        self.draw = draw
        self.pick = lambda options: draw(st.sampled_from(options))
        self.sources = []  # what can be connected from
        self.targets = []  # what can be connected to
        self.ensembles = []
        self.probed = []

    def nodes(self):
        self.sources.append(nengo.Node(signal))
        self.sources.append(nengo.Node([0.3, -0.6]))
        self.sources.append(nengo.Node(self.pick(PROCESSES), size_out=2))
        for _ in range(self.draw(st.integers(0, 2))):
            size = self.draw(st.integers(1, 4))
            node = nengo.Node(self.pick([None, echo]), size_in=size)
            self.sources.append(node)
            self.targets.append(node)

    def add_ensemble(self):
        n_neurons, size = self.draw(st.integers(3, 12)), self.draw(st.integers(1, 3))
        ens = nengo.Ensemble(
            n_neurons,
            size,
            neuron_type=self.pick(NEURONS),
            radius=self.pick([1, 0.7, 2.0]),
            max_rates=nengo.dists.Uniform(50, 150),
            intercepts=nengo.dists.Uniform(-0.9, 0.5),
            noise=self.pick([None, None, nengo.processes.WhiteNoise(scale=False)]),
        )
        self.ensembles.append(ens)
        self.sources.append(ens)
        self.targets.append(ens)
        if not isinstance(ens.neuron_type, nengo.Direct):
            self.sources.append(ens.neurons)
            self.targets.append(ens.neurons)
            self.probed.append(ens.neurons)

    def part(self, obj, size):
        """Return the object, or elements of it."""
        kind = self.draw(st.integers(0, 3))
        if kind == 0 or size == 1:
            return obj, size
        if kind == 1:
            stop = self.draw(st.integers(1, size))
            return obj[:stop], stop
        if kind == 2:
            return obj[::-1], size
        index = self.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4, unique=True))
        return obj[index], len(index)

    def connect(self, feedforward):
        pre, post = self.pick(self.sources), self.pick(self.targets)
        source, n_in = self.part(pre, pre.size_out)
        target, n_out = self.part(post, post.size_in)
        kwargs = {"synapse": self.pick(SYNAPSES)}
        from_input = pre in self.sources[:3]
        if from_input and feedforward and self.draw(st.booleans()):
            kwargs["synapse"] = None
        if isinstance(pre, nengo.Ensemble) and self.draw(st.booleans()):
            kwargs["function"] = np.square
        rng = np.random.RandomState(self.draw(st.integers(0, 1000)))
        scale = 0.002 if isinstance(pre, nengo.ensemble.Neurons) else 0.5
        if n_in == n_out and self.draw(st.booleans()):
            kwargs["transform"] = self.pick([scale, scale * rng.randn(n_in)])
        else:
            kwargs["transform"] = self.matrix(scale, n_out, n_in, rng)
        conn = nengo.Connection(source, target, **kwargs)
        if conn.synapse is not None and self.draw(st.booleans()):
            self.probed.append(conn)

    def matrix(self, scale, n_out, n_in, rng):
        """Return a dense or a sparse matrix, or a convolution of the same shape."""
        kind = self.draw(st.integers(0, 3))
        if kind == 1:
            n = self.draw(st.integers(1, n_out * n_in))
            places = rng.permutation(n_out * n_in)[:n]
            indices = np.transpose(np.unravel_index(places, (n_out, n_in)))
            return nengo.Sparse((n_out, n_in), indices=indices, init=scale * rng.randn(n))
        if kind == 2 and n_out <= n_in:
            width = n_in - n_out + 1
            weights = scale * rng.randn(width, 1, 1)
            return nengo.Convolution(1, (n_in, 1), (width,), strides=(1,), init=weights)
        if kind == 3 and n_out >= n_in:
            width = n_out - n_in + 1
            weights = scale * rng.randn(width, 1, 1)
            return nengo.ConvolutionTranspose(
                1, (n_in, 1), kernel_size=(width,), strides=(1,), init=weights
            )
        return scale * rng.randn(n_out, n_in)

    def learn(self):
        spiking = [e for e in self.ensembles if not isinstance(e.neuron_type, nengo.Direct)]
        if not spiking:
            return
        if self.draw(st.booleans()):
            self.learn_without_error(self.pick(spiking), self.pick(spiking))
            return
        pre = self.pick(spiking)
        post = nengo.Node(size_in=2)
        conn = nengo.Connection(
            pre,
            post,
            function=lambda x: np.zeros(2),
            synapse=self.pick(SYNAPSES),
            learning_rule_type=self.pick([nengo.PES(1e-3), nengo.RLS(1e-3)]),
        )
        nengo.Connection(self.sources[1], conn.learning_rule)
        nengo.Connection(post, conn.learning_rule, transform=-1)
        self.probed += [post, conn]

    def learn_without_error(self, pre, post):
        synapse = self.pick([None, *SYNAPSES])
        rule = self.pick(
            [
                nengo.BCM(1e-9, pre_synapse=synapse),
                nengo.Oja(1e-7, post_synapse=synapse),
                nengo.Voja(0.1, post_synapse=synapse),
            ]
        )
        solver = nengo.solvers.LstsqL2(weights=rule.modifies != "encoders")
        shape = (post.dimensions, pre.dimensions)
        conn = nengo.Connection(
            pre, post, transform=np.full(shape, 0.1), solver=solver, learning_rule_type=rule
        )
        self.probed += [conn.learning_rule]
        if rule.modifies != "encoders":
            self.probed += [conn]

    def probe(self):
        probes = [nengo.Probe(ens, synapse=self.pick(SYNAPSES)) for ens in self.ensembles]
        probes += [nengo.Probe(obj, **self.shown_of(obj)) for obj in self.probed]
        nodes = [n for n in self.sources if isinstance(n, nengo.Node)]
        return probes + [nengo.Probe(node, sample_every=self.pick([None, 0.003])) for node in nodes]

    def shown_of(self, obj):
        """Return what to show of an object, whatever it can show."""
        hidden = ["rng"]
        if isinstance(getattr(obj, "transform", None), nengo.Sparse):
            hidden.append("weights")  # Nengo shows a sparse matrix for each step
        shown = [name for name in obj.probeable if name not in hidden]
        return {"attr": self.pick(shown), "synapse": self.pick([None, *SYNAPSES])}


@st.composite
def networks(draw):
    with nengo.Network(seed=draw(st.integers(0, 10**6))) as net:
        nengo_dl.configure_settings(dtype="float64")
        builder = Builder(draw)
        builder.nodes()
        for _ in range(draw(st.integers(1, 4))):
            builder.add_ensemble()
        for i in range(draw(st.integers(1, 8))):
            builder.connect(feedforward=i % 2 == 0)
        if draw(st.booleans()):
            builder.learn()
        net.probes_to_check = builder.probe()
    return net


def searched(examples):
    """Return settings of hypothesis: so many networks, always the same."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


@searched(N_NETWORKS)
@given(net=networks())
def test_random_networks_match_nengo(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Nengo's optimizer lets neurons that it merges share one random generator
            reference = nengo.Simulator(net, progress_bar=False, optimize=False)
        except nengo.exceptions.BuildError:
            return  # neurons that never fire have no decoders
        with reference:
            reference.run_steps(N_STEPS)
            # where activity explodes, RLS subtracts numbers of which no digit is certain
            assume(all(np.abs(reference.data[p]).max(initial=0) < BOUNDED for p in net.all_probes))
            with nengo_dl.Simulator(net, progress_bar=False) as sim:
                sim.run_steps(N_STEPS)
    for probe in net.probes_to_check:
        expected = reference.data[probe]
        scale = max(1.0, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(
            sim.data[probe], expected, rtol=0, atol=1e-9 * scale, err_msg=str(probe)
        )
