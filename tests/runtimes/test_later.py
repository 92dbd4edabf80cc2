"""Keras and TensorFlow are imported when they are needed, and behave as if they had been before."""

import os
import subprocess
import sys

SMALL = """
import sys
import nengo, numpy as np
import nengo_dl

def imported():
    return [name for name in ("keras", "tensorflow") if name in sys.modules]

with nengo.Network(seed=0) as net:
    nengo_dl.configure_settings(dtype="float64")
    wave = nengo.Node(lambda t: np.sin(6 * t))
    pre, post = nengo.Ensemble(30, 1), nengo.Ensemble(30, 1)
    nengo.Connection(wave, pre)
    conn = nengo.Connection(pre, post, function=np.square, learning_rule_type=nengo.PES())
    nengo.Connection(post, conn.learning_rule)
    probe = nengo.Probe(post, synapse=0.01)
with nengo.Network(seed=0) as loop:
    plant = nengo.Node(lambda t, x: -x, size_in=1)
    nengo.Connection(plant, nengo.Ensemble(10, 1))
    nengo.Probe(plant)
with nengo_dl.Simulator(loop, minibatch_size=2, progress_bar=False) as sim:
    sim.predict(n_steps=3)
    sim.step()
"""
USE = """
sim = nengo_dl.Simulator(net, seed=3, progress_bar=False)
with sim:
    sim.run(1.0)
    sim.data[probe], sim.data[conn].weights, sim.data[pre].encoders, str(sim.program)
    sim.get_nengo_params(pre)
    sim.signals[sim.model.sig[pre.neurons]["voltage"]]
    sim.freeze_params(net)
    sim.reset()
    sim.step()
    assert imported() == []
    sim.predict(n_steps=2)
    import keras, tensorflow as tf
    assert keras.config.floatx() == keras.layers.ReLU().compute_dtype == "float64"
    drawn = tf.random.uniform((2,)).numpy()
assert keras.config.floatx() == keras.layers.ReLU().compute_dtype == "float32"
tf.random.set_seed(3)
np.testing.assert_array_equal(tf.random.uniform((2,)), drawn)
"""


def run(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_a_small_script_imports_no_tensorflow():
    """It builds, runs, reads and freezes; a prediction then finds Keras's precision and seed."""
    result = run(SMALL + USE)
    assert result.returncode == 0, result.stderr


def test_another_back_end_is_refused_before_it_is_imported():
    result = run(SMALL, KERAS_BACKEND="jax")
    assert "SimulationError: nengo_dl.Simulator runs on Keras's TensorFlow back" in result.stderr
