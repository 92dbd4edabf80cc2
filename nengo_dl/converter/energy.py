"""Published energies of single operations. They differ by orders of magnitude: never use one alone.

All are lower bounds of what a whole system takes. Counts are what a network needs; what that costs
is a matter of the platform, and of whether memory was part of the measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HOROWITZ = "Horowitz, ISSCC 2014, doi 10.1109/ISSCC.2014.6757323"
ADD, MULTIPLY = 0.9, 3.7  # floating point, 32 bits, 45 nm [pJ]
SRAM, DRAM = 10.0, 650.0  # 32 bits: half of a 64-bit read of 32 KB, 20 pJ, and of DRAM, 1.3 nJ [pJ]


@dataclass(frozen=True)
class Figure:
    """Energies of operations, from one publication.

    Attributes
    ----------
    name, source : str
    synaptic : float
        A synaptic operation: one spike that reaches one neuron [pJ].
    update : float
        One neuron in one step, whether it spikes or not [pJ].
    multiply_add : float or None
        An operation of the network that does not spike [pJ]; None: it cannot run there.
    """

    name: str
    source: str
    synaptic: float
    update: float
    multiply_add: float | None

    def spiking(self, operations: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Energy [J] of synaptic operations and of updates of neurons."""
        return 1e-12 * (self.synaptic * operations + self.update * updates)

    def keras(self, multiply_adds: float) -> float | None:
        """Energy [J] of the model that does not spike."""
        return None if self.multiply_add is None else 1e-12 * self.multiply_add * multiply_adds


FIGURES = (
    Figure("45 nm, arithmetic alone", HOROWITZ, ADD, ADD, MULTIPLY + ADD),
    # each operation reads a weight, and reads and writes a sum; nothing is used twice
    Figure(
        "45 nm, all in SRAM of 32 KB",
        HOROWITZ,
        ADD + 3 * SRAM,
        ADD + 2 * SRAM,
        MULTIPLY + ADD + 3 * SRAM,
    ),
    Figure(
        "45 nm, weights in DRAM",
        HOROWITZ,
        ADD + 2 * SRAM + DRAM,
        ADD + 2 * SRAM,
        MULTIPLY + ADD + 2 * SRAM + DRAM,
    ),
    Figure(
        "Loihi, 14 nm",
        "Davies et al., IEEE Micro 2018, doi 10.1109/MM.2018.112130359",
        23.6,
        81,
        None,
    ),
    Figure(
        "TrueNorth, 28 nm", "Merolla et al., Science 2014, doi 10.1126/science.1254642", 26, 0, None
    ),
)
