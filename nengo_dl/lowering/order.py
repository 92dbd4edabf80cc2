"""The order in which Nengo's simulator gives its random numbers to processes.

Nengo draws a seed for each process without one when it makes the step functions, in the order of
the steps.  To hear the same noise, the same draws have to go to the same processes.
"""

from __future__ import annotations

import nengo.utils.numpy as npext
import numpy as np
from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.processes import Process
from nengo.synapses import Synapse
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph


def process_order(model: Model) -> list[Operator]:
    """All `SimProcess` operators, in the order in which Nengo makes their steps.

    It is that of `nengo.Simulator(optimize=False)`. Nengo's optimizer seldom changes it, and then
    leaves it to chance which of two processes comes first.
    """
    processes = [op for op in model.operators if isinstance(op, SimProcess)]
    draws = [op for op in processes if op.process.seed is None]
    # any order is right where there is one draw, or none that anyone hears
    if len(draws) < 2 or not any(_is_random(op.process) for op in draws):
        return processes
    order = toposort(operator_dependency_graph(model.operators))
    return [op for op in order if isinstance(op, SimProcess)]


def draw_seeds(order: list[Operator], rng: np.random.RandomState) -> dict[Operator, int]:
    """The seed of each process, as Nengo's simulator draws them from its generator."""
    return {
        op: rng.randint(npext.maxint) if op.process.seed is None else op.process.seed
        for op in order
    }


def _is_random(process: Process) -> bool:
    """Whether a process may use its random numbers; Nengo's synapses never do."""
    return not (isinstance(process, Synapse) and type(process).__module__ == "nengo.synapses")
