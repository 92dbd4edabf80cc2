"""``python -m nengo_dl.benchmarks.costs [FIELD]...``: what the cost model says, and this machine.

Times of NumPy and of compiling are fitted to what networks take. A bound stands between two ways
to compute the same: networks on both sides of it run in both ways, by turns, and what is printed
is how much longer the way takes that the bound chooses. Where that is more than a tenth, a last
column says so. Measure on a quiet machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import nengo
import numpy as np
from rich.console import Console
from rich.table import Table

from ..compiler import costs
from . import networks
from .measure import our_simulator, run, start_backend, until_compiled
from .single_steps import NETWORKS as TIMED

if TYPE_CHECKING:
    from ..simulator.simulator import Simulator

MORE = 10**9  # than anything here
#: Fitted to times of networks in NumPy, and of compiling these.
TIMES = (
    "numpy_group_us",
    "numpy_argument_us",
    "numpy_element_ns",
    "numpy_factor_ns",
    "compile_ms",
    "compile_group_ms",
)
#: Chosen, for memory, for progress to be shown or for Ctrl-C to be heard: there is no better one.
CHOSEN = (
    "fewest_steps",
    "short_run_steps",
    "most_steps",
    "longest_chunk_ms",
    "chunk_steps",
    "chunk_steps_on_host",
    "chunk_bytes",
    "kept_activities_bytes",
    "kept_functions",
    "kept_memory_bytes",
    "lone_parameters",
    "objects_between_collections",
    "own_function_minibatches",
    "shared_elements",
    "shared_functions",
    "shared_values",
    "step_counts_ahead",
)
#: About training, or about calls from Keras: ``python -m nengo_dl.benchmarks.training``, with the
#: field changed by `nengo_dl.compiler.costs.assuming`.
TRAINING = ("lone_population_elements", "longer_function", "padded_elements", "product_elements")


#: About whole scripts: ``python -m nengo_dl.benchmarks.first_result``.
STARTING = ("import_ms",)


@dataclass(frozen=True)
class Trial:
    """Networks on both sides of a bound.

    Attributes
    ----------
    make : callable
        Makes a network of a given size.
    sizes : tuple of int
    minibatch : int
    low, high : int
        Values of the bound, of which one lets all sizes run in one way, the other in the other.
    """

    make: Callable[[int], nengo.Network]
    sizes: tuple[int, ...]
    minibatch: int = 1
    low: Any = 0
    high: Any = MORE


@dataclass(frozen=True)
class Found:
    """Microseconds a step in both ways, and in the one that the bound chooses."""

    name: str
    size: int
    low_us: float
    high_us: float
    chosen_us: float

    @property
    def excess(self) -> float:
        """How much longer the chosen way takes than the faster one: 0.1 is a tenth."""
        return self.chosen_us / min(self.low_us, self.high_us, self.chosen_us) - 1


def _population(n_neurons: int) -> nengo.Network:
    return networks.integrator(1, n_neurons)


def _members(count: int, size: int = 20) -> nengo.Network:
    return networks.integrator(count, size)


def _weights(n_neurons: int) -> nengo.Network:
    """Two populations with a matrix of all their neurons between them."""
    with nengo.Network(seed=0) as net:
        pre, post = (nengo.Ensemble(n_neurons, 1) for _ in range(2))
        weights = np.full((n_neurons, n_neurons), 1e-3 / n_neurons)
        nengo.Connection(pre.neurons, post.neurons, transform=weights)
        nengo.Probe(post, synapse=0.01)
    return net


def _probes(count: int) -> nengo.Network:
    with nengo.Network(seed=0) as net:
        ens = nengo.networks.EnsembleArray(20, count)
        for each in ens.ea_ensembles:
            nengo.Probe(each, synapse=0.01)
    return net


def _python(size: int) -> nengo.Network:
    with nengo.Network(seed=0) as net:
        ens = nengo.networks.EnsembleArray(50, size)
        node = nengo.Node(lambda t, x: 0.9 * x, size_in=size)
        nengo.Connection(ens.output, node)
        nengo.Connection(node, ens.input)
        nengo.Probe(ens.output)
    return net


def _sparse(rows: int) -> nengo.Network:
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.ones(rows))
        out = nengo.Node(size_in=rows)
        places = [(row, column) for row in range(rows) for column in rng.permutation(rows)[:3]]
        weights = nengo.Sparse((rows, rows), indices=places, init=rng.randn(len(places)))
        nengo.Connection(node, out, transform=weights, synapse=0.01)
        nengo.Probe(out)
    return net


_SIZES = (100, 1000, 10_000, 50_000)
_ganglia = partial(networks.basal_ganglia, neurons_per_d=20)
_channel = partial(networks.communication_channel, 50)
_learning = partial(networks.pes, neurons_per_d=20)
_convolution = partial(networks.cconv, neurons_per_d=20)

BOUNDS: dict[str, Trial] = {
    "matrix_elements_between_loops": Trial(_weights, (30, 100, 200, 500)),
    "reducing_ratio": Trial(_population, (100, 2000), low=1),
    "shared_vector_elements": Trial(_convolution, (4, 32)),
    "gather_pieces": Trial(_ganglia, (4, 32)),
    "gather_long_pieces": Trial(_ganglia, (4, 32)),
    "long_piece_elements": Trial(_ganglia, (4, 32)),
    "interleaved_members": Trial(_members, (4, 16, 64, 256), low=1),
    "row_elements": Trial(lambda size: _members(64, size), (10, 30, 60, 200)),
    "picked_share": Trial(_probes, (16, 64)),
    "single_kernel_elements": Trial(_population, _SIZES),
    "single_kernel_matrix_elements": Trial(_weights, (30, 200, 500)),
    "single_kernel_terms": Trial(_members, (16, 256)),
    "divided_packed_elements": Trial(
        _population, (500, 5000), minibatch=4, low=range(0), high=range(MORE)
    ),
    "lone_outputs": Trial(_probes, (4, 16, 64)),
    "shown_share": Trial(_probes, (16, 64)),
    "joined_row_elements": Trial(_probes, (4, 64)),
    "still_steps": Trial(_population, (100, 1000), low=2),
    "part_elements": Trial(_population, _SIZES[:3], minibatch=8, low=1),
    "numpy_loop_elements": Trial(_python, (1, 20, 200)),
    "numpy_loop_calls": Trial(_python, (1, 20), minibatch=4),
    "numpy_products": Trial(_python, (4, 20)),
    "numpy_populations": Trial(_python, (4, 20)),
    "product_columns": Trial(_ganglia, (4, 32)),
    "product_row_terms": Trial(_learning, (1, 16), low=1),
    "product_items": Trial(_population, (100, 2000), minibatch=16),
    "product_terms": Trial(_population, (100, 10_000), minibatch=16),
    "inlined_numbers": Trial(_channel, (1, 16)),
    "small_matrix_elements": Trial(_channel, (1, 16)),
    "sparse_padding": Trial(_sparse, (20, 500), low=1),
    "sparse_padding_elements": Trial(_sparse, (20, 500)),
    "copied_parameter_elements": Trial(_ganglia, (4, 32)),
}


@dataclass
class _Fit:
    """Sums of what networks consist of, and the times that they took."""

    numpy: list[Sequence[float]] = field(default_factory=list)
    numpy_us: list[float] = field(default_factory=list)
    compiled: list[Sequence[float]] = field(default_factory=list)
    compile_ms: list[float] = field(default_factory=list)

    def add(self, net: nengo.Network, turns: int) -> None:
        with our_simulator()(net, progress_bar=False) as sim:
            program, first_steps = sim.program, int(sim.session.first_steps.end)
            reads = [r for g in program.groups for r in g.reads]
            elements = sum(r.size for r in reads if not r.fixed)
            elements += sum(b.size for g in program.groups for b in g.writes)
            factors = sum(r.size for r in reads if r.fixed)
            counts = (len(program.groups), len(reads), elements / 1000, factors / 1000)
            # all turns have to fit into the steps that NumPy takes
            steps = max(first_steps // (turns + 2), 1)
            run(sim, steps)
            step_s = median(run(sim, steps) for _ in range(turns)) / steps
            left = first_steps - sim.n_steps
            run(sim, left)
            # the first step behind those of NumPy's is the first that is compiled
            compile_s = run(sim, 1)
        self.numpy.append(counts)
        self.numpy_us.append(1e6 * step_s)
        self.compiled.append((1.0, float(len(program.groups))))
        self.compile_ms.append(1000 * compile_s)

    def solve(self) -> dict[str, float]:
        """The times by name, none of them negative; relative errors count alike."""
        from scipy.optimize import nnls

        found: list[float] = []
        for rows, times in ((self.numpy, self.numpy_us), (self.compiled, self.compile_ms)):
            weights = 1 / np.array(times)
            found += list(nnls(np.array(rows) * weights[:, None], np.ones(len(times)))[0])
        return dict(zip(TIMES, found, strict=True))


def measure_times(
    made: Sequence[Callable[[], nengo.Network]] = tuple(TIMED.values()), turns: int = 7
) -> dict[str, float]:
    """Fit the fields in `TIMES` to what networks take.

    Parameters
    ----------
    made : sequence of callable
        Each makes a network that NumPy can step; four at least, for as many unknown times.
    turns : int
        Runs of each.
    """
    start_backend()
    fit = _Fit()
    for make in made:
        fit.add(make(), turns)
    return fit.solve()


def measure_bound(name: str, trial: Trial, turns: int = 5, steps: int = 1000) -> list[Found]:
    """Run the networks of a trial in both ways, and as the bound chooses, by turns.

    Parameters
    ----------
    name : str
        A field of `nengo_dl.compiler.costs.Costs`.
    trial : Trial
    turns : int
    steps : int
        Of each run.
    """
    start_backend()
    ways: list[dict[str, Any]] = [{name: trial.low}, {name: trial.high}, {}]
    found = []
    for size in trial.sizes:
        taken: list[list[float]] = [[], [], []]
        sims = [_opened(trial, size, way, steps) for way in ways]
        for _ in range(turns):
            for times, sim in zip(taken, sims, strict=True):
                times.append(1e6 * run(sim, steps) / steps)
        for sim in sims:
            sim.close()
        found.append(Found(name, size, *map(median, taken)))
    return found


def _opened(trial: Trial, size: int, way: dict[str, Any], steps: int) -> Simulator:
    """A simulator that has run as many steps, and so compiled, with other costs."""
    with costs.assuming(**way):
        sim = our_simulator()(trial.make(size), minibatch_size=trial.minibatch, progress_bar=False)
        until_compiled(sim)
        run(sim, steps)
    return sim


def main(names: Sequence[str] = ()) -> None:
    """Measure the named fields, or all, and print what they are and what is found."""
    known = [f.name for f in fields(costs.Costs)]
    for name in set(names).difference(known):
        raise SystemExit(f"{name!r} is not a field of Costs: {', '.join(known)}")
    console = Console(width=None if Console().is_terminal else 120)
    if not names or set(names) & set(TIMES):
        table = Table("field", "assumed", "found", caption="fitted; as accurate as the model")
        with console.status("times"):
            for name, value in measure_times().items():
                table.add_row(name, f"{getattr(costs.current(), name):g}", f"{value:.3g}")
        console.print(table)
    table = Table("bound", "size", "low µs", "high µs", "chosen µs", "", caption="µs a step")
    for name, trial in BOUNDS.items():
        if names and name not in names:
            continue
        with console.status(name):
            for each in measure_bound(name, trial):
                times = (f"{us:.1f}" for us in (each.low_us, each.high_us, each.chosen_us))
                remark = f"{each.excess:.0%} slower" if each.excess > 0.1 else ""
                bound = f"{name} = {getattr(costs.current(), name)}"
                table.add_row(bound, str(each.size), *times, remark)
    console.print(table)
    console.print(f"Chosen, not measured: {', '.join(CHOSEN)}", style="dim")
    console.print(f"By benchmarks.first_result: {', '.join(STARTING)}", style="dim")
    console.print(f"By benchmarks.training: {', '.join(TRAINING)}", style="dim")


if __name__ == "__main__":
    main(sys.argv[1:])
