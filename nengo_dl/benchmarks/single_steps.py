"""``python -m nengo_dl.benchmarks.single_steps``: `step()` against Nengo's, by turns.

Also shows what `nengo_dl.compiler.costs` expects, and what is found instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from rich.console import Console
from rich.table import Table

from ..compiler import costs
from . import networks
from .measure import our_simulator, start_backend, until_compiled

if TYPE_CHECKING:
    from ..simulator.simulator import Simulator

NETWORKS: dict[str, Callable[[], nengo.Network]] = {
    "chain": partial(networks.communication_channel, 50),
    "integrator": partial(networks.integrator, 1, 100),
    "PES": partial(networks.pes, 1, 100),
    "circular convolution": partial(networks.cconv, 16, 50),
    "basal ganglia": partial(networks.basal_ganglia, 16, 50),
}


@dataclass(frozen=True)
class SingleSteps:
    """What was measured of one network; times in microseconds.

    Attributes
    ----------
    nengo_us, numpy_us, compiled_us : float
        Of `step()`: Nengo's, ours as long as NumPy takes the steps, and after that.
    ratio : float
        Median of the ratios of turns, ours in NumPy to Nengo's.
    loop_us, expected_us : float
        Of a step within a run in NumPy, and what the costs say.
    compile_us, expected_compile_us : float
        Of compiling, and what the costs say.
    first_steps : float
        How many steps NumPy takes.
    """

    nengo_us: float
    numpy_us: float
    compiled_us: float
    ratio: float
    loop_us: float
    expected_us: float
    compile_us: float
    expected_compile_us: float
    first_steps: float


def measure_single_steps(
    factory: Callable[[], nengo.Network], turns: int = 15, calls: int = 50
) -> SingleSteps:
    """Measure one network.

    Parameters
    ----------
    factory : callable
        Makes the network.
    turns : int
        Of each simulator.
    calls : int
        Of `step` in each turn.
    """
    start_backend()
    net = factory()
    with nengo.Simulator(net, progress_bar=False) as reference:
        with our_simulator()(net, progress_bar=False) as sim:
            for each in (reference, sim):
                _step_us(each, calls)
            pairs = [(_step_us(reference, calls), _step_us(sim, calls)) for _ in range(turns)]
            loops = [_us(partial(sim.run_steps, 10)) / 10 for _ in range(turns)]
            first_steps = sim.session.first_steps.end
            compile_us = _us(partial(until_compiled, sim))
            _step_us(sim, calls)
            compiled = [_step_us(sim, calls) for _ in range(turns)]
            program = sim.program
    return SingleSteps(
        median(nengo_us for nengo_us, _ in pairs),
        median(ours for _, ours in pairs),
        median(compiled),
        median(ours / nengo_us for nengo_us, ours in pairs),
        median(loops),
        costs.current().numpy_step_us(program),
        # less the steps that NumPy still had to take until then
        compile_us - (first_steps - calls * (turns + 1) - 10 * turns) * median(loops),
        costs.current().compile_us(program),
        first_steps,
    )


def _step_us(sim: Simulator, calls: int) -> float:
    def all_calls() -> None:
        for _ in range(calls):
            sim.step()

    return _us(all_calls) / calls


def _us(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e6


def main() -> None:
    """Measure all networks, and print a table."""
    table = Table(caption="µs a step; medians of turns. In brackets: what the costs say")
    for column in ("network", "Nengo", "NumPy", "ratio", "compiled", "in a run", "compiling s"):
        table.add_column(column, justify="left" if column == "network" else "right")
    table.add_column("NumPy's steps", justify="right")
    console = Console(width=None if Console().is_terminal else 120)
    for name, factory in NETWORKS.items():
        with console.status(name):
            found = measure_single_steps(factory)
        seconds = np.array([found.compile_us, found.expected_compile_us]) / 1e6
        table.add_row(
            name,
            f"{found.nengo_us:.0f}",
            f"{found.numpy_us:.0f}",
            f"{found.ratio:.2f}",
            f"{found.compiled_us:.0f}",
            f"{found.loop_us:.0f} ({found.expected_us:.0f})",
            f"{seconds[0]:.2f} ({seconds[1]:.2f})",
            f"{found.first_steps:,.0f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
