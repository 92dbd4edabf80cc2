"""Minibatches split over devices and processes: the results are those of one device."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from tests import replicas

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
LOADED = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


ERRORS = {
    "uneven": "a minibatch of 5 cannot be split evenly over the 2 replicas of the MirroredStrategy",
    "optimizer": "the optimizer was made outside of the scope of the MirroredStrategy",
    "synchronized": "layer 'bn' has synchronized=True, but the replicas of a MirroredStrategy",
    "metric": "the metric 'y_mean_squared_error' was made outside of the scope",
}


def start(kind, path, **environment):
    """Start a process that writes its results into a file."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.replicas", kind, str(path)],
        cwd=ROOT,
        env={**os.environ, **LOADED, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def collect(processes, paths):
    """Wait for processes, and return what they found."""
    found = []
    for process, path in zip(processes, paths, strict=True):
        _, errors = process.communicate(timeout=300)
        if process.returncode:
            for other in processes:
                other.kill()
            pytest.fail(errors)
        with np.load(path) as file:
            found.append(dict(file))
    return found


@pytest.fixture(scope="module")
def alone():
    """Return the results of one device."""
    return replicas.results(contextlib.nullcontext())


def compare(found, expected):
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-9, err_msg=key)


def test_two_devices(tmp_path, alone, uncompiled):
    path = tmp_path / "mirrored.npz"
    process = start("mirrored", path)
    uncompiled()
    others = replicas.results(contextlib.nullcontext(), python=True)
    (found,) = collect([process], [path])
    compare(found, {**alone, **{f"python {k}": v for k, v in others.items()}})
    assert found["steps"] == 10 * replicas.STEPS
    # w <- w - 0.25 * 2 (w x - (x + 1)) x from 1 on, for x = 1 and 2
    assert found["generator"] == pytest.approx(1.5)
    for case, message in ERRORS.items():
        assert message in str(found[f"error {case}"])


def test_two_processes(tmp_path, alone):
    ports = [free_port() for _ in range(2)]
    workers = [f"127.0.0.1:{port}" for port in ports]
    paths = [tmp_path / f"{index}.npz" for index in range(2)]
    processes = []
    for index, path in enumerate(paths):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(start("worker", path, TF_CONFIG=json.dumps(task)))
    for found in collect(processes, paths):
        compare(found, alone)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def simulate(**kwargs):
    with nengo_dl.Simulator(replicas.learning(False), progress_bar=False, **kwargs) as sim:
        sim.run_steps(2)


def test_one_device_of_a_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        simulate()
        with pytest.raises(ValidationError, match="'/cpu:0' was given within.*MirroredStrategy"):
            simulate(device="/cpu:0")


def test_strategies_that_are_not_supported():
    strategy = tf.distribute.experimental.CentralStorageStrategy(["CPU:0"])
    with strategy.scope(), pytest.raises(SimulationError, match="CentralStorage.*Mirrored"):
        simulate()
