"""What Keras can write down of a simulation: what TensorFlow can serve, but no network."""

import copy
import pickle
import subprocess
import sys

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl

pytestmark = pytest.mark.training

STEPS = 4


def spiking(label="input"):
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0], label=label)
        ens = nengo.Ensemble(20, 1)
        nengo.Connection(node, ens, synapse=None)
        nengo.Probe(ens, synapse=0.01, label="output")
    return net


def without_inputs():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(20, 1)
        nengo.Connection(ens, ens, synapse=0.1)
        nengo.Probe(ens, synapse=0.01, label="output")
    return net


SERVE = """
import sys, numpy as np, tensorflow as tf
for path in sys.argv[1:]:
    model = tf.saved_model.load(path)
    x = dict(np.load(f"{path}/x.npz"))
    for number in (1, 2, 3):
        if number == 3:
            x = {name: np.concatenate([array, array], axis=1) for name, array in x.items()}
            x["n_steps"] = 2 * x["n_steps"][:, :1]
        np.save(f"{path}/{number}.npy", model.serve(x)["output"])
"""


def test_exported_simulations_begin_from_the_present_state(tmp_path):
    """Each call does, in a process without this package, for any number of steps."""
    expected = {}
    for network in (spiking, without_inputs):
        for batch in (None, 1, 2):
            path = tmp_path / f"{network.__name__}_{batch}"
            expected[path] = exported(network(), batch, path)
    subprocess.run([sys.executable, "-c", SERVE, *map(str, expected)], check=True)
    for path, found in expected.items():
        for number, array in zip((1, 2, 3), (found[0], *found), strict=True):
            np.testing.assert_allclose(np.load(path / f"{number}.npy"), array, atol=1e-6)


def exported(net, batch, path):
    """Export in the midst of a simulation; return what it gives for two numbers of steps.

    Minibatches of two have been trained with.
    """
    size, (probe,) = batch or 1, net.probes
    with nengo_dl.Simulator(net, minibatch_size=batch, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")

        def data(steps):
            return {node: np.ones((size, steps, 1)) for node in sim.node_inputs} or None

        if size == 2:
            y = np.ones((size, STEPS, 1))
            sim.fit(data(STEPS), y, n_steps=STEPS, stateful=True, verbose=0)
        sim.run_steps(5)
        sim.keras_model.export(path, verbose=False)
        assert sim.n_steps == (STEPS if size == 2 else 0) + 5
        x = {sim.get_name(node): np.ones((size, STEPS, 1), np.float32) for node in sim.node_inputs}
        np.savez(path / "x.npz", n_steps=np.full((size, 1), STEPS, np.int32), **x)
        return [sim.predict(data(n), n_steps=n)[probe] for n in (STEPS, 2 * STEPS)]


def with_python():
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: x, size_in=1, label="caller")
        nengo.Connection(nengo.Node([0.0]), node)
        nengo.Probe(node)
    return net


def with_noise():
    with nengo.Network() as net:
        nengo.Probe(nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise(seed=0)))
    return net


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (with_python, "calls Python in this process, for .*caller"),
        (with_noise, "calls Python in this process, for noise"),
        (lambda: spiking("入力"), "'入力' cannot be the name of an argument.*ASCII"),
    ],
)
def test_what_cannot_be_exported(network, message, tmp_path):
    with nengo_dl.Simulator(network(), progress_bar=False) as sim:
        with pytest.raises(SimulationError, match=message):
            sim.keras_model.export(tmp_path / "model")
    assert not (tmp_path / "model").exists()


WAYS = {
    "save": lambda model, path: model.save(path),
    "save_model": lambda model, path: keras.saving.save_model(model, path),
    "save_model as HDF5": lambda model, path: keras.saving.save_model(model, f"{path}.h5"),
    "clone_model": lambda model, path: keras.models.clone_model(model),
    "to_json": lambda model, path: model.to_json(),
    "serialize": lambda model, path: keras.saving.serialize_keras_object(model),
    "the layer": lambda model, path: keras.saving.serialize_keras_object(model.layers[-1]),
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.dumps(model),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_keras_writes_down_no_network(way, tmp_path):
    message = "cannot be saved, loaded or cloned.*save_params.*Simulator of the same network"
    with nengo_dl.Simulator(spiking(), progress_bar=False) as sim:
        with pytest.raises(SimulationError, match=message):
            way(sim.keras_model, tmp_path / "model.keras")


def test_what_the_message_says_works(tmp_path):
    """Parameters, saved and loaded, make a copy of a simulation."""
    with nengo_dl.Simulator(spiking(), progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        sim.fit(np.ones((3, STEPS, 1)), np.zeros((3, STEPS, 1)), verbose=0)
        sim.save_params(tmp_path / "params")
        expected = sim.predict(np.ones((1, STEPS, 1)))[sim.model.probes[0]]
    with nengo_dl.Simulator(spiking(), progress_bar=False) as sim:
        sim.load_params(tmp_path / "params")
        found = sim.predict(np.ones((1, STEPS, 1)))[sim.model.probes[0]]
    np.testing.assert_array_equal(found, expected)
