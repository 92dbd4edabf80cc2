"""Loops that are to be a single kernel of the machine's code, instead of one for each operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .ir import Group, Stage

# Where kernels of their own are faster: from here on they use two cores, and larger vectors in
# products. Measured for LIF neurons, and for random networks of ensembles.
ELEMENTS = 24_000  # that a group writes
MATRICES = 180_000  # elements of all matrices
SUMMED = 32_000  # elements added up; from 2**15 on, XLA has no form of that within a kernel


def inline(stage: Stage, inlined: Callable[[Group], bool], batch: int) -> Stage:
    """Mark a stage that is faster as one kernel, whose operations are parts of it.

    Parameters
    ----------
    stage : Stage
        Stages that are not looped stay as they are.
    inlined
        Whether a group is computed well as a part of a kernel.
    batch : int
        Minibatch size.
    """
    groups = stage.groups
    if not (stage.looped and all(map(inlined, groups))):
        return stage
    largest = max((b.size for g in groups for b in g.writes), default=0)
    matrices = sum(g.reads[0].size for g in groups if g.kind == "dot")
    sums = (g.reads[0].size for g in groups if g.kind == "sum" or g.interleaving)
    sizes = (largest, ELEMENTS), (matrices, MATRICES), (max(sums, default=0), SUMMED)
    return replace(stage, inline=all(size * batch <= limit for size, limit in sizes))
