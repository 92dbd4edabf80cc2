"""`Simulator.predict`: minibatch after minibatch, each copied to the host as it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import nengo
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from ..runtimes.later import keras
from ..session.interrupts import uninterrupted
from ..session.recording import by_item
from ..session.session import Session, Sources
from . import calls, checks, options
from .calls import Minibatch
from .generators import Items
from .types import Callbacks, Data, Minibatches

#: What probes saw: (batch, steps, *shape).
Arrays: TypeAlias = dict[nengo.Probe, np.ndarray]


class Outputs(dict[nengo.Probe, np.ndarray]):
    """What probes saw: arrays (batch, steps, *shape) by probe, or by the name or label of one.

    Parameters
    ----------
    arrays : dict of nengo.Probe to array
    names : dict of nengo.Probe to str
        As in logs of `fit`: labels without what Keras does not accept, and made unique.
    """

    def __init__(self, arrays: Arrays, names: Mapping[nengo.Probe, str]) -> None:
        super().__init__(arrays)
        self._names = names

    def __missing__(self, key: nengo.Probe | str) -> np.ndarray:
        probe = self._find(key)
        if probe is None:
            known = ", ".join(repr(self._names[p]) for p in self) or "none"
            raise KeyError(f"{key!r} is not one of the network's probes (their names: {known})")
        return self[probe]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._find(key) is not None

    def get(self, key: nengo.Probe | str, default: Any = None) -> Any:
        """As of a dict."""
        return self[key] if key in self else default

    def _find(self, key: object) -> nengo.Probe | None:
        if not isinstance(key, str):
            return None
        named = [p for p in self if self._names[p] == key]
        labelled = [p for p in self if p.label == key]
        return named[0] if named else labelled[0] if len(labelled) == 1 else None


class Unwatched:
    """Stands for a list of callbacks where there are none; Keras is not asked for an empty one."""

    callbacks = ()

    def on_predict_begin(self) -> None:
        """Do nothing."""

    def on_predict_end(self) -> None:
        """Do nothing."""

    def on_predict_batch_begin(self, number: int) -> None:
        """Do nothing."""

    def on_predict_batch_end(self, number: int, logs: dict) -> None:
        """Do nothing."""


def predict(
    session: Session,
    x: Data | Minibatches | None,
    n_steps: int | None,
    stateful: bool,
    *,
    one_minibatch: bool = False,
    steps: int | None = None,
    verbose: int | str = "auto",
    callbacks: Callbacks | None = None,
) -> Arrays:
    """See `Simulator.predict`; with `one_minibatch` data of any other length are refused."""
    checks.check_stateful(stateful)
    options.check_call({"steps": steps, "callbacks": callbacks})
    if one_minibatch or checks.is_data(x):
        # what is no data, but is to be one minibatch, fails in there
        call = calls.Call(session, x, n_steps, holds=True)  # type: ignore[arg-type]  # see above
        if one_minibatch and call.batch > session.batch:
            raise ValidationError(
                f"data have {call.batch} items, expected at most one minibatch, {session.batch}",
                attr="x",
            )
        calls.warn_about_synapses(session, call, stateful)
        items = call.minibatches(session, stateful, watched=bool(callbacks))
        total: int | None = -(-call.batch // session.batch)
    elif n_steps is None:
        items, total = _from_iterable(session, x), None
    else:
        raise SimulationError("n_steps cannot be given with a generator or Dataset")
    if steps is not None:
        total = steps if total is None else min(steps, total)
    watchers = _callbacks(session, callbacks, verbose, total)
    results: dict[nengo.Probe, list[np.ndarray]] = {p: [] for p in session.probes}
    names = checks.names_of(session.probes, session.compiled.names)
    with session.computing(), session.during("predict"):
        watchers.on_predict_begin()
        for outputs in _each(session, items, total, stateful, watchers):
            for probe, array in outputs.items():
                results[probe].append(array)
        watchers.on_predict_end()
    return Outputs({p: np.concatenate(parts) for p, parts in results.items() if parts}, names)


def _each(
    session: Session,
    items: Iterator[Minibatch],
    total: int | None,
    stateful: bool,
    watchers: keras.callbacks.CallbackList | Unwatched,
) -> Iterator[Arrays]:
    """What probes see in each minibatch, until there is no more or a callback ends it."""
    names = session.compiled.names
    number = 0
    while number != total and not _stopped(watchers):
        with session.lending(stateful, first=number * session.batch):
            item = next(items, None)
            if item is None:
                return
            watchers.on_predict_batch_begin(number)
            outputs = _minibatch(session, *item, stateful)
        named = {names[p]: array for p, array in outputs.items()}
        watchers.on_predict_batch_end(number, {"outputs": named})
        yield outputs
        number += 1


def _stopped(watchers: keras.callbacks.CallbackList | Unwatched) -> bool:
    """Whether a callback asked to stop."""
    if isinstance(watchers, Unwatched) or not watchers.callbacks:
        return False
    return getattr(watchers.model, "stop_predicting", False)


def _minibatch(
    session: Session, sources: Sources, steps: int, present: int, stateful: bool
) -> Arrays:
    """All chunks of one minibatch: arrays (present, steps, *shape)."""
    parts: dict[nengo.Probe, list[np.ndarray]] = {p: [] for p in session.probes}
    first, before = session.n_steps, session.memory.carry()
    carry, end = before, first + steps
    with uninterrupted() as interrupt_here:
        for chunk in session.chunks(sources, before, first, end, predicts=True):
            for output, array in chunk.outputs.items():
                # dropped chunk by chunk: all of them may not fit into memory
                if output.last_only:
                    parts[output.key].clear()
                parts[output.key].append(by_item(array, output, chunk.steps))
            carry = chunk.carry
            # Ctrl-C waits until here, where no chunk is half done
            interrupt_here()
    if present < session.batch:
        from ..runtimes.tensorflow.keras.padding import only_present

        # items that only fill up the minibatch leave no state behind
        carry = only_present(carry, before, present)
    session.keep(carry, end, stateful)
    arrays = {p: np.concatenate(a, axis=1) if len(a) > 1 else a[0] for p, a in parts.items()}
    return {p: array[:present] for p, array in arrays.items()}


def _callbacks(
    session: Session, callbacks: Callbacks | None, verbose: int | str, total: int | None
) -> keras.callbacks.CallbackList | Unwatched:
    show = verbose not in (0, "auto")  # Keras's own default would print; ours is silent
    if not callbacks and not show:
        return Unwatched()
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    model = session.keras_model
    model.stop_predicting = False
    return keras.callbacks.CallbackList(
        callbacks, add_progbar=show, verbose=verbose, epochs=1, steps=total, model=model
    )


def _from_iterable(session: Session, x: Iterable) -> Iterator[Minibatch]:
    """Minibatches of a generator or Dataset; see `Items` for the forms they may have."""
    compiled = session.compiled
    names = checks.names_of(compiled.nodes, compiled.names)
    items = Items(session)
    for item in x:
        data = items.for_predict(item)
        given = {n: np.asarray(data[names[n]]) for n in compiled.nodes}
        checks.check_rank(given, names, {n: n.size_out for n in given})
        checks.check_size(given, names)
        present = checks.agree(given, names, 0, "items") or session.batch
        if present > session.batch:
            raise ValidationError(
                f"an item of the generator or Dataset is a minibatch of {present}, expected at "
                f"most the minibatch size of the simulator, {session.batch}",
                attr="x",
            )
        stated = int(np.ravel(data["n_steps"])[0]) if "n_steps" in data else None
        length = checks.agree_on_steps(given, names, stated)
        steps = stated or 0 if length is None else length  # an item has one of both
        checks.check_steps(steps, stated, session.unroll, session.settings.use_loop)
        given = checks.cast(given, session.settings.dtype)
        checks.check_finite(given, names)
        whole = {n: calls.whole_minibatch(a, session.batch) for n, a in given.items()}
        yield session.filled(whole, steps), steps, present
