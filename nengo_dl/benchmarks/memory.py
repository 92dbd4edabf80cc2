"""Memory and time of training over long series; ``python -m nengo_dl.benchmarks.memory`` runs it.

A recurrent spiking network is trained with and without `checkpoint_steps`, each in a process of
its own, as XLA reports the memory of what it compiles only to files, and when it starts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import nengo
import numpy as np

from ..config.settings import configure_settings
from .measure import our_simulator

MODULE = "nengo_dl.benchmarks.memory"
TOTAL = re.compile(r"Total bytes used: (\d+)")


def recurrent(n_neurons: int, dtype: str, checkpoint_steps: int | str | None) -> nengo.Network:
    """Spiking neurons, each connected to all through a filter, with a surrogate gradient."""
    weights = np.random.RandomState(0).randn(n_neurons, n_neurons) * 1e-4
    with nengo.Network(label="recurrent", seed=0) as net:
        configure_settings(
            dtype=dtype, training_spikes="fast_sigmoid", checkpoint_steps=checkpoint_steps
        )
        net.inp, out = nengo.Node([0.0]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(n_neurons, 1)
        nengo.Connection(net.inp, ens, synapse=0.01)
        nengo.Connection(ens.neurons, ens.neurons, transform=weights, synapse=0.01)
        nengo.Connection(ens, out, synapse=None)
        net.p = nengo.Probe(out, synapse=0.01)
    return net


def train(
    checkpoint_steps: int | str | None,
    dtype: str = "float32",
    steps: int = 1000,
    n_neurons: int = 256,
    batch: int = 16,
    repeats: int = 7,
) -> dict[str, Any]:
    """Train on the same minibatch over and over.

    Returns
    -------
    dict
        "ms": of processor time, of a minibatch; "gradients": one array for each parameter.
    """
    x = np.random.RandomState(1).uniform(-1, 1, (batch, steps, 1))
    net = recurrent(n_neurons, dtype, checkpoint_steps)
    with our_simulator()(net, minibatch_size=batch, progress_bar=False, seed=0) as sim:
        # at a rate of 1, the gradient is what training changes
        sim.compile(keras.optimizers.SGD(1.0), loss="mse")
        weights = sim.keras_model.trainable_weights
        before = [w.numpy() for w in weights]
        sim.fit(x, x, verbose=0)
        gradients = [old - w.numpy() for old, w in zip(before, weights, strict=True)]
        times = []
        for _ in range(repeats):
            start = time.process_time()
            sim.fit(x, x, verbose=0)
            times.append(1e3 * (time.process_time() - start))
    return {"ms": statistics.median(times), "gradients": gradients}


def largest_program(folder: Path) -> int:
    """Bytes that the largest of the programs needs whose memory XLA reported to a folder."""
    reports = [TOTAL.search(p.read_text()) for p in folder.glob("*memory-usage-report.txt")]
    return max((int(found[1]) for found in reports if found), default=0)


def in_own_process(setting: int | str | None, dtype: str, steps: int) -> dict[str, Any]:
    """What `train` returns, and "MB" of the largest program."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # XLA reads its flags once in a process
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={folder} --xla_dump_hlo_as_text"
        arguments = [json.dumps(setting), dtype, str(steps), str(folder / "gradients.npz")]
        done = subprocess.run(
            [sys.executable, "-m", MODULE, "--child", *arguments],
            env=os.environ | {"XLA_FLAGS": flags.strip()},
            check=True,
            capture_output=True,
            text=True,
        )
        with np.load(folder / "gradients.npz") as arrays:
            gradients = [arrays[key] for key in arrays.files]
        milliseconds = float(done.stdout.split()[-1])
        return {"ms": milliseconds, "gradients": gradients, "MB": largest_program(folder) / 1e6}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print memory, time and the largest difference of gradients, with and without checkpoints."""
    parser = argparse.ArgumentParser("python -m nengo_dl.benchmarks.memory", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        setting, dtype, steps, path = options.child
        found = train(json.loads(setting), dtype, int(steps))
        np.savez(path, *found["gradients"])
        print(found["ms"])
        return
    settings = (None, math.isqrt(options.steps))
    measured = [in_own_process(setting, "float32", options.steps) for setting in settings]
    exact = [in_own_process(setting, "float64", options.steps) for setting in settings]
    for label, found in zip(("without checkpoints", "with checkpoints"), measured, strict=True):
        print(f"{label:<20} {found['MB']:8.1f} MB {found['ms']:8.0f} ms a minibatch")
    without, with_checkpoints = measured
    print(f"ratio                {with_checkpoints['MB'] / without['MB']:8.2f}    ", end="")
    print(f"{with_checkpoints['ms'] / without['ms']:8.2f}")
    pairs = zip(*(found["gradients"] for found in exact), strict=True)
    difference = max(float(np.max(np.abs(a - b)) / np.max(np.abs(a))) for a, b in pairs)
    print(f"gradients in float64: largest difference {difference:.1e} of the largest element")


if __name__ == "__main__":
    main()
