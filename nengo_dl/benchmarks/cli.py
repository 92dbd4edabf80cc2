"""The command line of the benchmarks; alone in needing click."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import click
import nengo
from rich.console import Console
from rich.table import Table

from .. import neurons
from ..config import DTYPES
from .measure import Measurement, Spread, environment, measure, start_backend
from .networks import BENCHMARKS, LARGE

SMALL = [name for name in BENCHMARKS if name not in LARGE]
COLUMNS = (
    "network",
    "neurons",
    "operators",
    "groups",
    "build s",
    "first run s",
    "after Nengo s",
    "µs a step",
    "Nengo's µs a step",
    "ratio",
    "peak MB",
)


@click.command(
    context_settings={"show_default": True}, epilog=f"Networks: {', '.join(BENCHMARKS)}."
)
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS, "all"]), metavar="[NETWORK]...")
@click.option("--steps", default=1000, type=click.IntRange(1), help="Of each timed run.")
@click.option("--first-steps", default=100, type=click.IntRange(1), help="Of the first run.")
@click.option("--repeats", default=5, type=click.IntRange(1), help="Timed runs.")
@click.option("--minibatch", default=1, type=click.IntRange(1), help="Items at once, here.")
@click.option("--dtype", default="float32", type=click.Choice(DTYPES), help="Precision, here.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Network argument.")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where to write everything.",
)
def main(
    names: tuple[str, ...], settings: tuple[str, ...], file: Path | None, **options: Any
) -> None:
    """Run each NETWORK in nengo.Simulator and in nengo_dl, in turn, and compare their speed.

    Without a name: all that take a few seconds. For all: "all".
    """
    arguments = dict(_setting(text) for text in settings)
    names = names or tuple(SMALL)
    names = tuple(BENCHMARKS) if "all" in names else names
    for name in names:
        _check(name, arguments)
    console = Console()
    start = start_backend()
    measured = []
    for name in names:
        with console.status(name):
            measured.append(measure(BENCHMARKS[name], name, **options, **arguments))
    console.print(_table(measured, console))
    if file is not None:
        about = environment() | {"backend_start_s": start}
        results = [m.as_dict() for m in measured]
        file.write_text(json.dumps({"environment": about, "measurements": results}, indent=2))


def _setting(text: str) -> tuple[str, Any]:
    """What ``key=value`` says: a Python literal, or the name of a neuron type."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        for module in (nengo, neurons):
            found = getattr(module, value, None)
            if isinstance(found, type) and issubclass(found, nengo.neurons.NeuronType):
                return key, found()
    message = f"{value!r} is neither a Python literal nor a neuron type"
    raise click.BadParameter(message, param_hint="--set")


def _check(name: str, arguments: dict[str, Any]) -> None:
    known = inspect.signature(BENCHMARKS[name]).parameters
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise click.BadParameter(
            f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}",
            param_hint="--set",
        )


def _table(measured: list[Measurement], console: Console) -> Table:
    if not console.is_terminal:
        console.width = 200  # no line is to be broken in a file
    table = Table(caption="µs a step: median (min to max)")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "network" else "right", min_width=4)
    for m in measured:
        table.add_row(
            m.name,
            f"{m.neurons:,}",
            f"{m.operators:,}",
            str(m.groups),
            f"{m.nengo_dl.build_s:.2f}",
            f"{m.nengo_dl.first_s:.2f}",
            f"{m.first_result_s:+.2f}",
            _spread(m.nengo_dl.step_us),
            _spread(m.nengo.step_us),
            f"{m.ratio:.1f}",
            f"{m.peak_mb:,.0f}",
        )
    return table


def _spread(us: Spread) -> str:
    digits = 1 if us.median < 100 else 0
    return f"{us.median:,.{digits}f} ({us.min:,.{digits}f} to {us.max:,.{digits}f})"
