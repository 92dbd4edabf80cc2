"""`Simulator.summary`: what the network is made of, as a table like those of Keras."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import nengo
from nengo.ensemble import Neurons

from ..compiler.ir import Group, Program, Role, Signal
from ..session.session import Session


@dataclass
class Row:
    """One object of the network; `trained` and `fixed` are numbers of parameters."""

    name: str
    kind: str
    neurons: int = 0
    trained: int = 0
    fixed: int = 0
    learned: int = 0
    groups: dict[str, None] = field(default_factory=dict)

    @property
    def trainable(self) -> str:
        """What of its parameters training changes, in a word."""
        parts = {"yes": self.trained, "no": self.fixed, "online": self.learned}
        return ", ".join(word for word, number in parts.items() if number)


def rows(session: Session) -> list[Row]:
    """Ensembles, TensorNodes and connections with parameters, in the order of the network."""
    compiled = session.compiled
    network, names = compiled.model.toplevel, compiled.lowered.names
    if network is None:
        return []
    found = {}
    for obj in (*network.all_ensembles, *network.all_nodes, *network.all_connections):
        row = Row(names[obj], type(obj).__name__)
        if isinstance(obj, nengo.Ensemble):
            row.kind, row.neurons = type(obj.neuron_type).__name__, obj.n_neurons
        if isinstance(obj, nengo.Ensemble) or hasattr(obj, "tensor_func"):
            found[obj] = row
        elif isinstance(obj, nengo.Connection):
            found[obj] = row
    _count_parameters(session, found)
    _count_layers(session, found)
    return [
        row
        for obj, row in found.items()
        if not isinstance(obj, nengo.Connection) or row.trained + row.fixed + row.learned
    ]


def _count_parameters(session: Session, found: dict[Any, Row]) -> None:
    program, lowered = session.compiled.program, session.compiled.lowered
    biases = {s for s, parameter in lowered.parameters.items() if parameter.attr == "bias"}
    readers = _readers(program, biases)
    trainable = {
        signal
        for stored in session.graph.parameters.stored
        if stored.variable.trainable
        for signal in stored.members
    }
    for signal, parameter in lowered.parameters.items():
        obj = parameter.obj.ensemble if isinstance(parameter.obj, Neurons) else parameter.obj
        row = found[obj]
        if signal.role is Role.ADAPTED:
            row.learned += signal.size
        elif signal in trainable and not session.settings.inference_only:
            row.trained += signal.size
        else:
            row.fixed += signal.size
        for group in readers[signal]:
            row.groups[f"{group.kind} ×{len(group.ops)}"] = None


def _readers(program: Program, biases: set[Signal]) -> dict[Signal, dict[Group, None]]:
    """The groups that read each signal; of biases, the neurons that get the current too."""
    readers: dict[Signal, dict[Group, None]] = defaultdict(dict)
    for group in program.groups:
        for op in group.ops:
            for view in op.reads:
                readers[view.signal][group] = None
    for op in program.ops:
        for bias in biases.intersection(view.signal for view in op.reads):
            for current in op.writes:
                readers[bias].update(readers[current])
    return readers


def _count_layers(session: Session, found: dict[Any, Row]) -> None:
    counted: set[int] = set()
    for node, row in found.items():
        layer = getattr(node, "tensor_func", None)
        if not hasattr(node, "tensor_func"):
            continue
        row.kind = type(layer).__name__ if hasattr(layer, "weights") else row.kind
        row.groups["tensor_node ×1"] = None
        for weight in getattr(layer, "weights", ()):
            if id(weight) in counted:
                continue  # a layer in several nodes
            counted.add(id(weight))
            if weight.trainable and not session.settings.inference_only:
                row.trained += prod(weight.shape)
            else:
                row.fixed += prod(weight.shape)


def summarize(session: Session, line_length: int | None, print_fn: Callable | None) -> None:
    """See `Simulator.summary`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    listed = rows(session)
    table = Table(title=f"Simulation, minibatches of {session.batch}", title_justify="left")
    for name in ("Object (type)", "Neurons", "Parameters", "Trainable", "Groups"):
        numeric = name in ("Neurons", "Parameters")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        number = row.trained + row.fixed + row.learned
        table.add_row(
            f"{escape(row.name)} ({escape(row.kind)})",
            f"{row.neurons:,}" if row.neurons else "",
            f"{number:,}" if number else "",
            row.trainable,
            ", ".join(row.groups) or "unused",
        )
    text = io.StringIO()
    file = text if print_fn is not None else None
    console = Console(file=file, width=line_length, highlight=False)
    console.print(table)
    for line in _totals(session, listed):
        console.print(line)
    if print_fn is not None:
        print_fn(text.getvalue().rstrip("\n"))


def _totals(session: Session, listed: list[Row]) -> Iterator[str]:
    program = session.compiled.program
    kinds = [row for row in listed if row.neurons]
    trained, fixed, learned = (
        sum(getattr(row, name) for row in listed) for name in ("trained", "fixed", "learned")
    )
    yield f" Neurons: {sum(row.neurons for row in kinds):,} in {len(kinds):,} ensembles"
    yield f" Parameters: {trained + fixed + learned:,}"
    yield f"   trainable: {trained:,}"
    yield f"   not trainable: {fixed:,}"
    yield f"   learned online, in each batch item: {learned:,}"
    yield f" Operators: {len(program.ops):,} in {len(program.groups):,} groups"
