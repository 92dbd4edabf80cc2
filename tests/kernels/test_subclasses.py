"""Subclasses of neuron types: types of their own, in Python or by a kernel, equal to Nengo."""

import keras
import nengo
import numpy as np
import pytest
from nengo.dists import Choice
from nengo.params import NumberParam

import nengo_dl
from nengo_dl.kernels import neuron, neuron_kernel

STEPS = 40


class Plain(nengo.LIF):
    """Overrides nothing."""


class Half(nengo.LIF):
    """Overrides the step."""

    def step(self, dt, J, output, voltage, refractory_time):
        super().step(dt, J, output, voltage, refractory_time)
        output *= 0.5


class Tiring(nengo.LIF):
    """Has a state more."""

    state = {**nengo.LIF.state, "tired": Choice([0.1])}

    def step(self, dt, J, output, voltage, refractory_time, tired):
        super().step(dt, J - tired, output, voltage, refractory_time)
        tired[...] = 0.9 * tired + 0.1 * (output > 0)


class Deep(nengo.LIF):
    """Has a parameter more."""

    drop = NumberParam("drop", low=0)

    def __init__(self, drop=0.5):
        super().__init__()
        self.drop = drop

    def step(self, dt, J, output, voltage, refractory_time):
        super().step(dt, J, output, voltage, refractory_time)
        voltage[output > 0] = -self.drop


class Squared(nengo.RectifiedLinear):
    """Overrides the step of rates, but not what Nengo solves decoders for."""

    def step(self, dt, J, output):
        output[...] = np.maximum(J, 0) ** 2


class Registered(nengo.LIF):
    """Has the kernel of its parent."""


neuron(Registered)(neuron_kernel(nengo.LIF))


class HalfRate(nengo.RectifiedLinear):
    """Has a kernel of its own, derived as itself."""

    def step(self, dt, J, output):
        super().step(dt, J, output)
        output *= 0.5


@neuron(HalfRate)
class HalfRateKernel(neuron_kernel(nengo.RectifiedLinear)):
    @classmethod
    def rate(cls, c, J):
        return 0.5 * super().rate(c, J)


TYPES = [Plain(), Half(), Tiring(), Deep(), Deep(0.1), Squared(), Registered(), HalfRate()]
BASES = [nengo.RegularSpiking(Squared()), nengo.PoissonSpiking(HalfRate())]
PARENTS = [nengo.LIF(), nengo.RectifiedLinear()]


def together(types):
    """Return a network with ensembles of all types, next to each other."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.x = nengo.Node([0.0])
        net.out = nengo.Node(size_in=1)
        for neuron_type in types:
            with nengo.Network(seed=1):
                ens = nengo.Ensemble(
                    10,
                    1,
                    neuron_type=neuron_type,
                    gain=np.full(10, 2.0),
                    bias=np.linspace(-1, 2, 10),
                )
            nengo.Connection(net.x, ens, synapse=None)
            nengo.Connection(ens, net.out, synapse=None)
            nengo.Probe(ens.neurons)
            for name in neuron_type.state:
                nengo.Probe(ens.neurons, name)
        net.p = nengo.Probe(net.out)
    return net


@pytest.mark.filterwarnings("ignore:.*no compiled form")
def test_each_is_what_nengo_makes_of_it():
    """In NumPy and compiled, alone and in a minibatch, next to what it derives from."""
    net = together([*TYPES, *BASES, *PARENTS])
    inputs = np.sin(np.arange(STEPS) / 5)[None, :, None] * np.array([1, -1])[:, None, None]
    net.x.output = nengo.processes.PresentInput(inputs[0], presentation_time=0.001)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(STEPS)
        expected = {p: np.array(sim.data[p]) for p in net.all_probes}
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for n_steps in (7, STEPS - 7):
            sim.run_steps(n_steps)
        for p, wanted in expected.items():
            np.testing.assert_allclose(sim.data[p], wanted, rtol=1e-9, atol=1e-9)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        found = sim.predict({net.x: inputs})
        for p, wanted in expected.items():
            np.testing.assert_allclose(found[p][0], wanted, rtol=1e-9, atol=1e-9)


def trained(neuron_type):
    """Return gains, and decoders, before and after one minibatch."""
    net = together([neuron_type])
    (ens,), conn = net.all_ensembles, net.connections[-1]
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        values = [(sim.data[ens].gain, sim.data[conn].weights)]
        sim.compile(keras.optimizers.SGD(1e-3), loss={net.p: "mse"})
        sim.fit(np.ones((1, 3, 1)), np.ones((1, 3, 1)), verbose=0)
        return [*values, (sim.data[ens].gain, sim.data[conn].weights)]


@pytest.mark.training
@pytest.mark.parametrize("neuron_type", [Plain(), Squared()])
def test_training_says_that_no_gradient_flows_through_python(neuron_type):
    name = type(neuron_type).__name__
    message = rf"{name} neurons .* no gradient flows.*register.*neuron\({name}\)"
    with pytest.warns(UserWarning, match=message):
        before, after = trained(neuron_type)
    np.testing.assert_array_equal(after[0], before[0])
    assert not np.array_equal(after[1], before[1])


@pytest.mark.training
def test_what_is_registered_trains_as_its_parent():
    for found, wanted in zip(trained(Registered()), trained(nengo.LIF()), strict=True):
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])
    before, after = trained(HalfRate())
    assert not np.array_equal(after[0], before[0])


def test_what_has_no_kernel():
    with pytest.raises(KeyError, match="Plain"):
        neuron_kernel(Plain)
