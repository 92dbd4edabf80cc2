"""Large populations between products: compiled by themselves, they train as all else does."""

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.runtimes.tensorflow import large_elementwise as islands

pytestmark = pytest.mark.training
STEPS, BATCH = 5, 2


def network(product):
    """Return two layers, both of which are probed."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", lif_smoothing=0.1)
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
    made = []

    def island(part, *args, make=islands._island):
        made.append([g.kind for g in part])
        return make(part, *args)

    monkeypatch.setattr(islands, "_island", island)
    x = np.random.RandomState(0).uniform(0, 9, (2 * BATCH, STEPS, 16))
    found = []
    for large, jit_compile in ((1, "auto"), (10**9, "auto"), (1, True), (1, False)):
        made.clear()
        net = network(product)
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
