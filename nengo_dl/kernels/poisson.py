"""Poisson spikes:  P(n spikes in a step) = e^{-x} x^n / n!  with x = |rate| dt.

NumPy's generator consumes more numbers for some rates than for others, so that nothing can be drawn
ahead of the rates: Nengo's own step draws, for all steps at once where all rates are known.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import nengo
import numpy as np

from ..compiler.ir import Group, Op, Signal, View
from ..surrogate import Rates
from ..utils import blame, own_generator
from .abilities import ChangesInTraining, Randomness, StepsInNumPy, StepsOnHost
from .arrays import Action, Arrays, Tensor, Tensors
from .base import Kernel, NeuronKernel
from .constants import Constants
from .context import Context
from .later import ops
from .neurons import training_spikes
from .registry import CATALOGUE, kernel, neuron
from .surrogate import with_gradient_of


@neuron(nengo.PoissonSpiking)
class PoissonSpikingKernel(NeuronKernel):
    """J is the rate that the base type gives [Hz]."""

    draws = "rng"
    spiking = True
    kind = "drawn_spikes"

    @classmethod
    def rate(cls, c: Constants, J: Tensor) -> Tensor:
        return c.amplitude * J


class Generators:
    """The random generator of a population for one batch item, as it was when built.

    Parameters
    ----------
    op : Op
        An op of kind "drawn_spikes".
    dt : float
        Step length [s].
    rng : Randomness
        That of other operators.
    item : int
        The number of the item.
    """

    def __init__(self, op: Op, dt: float, rng: Randomness, item: int) -> None:
        self.neurons, self.dt, self.name = op.attrs["neurons"], dt, op.tag
        self.generators = [own_generator(op.attrs["rng"], item)]

    @staticmethod
    def run(steppers: Sequence[Generators], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Spikes of some items, for rates (steps * items, N) [Hz]."""
        (rates,) = arrays
        output, n = np.empty_like(rates), len(steppers)  # rows are items within steps
        for row, stepper in enumerate(steppers):
            (output[row::n],) = stepper.advance([rates[row::n]])
        return [output]

    def advance(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Spikes of the item."""
        (rates,) = arrays
        output = np.empty(rates.size, rates.dtype)
        try:
            self.neurons.step(self.dt, rates.ravel(), output, rng=self.generators[0])
        except Exception as error:
            blame(error, self.name)
            raise
        return [output.reshape(rates.shape)]


@kernel("drawn_spikes")
class DrawnSpikes(Kernel, ChangesInTraining, StepsInNumPy, StepsOnHost):
    """Neurons of which Nengo's step draws the spikes, on the host.

    In training they give rates; or spikes, with the gradient of the rates: there is no voltage, of
    which a surrogate could be a function.
    """

    compiled = False
    stepper = Generators

    def flat(self, op: Op) -> bool:
        return True

    def signature(self, op: Op) -> Hashable:
        return type(op.attrs["neurons"]), training_spikes(op) is not None

    def compute(self, group: Group, reads: Tensors, ctx: Context) -> Tensors:
        (rates,) = reads
        rows = ctx.batch if ctx.rows is None else ctx.rows
        # items that share rates do not share spikes
        rates = ops.broadcast_to(rates, (rows, rates.shape[1]))
        draws = [(ctx.steppers(op), part) for op, part in _parts(group)]

        def draw(rates: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
            spikes = np.zeros_like(rates)
            for generators, part in draws:
                # no step is simulated beyond these rows: to draw for them would move generators
                (spikes[:valid, part],) = generators(rates[:valid, part])
            return [spikes]

        valid = rows if ctx.valid is None else ctx.valid
        (spikes,) = ctx.host(draw, [rates, valid], [rates.shape])
        if training_spikes(group.ops[0]) is None:
            return [spikes]
        amplitude = Constants(group, PoissonSpikingKernel.constants, ctx).amplitude
        return [with_gradient_of(spikes, amplitude * rates)]

    def in_numpy(self, group: Group, reads: Arrays, writes: Arrays, ctx: Context) -> Action:
        (rates,), (spikes,) = reads, writes
        draws = [(ctx.steppers(op), rates[part], spikes[part]) for op, part in _parts(group)]

        def compute() -> None:
            for generators, x, y in draws:
                (y[:],) = generators(x)

        return compute

    def for_training(self, op: Op) -> tuple[Op, dict[Signal, View]]:
        # what training does to neurons of any kind
        changed, held = CATALOGUE.for_training(replace(op, kind="neurons"))
        if isinstance(training_spikes(changed), Rates):
            return changed, held
        return replace(changed, kind=op.kind), held


def _parts(group: Group) -> list[tuple[Op, slice]]:
    """Each population of a group, and where it lies."""
    ends = np.cumsum([op.writes[0].size for op in group.ops])
    return [(op, slice(e - op.writes[0].size, e)) for op, e in zip(group.ops, ends, strict=True)]
