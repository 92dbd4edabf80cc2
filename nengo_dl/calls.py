"""Arguments of predict, fit and evaluate: user data checked, completed and put into Keras's form."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from . import feeds
from .compilation import Compilation


class Call:
    """Inputs of one call, for all its minibatches.

    Attributes
    ----------
    data : dict of Node to array (batch, n_steps, size)
        What the user gave.
    batch : int
        Items, a multiple of the minibatch size.
    n_steps : int
    """

    def __init__(
        self,
        compilation: Compilation,
        x: Any,
        n_steps: int | None,
        unroll: int,
        one_minibatch: bool = False,
    ) -> None:
        self._compilation = compilation
        names = feeds.names_of(compilation.nodes, compilation.names)
        minibatch = compilation.batch
        if isinstance(x, Mapping) and "n_steps" in x and "n_steps" not in names.values():
            raise ValidationError("give n_steps as an argument, not with the data", attr="n_steps")
        data = feeds.by_object(x, names, "input")
        feeds.check_rank(data, names, {n: n.size_out for n in data})
        if one_minibatch:
            _check_exact(data, names, minibatch)
        data = feeds.fit_batch(data, names, minibatch)
        self.batch = feeds.agree(data, names, 0, "items") or minibatch
        steps = feeds.agree(data, names, 1, "steps")
        if steps is None and n_steps is None:
            raise ValidationError(
                "n_steps is needed where no input data are given", attr="n_steps"
            )
        steps = n_steps if steps is None else steps
        self.n_steps = feeds.check_steps(int(steps), n_steps, unroll)
        feeds.check_size(data, names)
        self.data = feeds.cast(data, compilation.settings.dtype)

    def for_keras(self, sources: Mapping, first: int) -> dict[str, np.ndarray]:
        """All inputs by name: what was given, and what fills the gaps; (batch, n_steps or 1, d)."""
        minibatch = self._compilation.batch
        arrays = {}
        for node in self._compilation.nodes:
            name = self._compilation.names[node]
            if node in self.data:
                arrays[name] = self.data[node]
                continue
            source = sources[self._compilation.feed_of(node)]
            parts = [source.rows(first, self.n_steps) for _ in range(self._repeats(source))]
            rows = [np.swapaxes(p, 0, 1) for p in parts]
            whole = np.concatenate(rows) if len(rows) > 1 else rows[0]
            batch = self.batch if whole.shape[0] in (1, self.batch) else whole.shape[0]
            arrays[name] = np.broadcast_to(whole, (batch, *whole.shape[1:]))
        arrays["n_steps"] = np.full((self.batch, 1), self.n_steps, dtype=np.int32)
        assert_minibatches(arrays, minibatch)
        return arrays

    def _repeats(self, source: Any) -> int:
        """Processes give one minibatch at a time, all else one row for every item."""
        return self.batch // self._compilation.batch if hasattr(source, "items") else 1


def assert_minibatches(arrays: Mapping[str, np.ndarray], minibatch: int) -> None:
    """Raise SimulationError if an array does not hold whole minibatches: a bug, not a mistake."""
    for name, array in arrays.items():
        if array.shape[0] % minibatch:
            raise SimulationError(f"internal error: {name!r} has {array.shape[0]} items")


def _check_exact(data: Mapping, names: Mapping, minibatch: int) -> None:
    for node, array in data.items():
        if array.shape[0] != minibatch:
            raise ValidationError(
                f"data for {names[node]!r} have {array.shape[0]} items; here exactly one minibatch "
                f"({minibatch}) is needed",
                attr=f"data[{names[node]}]",
            )


def targets(compilation: Compilation, y: Any, batch: int) -> Any:
    """Targets by probe name, checked; what is no data passes through."""
    if y is None or not feeds.is_data(y):
        return y
    names = feeds.names_of(compilation.model.probes, compilation.names)
    data = feeds.by_object(y, names, "target")
    feeds.check_rank(data, names, {p: None for p in data})
    fitted = feeds.fit_batch(data, names, compilation.batch)
    for probe, array in fitted.items():
        if array.shape[0] != batch:
            raise ValidationError(
                f"targets for {names[probe]!r} have {array.shape[0]} items, inputs {batch}",
                attr=f"y[{names[probe]}]",
            )
    return {names[p]: array for p, array in fitted.items()}


def per_probe(compilation: Compilation, given: Any, kind: str, broadcast: bool) -> dict[str, Any]:
    """What a user gave for probes (losses, metrics, weights), by probe name.

    Parameters
    ----------
    given
        One value, a list (one for each probe), or a dict with probes or their names as keys.
    kind : str
        For messages.
    broadcast : bool
        Whether one value stands for every probe.
    """
    probes = list(compilation.model.probes)
    names = feeds.names_of(probes, compilation.names)
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {names[feeds._find(k, names, kind)]: v for k, v in given.items()}
    if broadcast and not isinstance(given, list | tuple):
        return dict.fromkeys(names.values(), given)
    items = list(given) if isinstance(given, list | tuple) else [given]
    if kind == "metric" and len(probes) == 1:
        return {names[probes[0]]: items[0] if isinstance(items[0], list | tuple) else items}
    if len(items) != len(probes):
        warnings.warn(
            f"Number of elements in {kind} list ({len(items)}) does not match number of Probes "
            f"({len(probes)})",
            stacklevel=4,
        )
    return dict(zip(names.values(), items, strict=False))


def check_validation_split(split: float, batch: int, minibatch: int) -> None:
    """Raise ValidationError unless both parts hold whole minibatches."""
    first = int(batch * (1 - split))
    if first % minibatch or (batch - first) % minibatch:
        raise ValidationError(
            f"splitting {batch} items at {first} leaves parts that are no multiples of the "
            f"minibatch size {minibatch}",
            attr="validation_split",
        )


def warn_about_synapses(compilation: Compilation, probes: list[nengo.Probe]) -> None:
    """One step shows nothing of what passes a synapse: warn, as that is rarely meant."""
    network = compilation.model.toplevel
    if network is None:
        return
    filtered = [c for c in network.all_connections if c.synapse is not None]
    filtered += [p for p in probes if p.synapse is not None]
    if filtered:
        warnings.warn(
            f"Running for one timestep, but the network contains synaptic filters (for example on "
            f"{filtered[0]}), which will only show their initial state; use more steps, or set "
            f"synapse=None",
            stacklevel=4,
        )
