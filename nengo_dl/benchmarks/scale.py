"""``python -m nengo_dl.benchmarks.scale``: a network of Spaun's size; seconds and memory of phases.

By phase, one after the other in this process: Nengo's objects, the build, the first run, which
compiles, and steps. The peak of memory is that of the process until the end of the phase.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from .measure import Factory, nengo_setting, our_simulator, until_compiled
from .networks import spaun_sized


@dataclass(frozen=True)
class Phase:
    """What one phase took.

    Attributes
    ----------
    name : str
    seconds, cpu_seconds : float
        On the clock, and of processors, all threads together.
    peak_mb : float
        The most memory that the process held until its end [10^6 bytes].
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Scale:
    """What a large network took.

    Attributes
    ----------
    phases : list of Phase
    step_ms : float
        Of a step, compiled; the median of several runs.
    operators, groups : int
        Of Nengo's model, and of the program.
    """

    phases: list[Phase]
    step_ms: float
    operators: int
    groups: int


def measure_scale(
    factory: Factory = spaun_sized,
    steps: int = 200,
    repeats: int = 5,
    progress_bar: bool | Literal["always"] = False,
    **arguments: Any,
) -> Scale:
    """Measure one network.

    Parameters
    ----------
    factory : callable
        Makes the network.
    steps : int
        Of each timed run.
    repeats : int
        Timed runs.
    progress_bar : bool or "always"
        What the simulator is told of showing progress.
    **arguments
        Of the factory.
    """
    phases: list[Phase] = []
    with _phase("Nengo's objects", phases):
        net = factory(**arguments)
    with _phase("import and build", phases), nengo_setting("decoder_cache", "enabled", "False"):
        sim = our_simulator()(net, progress_bar=progress_bar)
    with sim:
        with _phase("first steps and compile", phases):
            until_compiled(sim)
        with _phase("steps", phases):
            times = [_seconds(partial(sim.run_steps, steps)) for _ in range(repeats)]
        found = len(sim.model.operators), len(sim.program.groups)
    return Scale(phases, 1e3 * median(times) / steps, *found)


@contextmanager
def _phase(name: str, phases: list[Phase]) -> Iterator[None]:
    start, cpu = time.perf_counter(), time.process_time()
    yield
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    phases.append(Phase(name, seconds, cpu, peak))


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a network, and print a table."""
    parser = argparse.ArgumentParser("python -m nengo_dl.benchmarks.scale")
    parser.add_argument("--ensembles", type=int, default=21_000)
    parser.add_argument("--neurons", type=int, help="of all ensembles; by default, as in Spaun")
    parser.add_argument("--connections", type=int, help="by default, as in Spaun")
    parser.add_argument("--steps", type=int, default=200, help="of each timed run")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs")
    options = parser.parse_args(arguments)
    if options.ensembles < 1:
        parser.error(f"--ensembles {options.ensembles} is not at least 1")
    share = options.ensembles / 21_000
    sizes = {
        "n_ensembles": options.ensembles,
        "n_neurons": options.neurons or round(1_200_000 * share),
        "n_connections": options.connections or round(91_000 * share),
    }
    if sizes["n_neurons"] < options.ensembles:
        parser.error("--neurons is less than one for each ensemble")
    found = measure_scale(spaun_sized, options.steps, options.repeats, "always", **sizes)
    title = ", ".join(f"{key}={value:,}" for key, value in sizes.items())
    table = Table(title=title, caption=f"{found.step_ms:.3f} ms a step")
    table.add_column("phase")
    for column in ("s", "processor s", "peak MB"):
        table.add_column(column, justify="right")
    for p in found.phases:
        table.add_row(p.name, f"{p.seconds:.2f}", f"{p.cpu_seconds:.2f}", f"{p.peak_mb:,.0f}")
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    console.print(
        f"{found.operators:,} operators of Nengo's, {found.groups:,} groups of the program"
    )


if __name__ == "__main__":
    main()
