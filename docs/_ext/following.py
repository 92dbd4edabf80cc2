"""What each pass of the compiler makes of one network, recorded while a Simulator compiles it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import nengo
import numpy as np

import nengo_dl.simulator

PASSES = ("simplify", "split", "schedule", "arrange")


def network() -> nengo.Network:
    """An integrator of 16 dimensions, and neurons that read it."""
    with nengo.Network(seed=0) as net:
        x = nengo.Node(lambda t: np.sin(t + np.arange(16)), label="x")
        memory = nengo.networks.EnsembleArray(30, 16, label="memory")
        rates = nengo.RectifiedLinear()
        square = nengo.Ensemble(400, 16, label="square", neuron_type=rates)
        nengo.Connection(x, memory.input, transform=0.1, synapse=None)
        nengo.Connection(memory.output, memory.input, synapse=0.1)
        nengo.Connection(memory.output, square, synapse=None)
        nengo.Probe(square.neurons, label="y")
    return net


class Followed:
    """A compiled network, and what passes returned, in the order of their calls.

    Attributes
    ----------
    sim : nengo_dl.Simulator
    returned : dict of str to list
    """

    def __init__(self, **kwargs: Any) -> None:
        self.returned: dict[str, list] = {name: [] for name in PASSES}
        with ExitStack() as stack:
            for name in PASSES:
                stack.enter_context(self._recording(name))
            self.sim = nengo_dl.Simulator(network(), progress_bar=False, **kwargs)
        self.graph = self.sim._compiled.lowered.graph

    @contextmanager
    def _recording(self, name: str) -> Iterator[None]:
        original: Callable = getattr(import_module(f"nengo_dl.compiler.{name}"), name)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self.returned[name].append(result)
            return result

        ours = [m for n, m in list(sys.modules.items()) if n.startswith("nengo_dl")]
        with ExitStack() as stack:
            for module in ours:
                if getattr(module, name, None) is original:
                    stack.enter_context(patch.object(module, name, recorded))
            yield


def show(thing: Any, most: int = 24, width: int = 118) -> None:
    """Print the first lines of something, cut where they are too long for a page."""
    lines = str(thing).splitlines()
    for line in lines[:most]:
        print(line if len(line) <= width else line[: width - 1] + "…")
    if len(lines) > most:
        print(f"… and {len(lines) - most} more lines")
