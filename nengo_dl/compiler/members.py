"""The order of operators within a group: what they read is then found in whole pieces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from .catalogue import TraitsOf, is_matrix_product
from .costs import CPU, Costs
from .graph import in_turn
from .ir import Op, Role, Signal, View


def split_by_sharing(
    groups: Iterable[Sequence[Op]], traits: TraitsOf, costs: Costs = CPU
) -> list[list[Op]]:
    """Part products by how many of a group's matrices are multiplied with the same vector.

    Where that is the same number for all vectors, each vector is read once; see `shared`.
    """
    parted: list[list[Op]] = []
    for ops in groups:
        product = is_matrix_product(ops[0], traits)
        parted += _parts(ops, costs) if product else [list(ops)]
    return parted


def _parts(ops: Sequence[Op], costs: Costs) -> list[list[Op]]:
    vectors = [view_key(op.reads[1]) for op in ops]
    users = Counter(vectors)
    if (len(ops) - len(users)) * ops[0].reads[1].size < costs.shared_vector_elements:
        return [list(ops)]
    parts: dict[int, list[Op]] = defaultdict(list)
    for op, vector in zip(ops, vectors, strict=True):
        parts[users[vector]].append(op)
    return list(parts.values())


def shared(ops: Sequence[Op]) -> int:
    """How many products in a row have each vector in common; 1 unless it is the same for all."""
    vectors = [view_key(op.reads[1]) for op in ops]
    n = len(vectors) // len(set(vectors))
    alike = all(v == vectors[i - i % n] for i, v in enumerate(vectors))
    return n if alike and len(vectors) % n == 0 and len(set(vectors)) * n == len(vectors) else 1


def view_key(view: View) -> tuple[Hashable, Hashable, Hashable]:
    """The same for views of the same elements in the same shape."""
    index = view.index
    if isinstance(index, slice):
        return view.signal, (index.start, index.stop, index.step), view.shape
    return view.signal, None if index is None else index.tobytes(), view.shape


def order_members(groups: Sequence[Sequence[Op]], routes: Iterable[Op]) -> list[list[Op]]:
    """Order the members of each group by where the groups before have put what they read.

    Before that, members are put next to each other whose parameters will lie in the same array.

    Parameters
    ----------
    groups
        Groups of ops, in the order in which they will run.
    routes
        Ops that only pass elements on.
    """
    through = {op.writes[0]: op.reads[0].signal for op in routes if op.reads}
    places: dict[Signal, tuple[int, int]] = {}
    ordered = []
    for number, ops in enumerate(groups):
        # Python is called in Nengo's order, wherever arguments lie
        turns = [ops[i] for i in in_turn(ops)]
        ops = turns or sorted(ops, key=_Key(places, through))
        places.update((s, (number, i)) for i, op in enumerate(ops) for s in op.writes)
        ordered.append(ops)
    return ordered


class _Key:
    """Compares members of one group."""

    def __init__(
        self, places: dict[Signal, tuple[int, int]], through: dict[Signal, Signal]
    ) -> None:
        self._places, self._through = places, through
        self._seen: dict[Hashable, int] = {}

    def __call__(self, op: Op) -> tuple[Any, ...]:
        roles = [(_ROLES[v.signal.role], v.signal.trainable) for v in op.reads]
        return (
            roles,
            [self._place(v) for v in op.reads if v.signal.role is Role.TEMPORARY],
            [self._seen.setdefault(view_key(v), len(self._seen)) for v in op.reads[1:2]],
        )

    def _place(self, view: View) -> tuple[int, int, int]:
        signal = view.signal
        while signal in self._through:
            signal = self._through[signal]
        first = view.index.start if isinstance(view.index, slice) else 0
        return *self._places.get(signal, (-1, -1)), first or 0


_ROLES = {role: i for i, role in enumerate(Role)}
