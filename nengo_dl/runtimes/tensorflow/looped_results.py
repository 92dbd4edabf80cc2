"""What a loop over time hands out besides its state: rows of all steps, or of the last."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from ...compiler.costs import Costs
from ...compiler.ir import Block, Output, Read, Stage
from ...kernels.context import Context
from ..emit import Blocks, assemble, in_own_order, per_item

Shown = tuple[Output, Read]


@dataclass(frozen=True, kw_only=True)
class LoopedResults:
    """What the steps of a looped stage give.

    Attributes
    ----------
    ctx : Context
    joined : list of list of (Output, Read)
        Outputs of all steps; those in a list are recorded as one array.
    last : list of (Output, Read)
        Outputs of the last step.
    exports : list of Block
        What later stages read of all steps.
    latest : list of Block
        What they read of the last step.
    """

    ctx: Context
    joined: list[list[Shown]]
    last: list[Shown]
    exports: list[Block]
    latest: list[Block]

    @classmethod
    def of(cls, stage: Stage, ctx: Context, costs: Costs) -> LoopedResults:
        """Those of a stage."""
        always = [pair for pair in stage.outputs if not pair[0].last_only]
        last = [pair for pair in stage.outputs if pair[0].last_only]
        exports = [b for b in stage.exports if b not in stage.latest]
        return cls(
            ctx=ctx,
            joined=_joined(always, costs),
            last=last,
            exports=exports,
            latest=list(stage.latest),
        )

    def begin(self) -> list[tf.Tensor]:
        """Zeros in place of what the last step gives."""
        # a loop carries from its first step on whatever it gives in the end
        shapes = [self._row_shape(*pair) for pair in self.last]
        shapes += [(self.ctx.batch, b.size) for b in self.latest]
        return [tf.zeros(shape, self.ctx.dtype) for shape in shapes]

    @property
    def specs(self) -> list[tuple[tuple[int, int], str]]:
        """Shape and type of a row of each series."""
        shapes = [_joined_shape([self._row_shape(*p) for p in pairs]) for pairs in self.joined]
        shapes += [(self.ctx.batch, b.size) for b in self.exports]
        return [(shape, self.ctx.dtype) for shape in shapes]

    def of_step(self, now: Blocks) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """What a step gives if it is the last, and rows of all series."""
        latest = [self._row(*pair, now) for pair in self.last]
        latest += [self._export(b, now) for b in self.latest]
        rows = [_joined_row([self._row(*p, now) for p in pairs]) for pairs in self.joined]
        return latest, rows + [self._export(b, now) for b in self.exports]

    def collect(
        self, latest: list[tf.Tensor], series: list[tf.Tensor]
    ) -> tuple[dict[Output, tf.Tensor], dict[Block, tf.Tensor]]:
        """Outputs and exports (T or 1, B or 1, size), from what the loop gave."""
        outputs: dict[Output, tf.Tensor] = {}
        for pairs, y in zip(self.joined, series, strict=False):
            parts = tf.split(y, [r.size for _, r in pairs], axis=2) if len(pairs) > 1 else [y]
            outputs.update(zip([o for o, _ in pairs], parts, strict=True))
        rows = [tf.expand_dims(y, 0) for y in latest]
        outputs.update(zip([o for o, _ in self.last], rows, strict=False))
        exports = dict(zip(self.latest, rows[len(self.last) :], strict=True))
        exports.update(zip(self.exports, series[len(self.joined) :], strict=True))
        return outputs, exports

    def _row(self, output: Output, read: Read, now: Blocks) -> tf.Tensor:
        row = assemble(read, now, self.ctx.batch, self.ctx.dtype)
        return per_item(row, self.ctx.batch) if output.batched else row

    def _row_shape(self, output: Output, read: Read) -> tuple[int, int]:
        return (self.ctx.batch if output.batched else 1, read.size)

    def _export(self, block: Block, now: Blocks) -> tf.Tensor:
        return per_item(in_own_order(now[block]), self.ctx.batch)


def _joined(outputs: list[Shown], costs: Costs) -> list[list[Shown]]:
    """Outputs whose rows are recorded as one: a loop over many series costs their square."""
    series: dict[bool | Output, list[Shown]] = {}
    for output, read in outputs:
        key = output.batched if read.size <= costs.joined_row_elements else output
        series.setdefault(key, []).append((output, read))
    return list(series.values())


def _joined_row(rows: list[tf.Tensor]) -> tf.Tensor:
    return rows[0] if len(rows) == 1 else tf.concat(rows, axis=1)


def _joined_shape(shapes: list[tuple[int, int]]) -> tuple[int, int]:
    return shapes[0][0], sum(size for _, size in shapes)
