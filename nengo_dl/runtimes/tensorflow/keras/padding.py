"""Room for more items and steps than there are: a minibatch is always whole for what is compiled.

Items that are missing are copies of those that are there, steps that are missing repeat the last;
nothing of either is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from ....compiler.ir import Block


def whole_minibatch(x: tf.Tensor, batch: int) -> tf.Tensor:
    """Fill a tensor (b, ...) up with its own items, in turn: (B, ...)."""
    present = x.shape[0]
    return (
        x if present in (batch, None) else tf.gather(x, [item % present for item in range(batch)])
    )


def room_for_steps(x: tf.Tensor, room: int) -> tf.Tensor:
    """Fill a tensor (b, T, ...) up with its last step; one row for all steps stays one."""
    steps = x.shape[1]
    if steps in (1, room):
        return x
    return tf.gather(x, [min(step, steps - 1) for step in range(room)], axis=1)


def room_for_draws(rows: tf.Tensor, room: int) -> tf.Tensor:
    """Fill rows (T, B, size), of a length that is not known yet, up with zeros."""
    missing = room - tf.shape(rows)[0]
    padded = tf.pad(rows, [[0, missing], [0, 0], [0, 0]])
    return tf.ensure_shape(padded, (room, *rows.shape[1:]))


def only_present(
    after: Mapping[Block, tf.Tensor], before: Mapping[Block, tf.Tensor], present: int
) -> dict[Block, tf.Tensor]:
    """What items have after a call: those that are missing, what they had before."""
    return {
        block: value
        if value.shape[0] == present
        else tf.concat([value[:present], before[block][present:]], axis=0)
        for block, value in after.items()
    }


def bucket(steps: int, unroll: int) -> int:
    """Steps for which there is room: `unroll` times the next power of two."""
    room = unroll
    while room < steps:
        room *= 2
    return room
