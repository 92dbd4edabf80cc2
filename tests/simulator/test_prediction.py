"""Tests of `Simulator.predict`."""

import keras
import nengo
import numpy as np

import nengo_dl


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
