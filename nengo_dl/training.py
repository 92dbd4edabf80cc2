"""`Simulator.fit` and `evaluate`: Keras's own, on data in its form."""

from __future__ import annotations

from typing import Any

import keras
from nengo.exceptions import SimulationError

from . import calls, feeds


def fit(
    sim: Any, x: Any, y: Any, n_steps: int | None, stateful: bool, **kwargs: Any
) -> keras.callbacks.History:
    """See `Simulator.fit`."""
    sim._ignore_batch_size(kwargs)
    with sim._computing():
        arguments, call = _arguments(sim, x, y, n_steps, stateful)
        _add_validation(sim, kwargs, call)
        steps = None if call is None else call.n_steps
        return _keras_call(sim, sim.keras_model.fit, stateful, steps, {**arguments, **kwargs})


def evaluate(
    sim: Any, x: Any, y: Any, n_steps: int | None, stateful: bool, **kwargs: Any
) -> dict[str, float]:
    """See `Simulator.evaluate`."""
    sim._ignore_batch_size(kwargs)
    kwargs["return_dict"] = True
    with sim._computing():
        arguments, call = _arguments(sim, x, y, n_steps, stateful)
        steps = None if call is None else call.n_steps
        return _keras_call(sim, sim.keras_model.evaluate, stateful, steps, {**arguments, **kwargs})


def _arguments(
    sim: Any, x: Any, y: Any, n_steps: int | None, stateful: bool
) -> tuple[dict, calls.Call | None]:
    if not feeds.is_data(x):
        if n_steps is not None:
            raise SimulationError("n_steps cannot be given with a generator or Dataset")
        return ({"x": x} if y is None else {"x": x, "y": y}), None
    call = calls.Call(sim._compiled, x, n_steps, sim.unroll)
    if not stateful and call.n_steps == 1:
        calls.warn_about_synapses(sim._compiled, sim._loss_probes)
    return _in_keras_form(sim, call, y), call


def _in_keras_form(sim: Any, call: calls.Call, y: Any) -> dict[str, Any]:
    return {
        "x": call.for_keras(sim._sources, sim.n_steps),
        "y": calls.targets(sim._compiled, y, call.batch),
        "batch_size": sim.minibatch_size,
    }


def _add_validation(sim: Any, kwargs: dict, call: calls.Call | None) -> None:
    """Bring validation data into Keras's form."""
    data = kwargs.get("validation_data")
    if isinstance(data, list | tuple) and feeds.is_data(data[0]):
        x, y, *weights = data
        steps = None if call is None or x is not None else call.n_steps
        validation = calls.Call(sim._compiled, x, steps, sim.unroll)
        arrays = _in_keras_form(sim, validation, y)
        kwargs["validation_data"] = (arrays["x"], arrays["y"], *weights)
        kwargs["validation_batch_size"] = sim.minibatch_size
    if kwargs.get("validation_split") and call is not None:
        calls.check_validation_split(
            kwargs["validation_split"], call.batch, sim.minibatch_size
        )


def _keras_call(sim: Any, method: Any, stateful: bool, steps: int | None, kwargs: dict) -> Any:
    """Call Keras with the present state; what it compiled stays good for the same mode."""
    graph, model = sim._graph, sim.keras_model
    graph.begin_mode(model, stateful, steps)
    with graph.host.raising(), graph.calls_from_keras(sim.n_steps, stateful):
        try:
            return method(**kwargs)
        finally:
            if stateful:
                sim._n_steps = graph.steps_after
