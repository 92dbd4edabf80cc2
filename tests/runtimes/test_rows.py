"""Rows of a chunk of time, in the order of steps or of items."""

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.runtimes.tensorflow import execute
from nengo_dl.runtimes.tensorflow.time_batch import Rows

T, B, N = 3, 2, 4


@pytest.mark.parametrize("shape", [(T, B, N), (1, B, N), (T, 1, N), (1, 1, N)])
@pytest.mark.parametrize("by_item", [False, True])
def test_rows_and_back(shape, by_item):
    array = np.arange(np.prod(shape), dtype=float).reshape(shape)
    rows = Rows(T, B, by_item)
    flat = rows.flat(tf.constant(array))
    whole = np.broadcast_to(array, (T, B, N))
    if shape == (1, 1, N):  # what all share
        np.testing.assert_array_equal(flat, array[0])
        np.testing.assert_array_equal(rows.block(flat), array)
        return
    expected = np.swapaxes(whole, 0, 1) if by_item else whole
    np.testing.assert_array_equal(flat, expected.reshape(T * B, N))
    np.testing.assert_array_equal(rows.block(flat), whole)


@pytest.mark.parametrize("n_inputs, moved", [(30, True), (3, False)])
def test_training_moves_the_narrower_side(n_inputs, moved, monkeypatch, rng):
    """Results and gradients are the same in both orders."""
    choices = []

    def moves_less(*args, decide=execute._moves_less):
        choices.append(decide(*args))
        return choices[-1]

    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", training_spikes="fast_sigmoid")
        node = nengo.Node(np.zeros(n_inputs), label="node")
        ens = nengo.Ensemble(8, 1, gain=np.ones(8), bias=np.ones(8))
        weights = nengo.Dense((8, n_inputs), init=rng.uniform(0, 1, (8, n_inputs)))
        nengo.Connection(node, ens.neurons, transform=weights, synapse=None)
        nengo.Probe(ens.neurons, label="probe")
    x = tf.constant(rng.uniform(0, 2, (B, 20, n_inputs)))
    pull = tf.constant(rng.uniform(-1, 1, (B, 20, 8)))
    found = []
    for decide in (moves_less, lambda *args: False):
        monkeypatch.setattr(execute, "_moves_less", decide)
        with nengo_dl.Simulator(net, minibatch_size=B, progress_bar=False) as sim:
            with tf.GradientTape() as tape:
                inputs = {"node": x, "n_steps": tf.fill((B, 1), 20)}
                value = sim.keras_model(inputs, training=True)["probe"]
                loss = tf.reduce_sum(value * pull)
            kernel = max(sim.keras_model.trainable_weights, key=lambda w: w.shape.num_elements())
            found.append((value, tape.gradient(loss, kernel.value)))
    assert any(choices) == moved
    assert np.count_nonzero(found[0][0]) > 10
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
