"""Which of Nengo's signals are parameters, and which inputs, of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal as NengoSignal
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.learning_rules import LearningRuleType
from nengo.neurons import Direct
from nengo.utils.functions import function_name

from ..compiler.ir import Role, Signal


@dataclass(frozen=True, eq=False, slots=True)
class Parameter:
    """A signal that belongs to a Nengo object: `attr` is weights, encoders or bias."""

    obj: object
    attr: str
    trainable: bool
    name: str  # such as "ens.encoders"; see `name_objects`


@dataclass(frozen=True, eq=False)
class Uniform:
    """Numbers in [0, 1) from a generator, `size` of them in each step."""

    rng: np.random.RandomState
    size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Feed:
    """An input of the simulation.

    `source` makes its values where the user gives none: an array (one row, for all steps), a
    function of time, or the `SimProcess` operator of a process.  `node` is None for what users
    cannot feed (noise, functions of time in a model without nodes).  Where it is `called`, its
    Python runs within each step; otherwise a chunk of time ahead.
    """

    signal: Signal | None
    source: object
    node: nengo.Node | None = None
    op: object = None  # the operator that it replaces
    sig: NengoSignal | None = None
    called: bool = False

    @property
    def size(self) -> int:
        """Elements of one row."""
        made = self.sig if self.signal is None else self.signal
        return 0 if made is None else made.size


def description_of(op: Operator) -> str:
    """The user's code that an operator runs, and the object that it belongs to."""
    if isinstance(op, SimPyFunc):
        what, sig = f"function {function_name(op.fn)!r}", op.x if op.output is None else op.output
    elif isinstance(op, SimProcess):
        what, sig = f"process {op.process}", op.output
    elif isinstance(op, SimNeurons):
        what, sig = f"{type(op.neurons).__name__} neurons", op.output
    else:
        return op.tag or str(op)
    name = "" if sig is None else sig.name  # as in "<Node 'x'>.out"
    owner, found, _ = name.partition(">.")
    return f"{what} of {owner}>" if found else what


def find_parameters(
    model: Model, trainable: Callable[[object], bool], names: Mapping[object, str]
) -> dict[NengoSignal, Parameter]:
    """The parameter that each base signal holds; empty for a model without a network."""
    found: dict[NengoSignal, Parameter] = {}
    network = model.toplevel
    if network is None:
        return found

    def add(obj: object, attr: str, name: str) -> None:
        sig = model.sig[obj].get(attr, None) if obj in model.sig else None
        if sig is not None and sig.size:
            found.setdefault(sig.base, Parameter(obj, attr, trainable(obj), f"{name}.{attr}"))

    for ens in network.all_ensembles:
        add(ens, "encoders", names[ens])
        if not isinstance(ens.neuron_type, Direct):
            add(ens.neurons, "bias", names[ens])
    for conn in network.all_connections:
        add(conn, "weights", names[conn])
    return found


def find_training_spikes(
    model: Model, choice: Callable[[nengo.Ensemble | None], object]
) -> Callable[[NengoSignal], object]:
    """What neurons do in training, by the signal of their output, or of the rates behind it."""
    network = model.toplevel
    ensembles = [] if network is None else network.all_ensembles
    built = [e for e in ensembles if e.neurons in model.sig]
    owners = {model.sig[e.neurons].get(key): e for key in ("out", "rate_out") for e in built}
    return lambda sig: choice(owners.get(sig))


def find_learned(model: Model) -> dict[NengoSignal, object]:
    """Base signals that learning rules change, and the rule's connection."""
    learned = {}
    connections = model.toplevel.all_connections if model.toplevel is not None else []
    for conn in connections:
        for rule in _rules(conn):
            if rule.modifies == "encoders":
                post = conn.post_obj
                post = post.ensemble if isinstance(post, Neurons) else post
                learned[model.sig[post]["encoders"].base] = conn
            elif rule.modifies in ("weights", "decoders"):
                learned[model.sig[conn]["weights"].base] = conn
            else:
                raise BuildError(f"{conn}: learning rule modifies unknown {rule.modifies!r}")
    return learned


def _rules(conn: nengo.Connection) -> list[LearningRuleType]:
    rule = conn.learning_rule
    if rule is None:
        return []
    if isinstance(rule, dict):
        return list(rule.values())
    return list(rule) if isinstance(rule, list | tuple) else [rule]


def find_feeds(
    model: Model,
    operators: Sequence[Operator],
    readable: Callable[[str], str],
    called: Collection[Operator] = (),
) -> list[Feed]:
    """Inputs of the model: its nodes first, in order, then what else depends on time alone.

    Parameters
    ----------
    model : nengo.builder.Model
    operators : sequence of nengo.builder.Operator
    readable : callable
        Puts names in the place of addresses, in those of signals.
    called : collection of nengo.builder.Operator
        Those that are to be called within each step.
    """
    drivers: dict[Operator, None] = {op: None for op in operators if is_driven_by_time(op)}
    by_output = {op.output: op for op in drivers if op.output is not None}
    feeds = []
    for node in input_nodes(model):
        sig = model.sig[node].get("out")
        op = by_output.get(sig) if sig is not None else _silent(drivers, node)
        drivers.pop(op, None)
        if sig is None and op is None:
            continue
        source = np.asarray(sig.initial_value) if op is None else _source(op)
        signal = _input_signal(sig, readable)
        feeds.append(
            Feed(signal=signal, source=source, node=node, op=op, sig=sig, called=op in called)
        )
    for op in drivers:
        signal = None if op in called else _input_signal(op.output, readable)
        source, inside = _source(op), op in called
        feeds.append(Feed(signal=signal, source=source, op=op, sig=op.output, called=inside))
    return feeds


def input_nodes(model: Model) -> list[nengo.Node]:
    """Nodes that users may feed: plain ones that receive nothing, and are no constants."""
    if model.toplevel is None:
        return []
    return [n for n in model.toplevel.all_nodes if n.size_in == 0 and not _is_own_source(n)]


def _is_own_source(node: nengo.Node) -> bool:
    """Whether it is tensor code, or a constant of a converted model."""
    return hasattr(node, "tensor_func") or getattr(node, "is_constant", False)


def is_driven_by_time(op: Operator) -> bool:
    """Whether an operator makes values, by Python of the user's or of Nengo's, of time alone."""
    if isinstance(op, SimPyFunc):
        return op.x is None
    return isinstance(op, SimProcess) and op.input is None and op.mode != "update"


def _silent(drivers: Mapping[Operator, None], node: nengo.Node) -> Operator | None:
    """The operator of a node without output, which no signal leads to."""
    found = (op for op in drivers if op.output is None and op.fn is node.output)
    return next(found, None)


def _source(op: Operator) -> Any:
    return op.fn if isinstance(op, SimPyFunc) else op


def _input_signal(sig: NengoSignal | None, readable: Callable[[str], str]) -> Signal | None:
    if sig is None:
        return None
    return Signal(readable(sig.name), sig.shape, Role.INPUT, initial=np.asarray(sig.initial_value))
