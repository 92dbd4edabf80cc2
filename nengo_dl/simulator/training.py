"""`Simulator.compile`, `fit` and `evaluate`: Keras's own, on data in its form."""

from __future__ import annotations

from typing import Any

from nengo.exceptions import SimulationError, ValidationError

from ..runtimes.later import keras
from ..session.session import Session
from . import calls, checks, items


def compile(
    session: Session, loss: Any, metrics: Any, loss_weights: Any, options: dict[str, Any]
) -> None:
    """See `Simulator.compile`; `options` are those of `keras.Model.compile`."""
    session.require_idle("compile", "fit", "evaluate")
    losses = calls.per_probe(session, loss, "loss", broadcast=True)
    weights = calls.per_probe(session, loss_weights, "loss_weights", broadcast=False)
    weighted = options.pop("weighted_metrics", None)
    listed = [
        {k: v if isinstance(v, list | tuple) else [v] for k, v in each.items()}
        for each in (
            calls.per_probe(session, metrics, "metrics", broadcast=True),
            calls.per_probe(session, weighted, "weighted_metrics", broadcast=True),
        )
    ]
    names = checks.names_of(session.probes, session.compiled.names).values()
    losses = {name: losses[name] for name in names if losses.get(name) is not None}
    with session.computing():
        session.keras_model.compile_for_probes(losses, weights, *listed, **options)
    session.loss_probes = [p for p in session.probes if session.compiled.names[p] in losses]


def fit(
    session: Session, x: Any, y: Any, n_steps: int | None, stateful: bool, options: dict[str, Any]
) -> keras.callbacks.History:
    """See `Simulator.fit`; `options` are those of `keras.Model.fit`."""
    with session.lending(stateful, training=True):
        return _fit(session, x, y, n_steps, stateful, options)


def _fit(
    session: Session, x: Any, y: Any, n_steps: int | None, stateful: bool, options: dict[str, Any]
) -> keras.callbacks.History:
    calls.ignore_batch_size(session, options)
    if options.get("class_weight") is not None and not checks.is_data(x):
        raise ValidationError(
            "cannot be given with a generator or Dataset; let its items have weights of samples, "
            "as third elements",
            attr="class_weight",
        )
    call, arguments = _arguments(session, x, y, n_steps, options)
    validation = _bring_validation(session, n_steps, call, options)
    if call is not None:
        calls.check_validation_split(session, options.get("validation_split"), call.batch)
        calls.warn_about_synapses(session, call, stateful)
    _weigh_classes(session, arguments, options)
    steps = None if call is None else call.n_steps
    lengths = (steps, steps if validation is None else validation.n_steps)
    minibatches = 0 if call is None else call.batch // session.batch * options.get("epochs", 1)
    unknown = call is None or _is_unknown(options)
    with session.keras_call("fit", stateful, lengths, unknown):
        session.keras_model.expected_minibatches = minibatches
        history = session.keras_model.fit(**arguments, **options)
    history.history = session.keras_model.in_order(history.history)
    return history


def evaluate(
    session: Session, x: Any, y: Any, n_steps: int | None, stateful: bool, options: dict[str, Any]
) -> dict[str, float]:
    """See `Simulator.evaluate`; `options` are those of `keras.Model.evaluate`."""
    with session.lending(stateful):
        return _evaluate(session, x, y, n_steps, stateful, options)


def _evaluate(
    session: Session, x: Any, y: Any, n_steps: int | None, stateful: bool, options: dict[str, Any]
) -> dict[str, float]:
    calls.ignore_batch_size(session, options)
    options["return_dict"] = True
    call, arguments = _arguments(session, x, y, n_steps, options)
    if call is not None:
        calls.warn_about_synapses(session, call, stateful)
    steps = None if call is None else call.n_steps
    minibatches = 0 if call is None else call.batch // session.batch
    with session.keras_call("evaluate", stateful, (steps, steps), call is None):
        session.keras_model.expected_minibatches = minibatches
        return session.keras_model.in_order(session.keras_model.evaluate(**arguments, **options))


def _arguments(
    session: Session, x: Any, y: Any, n_steps: int | None, options: dict[str, Any]
) -> tuple[calls.Call | None, dict[str, Any]]:
    """Data in Keras's form."""
    if not checks.is_data(x):
        if n_steps is not None:
            raise SimulationError("n_steps cannot be given with a generator or Dataset")
        if y is not None:
            raise ValidationError(
                "cannot be given with a generator or Dataset; let its items have targets, as "
                "second elements",
                attr="y",
            )
        return None, {"x": items.for_keras(session, x)}
    call = calls.Call(session, x, n_steps, whole=session.replicas.several, holds=True)
    inputs, targets, weights = call.for_keras(session, y, options.pop("sample_weight", None))
    return call, {"x": inputs, "y": targets, "sample_weight": weights, "batch_size": session.batch}


def _weigh_classes(session: Session, arguments: dict[str, Any], options: dict[str, Any]) -> None:
    """Turn class weights into weights of samples; what validates has none."""
    given = options.pop("class_weight", None)
    if given is None:
        return
    split = options.pop("validation_split", None)
    if split:
        first = int(len(arguments["x"]["n_steps"]) * (1 - split))
        rest = _rows(arguments, slice(first, None))
        arguments.update(_rows(arguments, slice(first)))
        options["validation_data"] = (rest["x"], rest["y"], rest["sample_weight"])
        options["validation_batch_size"] = session.batch
    names = session.compiled.names
    losses = [names[probe] for probe in session.loss_probes]
    probes = checks.names_of(session.probes, names)
    arguments["sample_weight"] = calls.class_weights(
        given, arguments["y"], losses, arguments["sample_weight"], probes
    )


def _rows(arguments: dict[str, Any], rows: slice) -> dict[str, Any]:
    """Some items of all data."""
    data = {key: arguments[key] for key in ("x", "y", "sample_weight")}
    return {
        key: None if arrays is None else {name: array[rows] for name, array in arrays.items()}
        for key, arrays in data.items()
    }


def _is_unknown(options: dict[str, Any]) -> bool:
    """Whether validation data come from a generator or Dataset."""
    given = options.get("validation_data")
    return given is not None and not isinstance(given, list | tuple)


def _bring_validation(
    session: Session, n_steps: int | None, call: calls.Call | None, options: dict[str, Any]
) -> calls.Call | None:
    """Put validation data into Keras's form too."""
    data = options.get("validation_data")
    if data is None:
        return None
    if not checks.is_data(data):
        options["validation_data"] = items.for_keras(session, data)
        return None
    if not isinstance(data, list | tuple):
        raise ValidationError(
            f"expected (x, y) or (x, y, sample_weight), got a {type(data).__name__}",
            attr="validation_data",
        )
    if not 2 <= len(data) <= 3:
        raise ValidationError(
            f"expected (x, y) or (x, y, sample_weight), got {len(data)} elements",
            attr="validation_data",
        )
    x, y, *weights = data
    if x is None and n_steps is None and call is not None:
        n_steps = call.n_steps
    validation = calls.Call(session, x, n_steps, whole=session.replicas.several, holds=True)
    options["validation_data"] = validation.for_keras(session, y, *weights)
    options["validation_batch_size"] = session.batch
    return validation
