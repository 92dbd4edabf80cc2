"""Loops that are to be a single kernel of the machine's code, instead of one for each operation."""

from __future__ import annotations

from dataclasses import replace

from ....compiler.catalogue import Catalogue, is_matrix_product
from ....compiler.costs import CPU, Costs
from ....compiler.ir import Stage


def mark_single_kernel(stage: Stage, catalogue: Catalogue, batch: int, costs: Costs = CPU) -> Stage:
    """Mark a stage that is faster as one kernel, whose operations are parts of it.

    Parameters
    ----------
    stage : Stage
        Stages that are not looped stay as they are.
    catalogue : Catalogue
        Tells whether a group is computed well as a part of a kernel.
    batch : int
        Minibatch size.
    costs : Costs
    """
    groups = stage.groups
    if not (stage.looped and all(catalogue.inlines(g, batch) for g in groups)):
        return stage
    largest = max((b.size for g in groups for b in g.writes), default=0)
    matrices = sum(g.reads[0].size for g in groups if is_matrix_product(g, catalogue.traits))
    sums = (g.reads[0].size for g in groups if g.is_sum or g.interleaving)
    bounds = (
        (largest, costs.single_kernel_elements),
        (matrices, costs.single_kernel_matrix_elements),
        (max(sums, default=0), costs.single_kernel_terms),
    )
    return replace(stage, inline=all(size * batch <= bound for size, bound in bounds))
