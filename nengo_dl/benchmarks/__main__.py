"""``python -m nengo_dl.benchmarks``."""

import sys

try:
    import click  # noqa: F401
except ModuleNotFoundError:
    sys.exit("The benchmark command needs click: pip install 'nengo-dl[benchmarks]'")

from .cli import main

main(prog_name="python -m nengo_dl.benchmarks")
