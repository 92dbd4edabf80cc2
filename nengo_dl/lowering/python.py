"""The user's own Python in a model, and the order in which Nengo calls it.

Functions, processes and neurons of the user's may share objects with each other. What they see
then depends on who is called first, so all of them are called in Nengo's order, step by step. What
is known to be pure, by itself or because the user says so, needs no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Operator, Reset
from nengo.builder.processes import SimProcess
from nengo.params import FrozenObject
from nengo.processes import Process
from nengo.synapses import Synapse
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph

from .catalogue import Catalogue
from .filters import has_lowering

KNOWN = ("nengo", "nengo_dl")  # packages whose objects keep what changes to themselves
PLAIN = {Copy, DotInc, ElementwiseInc, Reset}  # most of all operators; none calls Python
# Elements of an array of objects that are looked at one by one. Of a longer one it is assumed that
# it may share objects, which is always safe; so this is no choice of speed, no field of `Costs`.
LARGEST = 100


def find_python(
    model: Model,
    operators: Iterable[Operator],
    catalogue: Catalogue,
    is_pure: Callable[[object], bool],
) -> list[Operator]:
    """Operators that call Python which may share objects, in Nengo's order.

    It is that of `nengo.Simulator(optimize=False)`.

    Parameters
    ----------
    model : nengo.builder.Model
    operators : iterable of nengo.builder.Operator
        What is simulated: the model's operators, perhaps rewritten.
    catalogue : Catalogue
        The kernels there are.
    is_pure : callable
        Whether the user says that the output of a node is pure.
    """
    pure = _Pure(model, is_pure)
    found = {op for op in operators if not _is_known(op, catalogue) and op not in pure}
    # alone, it shares objects with nobody; to sort all operators takes long
    if len(found) < 2:
        return list(found)
    return [op for op in toposort(operator_dependency_graph(operators)) if op in found]


def is_known_process(process: Process) -> bool:
    """Whether all that a process computes with is Nengo's own."""
    known = _is_of_known_type(process)
    if known and isinstance(process, Synapse):
        return True  # Nengo's have numbers alone
    return known and all(map(_keeps_to_itself, _attributes(process)))


class _Pure:
    """Operators that stand for nodes whose output is pure, as the user says."""

    def __init__(self, model: Model, is_pure: Callable[[object], bool]) -> None:
        nodes = () if model.toplevel is None else model.toplevel.all_nodes
        named = [node for node in nodes if node in model.sig and is_pure(node)]
        self._outputs = {model.sig[n].get("out") for n in named} - {None}
        self._functions = [n.output for n in named if model.sig[n].get("out") is None]

    def __contains__(self, op: Operator) -> bool:
        if not isinstance(op, SimPyFunc | SimProcess):
            return False
        if op.output is not None:
            return op.output in self._outputs
        return any(op.fn is function for function in self._functions)


def _is_known(op: Operator, catalogue: Catalogue) -> bool:
    if type(op) in PLAIN:
        return True
    if isinstance(op, SimPyFunc):
        return isinstance(op.fn, np.ufunc)
    if isinstance(op, SimProcess):
        compiled = op.input is not None and has_lowering(type(op.process))
        return compiled or is_known_process(op.process)
    if isinstance(op, SimNeurons):
        return _is_of_known_type(op.neurons) or catalogue.compiles_neurons(type(op.neurons))
    return _is_of_known_type(op)


def _is_of_known_type(obj: object) -> bool:
    return type(obj).__module__.partition(".")[0] in KNOWN


def _attributes(obj: FrozenObject) -> list[object]:
    return [getattr(obj, param.name) for param in obj._params]


def _keeps_to_itself(value: object) -> bool:
    """Whether the value of an attribute is data, or an object of Nengo's made of such."""
    if isinstance(value, FrozenObject):
        return is_known_process(value)
    if isinstance(value, dict):
        return all(map(_keeps_to_itself, value.values()))
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        return len(value) <= LARGEST and all(map(_keeps_to_itself, value))
    return not callable(value) or isinstance(value, np.ufunc | type)
