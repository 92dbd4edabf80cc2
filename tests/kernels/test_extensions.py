"""One of each kind that users add, from outside of the package, by public registration alone."""

import nengo
import numpy as np
import pytest
from keras import ops
from nengo.builder import Builder, Operator, Signal
from nengo.builder.operator import Reset
from nengo.learning_rules import LearningRuleType
from nengo.params import NdarrayParam, NumberParam
from nengo.transforms import Transform

import nengo_dl
from nengo_dl.kernels import Kernel, NeuronKernel, kernel, neuron
from nengo_dl.lowering import give_out, lowers, lowers_process

N_STEPS = 20

# --- a neuron type --------------------------------------------------------------------------------


class Cubic(nengo.neurons.NeuronType):
    """Neurons whose rate is the cube of their current."""

    probeable = ("rates", "input")

    def step(self, dt, J, output):
        output[...] = J**3


@neuron(Cubic)
class CubicKernel(NeuronKernel):
    constants = ()

    @classmethod
    def rate(cls, c, J):
        return J * J * J


# --- a synapse ------------------------------------------------------------------------------------


class Clipped(nengo.synapses.Synapse):
    """A lowpass filter whose value stays in a range."""

    decay, limit = 0.9, 0.3

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return {"value": np.full(shape_out, y0, dtype=dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        value = state["value"]

        def step(t, x):
            mixed = self.decay * value + (1 - self.decay) * x
            value[...] = np.clip(mixed, -self.limit, self.limit)
            return value

        return step


@lowers_process(Clipped)
def lower_clipped(op, ctx):
    state, synapse = op.state["value"], op.process
    reads = [ctx.old(state), ctx.read(op.input)]
    constants = {"decay": synapse.decay, "limit": synapse.limit}
    (y,) = ctx.emit("clipped", reads, [op.output.shape], str(synapse), **constants)
    ctx.update(state, y)
    give_out(op, ctx, y)


@kernel("clipped")
class ClippedKernel(Kernel):
    def compute(self, group, reads, ctx):
        (value, x), attrs = reads, group.ops[0].attrs
        mixed = attrs["decay"] * value + (1 - attrs["decay"]) * x
        return [ops.clip(mixed, -attrs["limit"], attrs["limit"])]


# --- a transform ----------------------------------------------------------------------------------


class Differences(Transform):
    """The weighted difference of each element and the one before."""

    weights = NdarrayParam("weights", shape=("*",))

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    @property
    def size_in(self):
        return len(self.weights)

    size_out = size_in

    def sample(self, rng=np.random):
        return self.weights


class DifferencesInc(Operator):
    """Increments y by w (x - x shifted by one)."""

    def __init__(self, w, x, y, tag=None):
        super().__init__(tag=tag)
        self.sets, self.incs, self.reads, self.updates = [], [y], [w, x], []

    def make_step(self, signals, dt, rng):
        (w, x), y = (signals[s] for s in self.reads), signals[self.incs[0]]

        def step():
            y[...] += w * (x - np.roll(x, 1))

        return step


@Builder.register(Differences)
def build_differences(model, transform, sig_in, decoders=None, encoders=None, rng=np.random):
    weights = Signal(transform.weights, readonly=True, name="Differences.weights")
    result = Signal(shape=(transform.size_out,), name="Differences.result")
    model.add_op(Reset(result))
    model.add_op(DifferencesInc(weights, sig_in, result))
    return result, weights


@lowers(DifferencesInc)
def lower_differences(op, ctx):
    (y,) = ctx.emit("differences", [*map(ctx.read, op.reads)], [op.incs[0].shape], "differences")
    ctx.inc(op.incs[0], y)


@kernel("differences")
class DifferencesKernel(Kernel):
    def compute(self, group, reads, ctx):
        w, x = reads
        return [w * (x - ops.roll(x, 1, axis=-1))]


# --- a learning rule ------------------------------------------------------------------------------


class Decay(LearningRuleType):
    """Weights shrink with the activity of what they lead to."""

    modifies = "weights"
    probeable = ("delta",)
    learning_rate = NumberParam("learning_rate", low=0, readonly=True, default=1e-3)


class SimDecay(Operator):
    """Sets delta to - learning rate · dt · post · weights, row by row."""

    def __init__(self, post, weights, delta, learning_rate, tag=None):
        super().__init__(tag=tag)
        self.learning_rate = learning_rate
        self.sets, self.incs, self.reads, self.updates = [], [], [post, weights], [delta]

    def make_step(self, signals, dt, rng):
        (post, weights), delta = (signals[s] for s in self.reads), signals[self.updates[0]]

        def step():
            delta[...] = -self.learning_rate * dt * post[:, None] * weights

        return step


@Builder.register(Decay)
def build_decay(model, decay, rule):
    conn = rule.connection
    post, weights = model.sig[conn.post_obj]["out"], model.sig[conn]["weights"]
    model.add_op(SimDecay(post, weights, model.sig[rule]["delta"], decay.learning_rate))


@lowers(SimDecay)
def lower_decay(op, ctx):
    reads, delta = [*map(ctx.read, op.reads)], op.updates[0]
    scale = -op.learning_rate * ctx.dt
    ctx.update(delta, *ctx.emit("decay_rule", reads, [delta.shape], "decay", scale=scale))


@kernel("decay_rule")
class DecayKernel(Kernel):
    def compute(self, group, reads, ctx):
        post, weights = reads
        return [group.ops[0].attrs["scale"] * ops.expand_dims(post, -1) * weights]


# --------------------------------------------------------------------------------------------------


def wave():
    return nengo.Node(lambda t: np.sin(50 * t * np.arange(1, 4)))


def of_neurons():
    ens = nengo.Ensemble(8, 3, neuron_type=Cubic(), gain=np.ones(8), bias=np.zeros(8))
    nengo.Connection(wave(), ens, synapse=None)
    return [ens.neurons]


def of_synapse():
    out = nengo.Node(size_in=3)
    nengo.Connection(wave(), out, synapse=Clipped())
    return [out]


def of_transform():
    out = nengo.Node(size_in=3)
    nengo.Connection(wave(), out, transform=Differences([0.5, -1, 2]), synapse=None)
    return [out]


def of_learning_rule():
    pre, post = (nengo.Ensemble(6, 1, seed=seed) for seed in (1, 2))
    weights = np.arange(36).reshape(6, 6) / 36
    conn = nengo.Connection(
        pre.neurons, post.neurons, transform=weights, learning_rule_type=Decay(0.1)
    )
    return [conn, post.neurons]


EXTENSIONS = {
    "neurons": of_neurons,
    "clipped": of_synapse,
    "differences": of_transform,
    "decay_rule": of_learning_rule,
}


@pytest.mark.parametrize("kind", EXTENSIONS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_extension(kind):
    """Compiled, grouped, with the numbers of its own NumPy step in Nengo's simulator."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", pure=True)
        shown = [obj for _ in range(2) for obj in EXTENSIONS[kind]()]
        probes = [
            nengo.Probe(o, "weights" if isinstance(o, nengo.Connection) else None) for o in shown
        ]
    with nengo.Simulator(net, progress_bar=False, optimize=False) as reference:
        reference.run_steps(N_STEPS)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(N_STEPS)
        groups = {g.kind: len(g.ops) for g in sim.program.groups}
        assert groups[kind] == 2
        assert not {"host", "python"} & set(groups)
        for probe in probes:
            assert np.ptp(reference.data[probe]) > 0
            np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-12)


def test_a_process_has_one_lowering():
    with pytest.raises(ValueError, match="Clipped already has a lowering"):
        lowers_process(Clipped)(lower_clipped)
