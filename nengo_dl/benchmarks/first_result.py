"""``python -m nengo_dl.benchmarks.first_result``: whole scripts, until they have a first result.

Each script is a fresh process, by turns with Nengo's simulator: it imports, describes a network,
builds it, and simulates one second; and does all but the import once more, as in a notebook.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from .networks import BENCHMARKS, LARGE

SCRIPT = """
import json, resource, sys, time
arguments = json.loads(sys.argv[1])
now = getattr(time, arguments["clock"])
clock = [now()]
lap = lambda: clock.append(now()) or clock[-1] - clock[-2]
import nengo
if arguments["ours"]:
    from nengo_dl import Simulator
else:
    from nengo import Simulator
found = {"import": lap()}
from nengo_dl.benchmarks.networks import BENCHMARKS
for key, value in arguments["cache"].items():
    nengo.rc["decoder_cache"][key] = value
times = []
for _ in range(arguments["times"]):
    lap()
    parts = {}
    net = BENCHMARKS[arguments["network"]](**arguments["arguments"])
    parts["network"] = lap()
    sim = Simulator(net, progress_bar=False)
    parts["build"] = lap()
    sim.run(arguments["seconds"], progress_bar=False)
    sim.data[net.p]
    parts["run"] = lap()
    times.append(parts)
    sim.close()
found["times"] = times
found["tensorflow"] = "tensorflow" in sys.modules
found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(found))
"""
PARTS = ("network", "build", "run")


@dataclass(frozen=True)
class Script:
    """What one simulator's script took; medians, in seconds.

    Attributes
    ----------
    imported : float
        To import Nengo and the simulator.
    first, second : dict of str to float
        To describe the network, to build it, and to run it; the first time and the last time.
    tensorflow : bool
        Whether TensorFlow was imported at the end.
    peak_mb : float
        The most memory that the process held [10^6 bytes].
    """

    imported: float
    first: dict[str, float]
    second: dict[str, float]
    tensorflow: bool
    peak_mb: float

    @property
    def total(self) -> float:
        """From the first line to the first result."""
        return self.imported + sum(self.first.values())

    @property
    def again(self) -> float:
        """To build and run once more in the same process."""
        return self.second["build"] + self.second["run"]


@dataclass(frozen=True)
class FirstResult:
    """Both simulators, for one network."""

    name: str
    nengo: Script
    ours: Script

    @property
    def wanted(self) -> bool:
        """Whether ours is 0.1 s later at most, and a fifth sooner where Nengo takes over 2 s."""
        bound = 0.8 * self.nengo.total if self.nengo.total > 2 else self.nengo.total + 0.1
        return self.ours.total <= bound


def measure_first_result(
    name: str,
    repeats: int = 5,
    seconds: float = 1.0,
    cached: bool = False,
    times: int = 2,
    clock: str = "perf_counter",
    **arguments: Any,
) -> FirstResult:
    """Measure one network.

    Parameters
    ----------
    name : str
        Of a benchmark network.
    repeats : int
        Processes of each simulator, by turns.
    seconds : float
        That are simulated [s].
    cached : bool
        Whether Nengo's decoder cache is on, and filled, for both; each has its own.
    times : int
        How often the network is built and run in one process.
    clock : str
        What tells the time: "process_time", of the processor, is for machines that are busy.
    **arguments
        Of the network.
    """
    given = {"network": name, "seconds": seconds, "times": times, "clock": clock}
    given["arguments"] = arguments
    _write_byte_code()
    with _caches(cached) as caches:
        pairs: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
            (dict(given, ours=ours, cache=cache), []) for ours, cache in caches.items()
        ]
        for script, _ in pairs if cached else []:
            _run(script)
        for _ in range(repeats):
            for script, found in pairs:
                found.append(_run(script))
    return FirstResult(name, *(_summary(found) for _, found in pairs))


@cache
def _write_byte_code() -> None:
    """Let Python compile the packages, as it has where they are installed."""
    script = {"network": "communication_channel", "seconds": 0.001, "times": 1, "arguments": {}}
    _run(script | {"ours": True, "cache": {"enabled": "False"}, "clock": "perf_counter"})


@contextmanager
def _caches(cached: bool) -> Iterator[dict[bool, dict[str, str]]]:
    """Settings of the decoder cache, by whether they are for ours."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield {
            ours: {"enabled": str(cached), "path": str(Path(folder) / str(ours))}
            for ours in (False, True)
        }


def _run(script: dict[str, Any]) -> dict[str, Any]:
    # without byte code each process would compile the packages anew
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(script)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _summary(found: Sequence[dict[str, Any]]) -> Script:
    first, second = (
        {part: median(each["times"][i][part] for each in found) for part in PARTS} for i in (0, -1)
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return Script(
        median(each["import"] for each in found),
        first,
        second,
        any(each["tensorflow"] for each in found),
        median(each["peak"] for each in found) * unit / 1e6,
    )


def _table(measured: Sequence[FirstResult]) -> Table:
    table = Table(caption="Seconds, medians: Nengo's / ours. Again: build and run, same process")
    for column in ("network", "import", *PARTS, "total", "ours - Nengo's", "again", "TF", "MB"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for m in measured:
        both = (m.nengo, m.ours)
        table.add_row(
            m.name,
            _pair([s.imported for s in both]),
            *(_pair([s.first[part] for s in both]) for part in PARTS),
            _pair([s.total for s in both]),
            f"{m.ours.total - m.nengo.total:+.2f} {'ok' if m.wanted else '!!'}",
            f"{_pair([s.again for s in both])} × {m.nengo.again / m.ours.again:.2f}",
            "yes" if m.ours.tensorflow else "",
            " / ".join(f"{s.peak_mb:.0f}" for s in both),
        )
    return table


def _pair(seconds: Sequence[float]) -> str:
    return " / ".join(f"{s:.2f}" for s in seconds)


def _setting(text: str, parser: argparse.ArgumentParser) -> tuple[str, Any]:
    """What ``key=value`` says; the value is one of JSON."""
    key, _, value = text.partition("=")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        parser.error(f"{text!r} is not KEY=VALUE, such as n_neurons=100")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure networks, and print a table."""
    parser = argparse.ArgumentParser("python -m nengo_dl.benchmarks.first_result")
    small = [name for name in BENCHMARKS if name not in LARGE]
    parser.add_argument("names", nargs="*", metavar="NETWORK", help=f"{', '.join(BENCHMARKS)}")
    parser.add_argument("--repeats", type=int, default=5, help="processes of each simulator")
    parser.add_argument("--seconds", type=float, default=1.0, help="that are simulated")
    parser.add_argument("--times", type=int, default=2, help="that each process builds and runs")
    parser.add_argument("--cached", action="store_true", help="with a decoder cache that is full")
    parser.add_argument("--cpu", action="store_true", help="times of the processor, all threads")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="network argument"
    )
    parser.add_argument("--json", type=Path, help="where to write everything")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    sizes = dict(_setting(text, parser) for text in options.set)
    console = Console(width=None if Console().is_terminal else 180)
    measured = []
    for name in options.names or small:
        with console.status(name):
            measured.append(
                measure_first_result(
                    name,
                    options.repeats,
                    options.seconds,
                    options.cached,
                    options.times,
                    "process_time" if options.cpu else "perf_counter",
                    **sizes,
                )
            )
    console.print(_table(measured))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(m) for m in measured], indent=2))


if __name__ == "__main__":
    main()
