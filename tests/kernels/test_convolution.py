"""Convolutions in 1 to 3 dimensions against loops in NumPy; Nengo itself has none in three."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengo_dl
from nengo_dl.runtimes.tensorflow.strategy import Scope

SPATIAL, KERNEL = (5, 4, 6), (3, 2, 2)


def windows(out_shape, kernel, strides, before):
    """Yield (m, k, n): output m of a convolution sees input n through kernel element k."""
    for m in np.ndindex(*out_shape):
        for k in np.ndindex(*kernel):
            yield m, k, tuple(np.multiply(m, strides) + k - before)


def padding_before(sizes, kernel, strides, padding):
    """Output sizes, and what is padded before the first input, of a convolution."""
    sizes, kernel, strides = map(np.array, (sizes, kernel, strides))
    if padding == "valid":
        return (sizes - kernel) // strides + 1, 0 * sizes
    out = -(-sizes // strides)
    return out, np.maximum((out - 1) * strides + kernel - sizes, 0) // 2


def convolved(x, weights, strides, padding, groups):
    """Return the convolution of x (*sizes, c) with weights (*kernel, c / groups, filters)."""
    sizes, kernel = x.shape[:-1], weights.shape[:-2]
    out, before = padding_before(sizes, kernel, strides, padding)
    y = np.zeros((*out, weights.shape[-1]))
    for group in range(groups):
        mine = np.split(np.arange(x.shape[-1]), groups)[group]
        filters = np.split(np.arange(weights.shape[-1]), groups)[group]
        for m, k, n in windows(out, kernel, strides, before):
            if all(0 <= i < size for i, size in zip(n, sizes, strict=True)):
                y[m][filters] += x[n][mine] @ weights[k][:, filters]
    return y


def convolved_back(x, weights, strides, padding, sizes):
    """Return what x (*out, c), the output of a convolution, is the gradient of."""
    kernel = weights.shape[:-2]
    out, before = padding_before(sizes, kernel, strides, padding)
    assert tuple(out) == x.shape[:-1]
    y = np.zeros((*sizes, weights.shape[-1]))
    for m, k, n in windows(out, kernel, strides, before):
        if all(0 <= i < size for i, size in zip(n, sizes, strict=True)):
            y[n] += x[m] @ weights[k]
    return y


def shape(sizes, channels, channels_last):
    return (*sizes, channels) if channels_last else (channels, *sizes)


def through(transform, x):
    """Return what the simulator makes of x, with channels last."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        post = nengo.Node(size_in=transform.size_out)
        last = transform.channels_last
        pre = nengo.Node((x if last else np.moveaxis(x, -1, 0)).ravel())
        nengo.Connection(pre, post, transform=transform, synapse=None)
        probe = nengo.Probe(post)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(1)
        y = np.reshape(sim.data[probe], transform.output_shape.shape)
    return y if last else np.moveaxis(y, 0, -1)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_convolution(dimensions, channels_last, padding, rng):
    sizes, kernel = SPATIAL[:dimensions], KERNEL[:dimensions]
    for strides, groups in (((1, 1, 1), 2), ((2, 1, 3), 1), ((2, 1, 3), 4)):
        strides = strides[:dimensions]
        weights = rng.uniform(-1, 1, (*kernel, 4 // groups, 8))
        transform = nengo.Convolution(
            8,
            shape(sizes, 4, channels_last),
            kernel_size=kernel,
            strides=strides,
            padding=padding,
            channels_last=channels_last,
            groups=groups,
            init=weights,
        )
        x = rng.uniform(-1, 1, (*sizes, 4))
        expected = convolved(x, weights, strides, padding, groups)
        np.testing.assert_allclose(through(transform, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolution(dimensions, channels_last, padding, rng):
    sizes, kernel = SPATIAL[:dimensions], KERNEL[:dimensions]
    for strides in ((1, 1, 1), (2, 1, 3)):
        strides = strides[:dimensions]
        weights = rng.uniform(-1, 1, (*kernel, 2, 3))
        inner, _ = padding_before(sizes, kernel, strides, padding)
        transform = nengo.ConvolutionTranspose(
            3,
            shape(inner, 2, channels_last),
            output_shape=shape(sizes, 3, channels_last),
            kernel_size=kernel,
            strides=strides,
            padding=padding,
            channels_last=channels_last,
            init=weights,
        )
        x = rng.uniform(-1, 1, (*inner, 2))
        expected = convolved_back(x, weights, strides, padding, sizes)
        np.testing.assert_allclose(through(transform, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.training
def test_training_with_loops_compiled_apart():
    """Convolutions train without XLA, loops with it: the weights are those of either alone."""

    def trained(jit_compile):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype="float64", training_spikes="fast_sigmoid")
            inp = nengo.Node(np.zeros(16))
            conv = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2))
            ens = nengo.Ensemble(conv.output_shape.size, 1)
            nengo.Connection(inp, ens.neurons, transform=conv, synapse=None)
            p = nengo.Probe(ens.neurons, synapse=0.01)
        x = np.random.RandomState(0).uniform(0, 9, (4, 5, 16))
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, seed=0) as sim:
            sim.compile("sgd", loss="mse", jit_compile=jit_compile)
            sim.fit({inp: x}, {p: np.ones((4, 5, ens.n_neurons))}, shuffle=False, verbose=0)
            scope = sim.keras_model.strategy(training=True).scope
            assert (scope is Scope.LOOPS) == (jit_compile == "auto")
            return [w.numpy() for w in sim.keras_model.trainable_weights]

    expected = trained(False)
    for found in (trained("auto"), trained(True)):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [nengo.Convolution, nengo.transforms.ConvolutionTranspose])
def test_four_dimensions_are_refused_when_the_simulator_is_made(kind):
    with nengo.Network() as net:
        transform = kind(1, (3, 3, 3, 3, 1), kernel_size=(2,) * 4, strides=(1,) * 4)
        post = nengo.Node(size_in=transform.output_shape.size)
        nengo.Connection(nengo.Node(np.zeros(81)), post, transform=transform)
    with pytest.raises(BuildError, match="a convolution in 4 dimensions; expected at most 3"):
        nengo_dl.Simulator(net, progress_bar=False)
