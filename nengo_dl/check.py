"""Whether nengo_dl works on this machine: ``python -m nengo_dl.check``.

Shows versions and devices, lets XLA compile something, runs and trains a small network, and
compares both with what is known: Nengo's own simulator, and a solution. Takes some 15 s, and says
what to do about each failure. Modules are imported where they are used, since that may fail.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

PACKAGES = ("nengo-dl", "nengo", "tensorflow", "keras", "numpy", "scipy", "rich")
FEWEST_PYTHON = (3, 11)
TOLERANCE = 1e-10  # of outputs in float64, where both compute the same
TIME = "{:.1f} s"


class CheckError(Exception):
    """A check that did not pass: what is wrong, and what to do.

    Parameters
    ----------
    wrong : str
        What is wrong.
    remedy : str
        What to do about it.
    """

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.remedy = remedy


class Check(NamedTuple):
    """One check: its name, what it does, and what helps if it raises something unforeseen."""

    name: str
    run: Callable[[], str]
    remedy: str


def check_python() -> str:
    """The version of Python, or CheckError if it is too old."""
    if sys.version_info < FEWEST_PYTHON:
        raise CheckError(
            f"Python is {platform.python_version()}, at least 3.11 is needed",
            "Make an environment with a newer Python: python3.12 -m venv .venv",
        )
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def check_packages() -> str:
    """The versions of what is needed, or CheckError if something is missing."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if "nengo-dl" in missing:
        missing.remove("nengo-dl")
        found.append("nengo-dl from a source tree that is not installed")
    if missing:
        raise CheckError(
            f"{', '.join(missing)} not installed", f"Run: pip install {' '.join(missing)}"
        )
    return ", ".join(found)


def check_imports() -> str:
    """Import the simulator; CheckError if Keras runs on another back end."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend == "tensorflow":
        backend = importlib.import_module("keras").backend.backend()
    if backend != "tensorflow":
        raise CheckError(
            f"Keras is set to run on {backend!r}, nengo_dl runs on TensorFlow alone",
            "Set the environment variable KERAS_BACKEND=tensorflow before Python starts",
        )
    importlib.import_module("nengo_dl.simulator")
    return "nengo_dl, Keras and TensorFlow can be imported"


def check_devices() -> str:
    """What TensorFlow computes on."""
    backend = importlib.import_module("nengo_dl.runtimes.tensorflow.backend")
    names = backend.device_names()
    cores = backend.cores()
    return f"{', '.join(names)}; {cores} core{'s' if cores > 1 else ''} for parts of a minibatch"


def check_xla() -> str:
    """Let XLA compile a function, and compare what it computes."""
    keras = importlib.import_module("keras")
    backend = importlib.import_module("nengo_dl.runtimes.tensorflow.backend")
    compiled = float(backend.by_xla(lambda: keras.ops.sum(keras.ops.arange(100, dtype="float32"))))
    if compiled != 4950:
        raise CheckError(f"XLA sums 0 to 99 to {compiled}, not 4950", REINSTALL)
    return "XLA compiles"


def check_run() -> str:
    """Simulate a spiking network here and with `nengo.Simulator`, and compare each number."""
    nengo, nengo_dl, np = map(importlib.import_module, ("nengo", "nengo_dl", "numpy"))
    # in float64: in float32 a spike may come a step later, and nothing would be wrong
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        x = nengo.Node(lambda t: np.sin(20 * t))
        ens = nengo.Ensemble(50, 1)
        nengo.Connection(x, ens)
        nengo.Connection(ens, ens, synapse=0.1)
        probe = nengo.Probe(ens, synapse=0.01)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(200)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(200)
        start = time.perf_counter()
        sim.run_steps(2000)
        step = (time.perf_counter() - start) / 2000
        worst = float(np.max(np.abs(sim.data[probe][:200] - reference.data[probe])))
    if not worst < TOLERANCE:
        raise CheckError(f"outputs differ from nengo.Simulator's by up to {worst:.1e}", REPORT)
    return f"200 steps equal those of nengo.Simulator to {worst:.0e}; {1e6 * step:.1f} µs a step"


def check_training() -> str:
    """Train a network whose solution is known, and run what was trained in `nengo.Simulator`."""
    nengo, nengo_dl, np = map(importlib.import_module, ("nengo", "nengo_dl", "numpy"))
    keras = importlib.import_module("keras")
    rng = np.random.RandomState(0)
    x, weights = rng.randn(256, 1, 3), np.array([[0.5, -1.0, 2.0]])
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        a, b = nengo.Node(np.ones(3)), nengo.Node(size_in=1)
        nengo.Connection(a, b, transform=np.zeros((1, 3)), synapse=None)
        probe = nengo.Probe(b)
    with nengo_dl.Simulator(net, minibatch_size=32, progress_bar=False, seed=0) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        sim.fit(x, {probe: x @ weights.T}, epochs=10, verbose=0)
        loss = sim.evaluate(x, {probe: x @ weights.T}, verbose=0)["loss"]
        sim.freeze_params(net)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(1)
    output = reference.data[probe].item()
    if not (loss < 1e-6 and abs(output - weights.sum()) < 1e-2):
        raise CheckError(
            f"training ended with a loss of {loss:.1e} and an output of {output}", REPORT
        )
    return f"loss {loss:.0e}; nengo.Simulator runs what was trained"


REINSTALL = "Install TensorFlow anew: pip install --force-reinstall tensorflow"
REPORT = (
    "This is a fault of nengo_dl's, or of a library of an untried version: report it, with all "
    "that is printed here"
)
CHECKS = (
    Check("Python", check_python, REPORT),
    Check("Packages", check_packages, REINSTALL),
    Check(
        "Import",
        check_imports,
        "Packages may not fit each other: install this one in a new environment (python -m venv)",
    ),
    Check("Devices", check_devices, REINSTALL),
    Check("XLA", check_xla, REINSTALL),
    Check("Simulation", check_run, REPORT),
    Check("Training", check_training, REPORT),
)


def results(checks: tuple[Check, ...] = CHECKS) -> Iterator[tuple[str, bool, str, float]]:
    """Run checks, one after the other; what follows a failed one is still tried.

    Parameters
    ----------
    checks : tuple of Check

    Yields
    ------
    name : str
    passed : bool
    text : str
        What was found, or what is wrong and what to do.
    seconds : float
        Time that it took [s].
    """
    for check in checks:
        start = time.perf_counter()
        try:
            passed, text = True, check.run()
        except CheckError as failure:
            passed, text = False, f"{failure}. {failure.remedy}."
        except Exception as error:  # whatever it is, the report is to go on
            passed, text = False, f"{type(error).__name__}: {error}. {check.remedy}."
        yield check.name, passed, text, time.perf_counter() - start


def main() -> int:
    """Run all checks, and print what they find.

    Returns
    -------
    int
        The number of those that failed: the exit status of the process.
    """
    failed, start = 0, time.perf_counter()
    with _quiet_tensorflow():
        for name, passed, text, seconds in results():
            failed += not passed
            mark = "ok  " if passed else "FAIL"
            print(f"{mark} {name:<11} {text}  ({TIME.format(seconds)})", flush=True)
    took = TIME.format(time.perf_counter() - start)
    print(f"{failed} failed, in {took}" if failed else f"All is well, in {took}")
    return failed


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Let TensorFlow log errors alone, and nothing before it has read that level."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    # the descriptor itself: what is written in C++ does not pass sys.stderr
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
