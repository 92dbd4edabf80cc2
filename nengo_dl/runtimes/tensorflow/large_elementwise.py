"""Large populations of neurons between products, for all steps at once.

XLA makes one function of what works element by element; the products it leaves to TensorFlow, whose
convolutions are faster.  On two cores, the convolutional networks of `benchmarks.training`, with
rates, take 6 to 10 % less time a batch than with all left to TensorFlow, dense layers as much.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import groupby

import tensorflow as tf

from ...compiler.costs import Costs
from ...compiler.ir import Block, Group
from ...kernels.context import Context
from ...kernels.registry import CATALOGUE
from ..emit import Blocks, run_groups
from .backend import Scalar, by_xla, on_blocks


def run_with_islands(
    groups: Sequence[Group],
    blocks: Blocks,
    rows: Scalar,
    ctx: Context,
    wanted: Collection[Block],
    costs: Costs,
) -> None:
    """Compute groups in order, like `run_groups`; of what XLA computes, what is read elsewhere.

    Parameters
    ----------
    groups : sequence of Group
        What they compute must depend on nothing but what they read.
    blocks : dict of Block to tensor (L or 1, size)
    rows : int or scalar tensor
        L.
    ctx : Context
    wanted : collection of Block
        What is read of the results, apart from what `groups` read.
    costs : Costs
    """
    for elementwise, members in groupby(groups, lambda g: CATALOGUE.is_flat(g.ops[0])):
        part = list(members)
        if not (elementwise and any(_is_large(g, rows, costs) for g in part)):
            run_groups(part, blocks, rows, ctx)
            continue
        outside = {b for g in groups if g not in part for r in g.reads for b in r.blocks}
        made = [b for g in part for b in g.writes if b in wanted or b in outside]
        blocks.update(zip(made, _island(part, blocks, rows, ctx, made), strict=True))


def _is_large(group: Group, rows: Scalar, costs: Costs) -> bool:
    if not (group.traits.is_population and isinstance(rows, int)):
        return False
    return rows * group.writes[0].size >= costs.lone_population_elements


def _island(
    part: Sequence[Group], blocks: Blocks, rows: Scalar, ctx: Context, made: Sequence[Block]
) -> list[tf.Tensor]:
    """The blocks made of a part."""
    written = {b for g in part for b in g.writes}
    read = (b for g in part for r in g.reads for b in r.blocks)

    def compute(local: Blocks, known: Sequence[tf.Tensor] = ()) -> list[tf.Tensor]:
        results = dict(zip(made, known, strict=False))
        run_groups(part, local, rows, replace(ctx, known=results))
        return [local[b] for b in made]

    return on_blocks(_fused, compute, blocks, (b for b in read if b not in written))


def _fused(compute: Callable[..., list[tf.Tensor]], arrays: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Call a function by XLA; its gradient, which keeps just what it gave, calls it again.

    Rates of LIF neurons need not be computed again for it: the convolutional network of
    `benchmarks.training` takes a seventh less processor time a batch than if they were.
    """

    @tf.custom_gradient
    def run(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable]:
        # TensorFlow would trace gradients of what is in here, which `back` makes already
        given = tuple(map(tf.stop_gradient, given))
        results = by_xla(lambda: compute(given))

        def back(upstream: Sequence[tf.Tensor]) -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([x for x in given if x.dtype.is_floating])
                again = compute(given, results)
            return tape.gradient(again, given, output_gradients=list(upstream))

        return results, lambda *upstream: by_xla(lambda: back(upstream))

    return list(run(*arrays))
