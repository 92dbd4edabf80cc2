"""Digits recognized by spikes: a convolutional network, trained in two ways.

1. With firing rates: a digit is one step, as in any network of Keras. Afterwards the neurons spike,
   and synapses between the layers average what they say.
2. With spikes: training goes on without these synapses. A digit is ten steps, and a surrogate
   gradient tells, through time and voltages, what would have made a neuron spike. Then a few
   milliseconds are enough.

Both are tested with spikes. Run it with `python examples/spiking_digits.py`; it prints what it
measures, and draws the curves into `examples/output/`. `--quick` shows that it runs, and learns
little.
"""

import argparse
import time
from pathlib import Path

import figures
import keras
import nengo
import numpy as np
from rich.console import Console
from scipy.ndimage import affine_transform

import nengo_dl

HERE = Path(__file__).parent
SIDE = 28
MINIBATCH = 50
MAX_RATE = 150  # of neurons that see the brightest input, before training [Hz]
AVERAGING = 0.005  # time constant of synapses that average spikes [s]
TRAINING_STEPS = 10  # of a millisecond each, with spikes
TEST_STEPS = 30
console = Console()


def main():
    options = parse_options()
    options.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    train, test = load_digits(options.quick)
    network, image, digit = network_of((4, 8) if options.quick else (32, 64))
    start = time.perf_counter()

    console.print(f"[bold]With rates[/bold]: {len(train[0])} digits")
    rates = learn(network, digit, Digits(*train, steps=1), options.epochs or 25, rate=2e-3)
    between_layers(network, AVERAGING)
    rates |= tested(network, image, digit, test)

    console.print(f"\n[bold]With spikes[/bold], {TRAINING_STEPS} steps")
    between_layers(network, None)
    with network:
        nengo_dl.configure_settings(training_spikes=nengo_dl.surrogate.Arctangent())
    data = Digits(*train, TRAINING_STEPS)
    spikes = learn(network, digit, data, options.epochs or 6, rate=1e-3)
    spikes |= tested(network, image, digit, test)

    path = options.output / "spiking_digits.png"
    figures.spiking_digits(path, {"trained with rates": rates, "then with spikes": spikes}, *test)
    console.print(f"\nPicture: {path}; {time.perf_counter() - start:.0f} s")


# ---------------------------------------------------------------- the digits


def load_digits(quick):
    """Return images from 0 to 1 and labels: 4000 to train, 1000 to test."""
    with np.load(HERE / "data" / "mnist_5k.npz", allow_pickle=False) as data:
        images, labels = data["images"].astype(np.float32) / 255, data["labels"]
    end = 4000 + (MINIBATCH if quick else 1000)
    first = 4000 - 2 * MINIBATCH if quick else 0
    return (images[first:4000], labels[first:4000]), (images[4000:end], labels[4000:end])


class Digits(keras.utils.PyDataset):
    """Minibatches of digits in a new order each epoch, each turned, stretched and moved a little.

    An item has all inputs of the network by name, and besides them `n_steps`.
    """

    def __init__(self, images, labels, steps, seed=0):
        super().__init__()
        self.images, self.labels, self.steps = images, labels, steps
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.images))

    def __len__(self):
        return len(self.images) // MINIBATCH

    def __getitem__(self, index):
        chosen = self.order[index * MINIBATCH :][:MINIBATCH]
        images = np.stack([self.changed(image) for image in self.images[chosen]])
        inputs = {"image": shown(images, self.steps)}
        inputs["n_steps"] = np.full((MINIBATCH, 1), self.steps)
        return inputs, {"digit": self.labels[chosen, None, None]}

    def changed(self, image):
        angle, size = self.rng.uniform(-0.2, 0.2), self.rng.uniform(0.9, 1.1)
        sine, cosine = np.sin(angle) / size, np.cos(angle) / size
        matrix = np.array([[cosine, -sine], [sine, cosine]])
        middle = np.full(2, (SIDE - 1) / 2)
        offset = middle - matrix @ middle + self.rng.uniform(-2, 2, 2)
        return affine_transform(image, matrix, offset, order=1)


def shown(images, steps):
    """Return images (n, 28, 28) as inputs (n, steps, pixels): each stands still."""
    return np.repeat(images.reshape(len(images), 1, -1), steps, axis=1)


# ---------------------------------------------------------------- the network


def network_of(filters):
    """Return a network of two convolutions and a dense layer, its input and its probe."""
    with nengo.Network(seed=0) as network:
        nengo_dl.configure_settings(stateful=False)
        neurons = network.config[nengo.Ensemble]
        neurons.neuron_type = nengo.LIF(
            amplitude=1 / MAX_RATE,  # outputs are about 1
            initial_state={"voltage": nengo.dists.Uniform(0, 1)},  # they do not spike in step
        )
        neurons.max_rates = nengo.dists.Choice([MAX_RATE])
        neurons.intercepts = nengo.dists.Choice([0])
        network.config[nengo.Connection].synapse = None

        image = layer = nengo.Node(np.zeros(SIDE**2), label="image")
        shape = (SIDE, SIDE, 1)
        for n_filters in filters:
            convolution = nengo.Convolution(
                n_filters, shape, kernel_size=(3, 3), strides=(2, 2), init=nengo_dl.dists.He()
            )
            shape = convolution.output_shape
            ensemble = nengo.Ensemble(shape.size, 1, label=f"convolution {n_filters}")
            nengo.Connection(layer, ensemble.neurons, transform=convolution)
            layer = ensemble.neurons
        scores = nengo.Node(size_in=10)
        nengo.Connection(layer, scores, transform=nengo_dl.dists.Glorot())
        digit = nengo.Probe(scores, label="digit")
    return network, image, digit


def loss(labels, scores):
    """Cross-entropy of the scores, averaged over time."""
    return keras.losses.sparse_categorical_crossentropy(
        labels[:, 0], keras.ops.mean(scores, axis=1), from_logits=True
    )


def accuracy(labels, scores):
    return keras.metrics.sparse_categorical_accuracy(labels[:, 0], keras.ops.mean(scores, axis=1))


def learn(network, digit, data, epochs, rate):
    """Train the network, and keep in it what was learned; return the curves."""
    rates = keras.optimizers.schedules.CosineDecay(rate, epochs * len(data))
    report = keras.callbacks.LambdaCallback(on_epoch_end=print_epoch)
    start = time.perf_counter()
    with nengo_dl.Simulator(network, minibatch_size=MINIBATCH, seed=0) as sim:
        sim.compile(keras.optimizers.Adam(rates), loss={digit: loss}, metrics={digit: accuracy})
        history = sim.fit(data, epochs=epochs, callbacks=[report], verbose=0).history
        sim.freeze_params(network)
    seconds = time.perf_counter() - start
    per_batch = 1000 * seconds / (epochs * len(data))
    console.print(f"{seconds:.0f} s, {per_batch:.0f} ms a batch with all that belongs to it")
    return {"loss": history["loss"], "accuracy": history["digit_accuracy"]}


def between_layers(network, synapse):
    """Set the synapses behind neurons."""
    for connection in network.all_connections:
        if isinstance(connection.pre_obj, nengo.ensemble.Neurons):
            connection.synapse = synapse


def tested(network, image, digit, test):
    """Run the network with spikes; return scores, and what part is right after each step."""
    images, labels = test
    with nengo_dl.Simulator(network, minibatch_size=MINIBATCH, seed=0) as sim:
        scores = sim.predict({image: shown(images, TEST_STEPS)})[digit]
    guesses = np.argmax(np.cumsum(scores, axis=1), axis=2)
    right = np.mean(guesses == labels[:, None], axis=0)
    for steps in (TRAINING_STEPS, TEST_STEPS):
        console.print(f"with spikes, {right[steps - 1]:.1%} right after {steps} steps")
    return {"scores": scores, "right over time": right}


# ---------------------------------------------------------------- odds and ends


def print_epoch(epoch, logs):
    console.print(
        f"epoch {epoch + 1:3}: loss {logs['loss']:.3f}, {logs['digit_accuracy']:.1%} right"
    )


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "output", metavar="DIR")
    parser.add_argument("--epochs", type=int, metavar="N", help="of both trainings")
    parser.add_argument("--quick", action="store_true", help="a hundred digits, for a test")
    return parser.parse_args()


if __name__ == "__main__":
    main()
