"""`Simulator.predict`: minibatch after minibatch, each copied to the host as it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from . import calls, feeds
from .sources import Series


def predict(
    sim: Any, x: Any, n_steps: int | None, stateful: bool, one_minibatch: bool = False, **kwargs
) -> dict[Any, np.ndarray]:
    """See `Simulator.predict`."""
    if feeds.is_data(x):
        call = calls.Call(sim._compiled, x, n_steps, sim.unroll, one_minibatch)
        warn = not stateful and call.n_steps == 1
        if warn:
            calls.warn_about_synapses(sim._compiled, sim._loss_probes)
        items, total = _minibatches(sim, call), call.batch // sim.minibatch_size
    elif n_steps is not None:
        raise SimulationError("n_steps cannot be given with a generator or Dataset")
    else:
        items, total = _from_iterable(sim, x), kwargs.pop("steps", None)
    kwargs.pop("steps", None)
    return _predict(sim, items, total, stateful, **kwargs)


def _predict(
    sim: Any,
    items: Iterator[tuple[dict, int]],
    total: int | None,
    stateful: bool,
    verbose: Any = 0,
    callbacks: Any = None,
) -> dict[Any, np.ndarray]:
    watchers = _callbacks(sim, callbacks, verbose, total)
    results: dict[Any, list[np.ndarray]] = {p: [] for p in sim.model.probes}
    start = sim.n_steps
    with sim._computing():
        carry = sim._graph.carry()
        state = dict(carry)
        watchers.on_predict_begin()
        for number, (sources, steps) in enumerate(items):
            if total is not None and number >= total:
                break
            watchers.on_predict_batch_begin(number)
            outputs, carry = _minibatch(sim, carry, sources, start, steps)
            for probe, array in outputs.items():
                results[probe].append(array)
            watchers.on_predict_batch_end(number, {"outputs": outputs})
            sim._graph.keep(carry, state=stateful)
            if stateful:
                start += steps
                sim._n_steps = start
            else:
                # state goes back; what was learned online stays
                learned = {b: carry[b] for b in sim._graph.adapted_blocks}
                carry = {**state, **learned}
        watchers.on_predict_end()
    return {p: np.concatenate(parts) for p, parts in results.items() if parts}


def _callbacks(sim: Any, callbacks: Any, verbose: Any, total: int | None) -> Any:
    if not callbacks and verbose in (0, "auto"):
        return keras.callbacks.CallbackList([], add_history=False)
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    return keras.callbacks.CallbackList(
        callbacks,
        add_progbar=verbose not in (0, "auto"),
        verbose=verbose,
        epochs=1,
        steps=total,
        model=sim.keras_model,
    )


def _minibatch(sim: Any, carry: dict, sources: dict, first: int, steps: int) -> tuple[dict, dict]:
    """All chunks of one minibatch; probes' arrays (B, steps, *shape)."""
    parts: dict[Any, list[np.ndarray]] = {p: [] for p in sim.model.probes}
    from .simulator import _by_item

    end = first + steps
    while first < end:
        n = sim._runner.chunk(end - first)
        outputs, carry = sim._run_chunk(carry, sources, first, n)
        for output, array in outputs.items():
            value = _by_item(array, output, n)
            kept = parts[output.key]
            if output.last_only:
                kept.clear()
            kept.append(value)
        first += n
    return {
        p: arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)
        for p, arrays in parts.items()
    }, carry


def _minibatches(sim: Any, call: calls.Call) -> Iterator[tuple[dict, int]]:
    """The sources of each minibatch."""
    size = sim.minibatch_size
    once = _evaluated_once(sim, call)
    for start in range(0, call.batch, size):
        data = {n: a[start : start + size] for n, a in call.data.items()}
        series = {node: Series(array, sim.n_steps) for node, array in data.items()}
        yield {f: series.get(f.node, source) for f, source in once.items()}, call.n_steps


def _evaluated_once(sim: Any, call: calls.Call) -> dict:
    """Functions of time are called once for all minibatches."""
    several = call.batch > sim.minibatch_size
    sources = {}
    for feed, source in sim._sources.items():
        if several and hasattr(source, "function") and feed.node not in call.data:
            rows = source.rows(sim.n_steps, call.n_steps)
            source = Series(np.swapaxes(rows, 0, 1), sim.n_steps)
        sources[feed] = source
    return sources


def _from_iterable(sim: Any, x: Any) -> Iterator[tuple[dict, int]]:
    """Minibatches of a generator or Dataset: dictionaries by name, or tuples in order."""
    compiled = sim._compiled
    names = [compiled.names[n] for n in compiled.nodes]
    for item in x:
        if isinstance(item, tuple) and len(item) == 1:
            (item,) = item
        if not isinstance(item, Mapping):
            item = dict(zip([*names, "n_steps"], item, strict=False))
        missing = [n for n in [*names, "n_steps"] if n not in item]
        if missing:
            raise ValidationError(
                f"each item needs all inputs and 'n_steps'; missing: {', '.join(missing)}",
                attr="x",
            )
        steps = int(np.ravel(item["n_steps"])[0])
        data = {n: np.asarray(item[compiled.names[n]]) for n in compiled.nodes}
        dtype = sim._settings.dtype
        series = {n: Series(a.astype(dtype), sim.n_steps) for n, a in data.items()}
        yield {f: series.get(f.node, s) for f, s in sim._sources.items()}, steps


