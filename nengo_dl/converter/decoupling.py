"""A copy of a converted network in which each layer gets the exact activations of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import nengo
import numpy as np
from nengo.base import NengoObject, ObjView
from nengo.ensemble import Neurons

from ..config.settings import Settings, configure_settings


class Decoupled:
    """Layers side by side: what one does wrong does not reach the next.

    Parameters
    ----------
    network : nengo.Network
    taught : list of Node or Neurons
        Objects whose readers get other values instead.

    Attributes
    ----------
    network : nengo.Network
    teachers : dict
        For each of `taught`, the Node whose output its readers get.
    """

    def __init__(self, network: nengo.Network, taught: Sequence[NengoObject | Neurons]) -> None:
        self.teachers: dict[NengoObject | Neurons, nengo.Node] = {}
        self._copies: dict[NengoObject, NengoObject] = {}
        # a seed, so that the same layers are blamed each time
        with nengo.Network(label=f"layers of {network.label}", seed=network.seed or 0) as made:
            configure_settings(
                inference_only=True, stateful=False, dtype=Settings.of(network).dtype
            )
            for obj in (*network.all_ensembles, *network.all_nodes):
                self._copies[obj] = _copy(obj)
            for obj in taught:
                self.teachers[obj] = nengo.Node(np.zeros(obj.size_out), label=f"exact {obj}")
            for conn in network.all_connections:
                self._connect(conn)
        self.network = made

    def copy_of(self, obj: NengoObject | Neurons) -> NengoObject | Neurons:
        """What an object of the original network is here."""
        if isinstance(obj, Neurons):
            return self._copies[obj.ensemble].neurons
        return self._copies[obj]

    def _connect(self, conn: nengo.Connection) -> None:
        pre, post = conn.pre_obj, self.copy_of(conn.post_obj)
        source = self.teachers[pre] if pre in self.teachers else self.copy_of(pre)
        nengo.Connection(
            source[conn.pre_slice] if isinstance(conn.pre, ObjView) else source,
            post[conn.post_slice] if isinstance(conn.post, ObjView) else post,
            synapse=conn.synapse,
            transform=conn.transform,
        )


def _copy(obj: NengoObject | Neurons) -> NengoObject | Neurons:
    if type(obj) is nengo.Node and obj.output is None:  # `copy` would warn of its size
        return nengo.Node(size_in=obj.size_in, label=obj.label)
    return obj.copy()
