"""Rewrites that drop what costs time and computes nothing.

Each takes a `Graph` whose ops come after what they read, and what is known of their kinds; it
returns such a graph in the same order.  What a rewrite does not change, be it an op or the graph,
it returns as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from ..catalogue import TraitsOf
from ..graph import ordered
from ..ir import Graph
from .common_subexpressions import remove_common_subexpressions
from .copy_propagation import propagate_copies
from .dead_code import remove_dead_code
from .duplicate_states import merge_duplicate_states
from .identities import remove_identity_products
from .routes import find_routes
from .zeros import remove_zeros

Pass = Callable[[Graph, TraitsOf], Graph]

DEFAULT_PASSES: tuple[Pass, ...] = (
    remove_zeros,
    remove_identity_products,
    propagate_copies,
    merge_duplicate_states,
    remove_common_subexpressions,
    remove_dead_code,
)


def simplify(graph: Graph, traits: TraitsOf, passes: Sequence[Pass] = DEFAULT_PASSES) -> Graph:
    """Apply passes until nothing changes any more, then turn sums of one term into routes."""
    graph = ordered(graph)
    agreed = 0  # passes in a row that left the graph as it is
    for rewrite in cycle(passes):
        before, graph = graph, rewrite(graph, traits)
        agreed = agreed + 1 if graph is before else 0
        if agreed == len(passes):
            break
    return find_routes(ordered(graph))  # what waited for a copy may come earlier now


__all__ = ["DEFAULT_PASSES", "find_routes", "simplify"]
