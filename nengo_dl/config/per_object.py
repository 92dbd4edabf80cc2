"""What the user chose for single objects: what is trainable, and whose output is pure.

What spikes do in training is chosen in the same way: `training_spikes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
from nengo.base import NengoObject
from nengo.ensemble import Neurons

from .settings import UNSET, Settings, object_value, says


class Opinions:
    """What the configs of the networks around an object say about it.

    They are read from the network that contains the object up to the top-level one, and the first
    that says something decides. Within one config, what was set on the object overrules what was
    set on its class. None is no opinion.
    """

    def __init__(self, toplevel: nengo.Network | None, name: str) -> None:
        self._name = name
        self._configs: dict[NengoObject, tuple[nengo.Config, ...]] = {}
        stack: list[tuple[nengo.Network, tuple[nengo.Config, ...]]]
        stack = [] if toplevel is None else [(toplevel, ())]
        while stack:
            network, above = stack.pop()
            configs = (*above, network.config)
            for obj in (*network.ensembles, *network.connections, *network.nodes):
                self._configs[obj] = configs
            stack.extend((subnetwork, configs) for subnetwork in network.networks)

    def __contains__(self, obj: NengoObject | Neurons) -> bool:
        return _container(obj) in self._configs

    def explicit(self, obj: nengo.Ensemble | nengo.Connection) -> bool:
        """Whether the user named the object itself."""
        return any(says(config, obj, self._name) for config in self._configs.get(obj, ()))

    def setting(self, obj: nengo.Ensemble | nengo.Connection | Neurons) -> Any:
        """Return what the user chose for an object, or None for no opinion."""
        container = _container(obj)
        # from the innermost network outwards
        for config in reversed(self._configs.get(container, ())):
            value = object_value(config, obj, self._name)
            if value is not UNSET and value is not None:
                return value
        return None if container is obj else self.setting(container)


class Trainability(Opinions):
    """Tells which parameters training may change; see `resolve_trainable`."""

    def __init__(self, toplevel: nengo.Network | None, inference_only: bool) -> None:
        super().__init__(toplevel, "trainable")
        self._inference_only = inference_only

    def __call__(self, obj: nengo.Ensemble | nengo.Connection | Neurons) -> bool:
        """Tell whether the parameters of an object are trainable, learning rules aside."""
        if self._inference_only or obj not in self:
            return False
        return self.setting(obj) is not False


def _container(obj: NengoObject | Neurons) -> NengoObject:
    return obj.ensemble if isinstance(obj, Neurons) else obj


def resolve_trainable(toplevel: nengo.Network | None) -> Trainability:
    """Find out which parameters of a network training may change.

    The configs of the networks around an object are read from the top-level network down to the
    one that contains the object. Whatever a config says overrules those above it; within one
    config, what was set on the object overrules what was set on its class. None is no opinion,
    and without any opinion an object is trainable; biases (``ens.neurons``) then follow the
    ensemble. Nothing is trainable with ``inference_only``, nor what is not in the network.

    Parameters
    ----------
    toplevel : nengo.Network or None
        The top-level network. Without one, nothing is trainable.

    Returns
    -------
    Trainability
        Callable with an Ensemble (for its encoders), its ``neurons`` (biases), or a Connection
        (weights); its method ``setting(obj)`` returns the user's own choice, if any.
    """
    return Trainability(toplevel, Settings.of(toplevel).inference_only)


def resolve_trainable_synapses(toplevel: nengo.Network | None) -> Opinions:
    """Find out which time constants of connections training may change; see `configure_settings`.

    Parameters
    ----------
    toplevel : nengo.Network or None
        The top-level network. Without one, or with ``inference_only``, none.

    Returns
    -------
    Opinions
        Its method ``setting(conn)`` returns True, False, ``"per_dimension"`` or None, and
        ``explicit(conn)`` whether the user named the connection itself.
    """
    network = None if Settings.of(toplevel).inference_only else toplevel
    return Opinions(network, "trainable_synapses")


def resolve_pure(toplevel: nengo.Network | None) -> Callable[[nengo.Node], bool]:
    """Find out which nodes have a pure output, as the user says; see `configure_settings`.

    Parameters
    ----------
    toplevel : nengo.Network or None
        The top-level network. Without one, none.

    Returns
    -------
    callable
        Tells whether the output of a Node is pure: without any choice, it is not.
    """
    opinions = Opinions(toplevel, "pure")
    return lambda node: bool(opinions.setting(node))
