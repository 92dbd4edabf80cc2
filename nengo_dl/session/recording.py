"""What was simulated, and what probes recorded of it in `run`, `run_steps` and `step`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import nengo
import numpy as np

from ..compiler.ir import Block, Output
from ..compiler.tensors import Tensor


@dataclass(frozen=True)
class Chunk:
    """A chunk of time that was simulated.

    Attributes
    ----------
    first : int
        Steps before it.
    steps : int
    outputs : dict of Output to array (steps or 1, B or 1, size)
    carry : dict of Block to array (B, size)
        State, and what was learned, after it.
    """

    first: int
    steps: int
    outputs: dict[Output, np.ndarray]
    carry: Mapping[Block, Tensor]


class Recorder:
    """Arrays of each probe, run after run.

    Parameters
    ----------
    probes : iterable of nengo.Probe
    dt : float
        Step length [s].

    Attributes
    ----------
    spans : list of (int, int)
        Steps before, and number of steps, of each chunk that was recorded.
    returned : bool
        Whether the simulation went back, after one of the runs, to where that had begun.
    """

    def __init__(self, probes: Iterable[nengo.Probe], dt: float) -> None:
        self.dt = dt
        self._parts: dict[nengo.Probe, list[np.ndarray]] = {p: [] for p in probes}
        self._latest: set[nengo.Probe] = set()  # that have a row of the last step of this run
        self.spans: list[tuple[int, int]] = []
        self.returned = False

    def begin_run(self, stateful: bool = True) -> None:
        """From here on, probes that keep no history add one row."""
        self._latest = set()
        self.returned = self.returned or not stateful

    def append(self, outputs: Mapping[Output, np.ndarray], first: int, n: int) -> None:
        """Add what probes saw in steps first + 1 to first + n; arrays (n or 1, B or 1, size)."""
        self.spans.append((first, n))
        for output, array in outputs.items():
            probe = output.key
            value = by_item(array, output, n)
            if output.last_only:
                # of the chunks of a run, the last one has the row that stays
                if probe in self._latest:
                    self._parts[probe].pop()
                self._latest.add(probe)
            elif probe.sample_every is not None:
                value = value[:, is_sampled(first, n, probe.sample_every / self.dt)]
            if value.shape[1]:
                self._parts[probe].append(value)

    def of(self, probe: nengo.Probe) -> list[np.ndarray]:
        """Arrays (B or 1, steps, *shape), to be concatenated along time."""
        return self._parts[probe]

    def clear(self) -> None:
        """Forget everything."""
        for parts in self._parts.values():
            parts.clear()
        self._latest = set()
        self.spans = []
        self.returned = False

    def steps(self, n_steps: int, period: float) -> np.ndarray:
        """Numbers of the steps simulated so far, sampled every `period` steps.

        If the simulation went back, of the recorded ones, as often as they were recorded.
        """
        spans = self.spans if self.returned else [(0, n_steps)]
        found = [np.arange(f + 1, f + n + 1)[is_sampled(f, n, period)] for f, n in spans]
        return np.concatenate([np.zeros(0, int), *found])


def is_sampled(first: int, n: int, period: float) -> np.ndarray:
    """Which of the steps first + 1 to first + n are kept when sampling every `period` steps."""
    return np.arange(first + 1, first + n + 1) % period < 1


def by_item(array: np.ndarray, output: Output, n: int) -> np.ndarray:
    """(n or 1, b, size), as a runtime gives it, -> (b, n, *shape)."""
    if array.shape[0] == 1 and n > 1 and not output.last_only:
        array = np.broadcast_to(array, (n, *array.shape[1:]))
    steps, batch, _ = array.shape
    shape = (batch, steps, *output.view.shape)
    if batch == 1 and array.flags.c_contiguous:
        return array.reshape(shape)
    return np.ascontiguousarray(np.swapaxes(array, 0, 1).reshape(shape))
