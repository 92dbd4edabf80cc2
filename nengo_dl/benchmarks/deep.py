"""Deep networks to measure with: feed-forward ones for images, and a recurrent one."""

from __future__ import annotations

from collections.abc import Sequence

import nengo
import numpy as np
from nengo.dists import Choice
from scipy.signal import cont2discrete

from ..config.settings import configure_settings
from ..dists import Glorot


def dense_spiking(
    sizes: Sequence[int] = (784, 256, 256, 10), synapse: float | None = None
) -> nengo.Network:
    """A spiking feed-forward network of dense layers, for images.

    Parameters
    ----------
    sizes : sequence of int
        Of the input, of each layer of neurons, and of the output, which has none.
    synapse : float, optional
        Between layers.
    """
    rng = np.random.RandomState(0)
    with _layers("dense_spiking") as net:
        net.inp = nengo.Node(rng.uniform(0, 1, sizes[0]))
        last, delay = net.inp, None
        for before, size in zip(sizes, sizes[1:-1], strict=False):
            layer = nengo.Ensemble(size, 1).neurons
            nengo.Connection(last, layer, transform=_weights(rng, size, before), synapse=delay)
            last, delay = layer, synapse
        _read_out(net, last, _weights(rng, sizes[-1], last.size_out), synapse)
    return net


def conv_spiking(
    shape: Sequence[int] = (28, 28, 1), filters: Sequence[int] = (32, 64), n_outputs: int = 10
) -> nengo.Network:
    """A spiking convolutional network, for images; each layer halves height and width.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels of the input.
    filters : sequence of int
        Of each layer; its kernels are 3 by 3.
    n_outputs : int
    """
    rng = np.random.RandomState(0)
    with _layers("conv_spiking") as net:
        net.inp = nengo.Node(rng.uniform(0, 1, int(np.prod(shape))))
        last, shape = net.inp, tuple(shape)
        for n_filters in filters:
            kernel = rng.randn(3, 3, shape[-1], n_filters) / np.sqrt(9 * shape[-1])
            conv = nengo.Convolution(n_filters, shape, strides=(2, 2), init=kernel)
            layer = nengo.Ensemble(conv.output_shape.size, 1).neurons
            nengo.Connection(last, layer, transform=conv, synapse=None)
            last, shape = layer, conv.output_shape.shape
        _read_out(net, last, _weights(rng, n_outputs, last.size_out), None)
    return net


def lmu(
    theta: float = 1000,
    input_d: int = 1,
    native_nengo: bool = True,
    dtype: str = "float32",
    order: int = 256,
    units: int = 212,
) -> nengo.Network:
    """A Legendre memory unit, written in Nengo objects; of the size of the original's benchmark.

    Parameters
    ----------
    theta : float
        Steps that the memory spans.
    input_d : int
    native_nengo : bool
        Of the original, whose other form, a Keras cell in a layer, there is not.
    dtype : str
        Precision of the simulation.
    order : int
        Size of the memory.
    units : int
        Neurons.
    """
    if not native_nengo:
        raise ValueError("there is no lmu of a Keras cell here; leave native_nengo=True")
    rng = np.random.RandomState(0)
    a, b = _legendre(theta, order)
    with nengo.Network(label="lmu", seed=0) as net:
        configure_settings(trainable=None, dtype=dtype)
        net.inp = nengo.Node(np.full(input_d, 0.5))
        u, memory = nengo.Node(size_in=1), nengo.Node(size_in=order)
        ens = nengo.Ensemble(
            units, 1, neuron_type=nengo.Tanh(), gain=np.ones(units), bias=np.zeros(units)
        )
        h = ens.neurons
        net.config[ens].trainable = net.config[h].trainable = False
        fixed = (
            nengo.Connection(memory, memory, transform=a, synapse=0),
            nengo.Connection(u, memory, transform=b, synapse=None),
        )
        for connection in fixed:
            net.config[connection].trainable = False
        for pre, post, synapse in (
            (net.inp, u, None),
            (h, u, 0),
            (memory, u, 0),
            (net.inp, h, None),
            (h, h, 0),
            (memory, h, None),
        ):
            weights = 0.5 * _weights(rng, post.size_in, pre.size_out)
            nengo.Connection(pre, post, transform=weights, synapse=synapse)
        _read_out(net, h, _weights(rng, 10, units), None)
    return net


def autoencoder(n_inputs: int = 784, n_hidden: int = 64) -> nengo.Network:
    """Two layers of rectified linear units, without time.

    Parameters
    ----------
    n_inputs : int
        And outputs.
    n_hidden : int
        Units between them.
    """
    with nengo.Network(label="autoencoder", seed=0) as net:
        net.config[nengo.Connection].synapse = None
        net.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
        net.config[nengo.Ensemble].gain = Choice([1])
        net.config[nengo.Ensemble].bias = Choice([0])
        net.inp = nengo.Node(np.zeros(n_inputs))
        hidden = nengo.Ensemble(n_hidden, 1).neurons
        output = nengo.Ensemble(n_inputs, 1).neurons
        nengo.Connection(net.inp, hidden, transform=Glorot())
        nengo.Connection(hidden, output, transform=Glorot())
        net.p = nengo.Probe(output)
    return net


def _layers(label: str) -> nengo.Network:
    """A network of neurons that about half of all inputs make fire."""
    net = nengo.Network(label=label, seed=0)
    net.config[nengo.Ensemble].neuron_type = nengo.LIF(amplitude=0.01)
    net.config[nengo.Ensemble].gain = Choice([1])
    net.config[nengo.Ensemble].bias = Choice([1])
    return net


def _weights(rng: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    return rng.randn(n_out, n_in) / np.sqrt(n_in)


def _read_out(
    net: nengo.Network, neurons: nengo.ensemble.Neurons, weights: np.ndarray, synapse: float | None
) -> None:
    net.out = nengo.Node(size_in=len(weights))
    nengo.Connection(neurons, net.out, transform=weights, synapse=synapse)
    net.p = nengo.Probe(net.out, synapse=0.01)


def _legendre(theta: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """The memory's transition and input matrices, with zero-order hold, for steps of one."""
    i, j = np.ogrid[:order, :order]
    scale = (2 * i + 1) / theta
    a = scale * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = scale * (-1.0) ** i
    a, b, *_ = cont2discrete((a, b, np.eye(order), np.zeros((order, 1))), dt=1, method="zoh")
    return a, b
