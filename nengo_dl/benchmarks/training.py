"""Time per training batch, here and elsewhere; ``python -m nengo_dl.benchmarks.training`` runs it.

Two spiking networks for images are trained here, with rates and with surrogate gradients, and by
snnTorch and SpikingJelly where these are installed (with torch; they are no dependencies), on
inputs that are new in each step, and on images that are held for all of them; an
autoencoder without time here and as a plain Keras model.  Each trains in a process of its own, by
turns, on as many threads: the idle threads of one library slow another one down.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import nengo
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from ..config.settings import configure_settings
from . import deep
from .measure import Factory, our_simulator

if TYPE_CHECKING:
    from ..simulator.simulator import Simulator

#: Trains on some batches; returns the seconds of each.
Train: TypeAlias = Callable[[], list[float]]
#: Gives the time [s].
Clock: TypeAlias = Callable[[], float]

#: Network, minibatch size, steps.
SPIKING: dict[str, tuple[Factory, int, int]] = {
    "dense": (deep.dense_spiking, 128, 25),
    "conv": (deep.conv_spiking, 64, 10),
}
#: The same networks, that are shown one image for all steps.
HELD = {f"{name}_held": name for name in SPIKING}
NAMES = (*SPIKING, *HELD, "autoencoder")
LIBRARIES = ("torch", "snntorch", "spikingjelly")
OURS = {"nengo_dl, rates": "rates", "nengo_dl, fast_sigmoid": "fast_sigmoid"}
ELSEWHERE = ("snnTorch", "snnTorch, compiled", "SpikingJelly", "SpikingJelly, compiled")
N_PIXELS = 784


def labels_of(name: str, compiled: bool = True) -> list[str]:
    """What trains a network: the labels that `trainer` knows and that are installed.

    Parameters
    ----------
    name : str
        Of the network, one of `NAMES`.
    compiled : bool
        Whether to list `torch.compile` as well, which takes a minute to compile.
    """
    if name == "autoencoder":
        return ["nengo_dl", "Keras"]
    others = ELSEWHERE if has_libraries() else ()
    return [*OURS, *(label for label in others if compiled or "compiled" not in label)]


def trainer(name: str, label: str, clock: Clock = time.perf_counter, **sizes: int) -> Train:
    """Trainer of a network.

    Parameters
    ----------
    name : str
        "dense" (784-256-256-10, 25 steps, minibatches of 128), "conv" (28 × 28, 32 and 64
        filters of 3 × 3 with stride 2, 10 outputs, 10 steps, minibatches of 64), "dense_held" or
        "conv_held", or "autoencoder".
    label : str
        What trains it, of `labels_of(name)`.
    clock : callable
        Gives the seconds.
    **sizes : int
        `n_batches` that are trained on in each turn; for the autoencoder `batch` and `n_hidden`.
    """
    if name == "autoencoder":
        return _autoencoder(label, clock, **sizes)
    return _spiking(name, label, clock, **sizes)


def _spiking(name: str, label: str, clock: Clock, n_batches: int = 6) -> Train:
    network, batch, steps = SPIKING[HELD.get(name, name)]
    rng = np.random.default_rng(0)
    # what is held is given as a single step, and repeated by who trains
    different = 1 if name in HELD else steps
    x = rng.random((n_batches, batch, different, N_PIXELS), dtype=np.float32)
    y = rng.integers(0, 10, (n_batches, batch))
    if label in OURS:
        return _spiking_trainer(network(), OURS[label], (x, y), steps, clock)
    from .torch_networks import torch_trainer

    series = np.repeat(x, steps // different, axis=2)
    return torch_trainer(HELD.get(name, name), label, (series, y), clock)


def has_libraries() -> bool:
    """Whether snnTorch and SpikingJelly are installed."""
    return all(importlib.util.find_spec(name) for name in LIBRARIES)


def limit_threads(threads: int, label: str) -> None:
    """Let TensorFlow, which must not have begun to compute, or PyTorch use so many threads."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if label in ELSEWHERE:
        import torch

        torch.set_num_threads(threads)


def _spiking_trainer(
    net: nengo.Network, spikes: str, data: tuple[np.ndarray, np.ndarray], steps: int, clock: Clock
) -> Train:
    x, y = data
    net.p.synapse = None
    with net:
        configure_settings(training_spikes=spikes)
    sim = our_simulator()(net, minibatch_size=x.shape[1], progress_bar=False)
    sim.compile(keras.optimizers.Adam(1e-3), loss=_crossentropy_of_mean)
    flat = x.reshape(-1, *x.shape[2:]), y.reshape(-1, 1, 1)
    return _by_fit(sim, *flat, clock, n_steps=steps)


def _crossentropy_of_mean(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the outputs' mean over time."""
    logits = keras.ops.mean(y_pred, axis=1)
    return keras.ops.sparse_categorical_crossentropy(y_true[:, 0, 0], logits, from_logits=True)


def _autoencoder(
    label: str, clock: Clock, n_batches: int = 200, batch: int = 50, n_hidden: int = 64
) -> Train:
    """Two dense layers, without time."""
    x = np.random.default_rng(0).random((n_batches * batch, N_PIXELS), dtype=np.float32)
    optimizer = keras.optimizers.RMSprop(1e-3)
    if label == "Keras":
        image = keras.Input((N_PIXELS,))
        hidden = keras.layers.Dense(n_hidden, activation="relu")(image)
        model = keras.Model(image, keras.layers.Dense(N_PIXELS, activation="relu")(hidden))
        model.compile(optimizer, loss="mse")
        return _by_fit(model, x, x, clock, batch_size=batch)
    net = deep.autoencoder(n_hidden=n_hidden)
    sim = our_simulator()(net, minibatch_size=batch, progress_bar=False)
    sim.compile(optimizer, loss="mse")
    return _by_fit(sim, x[:, None], x[:, None], clock)


class _Timer(keras.callbacks.Callback):
    """The time at the end of each batch."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.times.append(self.clock())


def _by_fit(
    model: keras.Model | Simulator, x: np.ndarray, y: np.ndarray, clock: Clock, **options: Any
) -> Train:
    def train() -> list[float]:
        timer = _Timer(clock)
        model.fit(x, y, epochs=1, shuffle=False, verbose=0, callbacks=[timer], **options)
        return list(np.diff(timer.times))

    return train


@contextlib.contextmanager
def in_processes(
    name: str, labels: Sequence[str], threads: int, processor_time: bool = False
) -> Iterator[dict[str, Train]]:
    """Trainers of a network, each in a process of its own."""
    # a forked process would lack TensorFlow's threads, and hang
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        trainers: dict[str, Train] = {}
        for label in labels:
            ours, theirs = context.Pipe()
            arguments = (theirs, name, label, threads, processor_time)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()  # so that its end is noticed here
            stack.callback(process.terminate)
            trainers[label] = partial(_ask, ours, label)
        yield trainers


def _ask(connection: Connection, label: str) -> list[float]:
    try:
        connection.send(None)
        return connection.recv()
    except (EOFError, OSError) as error:
        message = f"the process of {label} has ended; see what it printed"
        raise ChildProcessError(message) from error


def _serve(
    connection: Connection, name: str, label: str, threads: int, processor_time: bool
) -> None:
    limit_threads(threads, label)
    clock = time.process_time if processor_time else time.perf_counter
    train = trainer(name, label, clock)
    while True:
        connection.recv()
        connection.send(train())


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
    threads = 1 if options.processor_time else _cores()
    console = Console(width=120)
    for name in options.names or NAMES:
        labels = labels_of(name, compiled=not options.no_compile)
        with in_processes(name, labels, threads, options.processor_time) as contenders:
            console.print(table(name, by_turns(contenders, options.turns)))
    if not has_libraries():
        console.print(f"To compare with other libraries, install {', '.join(LIBRARIES)}.")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
