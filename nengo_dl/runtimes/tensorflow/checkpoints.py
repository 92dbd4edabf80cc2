"""Long series in little memory: gradients that compute chunks of time again.

The forward pass keeps nothing but the state at the beginning of each chunk; the backward pass runs
chunk after chunk again, from the last to the first, each with its gradient.  [Griewank & Walther
2000, ACM TOMS 26, 19; Chen et al. 2016, arXiv:1604.06174]
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import tensorflow as tf

from ...compiler.ir import Block, Output, Program
from ...kernels.context import Context
from .backend import Scalar
from .chunk import Span
from .execute import execute, varies
from .loops.scan import Tensors, scan_again
from .residuals import repeatable
from .strategy import Strategy

Results = tuple[dict[Output, tf.Tensor], dict[Block, tf.Tensor]]


def execute_with_checkpoints(
    sources: Mapping[Block, tf.Tensor],
    carry: Mapping[Block, tf.Tensor],
    span: Span,
    ctx: Context,
    how: Strategy,
) -> Results:
    """Like `execute`, for a whole call in training, as `how.checkpoint_steps` says."""
    names = _unrepeatable(how.program)
    if names:
        _ignore(f"{', '.join(names)} would run again, and may not do the same")
    elif not isinstance(span.length, int):
        _ignore("the number of steps is not known in advance; give data as arrays")
    else:
        steps = steps_of_chunk(how.checkpoint_steps or span.length, span.length, how.unroll)
        if steps < span.length:
            return _execute_in_chunks(sources, carry, span, ctx, how, steps)
    return execute(sources, carry, span, ctx, how)


def steps_of_chunk(steps: int, length: int, unroll: int) -> int:
    """Steps of each chunk, a multiple of `unroll`."""
    return min(-(-steps // unroll) * unroll, length)


def _unrepeatable(program: Program) -> list[str]:
    """Names of what must not be run again: Python, and the user's own code."""
    ops = [op for g in program.groups if not repeatable(g) for op in g.ops]
    return list(dict.fromkeys(op.tag or op.kind for op in ops))


def _ignore(reason: str) -> None:
    warnings.warn(f"checkpoint_steps is ignored: {reason}", stacklevel=2)


def _execute_in_chunks(
    sources: Mapping[Block, tf.Tensor],
    carry: Mapping[Block, tf.Tensor],
    span: Span,
    ctx: Context,
    how: Strategy,
    steps: int,
) -> Results:
    """Run chunks of so many steps, in a loop; what is left over of T is one more, shorter."""
    number = span.length // steps
    whole = number * steps
    # one row for all steps is the same in each chunk, and so is no series
    series = {b: v for b, v in sources.items() if v.shape[0] not in (1, None)}
    shared = {b: v for b, v in sources.items() if b not in series}
    blocks, outputs = list(carry), [o for s in how.program.stages for o, _ in s.outputs]
    fixed = [b for b, v in shared.items() if varies(b) and v.dtype.is_floating]

    def chunk(i: Scalar, state: Tensors, xs: Tensors, values: Tensors) -> tuple[Tensors, Tensors]:
        now = {
            **shared,
            **dict(zip(fixed, values, strict=True)),
            **dict(zip(series, xs, strict=True)),
        }
        start = span.first + tf.cast(i, tf.int64) * steps
        before = dict(zip(blocks, state, strict=True))
        found, after = execute(now, before, Span(start, steps, steps), ctx, how)
        return [after[b] for b in blocks], [_rows(found[o], o, steps, ctx) for o in outputs]

    arrays = [tf.reshape(v[:whole], (number, steps, *v.shape[1:])) for v in series.values()]
    specs = [(_shape(o, steps, ctx), ctx.dtype) for o in outputs]
    values = [shared[b] for b in fixed]
    after, ys = scan_again(chunk, list(carry.values()), arrays, values, specs, number, number)
    found = {o: y[-1] if o.last_only else _joined(y) for o, y in zip(outputs, ys, strict=True)}
    state = dict(zip(blocks, after, strict=True))
    if whole == span.length:
        return found, state
    rest = {**shared, **{b: v[whole:] for b, v in series.items()}}
    left = span.length - whole
    last, state = execute(rest, state, Span(span.first + whole, left, left), ctx, how)
    for output in outputs:
        tail = _rows(last[output], output, left, ctx)
        found[output] = tail if output.last_only else tf.concat([found[output], tail], 0)
    return found, state


def _shape(output: Output, steps: int, ctx: Context) -> tuple[int, int, int]:
    batch = ctx.batch if output.batched else 1
    return (1 if output.last_only else steps, batch, output.view.size)


def _rows(value: tf.Tensor, output: Output, steps: int, ctx: Context) -> tf.Tensor:
    """What a probe sees in each step, even if it is the same in all."""
    shape = _shape(output, steps, ctx)
    return value if tuple(value.shape) == shape else tf.broadcast_to(value, shape)


def _joined(ys: tf.Tensor) -> tf.Tensor:
    return tf.reshape(ys, (-1, *ys.shape[2:]))
