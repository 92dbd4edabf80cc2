"""Time per training batch, here and elsewhere; ``python -m nengo_dl.benchmarks.training`` runs it.

Two spiking networks for images are trained here, with rates and with surrogate gradients, and by
snnTorch and SpikingJelly where these are installed (with torch; they are no dependencies); an
autoencoder without time here and as a plain Keras model.  All run in one process, by turns, on as
many threads.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import nengo
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from ..config import configure_settings
from . import deep
from .measure import our_simulator

Train = Callable[[], list[float]]  # trains on some batches; seconds of each
Clock = Callable[[], float]

#: Network, minibatch size, steps.
SPIKING = {"dense": (deep.dense_spiking, 128, 25), "conv": (deep.conv_spiking, 64, 10)}
NAMES = (*SPIKING, "autoencoder")
LIBRARIES = ("torch", "snntorch", "spikingjelly")
N_PIXELS = 784


def spiking(
    name: str, n_batches: int = 6, compiled: bool = True, clock: Clock = time.perf_counter
) -> dict[str, Train]:
    """Trainers of a spiking network, by the name of what trains it.

    Parameters
    ----------
    name : str
        "dense" (784-256-256-10, 25 steps, minibatches of 128) or "conv" (28 × 28, 32 and 64
        filters of 3 × 3 with stride 2, 10 outputs, 10 steps, minibatches of 64).
    n_batches : int
        That are trained on in each turn.
    compiled : bool
        Whether to measure `torch.compile` as well, which takes a minute to compile.
    clock : callable
        Gives the seconds.
    """
    network, batch, steps = SPIKING[name]
    rng = np.random.default_rng(0)
    x = rng.random((n_batches, batch, steps, N_PIXELS), dtype=np.float32)
    y = rng.integers(0, 10, (n_batches, batch))
    found = {
        f"nengo_dl, {spikes}": _spiking_trainer(network(), spikes, x, y, clock)
        for spikes in ("rates", "fast_sigmoid")
    }
    if has_libraries():
        from .torch_networks import trainers

        found |= trainers(name, (x, y), compiled, clock)
    return found


def has_libraries() -> bool:
    """Whether snnTorch and SpikingJelly are installed."""
    return all(importlib.util.find_spec(name) for name in LIBRARIES)


def limit_threads(threads: int) -> None:
    """Let TensorFlow, which must not have begun to compute, and PyTorch use so many threads."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if has_libraries():
        import torch

        torch.set_num_threads(threads)


def _spiking_trainer(
    net: nengo.Network, spikes: str, x: np.ndarray, y: np.ndarray, clock: Clock
) -> Train:
    net.p.synapse = None
    with net:
        configure_settings(training_spikes=spikes)
    sim = our_simulator()(net, minibatch_size=x.shape[1], progress_bar=False)
    sim.compile(keras.optimizers.Adam(1e-3), loss=_crossentropy_of_mean)
    return _by_fit(sim, x.reshape(-1, *x.shape[2:]), y.reshape(-1, 1, 1), clock)


def _crossentropy_of_mean(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy of the outputs' mean over time."""
    logits = keras.ops.mean(y_pred, axis=1)
    return keras.ops.sparse_categorical_crossentropy(y_true[:, 0, 0], logits, from_logits=True)


def autoencoder(
    n_batches: int = 200, batch: int = 50, n_hidden: int = 64, clock: Clock = time.perf_counter
) -> dict[str, Train]:
    """Trainers of an autoencoder of two dense layers, without time.

    Parameters
    ----------
    n_batches : int
        That are trained on in each turn.
    batch : int
        Minibatch size.
    n_hidden : int
        Units between 784 inputs and 784 outputs.
    clock : callable
        Gives the seconds.
    """
    x = np.random.default_rng(0).random((n_batches * batch, N_PIXELS), dtype=np.float32)
    image = keras.Input((N_PIXELS,))
    hidden = keras.layers.Dense(n_hidden, activation="relu")(image)
    model = keras.Model(image, keras.layers.Dense(N_PIXELS, activation="relu")(hidden))
    model.compile(keras.optimizers.RMSprop(1e-3), loss="mse")

    sim = our_simulator()(
        deep.autoencoder(n_hidden=n_hidden), minibatch_size=batch, progress_bar=False
    )
    sim.compile(keras.optimizers.RMSprop(1e-3), loss="mse")
    return {
        "nengo_dl": _by_fit(sim, x[:, None], x[:, None], clock),
        "Keras": _by_fit(model, x, x, clock, batch_size=batch),
    }


class _Timer(keras.callbacks.Callback):
    """The time at the end of each batch."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.times.append(self.clock())


def _by_fit(model: Any, x: np.ndarray, y: np.ndarray, clock: Clock, **options: Any) -> Train:
    def train() -> list[float]:
        timer = _Timer(clock)
        model.fit(x, y, epochs=1, shuffle=False, verbose=0, callbacks=[timer], **options)
        return list(np.diff(timer.times))

    return train


def by_turns(contenders: dict[str, Train], turns: int) -> dict[str, list[float]]:
    """Milliseconds a batch: of each contender, the median of each of its turns."""
    for train in contenders.values():
        train()  # compiles
        train()
    found: dict[str, list[float]] = {label: [] for label in contenders}
    for _ in range(turns):
        for label, train in contenders.items():
            found[label].append(1e3 * statistics.median(train()))
    return found


def table(name: str, found: dict[str, list[float]]) -> Table:
    """Median and least of all turns, and what share of each median ours have."""
    ours = {label: statistics.median(t) for label, t in found.items() if label.startswith("nengo")}
    result = Table(title=f"{name}: ms a training batch")
    for column in ("", "median", "least", *(f"{label} / this" for label in ours)):
        result.add_column(column, justify="right" if column else "left")
    for label, times in found.items():
        median = statistics.median(times)
        shares = [f"{own / median:.2f}" for own in ours.values()]
        result.add_row(label, f"{median:.2f}", f"{min(times):.2f}", *shares)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the networks named on the command line; all, if none is."""
    parser = argparse.ArgumentParser("python -m nengo_dl.benchmarks.training", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="of one thread, which depends less on what else the machine does",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(NAMES)}")
    clock = time.process_time if options.processor_time else time.perf_counter
    limit_threads(1 if options.processor_time else _cores())
    console = Console(width=120)
    for name in options.names or NAMES:
        if name == "autoencoder":
            contenders = autoencoder(clock=clock)
        else:
            contenders = spiking(name, compiled=not options.no_compile, clock=clock)
        console.print(table(name, by_turns(contenders, options.turns)))
    if not has_libraries():
        console.print(f"To compare with other libraries, install {', '.join(LIBRARIES)}.")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
