"""Keras's dtype policies: layers compute as they say, the simulation as it is configured."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

pytestmark = pytest.mark.training

X = np.random.RandomState(0).uniform(-1, 1, (8, 3, 4))
SMALL = 1e-8  # beside losses of this size, what float16 can hold is large


class Seen(keras.layers.Layer):
    """Remembers the precision that it computes in."""

    dtypes = ()

    def call(self, x):
        self.dtypes = {*self.dtypes, x.dtype.name}
        return x


def network(policy, **settings):
    """Return a network with noise, whose last layers have a policy, and its probes."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        node = nengo.Node(np.zeros(4))
        noise = nengo.processes.WhiteNoise(seed=1)
        ens = nengo.Ensemble(10, 4, noise=noise)
        nengo.Connection(node, ens, synapse=None)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            net.dense = keras.layers.Dense(2, kernel_initializer="ones", use_bias=False)
            net.seen = Seen()
        finally:
            keras.config.set_dtype_policy(before)
        out = nengo_dl.Layer(net.seen)(nengo_dl.Layer(net.dense)(ens))
        net.y, net.x = nengo.Probe(out, label="y"), nengo.Probe(node, label="x")
    return net


def trained(net):
    """Return the weights of the layer after a step with a small loss, and the simulator."""
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        rate = keras.optimizers.SGD(0.1 / SMALL)
        sim.compile(rate, loss={net.y: lambda y, out: SMALL * (y - out) ** 2})
        sim.fit(X, {net.y: np.zeros((8, 3, 2))}, verbose=0)
        outputs = sim.predict(X)
        return net.dense.kernel.numpy(), outputs, type(sim.keras_model.optimizer)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_of_mixed_precision(policy, dtype):
    expected, *_ = trained(network("float32"))
    net = network(policy, dtype=dtype)
    weights, outputs, optimizer = trained(net)
    assert net.seen.dtypes == {policy.removeprefix("mixed_")}
    assert net.dense.kernel.dtype == "float32"
    assert outputs[net.y].dtype == outputs[net.x].dtype == dtype
    np.testing.assert_array_equal(outputs[net.x], X.astype(dtype))  # nothing was rounded further
    scaled = optimizer is keras.optimizers.LossScaleOptimizer
    assert scaled == (policy == "mixed_float16")
    # gradients that float16 cannot hold have not vanished
    assert np.abs(expected - 1).max() > 0.05
    np.testing.assert_allclose(weights, expected, atol=0.02 * np.abs(expected - 1).max())
