"""What the objects of a network are called: in variables, files of parameters, tables, messages.

An object's name is its label, or its class in lower case if it has none, behind the names of the
networks around it (all but the top-level one), with points between them: ``sub.ens``.  A connection
without a label is named after what it connects, as seen from the network that it is in: ``a->b``.
Where a name is taken by another object of the same kind, the second gets the suffix ``_1``, the
third ``_2``.  So names do not change when objects of other names, or of other kinds, are added.

What is behind the point in ``a->b.weights`` is named in `roles.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import nengo
from nengo.connection import LearningRule
from nengo.ensemble import Neurons

Named: TypeAlias = nengo.Network | nengo.Ensemble | nengo.Node | nengo.Connection
End: TypeAlias = nengo.Ensemble | nengo.Node | Neurons | LearningRule  # of a connection

UNLABELLED = re.compile(r"<(\w+) \(unlabeled\) at 0x([0-9a-fA-F]+)>")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def without_addresses(names: Mapping[Named, str]) -> Callable[[str], str]:
    """Names in the place of addresses, which differ from run to run, in texts of Nengo's.

    Parameters
    ----------
    names : dict
        As of `name_objects`.

    Returns
    -------
    callable
        Makes ``<Ensemble "sub.ensemble_1">`` of ``<Ensemble (unlabeled) at 0x7f...>`` in a str.
    """
    by_address = {id(obj): name for obj, name in names.items()}

    def named(found: re.Match[str]) -> str:
        name = by_address.get(int(found[2], 16))
        return f"<{found[1]}>" if name is None else f'<{found[1]} "{name}">'

    def readable(text: str) -> str:
        if " at 0x" not in text:
            return text
        text = UNLABELLED.sub(named, text)
        return ADDRESS.sub("", text) if " at 0x" in text else text

    return readable


def name_objects(network: nengo.Network | None) -> dict[Named, str]:
    """Names of all networks, nodes, ensembles and connections in a network.

    Parameters
    ----------
    network : nengo.Network or None
        The top-level network, which has no name itself.

    Returns
    -------
    dict of object to str
        In the order of the network: of two objects of one kind, none has the other's name.
    """
    return {} if network is None else _Namer(network).names


class _Namer:
    def __init__(self, network: nengo.Network) -> None:
        self.names: dict[Named, str] = {}
        self._taken: set[tuple[type, str]] = set()
        self._next: dict[tuple[type, str], int] = {}
        networks = list(self._networks(network, ""))
        for net, prefix in networks:
            for obj in (*net.nodes, *net.ensembles):
                kind = nengo.Ensemble if isinstance(obj, nengo.Ensemble) else nengo.Node
                self._add(obj, kind, prefix + _label(obj))
        connections = [(conn, prefix) for net, prefix in networks for conn in net.connections]
        # what goes to a learning rule is named after the connection that the rule changes
        connections.sort(key=lambda pair: isinstance(pair[0].post_obj, LearningRule))
        for conn, prefix in connections:
            name = conn.label or "->".join(
                self._end(obj).removeprefix(prefix) for obj in (conn.pre_obj, conn.post_obj)
            )
            self._add(conn, nengo.Connection, prefix + name)

    def _networks(self, network: nengo.Network, prefix: str) -> Iterator[tuple[nengo.Network, str]]:
        """All networks and what the names in them begin with, from the outside in."""
        stack = [(network, prefix)]
        while stack:
            network, prefix = stack.pop()
            yield network, prefix
            inner = [
                (net, self._add(net, nengo.Network, prefix + _label(net)) + ".")
                for net in network.networks
            ]
            stack.extend(reversed(inner))

    def _add(self, obj: Named, kind: type[Named], name: str) -> str:
        unique, number = name, self._next.get((kind, name), 1)
        while (kind, unique) in self._taken:
            unique = f"{name}_{number}"
            number += 1
        self._next[kind, name] = number
        self._taken.add((kind, unique))
        self.names[obj] = unique
        return unique

    def _end(self, obj: End) -> str:
        """The name of one end of a connection."""
        if isinstance(obj, Neurons):
            return f"{self._end(obj.ensemble)}.neurons"
        if isinstance(obj, LearningRule):
            return f"{self._end(obj.connection)}.learning_rule"
        return self.names.get(obj) or _label(obj)


def _label(obj: Named | End) -> str:
    return str(obj.label) if obj.label else type(obj).__name__.lower()
