"""Parts of a minibatch that are simulated side by side, each on a core of its own.

Items of a minibatch do not know of each other. Cores that have some items each wait for each other
once in many steps; where they share the work of one operation, they do so several times in a step.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....compiler.costs import CPU, Costs
from ....compiler.ir import Stage


def count_parts(stages: Sequence[Stage], batch: int, cores: int, costs: Costs = CPU) -> int:
    """How many parts to divide a minibatch into.

    Parameters
    ----------
    stages : sequence of Stage
    batch : int
        Minibatch size.
    cores : int
        Cores that there are to compute.
    costs : Costs
    """
    looped = [g for stage in stages if stage.looped for g in stage.groups]
    size = sum(block.size for g in looped for block in g.writes)
    return max(min(batch, cores, size * batch // costs.part_elements), 1)


def divide_items(batch: int, parts: int) -> list[range]:
    """The items of each part; their numbers differ by one at most."""
    bounds = [batch * part // parts for part in range(parts + 1)]
    return [range(*pair) for pair in zip(bounds, bounds[1:], strict=False)]
