"""Runs one network in `nengo.Simulator` and here, in turn, and says what each took."""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import nengo
from nengo.builder import Model

from ..config.settings import configure_settings

if TYPE_CHECKING:
    from ..simulator.simulator import Simulator

PACKAGES = ("nengo-dl", "nengo", "numpy", "scipy", "tensorflow", "tensorflow-cpu", "keras")

DERIVED = ("ratio", "times_by_hand", "first_result_s")


Made = TypeVar("Made")  # a simulator
#: Makes a network, given its sizes and whatever else it depends on.
Factory: TypeAlias = Callable[..., nengo.Network]
#: What takes some steps, and returns the seconds; and how many it is to take.
Run: TypeAlias = tuple[Callable[[int], float], int]


@dataclass(frozen=True)
class Spread:
    """The least, the median and the most of several times."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, times: list[float]) -> Spread:
        """Summarise times."""
        return cls(min(times), statistics.median(times), max(times))


@dataclass(frozen=True)
class Timing:
    """What one simulator took.

    Attributes
    ----------
    build_s : float
        To make the simulator.
    first_s : float
        To run it for the first time, and so to compile it.
    step_us : Spread
        For each step, later.
    """

    build_s: float
    first_s: float
    step_us: Spread


@dataclass(frozen=True)
class Measurement:
    """What a network took in both simulators.

    Attributes
    ----------
    name : str
        Of the network.
    arguments : dict
        Of the network, where they are not the defaults.
    minibatch : int
        Items that are simulated here at once; in Nengo it is one.
    dtype : str
        Precision of the simulation here.
    first_steps, steps, repeats : int
        Steps of the first run and of each later one, and how many of these were timed.
    our_steps : int
        Steps of each later run here, where `steps` would be over too soon.
    neurons : int
    operators : int
        That Nengo builds.
    groups : int
        Of operators, that run here.
    nengo, nengo_dl : Timing
    by_hand_us : Spread or None
        For each step of the network written by hand, where it is; see `limits`.
    peak_mb : float
        The most memory that the process has held so far, in 10^6 bytes.
    peak_before_mb : float
        The same, before this network was built. Where it is not less, an earlier network took
        more.
    """

    name: str
    arguments: dict[str, Any]
    minibatch: int
    dtype: str
    first_steps: int
    steps: int
    our_steps: int
    repeats: int
    neurons: int
    operators: int
    groups: int
    nengo: Timing
    nengo_dl: Timing
    by_hand_us: Spread | None
    peak_mb: float
    peak_before_mb: float

    @property
    def ratio(self) -> float:
        """How many times longer a step takes in Nengo: of the medians, whatever the minibatch."""
        return self.nengo.step_us.median / self.nengo_dl.step_us.median

    @property
    def times_by_hand(self) -> float | None:
        """How many times longer a step takes here than written by hand: of the medians."""
        by_hand = self.by_hand_us
        return None if by_hand is None else self.nengo_dl.step_us.median / by_hand.median

    @property
    def first_result_s(self) -> float:
        """How much later than in Nengo the first results are there, building included."""
        ours, nengos = self.nengo_dl, self.nengo
        return ours.build_s + ours.first_s - nengos.build_s - nengos.first_s

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        arguments = {name: _plain(value) for name, value in self.arguments.items()}
        derived = {name: getattr(self, name) for name in DERIVED}
        return asdict(self) | {"arguments": arguments} | derived


def measure(
    factory: Factory,
    name: str | None = None,
    steps: int = 1000,
    repeats: int = 5,
    minibatch: int = 1,
    dtype: str = "float32",
    first_steps: int = 100,
    min_seconds: float = 0.05,
    **arguments: Any,
) -> Measurement:
    """Measure one network.

    Both simulators are built, run once for the first result and once to warm up, and then by turns;
    so is the network written by hand, for as many steps as here.

    Parameters
    ----------
    factory : callable
        Makes the network.
    name : str, optional
        By default, its label.
    steps : int
        Of each run that is timed.
    repeats : int
        Runs of each simulator.
    minibatch : int
        Items that are simulated here at once.
    dtype : str
        Precision here. Nengo's is as its own configuration says.
    first_steps : int
        Of the first run.
    min_seconds : float
        If a run of `steps` takes less time here, it gets more steps, and Nengo's does not: what a
        call takes, some 0.4 ms, would hide what a step takes. Neither is subtracted.
    **arguments
        Of the network.

    Notes
    -----
    Importing TensorFlow and starting it is not counted, nor are decoders read from Nengo's cache.
    """
    if min(steps, repeats, minibatch, first_steps) < 1:
        raise ValueError("steps, repeats, minibatch and first_steps must be at least 1")
    start_backend()
    before = _peak_mb()
    with contextlib.ExitStack() as scope:
        # whoever builds second would read the decoders of the first
        scope.enter_context(nengo_setting("decoder_cache", "enabled", "False"))
        core_net = make(factory, arguments, dtype)
        reference, core_build = _build(nengo.Simulator, core_net)
        scope.callback(reference.close)
        net = make(factory, arguments, dtype)
        ours, build = _build(our_simulator(), net, minibatch_size=minibatch)
        scope.callback(ours.close)
        first = [run(sim, first_steps) for sim in (reference, ours)]
        run(reference, steps)
        until_compiled(ours)
        our_steps = _enough(ours, steps, min_seconds)
        peak = _peak_mb()  # without the network written by hand
        runs: list[Run] = [
            (functools.partial(run, reference), steps),
            (functools.partial(run, ours), our_steps),
        ]
        if dtype == "float32" and minibatch == 1:
            runs += _by_hand(name or str(net.label), core_net, reference.model, our_steps)
        step_us = _by_turns(runs, repeats)
        return Measurement(
            name=name or str(net.label),
            arguments=arguments,
            minibatch=minibatch,
            dtype=dtype,
            first_steps=first_steps,
            steps=steps,
            our_steps=our_steps,
            repeats=repeats,
            neurons=sum(ens.n_neurons for ens in net.all_ensembles),
            operators=len(ours.model.operators),
            groups=len(ours.program.groups),
            nengo=Timing(core_build, first[0], step_us[0]),
            nengo_dl=Timing(build, first[1], step_us[1]),
            by_hand_us=step_us[2] if len(step_us) > 2 else None,
            peak_mb=peak,
            peak_before_mb=before,
        )


@functools.cache
def start_backend() -> float:
    """Start TensorFlow and its compiler, by running a first network; return the seconds it took."""
    start = time.perf_counter()
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Node([0.0]), synapse=0.01)
    with our_simulator()(net, progress_bar=False) as sim:
        sim.predict(n_steps=2)  # compiled, which the first steps of `run` are not
    return time.perf_counter() - start


def environment() -> dict[str, Any]:
    """The machine and the versions that times depend on, as JSON can hold them."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": load,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def make(factory: Factory, arguments: dict[str, Any], dtype: str) -> nengo.Network:
    """Make a network, of that precision here."""
    net = factory(**arguments)
    with net:
        configure_settings(dtype=dtype)
    return net


def our_simulator() -> type[Simulator]:
    """Import and return our simulator's class."""
    from ..simulator.simulator import Simulator

    return Simulator


def _build(simulator: Callable[..., Made], net: nengo.Network, **kwargs: Any) -> tuple[Made, float]:
    start = time.perf_counter()
    sim = simulator(net, progress_bar=False, **kwargs)
    return sim, time.perf_counter() - start


def run(sim: nengo.Simulator | Simulator, steps: int) -> float:
    """Seconds that a run takes; what it records is forgotten, and garbage is collected before."""
    gc.collect()
    start = time.perf_counter()
    sim.run_steps(steps, progress_bar=False)
    seconds = time.perf_counter() - start
    sim.clear_probes()
    return seconds


def until_compiled(sim: Simulator) -> None:
    """Take the steps that NumPy takes, and the first that is compiled."""
    end = sim.session.first_steps.end
    if sim.n_steps <= end < math.inf:
        run(sim, int(end) - sim.n_steps + sim.unroll)


def _enough(sim: Simulator, steps: int, seconds: float) -> int:
    """As many steps as take some time, but no fewer than `steps`; they have been run once."""
    run(sim, steps)  # compiles, if these are more steps than before
    while (took := run(sim, steps)) < seconds:
        steps = math.ceil(steps * min(max(1.2 * seconds / took, 2), 100))
        run(sim, steps)
    return steps


def _by_hand(name: str, net: nengo.Network, model: Model, steps: int) -> list[Run]:
    """The run of a network written by hand, already warm; nothing if it is not written."""
    from .limits import by_hand

    loop = by_hand(name, net, model)
    if loop is None:
        return []

    def timed(steps: int) -> float:
        gc.collect()
        start = time.perf_counter()
        loop.run_steps(steps)
        return time.perf_counter() - start

    steps += -steps % loop.unroll
    timed(steps)
    return [(timed, steps)]


def _by_turns(runs: list[Run], repeats: int) -> list[Spread]:
    """Microseconds a step of each run, given the steps of each."""
    # by turns, so that a machine that slows down slows all of them
    times = [[1e6 * call(steps) / steps for call, steps in runs] for _ in range(repeats)]
    return [Spread.of(list(each)) for each in zip(*times, strict=True)]


@contextlib.contextmanager
def nengo_setting(section: str, key: str, value: str) -> Iterator[None]:
    """Set what is read from Nengo's configuration files, for a while."""
    before = nengo.rc[section][key]
    nengo.rc[section][key] = value
    try:
        yield
    finally:
        nengo.rc[section][key] = before


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _plain(value: object) -> bool | int | float | str | None:
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
