"""Networks to measure with: each has its input at `inp`, and its output is probed by `p`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import nengo
import numpy as np
from nengo.dists import Choice, Uniform
from nengo.neurons import NeuronType

from .deep import conv_spiking, dense_spiking, lmu

LIF = nengo.LIF()


def cconv(
    dimensions: int = 64,
    neurons_per_d: int = 50,
    neuron_type: NeuronType = LIF,
    fixed_gains: bool = True,
) -> nengo.Network:
    """Circular convolution of two vectors.

    Parameters
    ----------
    dimensions : int
        Of each vector.
    neurons_per_d : int
        Neurons for each product.
    neuron_type : nengo.neurons.NeuronType
    fixed_gains : bool
        Whether gains are 1 or -1, and biases between them. LIF neurons then hardly fire.

    Returns
    -------
    nengo.Network
        Has `inp_a`, `inp_b`, `cconv` and `p`.
    """
    with _array_network("cconv", neuron_type, fixed_gains) as net:
        net.cconv = nengo.networks.CircularConvolution(neurons_per_d, dimensions)
        net.inp_a = nengo.Node(np.zeros(dimensions))
        net.inp_b = nengo.Node(np.ones(dimensions))
        nengo.Connection(net.inp_a, net.cconv.input_a)
        nengo.Connection(net.inp_b, net.cconv.input_b)
        net.p = nengo.Probe(net.cconv.output)
    return net


def integrator(
    dimensions: int = 32,
    neurons_per_d: int = 100,
    neuron_type: NeuronType = LIF,
    fixed_gains: bool = True,
) -> nengo.Network:
    """An ensemble array that is connected to itself.

    Parameters
    ----------
    dimensions : int
        Ensembles in the array.
    neurons_per_d : int
        Neurons in each.
    neuron_type : nengo.neurons.NeuronType
    fixed_gains : bool
        Whether gains are 1 or -1, and biases between them. LIF neurons then hardly fire.
    """
    with _array_network("integrator", neuron_type, fixed_gains) as net:
        net.integ = nengo.networks.EnsembleArray(neurons_per_d, dimensions)
        nengo.Connection(net.integ.output, net.integ.input, synapse=0.01)
        net.inp = nengo.Node(np.zeros(dimensions))
        nengo.Connection(net.inp, net.integ.input, transform=0.01)
        net.p = nengo.Probe(net.integ.output)
    return net


def pes(
    dimensions: int = 8,
    neurons_per_d: int = 64,
    neuron_type: NeuronType = LIF,
    fixed_gains: bool = True,
) -> nengo.Network:
    """One ensemble whose output learns to be its input.

    Parameters
    ----------
    dimensions : int
    neurons_per_d : int
        The ensemble has this many neurons for each dimension.
    neuron_type : nengo.neurons.NeuronType
    fixed_gains : bool
        Whether gains are 1 or -1, and biases between them. LIF neurons then hardly fire.
    """
    with _array_network("pes", neuron_type, fixed_gains) as net:
        net.inp = nengo.Node(np.ones(dimensions))
        net.ens = nengo.Ensemble(neurons_per_d * dimensions, dimensions)
        net.out = nengo.Node(size_in=dimensions)
        nengo.Connection(net.inp, net.ens)
        learned = nengo.Connection(net.ens, net.out, learning_rule_type=nengo.PES())
        nengo.Connection(net.inp, learned.learning_rule)
        nengo.Connection(net.out, learned.learning_rule, transform=-1)
        net.p = nengo.Probe(net.out)
    return net


def pes_channel(
    n_neurons: int = 500, dimensions: int = 8, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Two ensembles, and a third whose error lets the connection between them learn.

    Parameters
    ----------
    n_neurons : int
        In each of the three.
    dimensions : int
    neuron_type : nengo.neurons.NeuronType
    """
    with _network("pes_channel", neuron_type) as net:
        net.inp = nengo.Node(np.full(dimensions, 0.5 / np.sqrt(dimensions)))
        pre, post, error = (nengo.Ensemble(n_neurons, dimensions) for _ in range(3))
        nengo.Connection(net.inp, pre)
        learned = nengo.Connection(
            pre, post, function=lambda x: np.zeros(dimensions), learning_rule_type=nengo.PES()
        )
        nengo.Connection(post, error)
        nengo.Connection(pre, error, transform=-1)
        nengo.Connection(error, learned.learning_rule)
        net.p = nengo.Probe(post, synapse=0.01)
    return net


def basal_ganglia(
    dimensions: int = 32,
    neurons_per_d: int = 100,
    neuron_type: NeuronType = LIF,
    thalamus: bool = False,
) -> nengo.Network:
    """Basal ganglia, which choose one of several actions.

    Parameters
    ----------
    dimensions : int
        Actions.
    neurons_per_d : int
        Neurons in each ensemble of the basal ganglia.
    neuron_type : nengo.neurons.NeuronType
    thalamus : bool
        Whether a thalamus, of half as many neurons an ensemble, follows.
    """
    with _network("basal_ganglia", neuron_type) as net:
        net.inp = nengo.Node(np.ones(dimensions))
        net.bg = nengo.networks.BasalGanglia(dimensions, neurons_per_d)
        nengo.Connection(net.inp, net.bg.input)
        output = net.bg.output
        if thalamus:
            net.thalamus = nengo.networks.Thalamus(dimensions, max(neurons_per_d // 2, 1))
            nengo.Connection(output, net.thalamus.input)
            output = net.thalamus.output
        net.p = nengo.Probe(output)
    return net


def random_network(
    dimensions: int = 4,
    neurons_per_d: int = 25,
    neuron_type: NeuronType = LIF,
    n_ensembles: int = 200,
    connections_per_ensemble: int = 5,
    seed: int = 0,
) -> nengo.Network:
    """Ensembles that are connected at random; each is fed, and each contributes to the output.

    Parameters
    ----------
    dimensions : int
    neurons_per_d : int
        Each ensemble has this many neurons for each dimension.
    neuron_type : nengo.neurons.NeuronType
    n_ensembles : int
    connections_per_ensemble : int
        To other ensembles, or itself; the decoders are ones.
    seed : int
        Of the network, and of its connections.
    """
    rng = np.random.RandomState(seed)
    n_neurons = neurons_per_d * dimensions
    ones = nengo.solvers.NoSolver(np.ones((n_neurons, dimensions)))
    with _network("random", neuron_type, seed) as net:
        net.inp = nengo.Node(np.zeros(dimensions))
        net.out = nengo.Node(size_in=dimensions)
        ensembles = [nengo.Ensemble(n_neurons, dimensions) for _ in range(n_ensembles)]
        for ens in ensembles:
            nengo.Connection(net.inp, ens)
            nengo.Connection(ens, net.out)
            for i in rng.choice(n_ensembles, connections_per_ensemble, replace=False):
                nengo.Connection(ens, ensembles[i], solver=ones)
        net.p = nengo.Probe(net.out)
    return net


def spaun_sized(
    n_ensembles: int = 21_000,
    n_neurons: int = 1_200_000,
    n_connections: int = 91_000,
    neuron_type: NeuronType = LIF,
    seed: int = 0,
) -> nengo.Network:
    """Ensembles of one dimension that are connected at random; by default, as many as in Spaun.

    Each ensemble is fed, and each contributes to the output; all other connections are decoded,
    from one ensemble to another.

    Parameters
    ----------
    n_ensembles : int
    n_neurons : int
        In all ensembles together.
    n_connections : int
        In all, the two of each ensemble included.
    neuron_type : nengo.neurons.NeuronType
    seed : int
        Of the network, and of its connections.
    """
    rng = np.random.RandomState(seed)
    pairs = rng.randint(n_ensembles, size=(max(n_connections - 2 * n_ensembles, 0), 2))
    sizes = np.diff(np.linspace(0, n_neurons, n_ensembles + 1).astype(int)).tolist()
    weight = 0.5 * n_ensembles / max(len(pairs), 1)
    with _network("spaun_sized", neuron_type, seed) as net:
        net.inp = nengo.Node([0.5])
        net.out = nengo.Node(size_in=1)
        ensembles = [nengo.Ensemble(size, 1) for size in sizes]
        for ens in ensembles:
            nengo.Connection(net.inp, ens, transform=0.5)
            nengo.Connection(ens, net.out, transform=1 / n_ensembles)
        for pre, post in pairs.tolist():
            nengo.Connection(ensembles[pre], ensembles[post], transform=weight)
        net.p = nengo.Probe(net.out, synapse=0.01)
    return net


def communication_channel(
    n_neurons: int = 50,
    n_ensembles: int = 3,
    dimensions: int = 1,
    neuron_type: NeuronType = LIF,
    varying: bool = False,
) -> nengo.Network:
    """Ensembles in a row.

    Parameters
    ----------
    n_neurons : int
        In each ensemble.
    n_ensembles : int
    dimensions : int
    neuron_type : nengo.neurons.NeuronType
    varying : bool
        Whether the input is a Python function of time. Otherwise it is constant.
    """
    with _network("communication_channel", neuron_type) as net:
        level = np.full(dimensions, 0.5 / np.sqrt(dimensions))
        net.inp = nengo.Node((lambda t: level * np.sin(6 * t)) if varying else level)
        last = net.inp
        for _ in range(n_ensembles):
            ens = nengo.Ensemble(n_neurons, dimensions)
            nengo.Connection(last, ens)
            last = ens
        net.p = nengo.Probe(last, synapse=0.01)
    return net


def lif_population(n_neurons: int = 10_000, neuron_type: NeuronType = LIF) -> nengo.Network:
    """Neurons with a constant input, of whose activity the mean is probed.

    Parameters
    ----------
    n_neurons : int
    neuron_type : nengo.neurons.NeuronType
    """
    with _network("lif_population", neuron_type) as net:
        net.inp = nengo.Node([0.5])
        ens = nengo.Ensemble(n_neurons, 1)
        net.out = nengo.Node(size_in=1)
        nengo.Connection(net.inp, ens)
        mean = np.full((1, n_neurons), 1 / n_neurons)
        nengo.Connection(ens.neurons, net.out, transform=mean, synapse=None)
        net.p = nengo.Probe(net.out)
    return net


def closed_loop(n_neurons: int = 100) -> nengo.Network:
    """Neurons that control a cart, which is a Python function, called in each step.

    Parameters
    ----------
    n_neurons : int
        In the controller.
    """

    def cart(t: float, x: np.ndarray) -> list[float]:
        position, velocity, force = x
        return [position + 0.001 * velocity, velocity + 0.001 * (20 * force - velocity)]

    with nengo.Network(label="closed_loop", seed=0) as net:
        net.inp = nengo.Node([0.5])
        net.plant = nengo.Node(cart, size_in=3, size_out=2)
        controller = nengo.Ensemble(n_neurons, 2)
        nengo.Connection(net.plant, net.plant[:2], synapse=0)
        nengo.Connection(net.plant, controller, transform=[[-1, 0], [0, -0.2]], synapse=0)
        nengo.Connection(net.inp, controller[0])
        nengo.Connection(controller, net.plant[2], transform=[[1, 1]])
        net.p = nengo.Probe(net.plant)
    return net


#: Networks by name; called without arguments, they have the sizes that are published, and fire.
BENCHMARKS: dict[str, Callable[..., nengo.Network]] = {
    "communication_channel": communication_channel,
    "integrator": partial(integrator, fixed_gains=False),
    "cconv": partial(cconv, fixed_gains=False),
    "basal_ganglia": partial(basal_ganglia, thalamus=True),
    "pes": partial(pes, fixed_gains=False),
    "pes_channel": pes_channel,
    "dense_spiking": dense_spiking,
    "lif_population": lif_population,
    "closed_loop": closed_loop,
    "large_channel": partial(communication_channel, n_neurons=2000, n_ensembles=3, dimensions=16),
    "random_network": random_network,
    "spaun_sized": spaun_sized,
    "conv_spiking": conv_spiking,
    "lmu": lmu,
}

#: Those that take much more than some seconds to build or, in `nengo.Simulator`, to run.
LARGE = ("large_channel", "random_network", "spaun_sized")


def _network(label: str, neuron_type: NeuronType, seed: int = 0) -> nengo.Network:
    net = nengo.Network(label=label, seed=seed)
    net.config[nengo.Ensemble].neuron_type = neuron_type
    return net


def _array_network(label: str, neuron_type: NeuronType, fixed_gains: bool) -> nengo.Network:
    net = _network(label, neuron_type)
    if fixed_gains:
        net.config[nengo.Ensemble].gain = Choice([1, -1])
        net.config[nengo.Ensemble].bias = Uniform(-1, 1)
    return net
