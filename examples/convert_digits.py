"""A network that Keras trained becomes spikes: in how many steps it recognizes digits as well.

Three convolutions with batch normalization and average pooling, and a dense layer, are trained by
Keras on 4,000 digits, once with ReLU and once with `QCFS`. They are converted in several ways, and
tested on 1,000 other digits. At last, the weights of one layer are spoilt on purpose, and
`Converter.diagnose` finds it.

Run it with `python examples/convert_digits.py`; it prints what it measures, and draws it into
`examples/output/`. `--quick` shows that it runs, and learns little.
"""

import argparse
import time
from pathlib import Path

import figures
import keras
import nengo
import numpy as np
from keras import layers
from rich.console import Console
from rich.table import Table

from nengo_dl import IntegrateAndFire
from nengo_dl.converter import QCFS, Calibrated, Converter, LocalBalance, Percentile

HERE = Path(__file__).parent
STEPS = (4, 8, 16, 32, 64)
LEVELS = 4  # of QCFS
CALIBRATION = 500  # digits of those to train with; no labels are used
console = Console()

RELU = nengo.RectifiedLinear()

#: Ways to convert, and what they give the Converter.
WAYS = {
    "unscaled": {"swap_activations": {RELU: nengo.SpikingRectifiedLinear()}},
    "250": {
        "swap_activations": {RELU: nengo.SpikingRectifiedLinear()},
        "scale_firing_rates": 250,
    },
    "250, IntegrateAndFire": {
        "swap_activations": {RELU: IntegrateAndFire()},
        "scale_firing_rates": 250,
    },
    "auto, percentile": {"recipe": lambda: Calibrated(Percentile(99.9))},
    "auto, local": {"recipe": lambda: Calibrated(LocalBalance())},
    "auto, local, signed": {"recipe": lambda: Calibrated(LocalBalance(), signed=True)},
    f"QCFS, {LEVELS} levels": {"recipe": Calibrated},
}


def main():
    options = parse_options()
    options.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    train, test = load_digits(options.quick)
    scores, keras_scores = {}, {}
    for seed in range(options.seeds):
        models = {
            name: trained(activation, train, seed, options)
            for name, activation in (("relu", layers.ReLU), ("QCFS", lambda: QCFS(LEVELS)))
        }
        for way, arguments in ways_of(options).items():
            model = models["QCFS" if way.startswith("QCFS") else "relu"]
            result = converted(model, arguments, train).evaluate(*test, n_steps=options.steps)
            scores.setdefault(way, []).append(result.score)
            keras_scores.setdefault(way, []).append(result.keras_score)
            console.print(
                f"seed {seed}, {way}: Keras {result.keras_score:.1%}, spikes "
                + ", ".join(
                    f"{score:.1%} ({steps})"
                    for steps, score in zip(options.steps, result.score, strict=True)
                )
            )
            if seed == 0 and way == "auto, local, signed":
                console.print(*result.tables(), sep="\n")
                result.plot(options.output / "convert_digits_costs.png")
    scores = {way: np.mean(values, axis=0) for way, values in scores.items()}
    keras_scores = {way: np.mean(values) for way, values in keras_scores.items()}
    console.print(table_of(scores, keras_scores, options))
    path = options.output / "convert_digits.png"
    figures.convert_digits(path, options.steps, scores, keras_scores)
    find_what_is_broken(models["relu"], train, test, options.output)
    console.print(f"Pictures: {options.output}; {time.perf_counter() - start:.0f} s")


def load_digits(quick):
    """Return images (n, 28, 28, 1) from 0 to 1 and labels: 4000 to train, 1000 to test."""
    with np.load(HERE / "data" / "mnist_5k.npz", allow_pickle=False) as data:
        images, labels = data["images"].astype(np.float32) / 255, data["labels"]
    images = images.reshape(-1, 28, 28, 1)
    first, end = (3900, 4020) if quick else (0, 5000)
    return (images[first:4000], labels[first:4000]), (images[4000:end], labels[4000:end])


def trained(activation, train, seed, options):
    """Return a model that Keras trained."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((28, 28, 1))
    for _ in range(2 if options.quick else 3):
        x = layers.Conv2D(8 if options.quick else 32, 3)(x)
        x = layers.BatchNormalization()(x)
        x = activation()(x)
        x = layers.AveragePooling2D(2)(x)
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))
    epochs, batch = (2 if options.quick else options.epochs), 50
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(train[0]) // batch)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(*train, batch_size=batch, epochs=epochs, verbose=0)
    return model


def ways_of(options):
    """Return the ways of conversion, or the last three."""
    return dict(list(WAYS.items())[-3:]) if options.quick else WAYS


def converted(model, arguments, train):
    """Return the converter of a model."""
    arguments = dict(arguments)
    if "recipe" in arguments:
        arguments.update(recipe=arguments["recipe"](), calibration=train[0][:CALIBRATION])
    return Converter(model, inference_only=True, **arguments)


def table_of(scores, keras_scores, options):
    """Return a table of digits that are right, after some steps."""
    table = Table(title=f"Right answers [%], mean of {options.seeds} seeds", title_justify="left")
    for name in ("Conversion", "Keras", *(f"{n} steps" for n in options.steps)):
        table.add_column(name, justify="left" if name == "Conversion" else "right")
    for way, values in scores.items():
        table.add_row(way, *(f"{100 * v:.2f}" for v in (keras_scores[way], *values)))
    return table


def find_what_is_broken(model, train, test, output):
    """Spoil one layer of a converted network, and ask which it is."""
    converter = converted(model, WAYS["auto, local"], train)
    layer = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][1]
    weights = [
        conn
        for conn in converter.net.all_connections
        if getattr(conn.transform, "kernel_size", None) == (3, 3)
    ]
    weights[1].transform = scaled(weights[1].transform, 20)
    diagnosis = converter.diagnose(test[0][:20], n_steps=32, start=0)
    console.print(f"\nThe weights of {layer.name} were multiplied by 20.", diagnosis.table())
    console.print(f"The layer that loses most: [bold]{diagnosis.worst.layer.name}[/bold]")
    diagnosis.plot(output / "convert_digits_broken.png")


def scaled(transform, factor):
    """Return a convolution whose weights are multiplied."""
    return nengo.Convolution(
        transform.n_filters,
        transform.input_shape,
        kernel_size=transform.kernel_size,
        strides=transform.strides,
        padding=transform.padding,
        channels_last=transform.channels_last,
        init=factor * transform.init,
    )


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "output", metavar="DIR")
    parser.add_argument("--epochs", type=int, default=20, metavar="N", help="of each training")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of weights and order")
    parser.add_argument("--quick", action="store_true", help="a hundred digits, for a test")
    options = parser.parse_args()
    options.seeds = 1 if options.quick else options.seeds
    options.steps = STEPS[:2] if options.quick else STEPS
    return options


if __name__ == "__main__":
    main()
