"""Connections between ensembles and nodes, as Nengo's builder builds them, in less time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo import Connection, Ensemble, Node
from nengo.builder import Model, connection, transforms
from nengo.builder.connection import BuiltConnection
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo.builder.signal import Signal
from nengo.neurons import Direct
from nengo.rc import rc
from nengo.transforms import Dense

from .random_states import RandomState
from .signals import Signals

BuildFunction = Callable[..., Any]  # (model, object, ...), as Nengo's builder calls it


class Connections:
    """Builds connections; Nengo's function builds those that have anything special.

    Parameters
    ----------
    signals : Signals
        Makes the signals.
    others : callable
        Nengo's function.
    """

    def __init__(self, signals: Signals, others: BuildFunction) -> None:
        self._signals, self._others = signals, others
        self._texts: dict[object, str] = {}  # of ensembles and nodes

    def build(self, model: Model, conn: Connection) -> None:
        """Build what Nengo's function builds."""
        pre, post = conn.pre_obj, conn.post_obj
        ends = [model.sig.get(pre, {}).get("out"), model.sig.get(post, {}).get("in")]
        if not _is_plain(conn, pre, post) or any(sig is None or not sig.size for sig in ends):
            self._others(model, conn)
            return
        rng = RandomState(model.seeds[conn])
        sigs = model.sig[conn]
        sigs["in"], sigs["out"] = signal, target = ends
        points = decoders = info = None
        if isinstance(pre, Node):
            signal = connection.slice_signal(model, signal, conn.pre_slice)
        else:
            points, decoders, info = model.build(conn.solver, conn, rng)
        transform, synapse = conn.transform, conn.synapse
        weighted, weights = model.build(transform, signal, decoders=decoders, rng=rng)
        sigs["weights"] = weights
        if synapse is not None:
            weighted = model.build(synapse, weighted, mode="update")
        sigs["weighted"] = weighted
        tag = self._text(conn, pre, post)
        model.add_op(Copy(weighted, target, dst_slice=conn.post_slice, inc=True, tag=tag))
        values = getattr(weights, "initial_value", None)
        model.params[conn] = BuiltConnection(points, info, values, transform)

    def _text(self, conn: Connection, pre: Ensemble | Node, post: Ensemble | Node) -> str:
        """What a connection is as a str."""
        if conn.label is not None or conn.function is not None:
            return str(conn)
        if conn.pre is not pre or conn.post is not post:
            return str(conn)
        for obj in (pre, post):
            if obj not in self._texts:
                self._texts[obj] = str(obj)
        return f"<Connection from {self._texts[pre]} to {self._texts[post]}>"

    def build_dense(
        self,
        model: Model,
        transform: Dense,
        sig_in: Signal,
        decoders: np.ndarray | None = None,
        encoders: np.ndarray | None = None,
        rng: Any = np.random,
    ) -> tuple[Signal, Signal]:
        """Build a matrix, as Nengo's function does; what it is called is found once."""
        dtype, text = rc.float_dtype, str(transform)
        weights = transform.sample(rng=rng).astype(dtype)
        if decoders is not None:
            weights = transforms.multiply(weights, decoders.astype(dtype))
        if encoders is not None:
            weights = transforms.multiply(encoders.astype(dtype).T, weights)
        matrix = self._signals(weights, readonly=True, name=f"{text}.weights")
        rows = transform.size_out if encoders is None else weights.shape[0]
        weighted = self._signals(shape=rows, name=f"{text}.weighted")
        model.add_op(Reset(weighted))
        op = ElementwiseInc if weights.ndim < 2 else DotInc
        model.add_op(op(matrix, sig_in, weighted, tag=f"{text}.apply_weights"))
        return weighted, matrix


def _is_plain(conn: Connection, pre: object, post: object) -> bool:
    """Whether it goes from an ensemble, by decoders, or from a node, and nothing learns."""
    if type(post) not in (Ensemble, Node) or conn.learning_rule_type is not None:
        return False
    if conn.solver.weights:
        return False
    if type(pre) is Node:
        return conn.function is None
    if not isinstance(pre, Ensemble):
        return False
    return not isinstance(pre.neuron_type, Direct)
