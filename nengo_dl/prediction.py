"""`Simulator.predict`: minibatch after minibatch, each copied to the host as it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import keras
import nengo
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from . import calls, feeds
from .recording import by_item
from .session import Session, Sources

Arrays = dict[nengo.Probe, np.ndarray]


def predict(
    session: Session,
    x: Any,
    n_steps: int | None,
    stateful: bool,
    *,
    one_minibatch: bool = False,
    steps: int | None = None,
    verbose: int | str = "auto",
    callbacks: Any = None,
) -> Arrays:
    """See `Simulator.predict`; with `one_minibatch` data of any other length are refused."""
    if one_minibatch or feeds.is_data(x):
        call = calls.Call(session, x, n_steps, one_minibatch)
        calls.warn_about_synapses(session, call, stateful)
        items = call.minibatches(session, stateful, watched=bool(callbacks))
        total = call.batch // session.batch
    elif n_steps is None:
        items, total = _from_iterable(session, x), None
    else:
        raise SimulationError("n_steps cannot be given with a generator or Dataset")
    if steps is not None:
        total = steps if total is None else min(steps, total)
    watchers = _callbacks(session, callbacks, verbose, total)
    results: dict[nengo.Probe, list[np.ndarray]] = {p: [] for p in session.probes}
    with session.computing():
        watchers.on_predict_begin()
        for outputs in _each(session, items, total, stateful, watchers):
            for probe, array in outputs.items():
                results[probe].append(array)
        watchers.on_predict_end()
    return {p: np.concatenate(parts) for p, parts in results.items() if parts}


def _each(
    session: Session,
    items: Iterator[tuple[Sources, int]],
    total: int | None,
    stateful: bool,
    watchers: keras.callbacks.CallbackList,
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


def _stopped(watchers: keras.callbacks.CallbackList) -> bool:
    """Whether a callback asked to stop."""
    return bool(watchers.callbacks) and getattr(watchers.model, "stop_predicting", False)


def _minibatch(session: Session, sources: Sources, steps: int, stateful: bool) -> Arrays:
    """All chunks of one minibatch: arrays (B, steps, *shape)."""
    parts: dict[nengo.Probe, list[np.ndarray]] = {p: [] for p in session.probes}
    first, carry = session.n_steps, session.graph.carry()
    run = partial(session.runner.run, split=True)
    end = first + steps
    while first < end:
        n = session.chunk(session.runner, end - first, first)
        outputs, carry = session.run_chunk(run, carry, sources, first, n)
        for output, array in outputs.items():
            if output.last_only:
                parts[output.key].clear()
            parts[output.key].append(by_item(array, output, n))
        first += n
    session.keep(carry, first, stateful)
    return {p: np.concatenate(a, axis=1) if len(a) > 1 else a[0] for p, a in parts.items()}


def _callbacks(
    session: Session, callbacks: Any, verbose: int | str, total: int | None
) -> keras.callbacks.CallbackList:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    show = verbose not in (0, "auto")  # Keras's own default would print; ours is silent
    if not callbacks and not show:
        return keras.callbacks.CallbackList([], add_history=False)
    model = session.keras_model
    model.stop_predicting = False
    return keras.callbacks.CallbackList(
        callbacks, add_progbar=show, verbose=verbose, epochs=1, steps=total, model=model
    )


def _from_iterable(session: Session, x: Iterable) -> Iterator[tuple[Sources, int]]:
    """Minibatches of a generator or Dataset: dictionaries by name, or tuples in order."""
    compiled = session.compiled
    names = feeds.names_of(compiled.nodes, compiled.names)
    for item in x:
        data = _by_name(item, [*names.values(), "n_steps"])
        steps = int(np.ravel(data["n_steps"])[0])
        given = {n: np.asarray(data[names[n]]) for n in compiled.nodes}
        feeds.check_rank(given, names, {n: n.size_out for n in given})
        feeds.check_exact(given, names, session.batch)
        feeds.check_size(given, names)
        feeds.check_steps(
            feeds.agree(given, names, 1, "steps") or steps,
            steps,
            session.unroll,
            session.settings.use_loop,
        )
        given = feeds.cast(given, session.settings.dtype)
        feeds.check_finite(given, names)
        yield session.filled(given), steps


def _by_name(item: Any, names: list[str]) -> Mapping[str, Any]:
    if isinstance(item, tuple) and (len(item) == 1 or isinstance(item[0], Mapping)):
        item = item[0]  # without the targets, if there are some
    if not isinstance(item, Mapping):
        item = dict(zip(names, item, strict=False))
    missing = [n for n in names if n not in item]
    if missing:
        raise ValidationError(
            f"an item of the generator or Dataset has {', '.join(map(repr, item)) or 'nothing'}; "
            f"each needs all inputs and 'n_steps', so also {', '.join(map(repr, missing))}",
            attr="x",
        )
    return item
