"""From Keras to spiking neurons: a tour of nengo_dl on real digits, in five parts.

1. The same autoencoder in Keras and in Nengo, both trained on MNIST.
2. Rate neurons and spiking neurons that say the same.
3. Keras layers and TensorFlow code inside a Nengo network.
4. A network that was solved, not trained; the same numbers in two simulators, at two speeds.
5. What was trained here runs in any Nengo simulator.

Run it with `make demo`, or with `python examples/tutorial.py`. It prints what it measures, and
draws its pictures (`figures.py`) into `examples/output/`.
"""

import argparse
import contextlib
import io
import socket
import time
from pathlib import Path
from statistics import median

import figures
import keras
import nengo
import numpy as np
import tensorflow as tf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import nengo_dl

HERE = Path(__file__).parent
N_PIXELS = 28 * 28
N_HIDDEN = 64
MINIBATCH = 50
IMAGES_TO_SHOW = 80_000  # over all epochs, unless --epochs says otherwise
console = Console()


def main():
    options = parse_options()
    options.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    rows = []

    heading("1. One autoencoder, twice")
    train, test = load_digits()
    epochs = options.epochs or max(2, IMAGES_TO_SHOW // len(train))
    console.print(f"{len(train)} digits to train with, {len(test)} to test, {epochs} epochs")
    reference = train_keras(keras_autoencoder(), train, test, epochs)
    network, image, reconstruction = nengo_autoencoder()
    trained = train_nengo(network, reconstruction, train, test, epochs)
    rows += autoencoder_rows(reference, trained)

    heading("2. Rates and spikes")
    rows += rates_and_spikes(options.output)

    heading("3. Keras layers in a Nengo network")
    batch_normalization(options.output)
    function_of_time()
    layer_with_a_weight()

    heading("4. sin(x²), solved instead of trained")
    rows += two_simulators(options.output)

    heading("5. The trained autoencoder in nengo.Simulator")
    elsewhere = run_frozen(network, image, reconstruction, test)
    difference = np.abs(elsewhere - trained["outputs"][: len(elsewhere)]).max()
    console.print(f"ten test digits: largest difference {difference:.2g} of 255 grey levels")
    rows.append(("frozen, largest difference", "", "", f"{difference:.2g}", ""))
    shown = {"Keras": reference["outputs"], "nengo_dl": trained["outputs"]}
    figures.autoencoder(
        options.output / "autoencoder.png",
        {"Keras": reference, "nengo_dl": trained},
        test,
        {**shown, "nengo, frozen": elsewhere},
    )

    heading("Summary")
    console.print(summary(rows))
    pictures = ", ".join(sorted(path.name for path in options.output.glob("*.png")))
    console.print(f"Pictures in {options.output}: {pictures}")
    console.print(f"{time.perf_counter() - start:.0f} s")


# ---------------------------------------------------------------- 1. the autoencoder


def load_digits():
    """Return training and test images as rows of 784 grey levels from 0 to 255."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(4)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            (train, _), (test, _) = keras.datasets.mnist.load_data()
    except Exception:  # no network: the repository has a part of MNIST
        with np.load(HERE / "data" / "mnist_5k.npz", allow_pickle=False) as data:
            train, test = data["images"][:4000], data["images"][4000:]
    finally:
        socket.setdefaulttimeout(timeout)
    return tuple(x.reshape(len(x), N_PIXELS).astype(np.float32) for x in (train, test))


def keras_autoencoder():
    image = keras.Input((N_PIXELS,))
    hidden = keras.layers.Dense(N_HIDDEN, activation="relu")(image)
    reconstruction = keras.layers.Dense(N_PIXELS, activation="relu")(hidden)
    return keras.Model(image, reconstruction)


def nengo_autoencoder():
    """Return the same layers as a Nengo network, its input and its probe.

    Nengo separates neurons from connections. Gain 1 and bias 0 make an ensemble a plain layer of
    rectified units, and without synapses nothing takes time to arrive.
    """
    with nengo.Network(seed=0) as network:
        for config in (network.config[nengo.Connection], network.config[nengo.Probe]):
            config.synapse = None
        layer = network.config[nengo.Ensemble]
        layer.neuron_type = nengo.RectifiedLinear()
        layer.gain, layer.bias = nengo.dists.Choice([1]), nengo.dists.Choice([0])

        image = nengo.Node(np.zeros(N_PIXELS), label="image")
        hidden = nengo.Ensemble(N_HIDDEN, 1, label="hidden").neurons
        output = nengo.Ensemble(N_PIXELS, 1, label="output").neurons
        nengo.Connection(image, hidden, transform=nengo_dl.dists.Glorot())
        nengo.Connection(hidden, output, transform=nengo_dl.dists.Glorot())
        reconstruction = nengo.Probe(output, label="reconstruction")
    return network, image, reconstruction


def train_keras(model, train, test, epochs):
    timer = EpochTimer()
    model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
    history = model.fit(
        train, train, epochs=epochs, batch_size=MINIBATCH, verbose=0, callbacks=[timer]
    )
    return {
        "losses": history.history["loss"],
        "test loss": model.evaluate(test, test, batch_size=MINIBATCH, verbose=0),
        "ms a batch": timer.ms_a_batch(len(train)),
        "outputs": model.predict(test[:MINIBATCH], verbose=0),
    }


def train_nengo(network, reconstruction, train, test, epochs):
    """Train with the methods of Keras; data have one more axis, time: here a single step."""
    train, test = train[:, None, :], test[:, None, :]
    timer = EpochTimer()
    with nengo_dl.Simulator(network, minibatch_size=MINIBATCH, seed=0) as sim:
        console.print("\nThe network as it was compiled:\n")
        console.print(str(sim.program), highlight=False, soft_wrap=True, markup=False)
        sim.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
        history = sim.fit(train, train, epochs=epochs, verbose=0, callbacks=[timer])
        result = {
            "losses": history.history["loss"],
            "test loss": sim.evaluate(test, test, verbose=0)["loss"],
            "ms a batch": timer.ms_a_batch(len(train)),
            "outputs": sim.predict(test[:MINIBATCH])[reconstruction][:, 0],
        }
        sim.freeze_params(network)  # for part 5
    return result


class EpochTimer(keras.callbacks.Callback):
    """Times epochs; the first one compiles, and does not count."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)

    def ms_a_batch(self, n_images):
        return 1000 * median(self.seconds[1:] or self.seconds) * MINIBATCH / n_images


def autoencoder_rows(reference, trained):
    both = reference, trained
    times = [x["ms a batch"] for x in both]
    rows = [
        ("loss, first epoch", *(f"{x['losses'][0]:.0f}" for x in both), ""),
        ("loss, last epoch", *(f"{x['losses'][-1]:.0f}" for x in both), ""),
        ("test loss", *(f"{x['test loss']:.0f}" for x in both), ""),
        ("ms a batch", *(f"{t:.2f}" for t in times), f"{times[1] / times[0]:.2f} × Keras"),
    ]
    console.print()
    for what, in_keras, here, _ in rows:
        console.print(f"{what:26}  Keras {in_keras:>6}   nengo_dl {here:>6}")
    return [(f"autoencoder, {what}", a, "", b, remark) for what, a, b, remark in rows]


# ---------------------------------------------------------------- 2. rates and spikes


def rates_and_spikes(folder):
    """Show a sine to ten rate neurons, and to ten spiking neurons with the same parameters."""
    with nengo.Network() as network:
        wave = nengo.Node(lambda t: np.sin(2 * np.pi * t))
        rate = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear(), seed=2)
        spiking = nengo.Ensemble(10, 1, neuron_type=nengo.SpikingRectifiedLinear(), seed=2)
        nengo.Connection(wave, rate)
        nengo.Connection(wave, spiking)
        wave_probe, rate_probe = nengo.Probe(wave), nengo.Probe(rate.neurons)
        spike_probe = nengo.Probe(spiking.neurons)

    with nengo_dl.Simulator(network) as sim:
        sim.run(1.0)
    rates, spikes = sim.data[rate_probe], sim.data[spike_probe]
    filtered = nengo.Lowpass(0.05).filt(spikes, dt=sim.dt)
    figures.rates_and_spikes(
        folder / "spikes.png", sim.trange(), sim.data[wave_probe], rates, spikes, filtered
    )

    n_spikes, expected = np.sum(spikes > 0), rates.sum() * sim.dt
    # A filter delays; the rates pass the same one, to be comparable.
    error = rmse(filtered, nengo.Lowpass(0.05).filt(rates, dt=sim.dt))
    console.print(f"{n_spikes} spikes in a second; the rates add up to {expected:.1f}")
    console.print(f"filtered spikes and rates differ by {error:.1f} Hz (RMS), of {rates.max():.0f}")
    return [("filtered spikes, RMSE [Hz]", "", "", f"{error:.1f}", "")]


# ---------------------------------------------------------------- 3. Keras inside


def batch_normalization(folder):
    """Normalize what ten neurons say; `fit` updates the moving statistics, as in Keras."""
    normalize = keras.layers.BatchNormalization(momentum=0.9)
    with nengo.Network(seed=0) as network:
        nengo_dl.configure_settings(trainable=False)  # the neurons stay; layers learn
        network.config[nengo.Probe].synapse = None
        x = nengo.Node([0.0])
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear(), seed=2)
        nengo.Connection(x, ens, synapse=None)
        normalized = nengo_dl.Layer(normalize)(ens.neurons)
        square = nengo_dl.Layer(keras.layers.Dense(1))(normalized)
        rate_probe, normal_probe = nengo.Probe(ens.neurons), nengo.Probe(normalized)
        square_probe = nengo.Probe(square)

    xs = np.random.default_rng(0).uniform(-1, 1, (2000, 1, 1))
    with nengo_dl.Simulator(network, minibatch_size=MINIBATCH) as sim:
        sim.compile(optimizer=keras.optimizers.Adam(0.01), loss={square_probe: "mse"})
        before = np.asarray(normalize.moving_mean)
        losses = sim.fit(xs, {square_probe: xs**2}, epochs=30, verbose=0).history["loss"]
        after = np.asarray(normalize.moving_mean)
        grid = np.linspace(-1, 1, 200)[:, None, None]
        seen = sim.predict(grid)
        rates = sim.predict(xs)[rate_probe]

    figures.batch_normalization(
        folder / "batch_normalization.png",
        grid.ravel(),
        seen[rate_probe][:, 0],
        seen[normal_probe][:, 0],
        seen[square_probe].ravel(),
    )
    console.print(f"moving means (Hz) before fit: {in_short(before)}")
    console.print(f"                   after fit: {in_short(after)}")
    console.print(f"    means of the rates shown: {in_short(rates.mean(axis=(0, 1)))}")
    console.print(
        f"loss of a Dense layer that learns x² from them: {losses[0]:.3f} → {losses[-1]:.4f}"
    )


def function_of_time():
    """Put a TensorFlow function into a network; it gets the time [s] and its input."""
    with nengo.Network() as network:
        value = nengo.Node([0.5, -0.1])
        shifted = nengo_dl.TensorNode(lambda t, x: tf.add(t, x), shape_in=(2,))
        nengo.Connection(value, shifted, synapse=None)
        probe = nengo.Probe(shifted)
    with nengo_dl.Simulator(network) as sim:
        sim.run_steps(3)
    steps = "; ".join(in_short(row, 3) for row in sim.data[probe])
    console.print(f"t + x in the first three steps: {steps}")


class Scale(keras.layers.Layer):
    """Multiplies by one weight."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return self.factor * inputs


def layer_with_a_weight():
    scale = Scale()
    with nengo.Network() as network:
        x = nengo.Node([0.0])
        scaled = nengo_dl.TensorNode(scale, shape_in=(1,), pass_time=False)
        nengo.Connection(x, scaled, synapse=None, transform=np.eye(1))
        nengo_dl.configure_settings(trainable=False)
        nengo.Probe(scaled)
    xs = np.random.default_rng(0).uniform(-1, 1, (500, 1, 1))
    with nengo_dl.Simulator(network, minibatch_size=MINIBATCH) as sim:
        before = float(scale.factor)
        sim.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
        sim.fit(xs, 3 * xs, epochs=10, verbose=0)
        console.print(f"a weight that should be 3: {before:.2f} → {float(scale.factor):.2f}")


# ---------------------------------------------------------------- 4. the NEF


def two_simulators(folder):
    """Run a solved network in both simulators: first for the numbers, then for the time."""
    network, x, y = sine_of_square()
    with (
        nengo.Simulator(network, seed=0, progress_bar=False) as core,
        nengo_dl.Simulator(network, seed=0) as compiled,
    ):
        for sim in (core, compiled):
            sim.run_steps(1000, progress_bar=False)
        ideal = np.sin(compiled.data[x] ** 2)
        outputs = {"nengo": core.data[y], "nengo_dl": compiled.data[y]}
        between = rmse(*outputs.values())
        t, inputs = compiled.trange(), compiled.data[x]
        times = microseconds_a_step({"nengo": core, "nengo_dl": compiled})

    ratio = times["nengo"] / times["nengo_dl"]
    figures.two_simulators(folder / "sine_of_square.png", t, inputs, ideal, outputs, times)
    errors = {name: f"{rmse(output, ideal):.4f}" for name, output in outputs.items()}
    for name, error in errors.items():
        console.print(f"{name:8} RMSE to sin(x²) {error}, {times[name]:6.1f} µs a step")
    console.print(f"RMSE between the simulators {between:.2g}; {ratio:.0f} times as fast")
    return [
        ("sin(x²), RMSE to ideal", "", *errors.values(), ""),
        ("sin(x²), RMSE between both", "", "", f"{between:.2g}", ""),
        ("sin(x²), µs a step", "", *(f"{v:.1f}" for v in times.values()), f"{ratio:.0f} × as fast"),
    ]


def sine_of_square():
    """Return a network whose connections are least-squares solutions for x² and for sin."""
    with nengo.Network(seed=0) as network:
        x = nengo.Node(nengo.processes.WhiteSignal(period=1, high=5, rms=0.3))
        first, second = nengo.Ensemble(50, 1), nengo.Ensemble(50, 1)
        y = nengo.Node(size_in=1)
        nengo.Connection(x, first)
        nengo.Connection(first, second, function=np.square)
        nengo.Connection(second, y, function=np.sin)
        probes = nengo.Probe(x), nengo.Probe(y, synapse=0.005)
    return network, *probes


def microseconds_a_step(simulators, n_steps=2000, repeats=7):
    """Return medians of runs in turn; simulators have run before, so nothing is compiled here."""
    seconds = {name: [] for name in simulators}
    for _ in range(repeats + 1):
        for name, sim in simulators.items():
            start = time.perf_counter()
            sim.run_steps(n_steps, progress_bar=False)
            seconds[name].append(time.perf_counter() - start)
    return {name: 1e6 * median(runs[1:]) / n_steps for name, runs in seconds.items()}


# ---------------------------------------------------------------- 5. and back to Nengo


def run_frozen(network, image, reconstruction, test):
    """Run the trained network in Nengo's own simulator, one test digit a step."""
    image.output = nengo.processes.PresentInput(test[:10], presentation_time=0.001)
    with nengo.Simulator(network, progress_bar=False) as sim:
        sim.run_steps(10, progress_bar=False)
    return sim.data[reconstruction]


# ---------------------------------------------------------------- odds and ends


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "output", metavar="DIR")
    parser.add_argument("--epochs", type=int, metavar="N", help="of the autoencoder")
    return parser.parse_args()


def heading(text):
    console.print(f"\n[bold]{text}[/bold]")


def summary(rows):
    table = Table("measured in this run", box=SIMPLE_HEAD)
    for name in ("Keras", "nengo", "nengo_dl", ""):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def rmse(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


def in_short(values, digits=0):
    return " ".join(f"{v:4.{digits}f}" for v in values)


if __name__ == "__main__":
    main()
