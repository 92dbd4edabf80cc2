"""`Simulator.check_gradients`: the gradients that training uses, against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import TypeAlias

import nengo
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from ..runtimes.later import tf
from ..session.session import Session
from ..surrogate import Rates
from ..utils import Tensor
from . import calls
from .types import Data

#: By Probe, "analytic" and "numeric": for each Node, (elements in, elements out).
Jacobians: TypeAlias = dict[nengo.Probe, dict[str, list[np.ndarray]]]

#: What a probe sees (B, T, size), of inputs like that.
Simulation: TypeAlias = Callable[[list[Tensor]], Tensor]


def check(
    session: Session,
    inputs: Data | None,
    outputs: nengo.Probe | Sequence[nengo.Probe] | None,
    atol: float,
    rtol: float,
) -> Jacobians:
    """See `Simulator.check_gradients`; the session is at its beginning."""
    for name, value in (("atol", atol), ("rtol", rtol)):
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            raise ValidationError(f"expected a number of at least 0, got {value!r}", attr=name)
    outputs = [outputs] if isinstance(outputs, nengo.Probe) else outputs
    probes = session.probes if outputs is None else list(outputs)
    for probe in probes:
        if probe not in session.probes:
            raise ValidationError(f"{probe!r} is not a Probe of this network", attr="outputs")
    _refuse_surrogates(session)
    given = None if isinstance(inputs, list | tuple) and not inputs else inputs
    loops = 2 if session.settings.use_loop else 1
    call = calls.Call(session, given, loops * session.unroll if given is None else None, True)
    arrays = [call.data.get(n, _zeros(session, n, call)) for n in session.compiled.nodes]
    found = {}
    with session.computing(), session.graph.host.raising():
        for probe in probes:
            simulate = _simulation(session, probe, call.n_steps)
            found[probe] = {
                "analytic": _analytic(simulate, arrays),
                "numeric": _numeric(simulate, arrays),
            }
            _compare(session, probe, found[probe], atol, rtol)
    return found


def _refuse_surrogates(session: Session) -> None:
    """A gradient that is not that of the values cannot be found from differences of values."""
    ops = session.compiled.training_program.ops
    choices = {op: op.attrs["training_spikes"] for op in ops if op.attrs.get("in_training")}
    found = [op for op, choice in choices.items() if not isinstance(choice, Rates)]
    if found:
        names = ", ".join(dict.fromkeys(op.tag for op in found))
        raise SimulationError(
            f"{names} of neurons whose spikes train with {choices[found[0]]!r}: the "
            f"gradient is by design not the derivative of spikes, and cannot be checked against "
            f"finite differences. Configure training_spikes='rates' to check everything else."
        )


def _zeros(session: Session, node: nengo.Node, call: calls.Call) -> np.ndarray:
    return np.zeros((session.batch, call.n_steps, node.size_out), session.settings.dtype)


def _simulation(session: Session, probe: nengo.Probe, steps: int) -> Simulation:
    """What the probe sees in training, as a function of the inputs (B, T, size) and no more."""
    from ..runtimes.tensorflow.chunk import Span

    graph, compiled = session.graph, session.compiled
    blocks = [compiled.block(compiled.feed_of(node)) for node in compiled.nodes]
    hidden = {
        compiled.block(f): tf.constant(session.sources[f].rows(0, steps))
        for f in compiled.hidden_feeds
    }
    carry = {block: tf.convert_to_tensor(x) for block, x in graph.carry().items()}
    span = Span(tf.constant(0, tf.int64), steps, steps)
    how = graph.strategy("train", asked=False)

    @tf.function(autograph=False)
    def simulate(arrays: list[Tensor]) -> Tensor:
        series = [tf.transpose(x, (1, 0, 2)) for x in arrays]
        sources = {**hidden, **dict(zip(blocks, series, strict=True))}
        outputs, _ = graph.simulate(sources, carry, span, how)
        return tf.transpose(outputs[probe], (1, 0, 2))

    return simulate


def _analytic(simulate: Simulation, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """By going back from one element of the output at a time."""
    tensors = [tf.constant(a) for a in arrays]

    # traced, since a tape that is gone through again and again makes TensorFlow build gradients
    # of gradients
    @tf.function(autograph=False)
    def back(tensors: list[Tensor], direction: Tensor) -> list[Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            output = simulate(tensors)
        return tape.gradient(output, tensors, direction, unconnected_gradients="zero")

    shape = simulate(tensors).shape
    directions = np.eye(shape.num_elements(), dtype=arrays[0].dtype).reshape(-1, *shape)
    rows = [back(tensors, tf.constant(direction)) for direction in directions]
    return [np.stack([np.ravel(x) for x in column], axis=1) for column in zip(*rows, strict=True)]


def _numeric(simulate: Simulation, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Central differences; the distance balances rounding and curvature."""
    found = []
    for number, array in enumerate(arrays):
        distance = float(np.cbrt(np.finfo(array.dtype).eps))
        rows = []
        for index in np.ndindex(*array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * distance
                others = [*arrays[:number], moved, *arrays[number + 1 :]]
                ends.append(np.ravel(simulate([tf.constant(a) for a in others])))
            rows.append((ends[0] - ends[1]) / (2 * distance))
        found.append(np.array(rows))
    return found


def _compare(
    session: Session,
    probe: nengo.Probe,
    found: Mapping[str, list[np.ndarray]],
    atol: float,
    rtol: float,
) -> None:
    name = session.compiled.names[probe]
    pairs = zip(session.compiled.nodes, found["analytic"], found["numeric"], strict=True)
    for node, analytic, numeric in pairs:
        what = f"Gradients of {name!r} by {session.compiled.names[node]!r}"
        if not (np.all(np.isfinite(analytic)) and np.all(np.isfinite(numeric))):
            raise SimulationError(f"{what} contain NaN or infinite values")
        wrong = np.abs(analytic - numeric) >= atol + rtol * np.abs(numeric)
        if np.any(wrong):
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise SimulationError(
                f"{what} differ from finite differences in {np.count_nonzero(wrong)} of "
                f"{wrong.size} elements; for example, element {at} is {analytic[at]:g}, expected "
                f"{numeric[at]:g}. Python code in the loop has no gradient."
            )
