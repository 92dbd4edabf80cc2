"""From Keras to spikes, step by step: what synapses, firing rates and regularization do.

Two convolutions with ReLU are trained as rates. With spikes at the rates that happen to come out,
nearly nothing is recognized; filters, higher rates, or rates that were trained to be high, mend it.

Run it with `python examples/keras_to_spikes.py`. `--quick` shows that it runs, and learns little.
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras
import nengo
import numpy as np
from rich.console import Console
from rich.table import Table

import nengo_dl
from nengo_dl.converter import Converter

HERE = Path(__file__).parent
MINIBATCH = 100
TARGET = 250  # of firing rates, when they are trained [Hz]
console = Console()

#: Steps, time constant of the synapses [s], and scale of firing rates.
RUNS = {
    "as they come": (30, None, None),
    "synapse of 1 ms": (60, 0.001, None),
    "synapse of 5 ms": (60, 0.005, None),
    "synapse of 10 ms": (60, 0.01, None),
    "synapse of 10 ms, rates × 2": (30, 0.01, 2),
    "synapse of 10 ms, rates × 5": (30, 0.01, 5),
    "synapse of 10 ms, rates × 10": (30, 0.01, 10),
    "rates × 1000": (10, None, 1000),
}


def main():
    options = parse_options()
    start = time.perf_counter()
    train, test = load_digits(options.quick)
    keras.utils.set_random_seed(0)
    model = keras_model(options.quick)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trained.npz"
        learn(model, train, path, options, rate=1e-3)
        runs = list(RUNS.items())[-1:] if options.quick else RUNS.items()
        results = {"rates, without spikes": (1, right(model, test, path, 1, spikes=False))}
        for name, (steps, synapse, scale) in runs:
            results[name] = (steps, right(model, test, path, steps, synapse, scale))
        learn(model, train, path, options, rate=1e-3, regularized=True)
        name = f"regularized to {TARGET} Hz"
        results[f"{name}: rates"] = (1, right(model, test, path, 1, spikes=False))
        results[f"{name}: synapse of 10 ms"] = (30, right(model, test, path, 30, 0.01))
    table = Table(title=f"{len(test[0])} digits, of which are right", title_justify="left")
    for column in ("Neurons", "Steps", "Right"):
        table.add_column(column, justify="left" if column == "Neurons" else "right")
    for name, (steps, part) in results.items():
        table.add_row(name, str(steps), f"{part:.2%}")
    console.print(table)
    console.print(f"{time.perf_counter() - start:.0f} s")


def load_digits(quick):
    """Return images (n, 1, 784) from 0 to 255 and labels (n, 1, 1): to train, and to test."""
    with np.load(HERE / "data" / "mnist_5k.npz", allow_pickle=False) as data:
        images, labels = data["images"].astype(np.float32), data["labels"]
    images, labels = images.reshape(-1, 1, 784), labels.reshape(-1, 1, 1)
    n_train, n_test = (100, 100) if quick else (4000, 400)
    return (images[:n_train], labels[:n_train]), (images[-n_test:], labels[-n_test:])


def keras_model(quick):
    x = inputs = keras.Input((28, 28, 1))
    for filters, stride in ((4, 2), (4, 2)) if quick else ((32, 1), (64, 2)):
        x = keras.layers.Conv2D(filters, 3, strides=stride, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


def learn(model, train, path, options, rate, regularized=False):
    """Train the converted network as rates, and save what it learned."""
    converter = Converter(model)
    output = converter.outputs[converter.model.outputs[0]]
    loss = {output: keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    targets, weights = {output: train[1]}, {output: 1.0}
    if regularized:
        with converter.net:
            probes = [nengo.Probe(ens.neurons) for ens in converter.net.ensembles]
        for probe in probes:
            loss[probe], weights[probe] = "mse", 1e-3
            targets[probe] = np.full((len(train[0]), 1, probe.size_in), TARGET, dtype=np.float32)
    optimizer = keras.optimizers.RMSprop if regularized else keras.optimizers.Adam
    with nengo_dl.Simulator(converter.net, minibatch_size=MINIBATCH, seed=0) as sim:
        if regularized:
            sim.load_params(str(path))
        sim.compile(optimizer(rate), loss=loss, loss_weights=weights)
        node = converter.inputs[converter.model.inputs[0]]
        sim.fit({node: train[0]}, targets, epochs=1 if options.quick else options.epochs, verbose=0)
        sim.save_params(str(path))


def right(model, test, path, steps, synapse=None, scale=None, spikes=True):
    """Return the part of the digits that is right after some steps."""
    relu = nengo.RectifiedLinear()
    converter = Converter(
        model,
        swap_activations={relu: nengo.SpikingRectifiedLinear()} if spikes else None,
        scale_firing_rates=scale,
        synapse=synapse,
    )
    images, labels = test
    with nengo_dl.Simulator(converter.net, minibatch_size=MINIBATCH, seed=0) as sim:
        sim.load_params(str(path))
        node = converter.inputs[converter.model.inputs[0]]
        scores = sim.predict({node: np.tile(images, (1, steps, 1))})
    scores = scores[converter.outputs[converter.model.outputs[0]]]
    return np.mean(np.argmax(scores[:, -1], axis=-1) == labels[:, 0, 0])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="of each training")
    parser.add_argument("--quick", action="store_true", help="a hundred digits, for a test")
    return parser.parse_args()


if __name__ == "__main__":
    main()
