"""`Simulator.compile`, `fit` and `evaluate`: Keras's own, on data in its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengo.exceptions import SimulationError, ValidationError

from ..runtimes.later import keras
from ..session.session import Session
from . import calls, checks, generators, options
from .types import Data, ForProbes, Loss, Metric, Minibatches, Targets


def compile(
    session: Session,
    loss: ForProbes[Loss] | None,
    metrics: ForProbes[Metric | Sequence[Metric]] | None,
    loss_weights: ForProbes[float] | None,
    weighted_metrics: ForProbes[Metric | Sequence[Metric]] | None = None,
    **others: Any,
) -> None:
    """See `Simulator.compile`; `others` are those of `keras.Model.compile`."""
    session.require_idle("compile", "fit", "evaluate")
    options.check_optimizer(others.get("optimizer"))
    options.check_compiling(others)
    losses = calls.per_probe(session, loss, "loss", broadcast=True)
    weights = calls.per_probe(session, loss_weights, "loss_weights", broadcast=False)
    listed = [
        {k: list(v) if isinstance(v, list | tuple) else [v] for k, v in each.items()}
        for each in (
            calls.per_probe(session, metrics, "metrics", broadcast=True),
            calls.per_probe(session, weighted_metrics, "weighted_metrics", broadcast=True),
        )
    ]
    names = checks.names_of(session.probes, session.compiled.names).values()
    losses = {name: losses[name] for name in names if losses.get(name) is not None}
    for name, given in losses.items():
        options.check_loss(given, name)
    for name, given in [pair for each in listed for pair in each.items()]:
        for metric in given:
            options.check_metric(metric, name)
    options.check_loss_weights(weights)
    with session.computing():
        session.keras_model.compile_for_probes(losses, weights, *listed, **others)
    session.loss_probes = [p for p in session.probes if session.compiled.names[p] in losses]


def fit(
    session: Session,
    x: Data | Minibatches | None,
    y: Targets | None,
    n_steps: int | None,
    stateful: bool,
    keywords: dict[str, Any],
) -> keras.callbacks.History:
    """See `Simulator.fit`; `keywords` are those of `keras.Model.fit`."""
    with session.lending(stateful, training=True):
        return _fit(session, x, y, n_steps, stateful, keywords)


def _fit(
    session: Session,
    x: Data | Minibatches | None,
    y: Targets | None,
    n_steps: int | None,
    stateful: bool,
    keywords: dict[str, Any],
) -> keras.callbacks.History:
    options.check_call(keywords)
    calls.ignore_batch_size(session, keywords)
    if keywords.get("class_weight") is not None and not checks.is_data(x):
        raise ValidationError(
            "cannot be given with a generator or Dataset; let its items have weights of samples, "
            "as third elements",
            attr="class_weight",
        )
    call, arguments = _arguments(session, x, y, n_steps, keywords)
    validation = _bring_validation(session, n_steps, call, keywords)
    if call is not None:
        calls.check_validation_split(session, keywords.get("validation_split"), call.batch)
        calls.warn_about_synapses(session, call, stateful)
    _weigh_classes(session, arguments, keywords)
    steps = None if call is None else call.n_steps
    lengths = (steps, steps if validation is None else validation.n_steps)
    minibatches = 0 if call is None else call.batch // session.batch * keywords.get("epochs", 1)
    unknown = call is None or _is_unknown(keywords)
    with session.keras_call("fit", stateful, lengths, unknown, minibatches) as model:
        history = model.fit(**arguments, **keywords)
    history.history = model.in_order(history.history)
    return history


def evaluate(
    session: Session,
    x: Data | Minibatches | None,
    y: Targets | None,
    n_steps: int | None,
    stateful: bool,
    keywords: dict[str, Any],
) -> dict[str, float]:
    """See `Simulator.evaluate`; `keywords` are those of `keras.Model.evaluate`."""
    with session.lending(stateful):
        return _evaluate(session, x, y, n_steps, stateful, keywords)


def _evaluate(
    session: Session,
    x: Data | Minibatches | None,
    y: Targets | None,
    n_steps: int | None,
    stateful: bool,
    keywords: dict[str, Any],
) -> dict[str, float]:
    options.check_call(keywords)
    calls.ignore_batch_size(session, keywords)
    keywords["return_dict"] = True
    call, arguments = _arguments(session, x, y, n_steps, keywords)
    if call is not None:
        calls.warn_about_synapses(session, call, stateful)
    steps = None if call is None else call.n_steps
    minibatches = 0 if call is None else call.batch // session.batch
    lengths = (steps, steps)
    with session.keras_call("evaluate", stateful, lengths, call is None, minibatches) as model:
        logs: Any = model.evaluate(**arguments, **keywords)  # a dict, as `return_dict` says
        return model.in_order(logs)


def _arguments(
    session: Session,
    x: Data | Minibatches | None,
    y: Targets | None,
    n_steps: int | None,
    keywords: dict[str, Any],
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
        return None, {"x": generators.for_keras(session, x)}
    call = calls.Call(session, x, n_steps, whole=session.replicas.several, holds=True)
    inputs, targets, weights = call.for_keras(session, y, keywords.pop("sample_weight", None))
    return call, {"x": inputs, "y": targets, "sample_weight": weights, "batch_size": session.batch}


def _weigh_classes(session: Session, arguments: dict[str, Any], keywords: dict[str, Any]) -> None:
    """Turn class weights into weights of samples; what validates has none."""
    given = keywords.pop("class_weight", None)
    if given is None:
        return
    # not left to Keras: it would take the weights over to what validates
    split = keywords.pop("validation_split", None)
    if split:
        first = int(len(arguments["x"]["n_steps"]) * (1 - split))
        rest = _rows(arguments, slice(first, None))
        arguments.update(_rows(arguments, slice(first)))
        keywords["validation_data"] = (rest["x"], rest["y"], rest["sample_weight"])
        keywords["validation_batch_size"] = session.batch
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


def _is_unknown(keywords: dict[str, Any]) -> bool:
    """Whether validation data come from a generator or Dataset."""
    given = keywords.get("validation_data")
    return given is not None and not isinstance(given, list | tuple)


def _bring_validation(
    session: Session, n_steps: int | None, call: calls.Call | None, keywords: dict[str, Any]
) -> calls.Call | None:
    """Put validation data into Keras's form too."""
    data = keywords.get("validation_data")
    if data is None:
        return None
    if not checks.is_data(data):
        keywords["validation_data"] = generators.for_keras(session, data)
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
    keywords["validation_data"] = validation.for_keras(session, y, *weights)
    keywords["validation_batch_size"] = session.batch
    return validation
