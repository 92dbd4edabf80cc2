"""Arguments of predict, fit and evaluate: user data checked, completed, and in Keras's form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import nengo
import numpy as np
from nengo.exceptions import ValidationError

from ..lowering.roles import Feed
from ..session.session import Session, Sources
from ..session.sources import Constant, PythonSource, Series, draw
from ..utils import warn
from . import arguments, checks
from .types import ClassWeights, Data, ForProbes, Given, Targets, Weights

#: Arrays by name of the Node or Probe, as Keras takes them.
Named: TypeAlias = dict[str, np.ndarray]
#: What is fed, the number of steps, and that of the items there are.
Minibatch: TypeAlias = tuple[Sources, int, int]


class Call:
    """Inputs of one call, for all its minibatches.

    Parameters
    ----------
    session : Session
    x : dict, list, array or None
        Data as the user gave them.
    n_steps : int or None
        As the user gave it.
    one_minibatch : bool
        Whether there must be exactly one minibatch.
    whole : bool
        Whether all minibatches must be whole.
    holds : bool
        Whether data of one step stand for all `n_steps`, and arrays that repeat one for it.

    Attributes
    ----------
    data : dict of Node to array (batch, n_steps or 1, size)
        What the user gave.
    batch : int
        Items; the last minibatch may have fewer than others.
    n_steps : int
    flat : bool
        Whether data for a single step came without an axis of steps.
    """

    def __init__(
        self,
        session: Session,
        x: Data | None,
        n_steps: int | None,
        one_minibatch: bool = False,
        whole: bool = False,
        holds: bool = False,
    ) -> None:
        compiled = session.compiled
        names = checks.names_of(compiled.nodes, compiled.names)
        if isinstance(x, Mapping) and "n_steps" in x:
            raise ValidationError(
                "'n_steps' is among the data; give it as the argument n_steps", attr="n_steps"
            )
        # without a bound: what is too few is told below, where data are known
        n_steps = None if n_steps is None else arguments.steps(n_steps, lowest=-np.inf)
        data = checks.by_object(x, names, "input")
        self.flat = n_steps in (1, None) and takes_single_steps(session, n_steps)
        self.flat = self.flat and all(array.ndim == 2 for array in data.values())
        data = {n: array[:, None] if self.flat else array for n, array in data.items()}
        # in this order: each takes for granted what those before it have found
        checks.check_rank(data, names, {n: n.size_out for n in data})
        checks.check_size(data, names)
        checks.check_batch(data, names, session.batch, one_minibatch, whole)
        self.batch = checks.agree(data, names, 0, "items") or session.batch
        steps = checks.agree_on_steps(data, names, n_steps if holds else None)
        found = n_steps if steps is None else steps
        if found is None:
            raise ValidationError("n_steps is needed where no input data are given", attr="n_steps")
        self.n_steps = found
        checks.check_steps(self.n_steps, n_steps, session.unroll, session.settings.use_loop)
        data = {n: checks.one_step(a) for n, a in data.items()} if holds else data
        self.data = checks.cast(data, session.settings.dtype)
        checks.check_finite(self.data, names)

    def minibatches(
        self, session: Session, stateful: bool, watched: bool = False
    ) -> Iterator[Minibatch]:
        """Sources, number of steps and number of items of each; made when it is its turn.

        Values of functions and processes are those of the beginning of the call for all. Of items
        that the last minibatch lacks there are copies.

        Parameters
        ----------
        session : Session
        stateful : bool
            Whether minibatches go on from each other.
        watched : bool
            Whether callbacks of the user's run between them, and so may change what functions give.
        """
        if self.batch == session.batch:
            yield session.filled(self.data, self.n_steps), self.n_steps, self.batch
            return
        start, size = session.n_steps, session.batch
        functions: dict[Feed, np.ndarray] = {}
        for item in range(0, self.batch, size):
            sources: Sources = dict(session.sources)
            if stateful and item:
                others = range(item, item + size)
                sources = {feed: source.begun(others) for feed, source in sources.items()}
            ahead = {
                feed: source
                for feed, source in sources.items()
                if feed.node not in self.data and not feed.called and feed not in functions
            }
            rows = self._drawn(session, ahead, start)
            # the same for all minibatches, unless a callback changes what functions look at
            if not watched:
                functions.update((f, r) for f, r in rows.items() if sources[f].items is None)
            series = {f: Series.of(r, session.n_steps) for f, r in {**functions, **rows}.items()}
            given = {
                node: whole_minibatch(array[item : item + size], size)
                for node, array in self.data.items()
            }
            items = min(size, self.batch - item)
            sources = session.filled(given, self.n_steps, {**sources, **series})
            yield sources, self.n_steps, items

    def _drawn(self, session: Session, sources: Sources, start: int) -> dict[Feed, np.ndarray]:
        """What functions and processes give in all steps: arrays (n_steps, 1 or B, size)."""
        together = session.compiled.lowered.together
        called = {f: source for f, source in sources.items() if isinstance(source, PythonSource)}
        return draw(called, together, start, self.n_steps)

    def for_keras(
        self, session: Session, y: Targets | None, weights: Weights | None = None
    ) -> tuple[Named, Named | None, Named | None]:
        """All inputs by name (batch, n_steps or 1, size), targets, and sample weights."""
        inputs: dict[str, np.ndarray] = {}
        for feed, rows in self._fillings(session).items():
            inputs[session.compiled.names[feed.node]] = rows
        for node, array in self.data.items():
            inputs[session.compiled.names[node]] = array
        inputs["n_steps"] = np.full((self.batch, 1), self.n_steps, dtype=np.int32)
        targets = _targets(session, y, self)
        return inputs, targets, _sample_weights(session, weights, targets, self.batch)

    def _fillings(self, session: Session) -> dict[Feed, np.ndarray]:
        """Values of the nodes without data (batch, n_steps or 1, size); others are called."""
        own = {
            feed: source
            for feed, source in session.sources.items()
            if feed.node is not None and feed.node not in self.data
        }
        dtype = session.settings.dtype
        # NaN: nothing was given, so that the model calls their functions within the loop
        called = {f: Constant(np.full(f.size, np.nan), dtype) for f in own if f.called}
        sources = {**own, **called}
        together = session.compiled.lowered.together
        rows = draw(sources, together, session.n_steps, self.n_steps)
        found = {}
        for feed, values in rows.items():
            if feed.signal is None:
                continue  # called for its effects
            if sources[feed].items is not None and self.batch > session.batch:
                others = sources[feed].begun(range(session.batch, self.batch))
                rest = others.rows(session.n_steps, self.n_steps)
                values = np.concatenate([values, rest], axis=1)
            values = values[:, : self.batch]
            steps, _, size = values.shape
            found[feed] = np.broadcast_to(np.swapaxes(values, 0, 1), (self.batch, steps, size))
        return found


def of_one_minibatch(
    session: Session, x: Data | None, n_steps: int
) -> dict[nengo.Node, np.ndarray]:
    """Inputs of a run: array (B, n_steps, size) of each node that the user gave data for."""
    if x is None:  # as in most single steps
        checks.check_steps(n_steps, None, session.unroll, session.settings.use_loop)
        return {}
    return Call(session, x, n_steps, one_minibatch=True).data


def whole_minibatch(array: np.ndarray, size: int) -> np.ndarray:
    """Fill an array (b, ...) up with its own items, in turn: (size, ...)."""
    return array if len(array) == size else array[np.arange(size) % len(array)]


def _targets(session: Session, y: Targets | None, call: Call) -> Named | None:
    """Targets by probe name, checked."""
    model = session.keras_model
    if y is None:
        if model.compiled and session.loss_probes:
            wanted = ", ".join(repr(session.compiled.names[p]) for p in session.loss_probes)
            raise ValidationError(f"no targets were given; expected some for {wanted}", attr="y")
        return None
    names = checks.names_of(session.probes, session.compiled.names)
    data = checks.by_object(y, names, "target", session.loss_probes)
    if call.flat:
        data = {p: a.reshape(len(a), 1, -1) if a.ndim in (1, 2) else a for p, a in data.items()}
    checks.check_rank(data, names, {p: None for p in data})
    for probe, array in data.items():
        if array.shape[0] != call.batch:
            raise ValidationError(
                f"targets for {names[probe]!r} have {array.shape[0]} items, expected "
                f"{call.batch}, as many as the inputs",
                attr=f"y[{names[probe]}]",
            )
    targets = {names[p]: array for p, array in data.items()}
    model.check_targets(targets, call.n_steps)
    return targets


def _sample_weights(
    session: Session, given: Weights | None, targets: Named | None, batch: int
) -> Named | None:
    """Weights (batch,) or (batch, n_steps) for each target: one array for all, or one each."""
    if given is None or targets is None:
        return None
    each = isinstance(given, list | tuple) and any(np.ndim(w) for w in given)
    if not each and not isinstance(given, Mapping):
        found = dict.fromkeys(targets, np.asarray(given))
    else:
        found = per_probe(session, given, "sample_weight", broadcast=False)
        found = {name: np.asarray(w) for name, w in found.items() if w is not None}
    weights = {name: found.get(name, np.ones(batch)) for name in targets}
    for name, array in weights.items():
        target = targets[name].shape
        steps = target[1] if len(target) > 1 else 1
        if (
            array.shape not in ((batch,), (batch, 1), (batch, steps))
            or array.dtype.kind not in "biuf"
        ):
            raise ValidationError(
                f"weights for {name!r} have shape {array.shape} and type {array.dtype}, expected "
                f"numbers ({batch},), or one for each step ({batch}, {steps})",
                attr="sample_weight",
            )
    return weights


def class_weights(
    given: ClassWeights,
    targets: Mapping[str, np.ndarray],
    losses: Sequence[str],
    weights: Mapping[str, np.ndarray] | None,
    names: Mapping[nengo.Probe, str],
) -> dict[str, np.ndarray]:
    """Weights of samples (batch, n_steps) that give classes their weights.

    Parameters
    ----------
    given : dict
        The weight of each class, 1 if it has none: for the only probe with a loss, or a dict of
        such dicts by probe.
    targets : dict of array (batch, n_steps, 1 or number of classes)
        Numbers of classes, or one-hot vectors.
    losses : list of str
        Names of the probes with a loss.
    weights : dict of array, optional
        What the samples weigh besides.
    names : dict
        Of all probes.
    """
    if not isinstance(given, Mapping):
        raise ValidationError(f"expected a dict, got {given!r}", attr="class_weight")
    each: dict[str, Mapping[int, float]]
    by_probe = {k: w for k, w in given.items() if isinstance(w, Mapping)}
    if given and len(by_probe) == len(given):
        each = {
            names[checks.find(k, names, "class_weight", "probe")]: w for k, w in by_probe.items()
        }
    elif len(losses) == 1:
        each = {losses[0]: given}  # type: ignore[dict-item]  # no weight is a dict
    else:
        raise ValidationError(
            f"{len(losses)} probes have a loss ({', '.join(map(repr, losses))}); give a dict of "
            f"class weights for each, by probe",
            attr="class_weight",
        )
    found = dict(weights) if weights else {n: np.ones(len(y)) for n, y in targets.items()}
    for name, by_class in each.items():
        if name not in targets:
            raise ValidationError(f"there are no targets for {name!r}", attr="class_weight")
        weight = _weights_by_class(by_class, targets[name], name)
        found[name] = weight * found[name].reshape(len(weight), -1)
    return found


def _weights_by_class(weights: Mapping[int, float], y: np.ndarray, name: str) -> np.ndarray:
    """The weight of the class of each target: array (batch, n_steps)."""
    classes = y[..., 0] if y.shape[-1] == 1 else np.argmax(y, axis=-1)
    if y.ndim != 3 or not np.array_equal(classes, np.floor(classes)):
        raise ValidationError(
            f"targets of {name!r} have no classes: expected whole numbers (batch, steps, 1), or "
            f"one-hot vectors (batch, steps, classes)",
            attr="class_weight",
        )
    result = np.ones(classes.shape)
    for number, weight in weights.items():
        result[classes == number] = weight
    return result


def per_probe(
    session: Session, given: ForProbes[Given] | None, kind: str, broadcast: bool
) -> dict[str, Any]:
    """What a user gave for probes (losses, metrics, weights), by probe name.

    Parameters
    ----------
    session : Session
    given
        One value, a list (one for each probe), or a dict with probes or their names as keys.
    kind : str
        For messages.
    broadcast : bool
        Whether one value stands for every probe.
    """
    names = checks.names_of(session.probes, session.compiled.names)
    if given is None:
        return {}
    if isinstance(given, Mapping):
        found = {names[checks.find(k, names, kind, "probe")]: v for k, v in given.items()}
        if len(found) < len(given):
            raise ValidationError(
                f"a probe is there twice, by itself and by its name, among "
                f"{', '.join(map(repr, given))}",
                attr=kind,
            )
        return found
    if broadcast and not isinstance(given, list | tuple):
        return dict.fromkeys(names.values(), given)
    items = list(given) if isinstance(given, list | tuple) else [given]
    if (
        kind.endswith("metrics") and len(names) == 1
    ):  # a list of metrics for the only probe there is
        (name,) = names.values()
        nested = len(items) == 1 and isinstance(items[0], list | tuple)
        return {name: items[0] if nested else items}
    if len(items) != len(names):
        warn(
            f"Number of elements in {kind} ({len(items)}) does not match number of Probes "
            f"({len(names)}); consider using a dictionary, with Probes as keys"
        )
    return dict(zip(names.values(), items, strict=False))


def check_validation_split(session: Session, split: float | None, batch: int) -> None:
    """Raise ValidationError unless both parts hold items, or for replicas whole minibatches."""
    if not split:
        return
    first = int(batch * (1 - split))
    whole = session.batch if session.replicas.several else 1
    if min(first, batch - first) < 1 or first % whole or (batch - first) % whole:
        wanted = f"multiples of the minibatch size {whole}" if whole > 1 else "some in each"
        raise ValidationError(
            f"{split} splits {batch} items into {first} and {batch - first}; expected {wanted}",
            attr="validation_split",
        )


def ignore_batch_size(session: Session, options: dict[str, Any]) -> None:
    """Drop a batch size that the user gave: it was decided when the simulator was made."""
    if options.pop("batch_size", None) is not None:
        warn(f"batch_size is ignored; the minibatch size is that of the simulator, {session.batch}")


def takes_single_steps(session: Session, n_steps: int | None = None) -> bool:
    """Whether data (batch, size) of the only input mean one step: not if it would show nothing."""
    return len(session.compiled.nodes) == 1 and (n_steps == 1 or not _filtered(session))


def _filtered(session: Session) -> list[nengo.Connection | nengo.Probe]:
    """Connections, and probes with a loss, that show in the first step only what was before."""
    filtered, losses = session.compiled.filtered, session.loss_probes
    return [o for o in filtered if isinstance(o, nengo.Connection) or o in losses]


def warn_about_synapses(session: Session, call: Call, stateful: bool) -> None:
    """One step shows nothing of what passes a synapse: warn, as that is rarely meant."""
    if stateful or call.n_steps != 1 or session.compiled.model.toplevel is None:
        return
    filtered = _filtered(session)
    if filtered:
        example = session.compiled.lowered.readable(str(filtered[0]))
        warn(
            f"Running for one step, but the network contains synapses (for example on "
            f"{example}), which show only their initial state; use more steps, or set "
            f"synapse=None"
        )
