"""Runs the stages of a program over a chunk of time.

Here every block is an array (t, b, size), where t is 1 or the number of steps T, and b is 1 or the
minibatch size B: 1 where all steps, or all items, share the values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import tensorflow as tf

from ...compiler.ir import Block, Group, Output, Read, Role, Stage
from ...kernels.context import Context, as_they_are
from ..emit import Blocks, argument, as_held, assemble, per_item, run_groups
from .backend import Scalar, by_xla, on_blocks
from .carry import begin, end
from .chunk import Span
from .host_in_loop import run_segments
from .large_elementwise import run_with_islands
from .looped_results import LoopedResults
from .loops.scan import Specs, Tensors, scan, scan_again, scan_keeping
from .residuals import repeatable, residuals_of
from .single_kernel import as_one_kernel
from .strategy import Scope, Strategy
from .time_batch import Rows

#: (i, carry, x, fixed), and perhaps what to keep of it; see `KeepingStep` of `scan`
StepOfStage = Callable[..., tuple[Tensors, Tensors]]
#: (step, start, series, fixed, specs, span, unroll) -> (carry, series); see `scan`
Loop = Callable[..., tuple[Tensors, Tensors]]


def execute(
    sources: Mapping[Block, tf.Tensor],
    carry: Mapping[Block, tf.Tensor],
    span: Span,
    ctx: Context,
    how: Strategy,
) -> tuple[dict[Output, tf.Tensor], dict[Block, tf.Tensor]]:
    """Simulate a chunk of time.

    Parameters
    ----------
    sources : dict of Block to tensor (t, b, size)
        Parameters, constants and inputs.
    carry : dict of Block to tensor (B, size)
        State before the first step.
    span : Span
    ctx : Context
    how : Strategy
        Also says what program runs.

    Returns
    -------
    outputs : dict of Output to tensor (T or 1, B or 1, size)
    carry : dict of Block to tensor (B, size)
        State after the last step.
    """
    blocks = dict(sources)
    blocks.update({block: tf.expand_dims(array, 0) for block, array in carry.items()})
    outputs: dict[Output, tf.Tensor] = {}
    following = dict(carry)
    for number, stage in enumerate(how.program.stages):
        if how.single_kernels and stage.inline:
            inside = replace(ctx, inline=True)
            found, after = _compiled(stage, blocks, span, inside, how.inside, as_one_kernel)
        elif _is_compiled_alone(stage, how):
            found, after = _compiled(stage, blocks, span, ctx, how.inside)
        else:
            # a loop says itself, in `exports`, what later stages read
            rest = () if stage.looped else how.program.stages[number + 1 :]
            later = {b for s in rest for b in _needed(s)}
            found, after = _run(stage, blocks, span, ctx, how, later)
        following.update(after)
        outputs.update(found)
    return outputs, following


def _is_compiled_alone(stage: Stage, how: Strategy) -> bool:
    """Whether XLA compiles a stage by itself; loops with a gradient of their own see to that."""
    if how.scope is Scope.LOOPS:
        return stage.looped and not repeatable(stage)
    return how.scope is Scope.SEGMENTS and not any(g in how.uncompiled for g in stage.groups)


def _run(
    stage: Stage,
    blocks: Blocks,
    span: Span,
    ctx: Context,
    how: Strategy,
    later: Collection[Block] | None = None,
) -> tuple[dict[Output, tf.Tensor], dict[Block, tf.Tensor]]:
    """Run a stage; `blocks` receives what `later` stages read, or all that they may read."""
    if stage.looped:
        return _run_loop(stage, blocks, span, ctx, how)
    return _run_at_once(stage, blocks, span, ctx, how, later), {}


def _compiled(
    stage: Stage,
    blocks: Blocks,
    span: Span,
    ctx: Context,
    how: Strategy,
    call: Callable[..., tuple[Tensors, Tensors, Tensors]] = by_xla,
) -> tuple[dict[Output, tf.Tensor], dict[Block, tf.Tensor]]:
    """Run a stage as one XLA function, or as `call` calls a function."""
    made = stage.exports if stage.looped else [b for g in stage.groups for b in g.writes]
    shown, states = [o for o, _ in stage.outputs], stage.states

    def compute(local: Blocks, first: tf.Tensor, valid: Scalar) -> tuple[Tensors, Tensors, Tensors]:
        found, after = _run(stage, local, replace(span, first=first, valid=valid), ctx, how)
        return [found[o] for o in shown], [after[b] for b in states], [local[b] for b in made]

    needed = *_needed(stage), *states
    seen, following, new = on_blocks(call, compute, blocks, needed, span.first, span.valid)
    blocks.update(zip(made, new, strict=True))
    return dict(zip(shown, seen, strict=True)), dict(zip(states, following, strict=True))


def _run_at_once(
    stage: Stage,
    blocks: Blocks,
    span: Span,
    ctx: Context,
    how: Strategy,
    later: Collection[Block] | None,
) -> dict[Output, tf.Tensor]:
    """All steps at once: time and batch are one axis; if one is enough, one step."""
    # the last step that counts: behind it there may be room that nobody simulates
    row = span.valid - 1 if stage.last else None
    if stage.still or stage.last:
        first = span.first + tf.cast(0 if row is None else row, tf.int64)
        span = replace(span, first=first, length=1, valid=1)
    written = [b for g in stage.groups for b in g.writes]
    made = written if later is None else [b for b in written if b in later]
    number = span.length * ctx.batch
    ctx = replace(ctx, rows=number, valid=span.valid * ctx.batch)
    given = {b: _row_of(_time(b, span, ctx, blocks), row) for b in _needed(stage)}
    rows = Rows(span.length, ctx.batch, span.by_item and _moves_less(stage, given, made, ctx))
    flat = {block: rows.flat(array) for block, array in given.items()}
    if how.scope is Scope.LOOPS:
        shown = {b for _, read in stage.outputs for b in read.blocks}
        wanted = shown.union(made)
        run_with_islands(stage.groups, flat, number, ctx, wanted, how.costs)
    else:
        run_groups(stage.groups, flat, number, ctx)
    blocks.update((block, rows.block(flat[block])) for block in made)
    outputs = {}
    for output, read in stage.outputs:
        value = rows.block(assemble(read, flat, number, ctx.dtype))
        if output.batched and value.shape[1] != ctx.batch:
            value = tf.repeat(value, ctx.batch, axis=1)
        outputs[output] = _row_of(value, span.valid - 1) if output.last_only else value
    return outputs


def _moves_less(
    stage: Stage, given: Mapping[Block, tf.Tensor], made: Collection[Block], ctx: Context
) -> bool:
    """Whether to put what is `made` for later stages in the order of steps, and not the inputs.

    On two cores, the dense network of `benchmarks.training` takes some 8 % less processor time a
    batch for it with surrogate gradients, and hardly less with rates.
    """
    series = [b for b, array in given.items() if array.shape[0] != 1]
    if not (ctx.training and repeatable(stage) and all(b.role is Role.INPUT for b in series)):
        return False
    return sum(b.size for b in made) < sum(b.size for b in series)


def _row_of(series: tf.Tensor, row: Scalar | None) -> tf.Tensor:
    """One step (1, b, size) of a series, unless it has no more than one, or all are wanted."""
    whole = row is None or series.shape[0] == 1
    return series if whole else tf.expand_dims(series[row], 0)


def _run_loop(
    stage: Stage,
    blocks: Blocks,
    span: Span,
    ctx: Context,
    how: Strategy,
) -> tuple[dict[Output, tf.Tensor], dict[Block, tf.Tensor]]:
    """Step after step; what does not change over time stays outside."""
    carried = [block for block, _ in stage.carried]
    series: Blocks = {}
    shared: Blocks = {}
    for block in _needed(stage):
        if block not in carried and block.role is not Role.TIME:
            array = blocks[block]
            # one row for all steps; with a single step there is nothing to tell apart
            target = shared if array.shape[0] == 1 else series
            target[block] = tf.squeeze(array, 0) if array.shape[0] == 1 else array
    arguments = _assembled_before(stage, shared, ctx)
    fixed = _differentiable(shared, arguments)
    given = LoopedResults.of(stage, ctx, how.costs)

    def step(i, carry, xs, values, keep=as_they_are):
        known = dict(zip(fixed, values, strict=True))
        now = shared | {b: v for b, v in known.items() if isinstance(b, Block)}
        now.update(zip(carried, carry, strict=False))
        now.update(zip(series, xs, strict=True))
        now.update(_clock(stage, span.first + tf.cast(i, tf.int64) + 1, ctx))
        if how.uncompiled:
            results = run_segments(
                stage.groups, how.uncompiled, now, ctx, arguments, finish, _wanted(stage)
            )
        else:
            given_now = arguments | {r: v for r, v in known.items() if isinstance(r, Read)}
            run_groups(stage.groups, now, ctx.batch, replace(ctx, keep=keep), given_now)
            results = finish(now)
        return results[:n_carried], results[n_carried:]

    def finish(now):
        following = [
            per_item(as_held(r, now, ctx.batch, ctx.dtype), ctx.batch) for _, r in stage.carried
        ]
        latest, rows = given.of_step(now)
        return following + latest + rows

    start = begin(stage, blocks, ctx) + given.begin()
    n_carried = len(start)
    arrays = start, list(series.values()), list(fixed.values())
    after, ys = _loop_of(stage, ctx, how)(step, *arrays, given.specs, span, how.unroll)
    outputs, exports = given.collect(after[len(carried) :], ys)
    blocks.update(exports)
    return outputs, end(stage, after, ctx)


def _loop_of(stage: Stage, ctx: Context, how: Strategy) -> Loop:
    """The loop over a span; in training with a gradient of its own, if steps can run again."""
    if not (ctx.training and repeatable(stage)):
        return _scan
    return partial(_scan_back, residuals=_residuals(stage, ctx), alone=how.scope is Scope.LOOPS)


def _scan(
    step: StepOfStage,
    start: Tensors,
    xs: Tensors,
    fixed: Tensors,
    specs: Specs,
    span: Span,
    unroll: int,
) -> tuple[Tensors, Tensors]:
    bounds = span.length, span.valid, unroll
    return scan(lambda i, c, x: step(i, c, x, fixed), start, xs, specs, *bounds)


def _scan_back(
    step: StepOfStage,
    start: Tensors,
    xs: Tensors,
    fixed: Tensors,
    specs: Specs,
    span: Span,
    unroll: int,
    residuals: Specs | None,
    alone: bool,
) -> tuple[Tensors, Tensors]:
    """With a gradient that runs steps again, unless `residuals` are all it needs."""
    bounds = span.length, span.valid, unroll
    if residuals is None:
        return scan_again(step, start, xs, fixed, specs, *bounds, alone)
    return scan_keeping(step, start, xs, fixed, specs, residuals, *bounds, alone)


def _residuals(stage: Stage, ctx: Context) -> Specs | None:
    """Specs of all that the gradient of a step depends on; None if on what it begins with."""
    numbers = residuals_of(stage)
    if numbers is None:
        return None
    shapes = [(ctx.batch, g.writes[0].size) for g in stage.groups]
    return [(s, ctx.dtype) for s, n in zip(shapes, numbers, strict=True) for _ in range(n)]


def _assembled_before(stage: Stage, shared: Blocks, ctx: Context) -> dict[Read, tf.Tensor]:
    """Arguments that are the same in each step: put together once."""
    return {
        read: argument(group, slot, shared, ctx.batch, ctx.dtype)
        for group in stage.groups
        for slot, read in enumerate(group.reads)
        if _is_put_together(group, read) and read.blocks and all(b in shared for b in read.blocks)
    }


def _is_put_together(group: Group, read: Read) -> bool:
    return len(read.pieces) > 1 or read.gather is not None or group.interleaving is not None


def _differentiable(
    shared: Mapping[Block, tf.Tensor], arguments: Mapping[Read, tf.Tensor]
) -> dict[Block | Read, tf.Tensor]:
    """What does not change over time, and may depend on what is trained or fed."""
    found: dict[Block | Read, tf.Tensor] = {b: a for b, a in shared.items() if varies(b)}
    found.update((r, array) for r, array in arguments.items() if any(map(varies, r.blocks)))
    return {key: array for key, array in found.items() if array.dtype.is_floating}


def varies(block: Block) -> bool:
    """Whether a block may depend on what is trained or fed."""
    return block.trainable if block.role is Role.PARAMETER else block.role is not Role.CONSTANT


def _needed(stage: Stage) -> Sequence[Block]:
    """Blocks that a stage reads and does not write."""
    reads = [r for g in stage.groups for r in g.reads]
    reads += [r for _, r in stage.carried] + [r for _, r in stage.outputs]
    written = {b for g in stage.groups for b in g.writes}
    found = [b for r in reads for b in r.blocks] + list(stage.exports)
    return [b for b in dict.fromkeys(found) if b not in written]


def _wanted(stage: Stage) -> list[Block]:
    """Blocks that the results of a step are made of."""
    reads = [r for _, r in stage.carried] + [r for _, r in stage.outputs]
    return list(dict.fromkeys([*(b for r in reads for b in r.blocks), *stage.exports]))


def _clock(stage: Stage, step: tf.Tensor, ctx: Context) -> dict[Block, tf.Tensor]:
    return {b: _ticks(b, step, ctx) for b in _needed(stage) if b.role is Role.TIME}


def _time(block: Block, span: Span, ctx: Context, blocks: Mapping[Block, tf.Tensor]) -> tf.Tensor:
    """A block as (t, b, size); the clock is made here, as the stage before has none."""
    if block.role is not Role.TIME:
        return blocks[block]
    steps = span.first + tf.range(1, tf.cast(span.length, tf.int64) + 1, dtype=tf.int64)
    ticks = _ticks(block, steps, ctx)
    return tf.reshape(ticks, (-1, 1, 1))


def _ticks(block: Block, step: tf.Tensor, ctx: Context) -> tf.Tensor:
    """The step counter (int64) or the time in seconds, as (n, 1)."""
    value = tf.reshape(step, (-1, 1))
    return value if block.dtype == "int" else tf.cast(value, ctx.dtype) * ctx.dt
