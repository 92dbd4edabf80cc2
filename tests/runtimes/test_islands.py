"""Large populations between products: compiled by themselves, they train as all else does."""

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.kernels import neuron
from nengo_dl.kernels.rates import LIFRateKernel, SigmoidKernel, TanhKernel
from nengo_dl.kernels.spiking import LIFKernel
from nengo_dl.runtimes.tensorflow import large_elementwise as islands

pytestmark = pytest.mark.training
STEPS, BATCH = 5, 2
# where a population is large, and what XLA compiles: with islands; without; all; nothing
ISLANDS = 1, "auto"
OTHERS = (10**9, "auto"), (1, True), (1, False)


def network(product, smoothing=0.1):
    """Return two layers, both of which are probed."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", lif_smoothing=smoothing)
        net.inp = nengo.Node(np.zeros(16), label="inp")
        conv = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2))
        dense = nengo.Dense((18, 16), init=nengo_dl.dists.Glorot())
        first = nengo.Ensemble(conv.output_shape.size, 1)
        nengo.Connection(
            net.inp, first.neurons, transform=conv if product == "conv" else dense, synapse=None
        )
        second = nengo.Ensemble(7, 1, neuron_type=nengo.Sigmoid())
        weights = nengo.Dense((7, 18), init=nengo_dl.dists.Glorot())
        nengo.Connection(first.neurons, second.neurons, transform=weights, synapse=None)
        net.p = nengo.Probe(second.neurons)
        net.q = nengo.Probe(first.neurons)
    return net


@pytest.mark.parametrize("product", ["dense", "conv"])
def test_weights_after_training(product, monkeypatch):
    check_weights(lambda: network(product), OTHERS, monkeypatch)


def without_smoothing(neurons):
    """Return layers whose rates are of the order of one, the first of given neurons."""
    net = network("dense", smoothing=None)
    for ens, neuron_type in zip(net.ensembles, (neurons, nengo.Sigmoid(tau_ref=1)), strict=True):
        ens.neuron_type = neuron_type
        ens.gain, ens.bias = np.ones(ens.n_neurons), np.linspace(-0.9, 3, ens.n_neurons)
    return net


class Doubled(nengo.LIFRate):
    """Twice the rate of its parent, whose slope it inherits."""


@neuron(Doubled)
class DoubledKernel(LIFRateKernel):
    """Changes the rate that the slope is of."""

    @classmethod
    def rate(cls, c, J):
        return 2 * super().rate(c, J)


class Shifted(nengo.LIF):
    """Gives, as rate, that of more current."""


@neuron(Shifted)
class ShiftedKernel(LIFKernel):
    """Changes the step that gives rates."""

    @classmethod
    def rate_step(cls, c, dt, sigma, J, *states):
        return super().rate_step(c, dt, sigma, J + 1, *states)


def slopes_called(monkeypatch):
    """Return a list, which receives the names of kernels whose slope a gradient takes."""
    called = []
    for kind in (LIFRateKernel, SigmoidKernel, TanhKernel):

        def slope(cls, c, J, rate, own=kind.slope.__func__):
            called.append(cls.__name__)
            return own(cls, c, J, rate)

        monkeypatch.setattr(kind, "slope", classmethod(slope))
    return called


@pytest.mark.parametrize(
    "neurons, slope",
    [
        (nengo.LIF(amplitude=0.01), "LIFKernel"),
        (nengo.LIF(tau_ref=0, amplitude=0.01), "LIFKernel"),
        (nengo.LIFRate(tau_rc=0.05, amplitude=0.01), "LIFRateKernel"),
        (nengo.Sigmoid(tau_ref=0.5), "SigmoidKernel"),
        (nengo.Tanh(tau_ref=2), "TanhKernel"),
        (nengo.RectifiedLinear(), None),
        (Doubled(amplitude=0.01), None),
        (Shifted(amplitude=0.01), None),
    ],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_slopes_of_known_rates(neurons, slope, monkeypatch):
    """A rate's gradient by its value is taken for that rate alone, not for one made of it."""
    called = slopes_called(monkeypatch)
    check_weights(lambda: without_smoothing(neurons), OTHERS[2:], monkeypatch)
    of_first = {name for name in called if name != "SigmoidKernel" or slope == name}
    assert of_first == ({slope} if slope else set())
    assert "SigmoidKernel" in called  # of the second layer


def test_members_of_unlike_constants(monkeypatch):
    """Each neuron's slope is that of its own constants."""

    def make():
        with without_smoothing(nengo.LIFRate(amplitude=0.01)) as net:
            unlike = nengo.LIFRate(tau_rc=0.1, tau_ref=0.004, amplitude=0.02)
            other = nengo.Ensemble(18, 1, neuron_type=unlike, gain=np.ones(18), bias=np.ones(18))
            for pre, post, shape in (
                (net.inp, other.neurons, (18, 16)),
                (other.neurons, net.ensembles[1].neurons, (7, 18)),
            ):
                weights = nengo.Dense(shape, init=nengo_dl.dists.Glorot())
                nengo.Connection(pre, post, transform=weights, synapse=None)
        return net

    called = slopes_called(monkeypatch)
    check_weights(make, OTHERS[2:], monkeypatch)
    assert "LIFRateKernel" in called


def check_weights(make, others, monkeypatch):
    """Assert that training gives the same weights with islands as in other ways."""
    made = []

    def island(part, *args, make=islands._island):
        made.append([g.kind for g in part])
        return make(part, *args)

    monkeypatch.setattr(islands, "_island", island)
    x = np.random.RandomState(0).uniform(0, 9, (2 * BATCH, STEPS, 16))
    found = []
    for large, jit_compile in (ISLANDS, *others):
        made.clear()
        net = make()
        simulator = nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False, seed=0)
        with costs.assuming(lone_population_elements=large), simulator as sim:
            sim.compile("sgd", loss="mse", jit_compile=jit_compile)
            y = {net.p: np.ones((2 * BATCH, STEPS, 7)), net.q: np.ones((2 * BATCH, STEPS, 18))}
            sim.fit({net.inp: x}, y, shuffle=False, verbose=0)
            found.append([w.numpy() for w in sim.keras_model.trainable_weights])
        assert sum("neurons" in kinds for kinds in made) == (2 if len(found) == 1 else 0)
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
