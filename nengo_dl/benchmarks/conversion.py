"""Conversion of well-known models; ``python -m nengo_dl.benchmarks.conversion`` runs it.

Models of `keras.applications`, with random weights and moving averages, are converted for
inference.  Shown are what their layers become, how long it takes, and how far the outputs of the
network (with rates) are from Keras's, relative to the largest of these.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from ..config.settings import configure_settings
from ..converter import Converter
from ..converter.checks import data_for
from ..simulator.simulator import Simulator

NAMES = ("MobileNetV2", "EfficientNetB0", "ResNet50", "DenseNet121")
CLASSES = 10


@dataclass(frozen=True)
class Conversion:
    """What was measured of one model.

    Attributes
    ----------
    name : str
    layers : dict of str to int
        Number of layers by what they became: exact, approximate or fallback.
    reasons : dict of str to int
        Number of layers by class and reason, of those that are not exact.
    convert_s, build_s, first_s : float
        Seconds to convert the model, to build the simulator, and to the first prediction.
    difference : float
        Largest difference of outputs, relative to the largest of Keras's.
    """

    name: str
    layers: dict[str, int]
    reasons: dict[str, int]
    convert_s: float
    build_s: float
    first_s: float
    difference: float


def random_model(name: str, size: int, seed: int = 0) -> keras.Model:
    """A model of `keras.applications` for images (size, size, 3), whose weights are random.

    Parameters
    ----------
    name : str
    size : int
        Pixels, at least 32.
    seed : int
    """
    keras.utils.set_random_seed(seed)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
    )
    rng = np.random.RandomState(seed)
    # as Keras makes them, moving averages change nothing, and no error would show
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif any(part in weight.path for part in ("moving_mean", "beta", "bias")):
            weight.assign(rng.uniform(-0.3, 0.3, weight.shape))
    return model


def measure(name: str, size: int = 32, max_to_avg_pool: bool = False) -> Conversion:
    """Convert a model and compare outputs for two images.

    Parameters
    ----------
    name : str
        Of a model of `keras.applications`.
    size : int
        Pixels of a side. 32 by default.
    max_to_avg_pool : bool
        As of `Converter`; then outputs differ where maxima are pooled.
    """
    model = random_model(name, size)
    images = np.random.RandomState(1).uniform(size=(2, size, size, 3)).astype("float32")
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the table has the reasons
        converter = Converter(model, inference_only=True, max_to_avg_pool=max_to_avg_pool)
    converted = time.perf_counter()
    with converter.net:
        configure_settings(stateful=False)
    with Simulator(converter.net, minibatch_size=len(images), progress_bar=False) as sim:
        built = time.perf_counter()
        found = sim.predict(data_for(converter, [images]))[converter.outputs[model.output]][:, 0]
        predicted = time.perf_counter()
    right = model.predict(images, verbose=0)
    others = [r for r in converter.records if r.exactness != "exact"]
    return Conversion(
        name=name,
        layers=Counter(r.exactness for r in converter.records),
        reasons=Counter(f"{r.class_name}: {r.reason}" for r in others),
        convert_s=converted - start,
        build_s=built - converted,
        first_s=predicted - built,
        difference=float(np.max(np.abs(found - right)) / np.max(np.abs(right))),
    )


def table(measured: Sequence[Conversion]) -> Table:
    """One row for each model."""
    result = Table()
    for column in ("", "exact", "approximate", "fallback", "convert s", "build s", "first s"):
        result.add_column(column, justify="right" if column else "left")
    result.add_column("largest relative difference", justify="right")
    for m in measured:
        counts = [str(m.layers.get(kind, 0)) for kind in ("exact", "approximate", "fallback")]
        times = [f"{t:.1f}" for t in (m.convert_s, m.build_s, m.first_s)]
        result.add_row(m.name, *counts, *times, f"{m.difference:.1e}")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the models named on the command line; all, if none is."""
    parser = argparse.ArgumentParser(
        "python -m nengo_dl.benchmarks.conversion", description=__doc__
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"such as {', '.join(NAMES)}")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--max-to-avg-pool", action="store_true")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if not hasattr(keras.applications, name)]
    if unknown:
        parser.error(f"{', '.join(unknown)}: keras.applications has no such model")
    console, found = Console(width=140), []
    for name in options.names or NAMES:
        found.append(measure(name, options.size, options.max_to_avg_pool))
        for reason, count in found[-1].reasons.items():
            console.print(f"{name}: {count} × {reason}")
    console.print(table(found))


if __name__ == "__main__":
    main()
