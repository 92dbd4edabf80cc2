"""How the time before the first step grows with a network."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import nengo
from nengo.builder import Model

from ..compiler import costs
from .measure import Factory, make, nengo_setting, our_simulator, start_backend

if TYPE_CHECKING:
    from ..simulator.simulator import Simulator


@dataclass(frozen=True)
class Size:
    """What a network of one size took.

    Attributes
    ----------
    value : int
        Of the argument that grows.
    operators : int
    groups : int
        Of operators, that run here.
    nengo_s : float
        In Nengo's own builder, once.
    passes_s : float
        In ours, until there is a simulator; the median of several.
    xla_s : float
        To compile: what a first prediction takes longer than a second one; the median of several.
    """

    value: int
    operators: int
    groups: int
    nengo_s: float
    passes_s: float
    xla_s: float


def measure_growth(
    factory: Factory,
    argument: str,
    values: Sequence[int],
    minibatch: int = 1,
    dtype: str = "float32",
    first_steps: int = 100,
    repeats: int = 5,
    **arguments: Any,
) -> list[Size]:
    """Build and compile networks of several sizes; `nengo.Simulator` does not run them.

    Parameters
    ----------
    factory : callable
        Makes the network.
    argument : str
        Of the factory.
    values : sequence of int
    minibatch : int
    dtype : str
    first_steps : int
        Of the prediction that compiles.
    repeats : int
        Simulators that are made of each network.
    **arguments
        Of the factory.
    """
    start_backend()
    sizes = []
    for value in values:
        net = make(factory, arguments | {argument: value}, dtype)
        sizes.append(_measure(net, value, minibatch, dtype, first_steps, repeats))
    return sizes


def per_doubling(before: Size, after: Size, what: str) -> float:
    """By what a time grew for each doubling of the argument; NaN if one of them is nothing."""
    first, last = getattr(before, what), getattr(after, what)
    if min(first, last) <= 0 or before.value == after.value:
        return math.nan
    return (last / first) ** (1 / math.log2(after.value / before.value))


def _measure(
    net: nengo.Network, value: int, minibatch: int, dtype: str, steps: int, repeats: int
) -> Size:
    start = time.perf_counter()
    model = Model(dt=0.001)  # it has no cache of decoders
    with nengo_setting("precision", "bits", dtype.removeprefix("float")):
        model.build(net)
    built = time.perf_counter()
    with costs.assuming(shared_functions=0):  # to compile anew each time
        compiled = [_compile(model, minibatch, steps) for _ in range(repeats)]
    groups, passes, xla = zip(*compiled, strict=True)
    return Size(
        value=value,
        operators=len(model.operators),
        groups=groups[0],
        nengo_s=built - start,
        passes_s=median(passes),
        xla_s=median(xla),
    )


def _compile(model: Model, minibatch: int, steps: int) -> tuple[int, float, float]:
    """Groups of a simulator's program, and seconds in our passes and in XLA."""
    gc.collect()
    start = time.perf_counter()
    sim = our_simulator()(None, model=model, minibatch_size=minibatch, progress_bar=False)
    made = time.perf_counter()
    with contextlib.closing(sim):
        # the first compiles and runs, the second runs
        first, second = (_seconds(sim, steps) for _ in range(2))
        return len(sim.program.groups), made - start, max(first - second, 0.0)


def _seconds(sim: Simulator, steps: int) -> float:
    """Seconds that a prediction takes: all of its steps are compiled."""
    start = time.perf_counter()
    sim.predict(n_steps=steps)
    return time.perf_counter() - start
