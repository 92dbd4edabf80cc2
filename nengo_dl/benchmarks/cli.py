"""The command line of the benchmarks; alone in needing click."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import nengo
from rich.console import Console
from rich.table import Table

from .. import neurons
from ..config.validators import DTYPES
from .growth import Size, measure_growth, per_doubling
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
    "× by hand",
    "peak MB",
)


@click.command(
    context_settings={"show_default": True}, epilog=f"Networks: {', '.join(BENCHMARKS)}."
)
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS, "all"]), metavar="[NETWORK]...")
@click.option("--steps", default=1000, type=click.IntRange(1), help="Of each timed run.")
@click.option("--first-steps", default=100, type=click.IntRange(1), help="Of the first run.")
@click.option(
    "--repeats", default=5, type=click.IntRange(1), help="Timed runs; of --growth, simulators made."
)
@click.option(
    "--min-seconds",
    default=0.05,
    type=click.FloatRange(0),
    help="Of each timed run here: it gets more steps than Nengo's if those are over sooner, since "
    "a call takes some 0.4 ms itself. 0: always as many.",
)
@click.option("--minibatch", default=1, type=click.IntRange(1), help="Items at once, here.")
@click.option("--dtype", default="float32", type=click.Choice(DTYPES), help="Precision, here.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Network argument.")
@click.option(
    "--growth",
    metavar="KEY=N,N...",
    help="Measure building and compiling instead, for several values of a network argument, with "
    "two predictions of --first-steps.",
)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where to write everything.",
)
def main(
    names: tuple[str, ...],
    settings: tuple[str, ...],
    growth: str | None,
    file: Path | None,
    **options: Any,
) -> None:
    """Run each NETWORK in nengo.Simulator and in nengo_dl, in turn, and compare their speed.

    Without a name: all that take a few seconds. For all: "all".

    "× by hand": of the time of a loop for XLA that was written for this one network, float32.
    """
    arguments = dict(_setting(text) for text in settings)
    names = names or tuple(SMALL)
    names = tuple(BENCHMARKS) if "all" in names else names
    sizes = _sizes(growth)
    for name in names:
        _check(name, arguments | sizes)
    console = Console()
    if not console.is_terminal:
        console.width = 200  # no line is to be broken in a file
    about = environment() | {"backend_start_s": start_backend()}
    report = _report_growth if sizes else _report_speed
    results = report(names, console, options | arguments, sizes)
    if file is not None:
        file.write_text(json.dumps({"environment": about} | results, indent=2))


def _report_speed(
    names: tuple[str, ...],
    console: Console,
    options: dict[str, Any],
    _sizes: dict[str, tuple[int, ...]],
) -> dict[str, Any]:
    measured = []
    for name in names:
        with console.status(name):
            measured.append(measure(BENCHMARKS[name], name, **options))
    console.print(_table(measured))
    return {"measurements": [m.as_dict() for m in measured]}


def _report_growth(
    names: tuple[str, ...],
    console: Console,
    options: dict[str, Any],
    sizes: dict[str, tuple[int, ...]],
) -> dict[str, Any]:
    ((argument, values),) = sizes.items()
    options = {k: v for k, v in options.items() if k not in ("steps", "min_seconds")}
    results = {}
    for name in names:
        with console.status(name):
            results[name] = measure_growth(BENCHMARKS[name], argument, values, **options)
        console.print(_growth_table(name, argument, results[name]))
    return {"growth": {name: list(map(asdict, found)) for name, found in results.items()}}


def _sizes(text: str | None) -> dict[str, tuple[int, ...]]:
    """The argument that grows, and its values; empty if there is none."""
    if text is None:
        return {}
    key, values = _setting(text, "--growth")
    values = values if isinstance(values, tuple) else (values,)
    if not all(isinstance(v, int) and v > 0 for v in values):
        raise click.BadParameter(f"{text!r} is not KEY=N,N...", param_hint="--growth")
    return {key: values}


def _setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """What ``key=value`` says: a Python literal, or the name of a neuron type."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        for module in (nengo, neurons):
            found = getattr(module, value, None)
            if isinstance(found, type) and issubclass(found, nengo.neurons.NeuronType):
                return key, found()
    message = f"{value!r} is neither a Python literal nor a neuron type"
    raise click.BadParameter(message, param_hint=option)


def _check(name: str, arguments: dict[str, Any]) -> None:
    known = inspect.signature(BENCHMARKS[name]).parameters
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise click.BadParameter(
            f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}",
            param_hint="--set",
        )


def _table(measured: list[Measurement]) -> Table:
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
            "" if m.times_by_hand is None else f"{m.times_by_hand:.2f}",
            f"{m.peak_mb:,.0f}",
        )
    return table


def _growth_table(name: str, argument: str, sizes: list[Size]) -> Table:
    columns = (argument, "operators", "groups", "Nengo's builder s", "our passes s", "XLA s")
    table = Table(title=name, caption="(× for each doubling; medians of ours and XLA's)")
    for column in columns:
        table.add_column(column, justify="right")
    for before, size in zip([None, *sizes], sizes, strict=False):
        times = [_grown(before, size, what) for what in ("nengo_s", "passes_s", "xla_s")]
        table.add_row(f"{size.value:,}", f"{size.operators:,}", str(size.groups), *times)
    return table


def _grown(before: Size | None, size: Size, what: str) -> str:
    text = f"{getattr(size, what):.2f}"
    return text if before is None else f"{text} (× {per_doubling(before, size, what):.2f})"


def _spread(us: Spread) -> str:
    digits = 1 if us.median < 100 else 0
    return f"{us.median:,.{digits}f} ({us.min:,.{digits}f} to {us.max:,.{digits}f})"
