"""Runs converted networks on data of Keras, and measures on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError

from ..config.settings import Settings, configure_settings
from ..simulator.simulator import Simulator
from .seams import Converted

#: What is kept of a minibatch (B, T, ...) that a probe recorded.
Reduction: TypeAlias = Callable[[np.ndarray], np.ndarray]

# Bounds of memory, and so no fields of `Costs`, which choose the faster of two ways.
MEMORY = 2**28  # bytes that the inputs and outputs of one minibatch may take
LARGEST_MINIBATCH = 100  # items, as hidden layers take memory of which nothing is known here


@dataclass
class Recorded:
    """What came of a run.

    Attributes
    ----------
    outputs : list of array (B, T, N)
        For each output of the model.
    probes : list of array (B, T, ...)
        For each additional probe.
    """

    outputs: list[np.ndarray]
    probes: list[np.ndarray]


@contextmanager
def around(network: nengo.Network) -> Iterator[nengo.Network]:
    """A network that contains another one, for what is to be measured there.

    The inner network stays as it is. Numbers have the same precision; nothing is trainable.
    """
    outer = nengo.Network(label=f"measurement of {network.label}", seed=network.seed or 0)
    with outer:
        configure_settings(
            inference_only=True, stateful=False, dtype=Settings.of(network).dtype, trainable=None
        )
        nengo.Network.add(network)
        yield outer


def check_still(converter: Converted, what: str) -> None:
    """Raise ValidationError for models of series, whose inputs do not stand still."""
    if converter.temporal_model:
        raise ValidationError(
            f"{what} shows one input for many steps, but the model is temporal; run its network in "
            f"a Simulator instead",
            attr="temporal_model",
        )


def check_steps(n_steps: int) -> int:
    """The number of steps, if it is a positive int."""
    if not isinstance(n_steps, int | np.integer) or isinstance(n_steps, bool) or n_steps < 1:
        raise ValidationError(f"got {n_steps!r}, expected a positive int", attr="n_steps")
    return int(n_steps)


def check_size(minibatch_size: int | None) -> None:
    """Raise ValidationError unless it is None or a positive int."""
    size = minibatch_size
    is_int = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if size is not None and not (is_int and size > 0):
        raise ValidationError(f"got {size!r}, expected a positive int", attr="minibatch_size")


def check_start(start: int, n_steps: int, attr: str = "start") -> int:
    """The first step that is averaged, if it is one of the steps."""
    is_int = isinstance(start, int | np.integer) and not isinstance(start, bool)
    if not is_int or not 0 <= start < n_steps:
        raise ValidationError(
            f"got {start!r}, expected an int from 0 to {n_steps - 1}, the last of the steps",
            attr=attr,
        )
    return int(start)


def run(
    converter: Converted,
    arrays: Sequence[np.ndarray],
    n_steps: int,
    network: nengo.Network | None = None,
    probes: Sequence[nengo.Probe] = (),
    minibatch_size: int | None = None,
    reduce: Reduction = np.asarray,
) -> Recorded:
    """Show each item for some steps.

    Parameters
    ----------
    converter : Converter
    arrays : list of array (B, ...)
        For each input of the model.
    n_steps : int
    network : nengo.Network, optional
        One that contains that of the converter, with more probes.
    probes : list of Probe
        Those to return.
    minibatch_size : int, optional
        By default, what takes a moderate amount of memory.
    reduce : callable, optional
        Applied to what each probe recorded for a minibatch (B, T, ...), to save memory.
    """
    check_still(converter, "this")
    tensors = converter.model.inputs
    nodes = [converter.inputs[t] for t in tensors]
    data = dict(zip(nodes, (a.reshape(len(a), -1) for a in arrays), strict=True))
    wanted = [converter.outputs[t] for t in converter.model.outputs] + list(probes)
    found = show(network or converter.net, data, n_steps, wanted, minibatch_size, reduce)
    n_outputs = len(converter.model.outputs)
    return Recorded(found[:n_outputs], found[n_outputs:])


def show(
    network: nengo.Network,
    data: dict[nengo.Node, np.ndarray],
    n_steps: int,
    probes: Sequence[nengo.Probe],
    minibatch_size: int | None = None,
    reduce: Reduction = np.asarray,
) -> list[np.ndarray]:
    """Show constant inputs (B, N) for some steps; what each probe recorded (B, T, ...), reduced."""
    n_items = len(next(iter(data.values())))
    # inputs are held for all steps and outputs recorded: that is what takes memory
    size = minibatch_size or _minibatch(network, data, n_steps, n_items)
    parts: list[list[np.ndarray]] = [[] for _ in probes]
    with Simulator(network, minibatch_size=size, progress_bar=False) as sim:
        for first in range(0, n_items, size):
            chosen = np.minimum(np.arange(first, first + size), n_items - 1)  # fills the last one
            given = {node: _repeated(array[chosen], n_steps) for node, array in data.items()}
            found = sim.predict(given)
            for part, probe in zip(parts, probes, strict=True):
                part.append(reduce(found[probe][: n_items - first]))
    return [np.concatenate(part) for part in parts]


def _repeated(array: np.ndarray, n_steps: int) -> np.ndarray:
    return np.broadcast_to(array[:, None], (len(array), n_steps, array.shape[1]))


def _minibatch(
    network: nengo.Network, data: dict[nengo.Node, np.ndarray], n_steps: int, n_items: int
) -> int:
    values = sum(array.shape[1] for array in data.values())
    values += sum(probe.size_in for probe in network.all_probes)
    return int(np.clip(MEMORY // (4 * values * n_steps), 1, min(LARGEST_MINIBATCH, n_items)))


def expected_outputs(converter: Converted, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What the Keras model gives, for each of its outputs (B, ...)."""
    packed = keras.tree.pack_sequence_as(converter.model.input, list(arrays))
    found = converter.model.predict(packed, batch_size=LARGEST_MINIBATCH, verbose=0)
    return [np.asarray(output) for output in keras.tree.flatten(found)]
