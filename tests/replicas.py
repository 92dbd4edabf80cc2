"""What `test_replicas.py` runs in processes of its own: TensorFlow's devices do not change later.

python -m tests.replicas mirrored FILE      two logical devices in one process
python -m tests.replicas worker FILE        one of the processes that TF_CONFIG lists
"""

import sys

import keras
import nengo
import numpy as np
import tensorflow as tf
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.runtimes import switches

BATCH, STEPS = 4, 6


def learning(python):
    """Return a network with noise, feedback, online learning, and what is trained."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.x = nengo.Node([0.0], label="x")
        noise = nengo.processes.WhiteNoise(seed=1)
        ens = nengo.Ensemble(10, 1, noise=noise)
        net.out = nengo.Node(size_in=1)
        nengo.Connection(net.x, ens, synapse=None)
        nengo.Connection(ens, ens, synapse=0.01)
        nengo.Connection(ens, net.out, synapse=None)
        net.learned = nengo.Node(size_in=1)
        net.conn = nengo.Connection(ens, net.learned, learning_rule_type=nengo.PES(1e-4))
        nengo.Connection(net.out, net.conn.learning_rule)
        net.y = nengo.Probe(net.out, synapse=0.01, label="y")
        nengo.Probe(net.learned, synapse=0.01, label="z")
        if python:
            layer = keras.layers.Dense(1, kernel_initializer="ones", name="dense", dtype="float64")
            dense = nengo_dl.Layer(layer)
            nengo.Probe(dense(net.out), label="dense")
            jitter = nengo.Node(nengo.processes.FilteredNoise(seed=2), size_in=0)
            host = nengo.Node(lambda t, x: np.sin(t + x), size_in=1)
            nengo.Connection(jitter, host, synapse=None)
            nengo.Probe(host, label="host")
            nengo.Connection(host, ens)
    return net


def results(scope, python=False):
    """Return what a simulator that is made in a scope gives, as arrays by name."""
    net = learning(python)
    x = np.random.RandomState(0).uniform(-1, 1, (10 * BATCH, STEPS, 1))
    y = {net.y: x**2}
    weights = np.linspace(0.5, 1.5, len(x))
    with scope:
        sim = nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False)
    found = {}
    with sim:
        sim.compile(
            keras.optimizers.Adam(0.01),
            loss={net.y: "mse" if python else lambda y, out: (y - out) ** 2},
            metrics={net.y: "mae"},
        )
        history = sim.fit(
            {net.x: x}, y, sample_weight=weights, shuffle=False, stateful=True, verbose=0
        ).history
        found.update({f"fit {key}": value for key, value in history.items()})
        found.update({f"weights {w.path}": w.numpy() for w in sim.keras_model.weights})
        found["decoders"] = np.array(sim.data[net.conn].weights)
        found["steps"] = sim.n_steps
        scores = sim.evaluate({net.x: x}, y, verbose=0)
        found.update({f"evaluate {key}": value for key, value in scores.items()})
        found.update({f"predict {p.label}": v for p, v in sim.predict({net.x: x}).items()})
        sim.run_steps(STEPS)
        found.update({f"run {p.label}": sim.data[p] for p in net.all_probes})
        found["decoders at the end"] = np.array(sim.data[net.conn].weights)
    return found


def mirrored():
    """Return the results of two devices, for a network of each kind, and messages of errors."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = results(strategy.scope())
    optimizer, metric = keras.optimizers.SGD(), keras.metrics.MeanSquaredError()
    with strategy.scope():
        wrong = {
            "uneven": lambda: nengo_dl.Simulator(learning(False), minibatch_size=5),
            "optimizer": lambda: compile_with(optimizer),
            "synchronized": synchronized,
            "metric": lambda: compile_with("sgd", metrics=metric),
        }
        found.update({f"error {case}": message_of(call) for case, call in wrong.items()})
        switches.XLA = False
        found.update(from_generator())
    found.update({f"python {k}": v for k, v in results(strategy.scope(), python=True).items()})
    return found


def compile_with(*args, **kwargs):
    with nengo_dl.Simulator(learning(False), minibatch_size=2, progress_bar=False) as sim:
        sim.compile(*args, loss="mse", **kwargs)


def synchronized():
    with nengo.Network() as net:
        normalize = keras.layers.BatchNormalization(synchronized=True, name="bn")
        nengo_dl.Layer(normalize)(nengo.Node([0.0]))
    nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)


def message_of(call):
    """Return what a call says that raises a ValidationError."""
    try:
        call()
    except ValidationError as error:
        return str(error)
    return "no error"


def from_generator():
    """Return what two minibatches of a generator give: none is lost."""
    with nengo.Network() as net:
        node, out = nengo.Node([0.0], label="x"), nengo.Node(size_in=1)
        nengo.Connection(node, out, transform=1.0, synapse=None)
        nengo.Probe(out, label="y")

    def items():
        for value in (1.0, 2.0):
            x = np.full((2, 3, 1), value, np.float32)
            yield {"x": x, "n_steps": np.full((2, 1), 3)}, {"y": x + 1}

    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.25), loss="mse")
        sim.fit(items(), verbose=0)
        return {"generator": [float(np.squeeze(w)) for w in sim.keras_model.get_weights()]}


def main(kind, path):
    if kind == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        device = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [device, device])
        found = mirrored()
    else:
        switches.XLA = False
        found = results(tf.distribute.MultiWorkerMirroredStrategy().scope())
    np.savez(path, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
