"""What a loop carries from step to step, and the states that it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import tensorflow as tf

from ...compiler.ir import Block, Stage
from ...kernels.context import Context
from ...kernels.registry import CATALOGUE
from ..emit import in_own_order, interleaved, per_item


def begin(stage: Stage, blocks: Mapping[Block, tf.Tensor], ctx: Context) -> list[tf.Tensor]:
    """What the loop carries, as it holds it."""
    states = {b: per_item(blocks[b][0], ctx.batch) for b in stage.states}
    for p in stage.packings:
        own = [states.pop(b) for b in p.states]
        states[p.held] = CATALOGUE.packer(p.group).pack(p.group, own, ctx)
    held = []
    for block, _ in stage.carried:
        shape = stage.interleaved.get(block)
        held.append(states[block] if shape is None else interleaved(states[block], shape))
    return held


def end(stage: Stage, carried: Iterable[tf.Tensor], ctx: Context) -> dict[Block, tf.Tensor]:
    """The states, from what the loop carried."""
    pairs = zip(stage.carried, carried, strict=False)
    states = {block: in_own_order(array) for (block, _), array in pairs}
    for p in stage.packings:
        own = CATALOGUE.packer(p.group).unpack(p.group, states.pop(p.held), ctx)
        states.update(zip(p.states, own, strict=True))
    return states
