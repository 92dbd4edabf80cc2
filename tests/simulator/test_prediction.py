"""Tests of `Simulator.predict`."""

import signal

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.session import compilation
from tests.networks import NETWORKS


def test_callbacks_get_the_outputs_of_each_probe():
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            seen.append(logs)

    with nengo.Network() as net:
        inp = nengo.Node([0.0])
        first = nengo.Probe(inp, label="first")
        nengo.Probe(inp, label="second")
    x = np.arange(12.0).reshape(4, 3, 1)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        output = sim.predict(x, callbacks=[Recorder()])
    assert np.array_equal(output[first], x)
    assert [sorted(logs) for logs in seen] == [["first", "second"]] * 2
    assert np.array_equal(seen[1]["second"], x[2:])


def test_each_item_has_one_generator_of_its_own(monkeypatch):
    """An operator that draws: what minibatches cost does not grow with those before them."""
    net = NETWORKS["user_operator_with_noise"]()
    item, made = compilation._seed_of_item, []
    monkeypatch.setattr(
        compilation, "_seed_of_item", lambda seed, n: made.append(n) or item(seed, n)
    )
    found = []
    for size in (1, 12):
        with nengo_dl.Simulator(net, seed=3, minibatch_size=size, progress_bar=False) as sim:
            made.clear()
            (noise,) = sim.session.compiled.nodes
            outputs = sim.predict({noise: np.zeros((12, 3, 2))})
            found.append([outputs[p] for p in sim.session.probes])
            assert max(map(made.count, range(1, 12))) <= 3  # for the operator, and for processes
    for one, twelve in zip(*found, strict=True):
        np.testing.assert_array_equal(one, twelve)


def test_inputs_without_names_in_keras_own_predict():
    """They are the nodes in order, as everywhere else, and not by name."""
    ones = np.ones((2, 3, 1), np.float32)
    with nengo.Network() as net:
        for label in "ba":
            nengo.Probe(nengo.Node([0.0], label=label), label=f"out_{label}")
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        model = sim.keras_model
        counts = np.full((2, 1), 3, np.int32)
        for given in ([3 * ones, 5 * ones, counts], [3 * ones, 5 * ones]):
            for found in (model.predict(given, verbose=0), model(given)):
                np.testing.assert_array_equal(found["out_b"], 3 * ones)
                np.testing.assert_array_equal(found["out_a"], 5 * ones)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_no_trace():
    """The state is that from before, whatever had been predicted, and the next call is whole."""
    presses = []

    def double(t, x):
        if presses and t > 0.002:
            signal.raise_signal(presses.pop())
        return 2 * x

    with nengo.Network(seed=0) as net:
        inp = nengo.Node([1.0])
        node = nengo.Node(double, size_in=1)
        nengo.Connection(inp, node, synapse=0.01)
        probe = nengo.Probe(node)
    data = {inp: np.ones((3, 4, 1))}
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        expected = sim.predict(data)[probe]
        handler = signal.getsignal(signal.SIGINT)
        for call in (sim.predict, lambda x: sim.evaluate(x, expected, verbose=0)):
            presses.append(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                call(data)
            assert presses == [] and signal.getsignal(signal.SIGINT) is handler
            assert sim.n_steps == 0
            np.testing.assert_array_equal(sim.predict(data)[probe], expected)
