"""A step with Python in it: XLA compiles what lies between the calls of Python.

The loop itself then runs without XLA, and each part of the step is one compiled function: a few
calls for each step instead of one for each operation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby

import tensorflow as tf

from ...compiler.ir import Block, Group, Read
from ...kernels.context import Context
from ..emit import Blocks, run_groups
from .backend import by_xla, on_blocks

Finish = Callable[[Blocks], list[tf.Tensor]]


def run_segments(
    groups: Sequence[Group],
    uncompiled: Collection[Group],
    blocks: Blocks,
    ctx: Context,
    arguments: Mapping[Read, tf.Tensor],
    finish: Finish,
    wanted: Collection[Block],
) -> list[tf.Tensor]:
    """Compute groups in order, each run of compilable ones as one function.

    Parameters
    ----------
    groups : sequence of Group
    uncompiled : collection of Group
        Those that XLA cannot compile.
    blocks : dict of Block to tensor
    ctx : Context
    arguments : dict of Read to tensor
        What has been assembled before the loop.
    finish
        Makes the results of the step from all blocks; compiled too if no Python comes after.
    wanted : collection of Block
        What `finish` reads.

    Returns
    -------
    list of tensor
        What `finish` returns.
    """
    parts = [
        (compiled, list(part)) for compiled, part in groupby(groups, lambda g: g not in uncompiled)
    ]
    for number, (compiled, part) in enumerate(parts):
        later = [g for _, rest in parts[number + 1 :] for g in rest]
        if not compiled:
            run_groups(part, blocks, ctx.batch, ctx, arguments)
        elif later:
            needed = {b for g in later for r in g.reads for b in r.blocks} | set(wanted)
            made = [b for g in part for b in g.writes if b in needed]
            results = _compiled(part, blocks, ctx, arguments, made, _pick(made))
            blocks.update(zip(made, results, strict=True))
        else:
            return _compiled(part, blocks, ctx, arguments, wanted, finish)
    return finish(blocks)


def _pick(made: Sequence[Block]) -> Finish:
    return lambda blocks: [blocks[b] for b in made]


def _compiled(
    part: Sequence[Group],
    blocks: Blocks,
    ctx: Context,
    arguments: Mapping[Read, tf.Tensor],
    wanted: Collection[Block],
    finish: Finish,
) -> list[tf.Tensor]:
    """Call a part of the step, and what is to be made of its results, as one XLA function."""
    written = {b for g in part for b in g.writes}
    reads = [r for g in part for r in g.reads]
    given = [r for r in reads if r in arguments]
    loose = [b for r in reads if r not in arguments for b in r.blocks]
    needed = [b for b in (*loose, *wanted) if b not in written]

    def compute(local: Blocks, assembled: list[tf.Tensor]) -> list[tf.Tensor]:
        run_groups(part, local, ctx.batch, ctx, dict(zip(given, assembled, strict=True)))
        return finish(local)

    return on_blocks(by_xla, compute, blocks, needed, [arguments[r] for r in given])
