"""Names by which existing scripts choose how operators are planned, sorted and simplified.

This package has one planner, one sorter and one set of simplifications, which live in
`nengo_dl.compiler`. The names here are accepted by `configure_settings`: those with ``noop`` in
them, and ``simplifications=[]``, switch grouping or simplification off; all others mean the
default. None of them changes results. Functions of the user's own given as simplifications are
applied to Nengo's operators before they are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

#: Groups of operators, in order.
Plan: TypeAlias = Sequence[tuple[Operator, ...]]


def _as_they_are(operators: Sequence[Operator]) -> list[Operator]:
    return list(operators)


def _singly(operators: Sequence[Operator]) -> list[tuple[Operator]]:
    return [(op,) for op in operators]


def tree_planner(op_list: Sequence[Operator], max_depth: int = 3) -> list[tuple[Operator]]:
    """Stand for the default planner.

    Parameters
    ----------
    op_list : sequence of Operator
        Nengo's operators.
    max_depth : int, default 3
        Of no influence.

    Returns
    -------
    list of tuple of Operator
        Each by itself, in their order.
    """
    return _singly(op_list)


def greedy_planner(operators: Sequence[Operator]) -> list[tuple[Operator]]:
    """Stand for the default planner.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of tuple of Operator
        Each by itself, in their order.
    """
    return _singly(operators)


def transitive_planner(op_list: Sequence[Operator]) -> list[tuple[Operator]]:
    """Stand for the default planner.

    Parameters
    ----------
    op_list : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of tuple of Operator
        Each by itself, in their order.
    """
    return _singly(op_list)


def noop_planner(operators: Sequence[Operator]) -> list[tuple[Operator]]:
    """Compute every operator by itself.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of tuple of Operator
        Each by itself, in their order.
    """
    return _singly(operators)


def order_signals(plan: Plan, n_passes: int = 10) -> tuple[list[Signal], Plan]:
    """Stand for the default arrangement of signals.

    Parameters
    ----------
    plan : sequence of tuple of Operator
        Groups of Nengo's operators.
    n_passes : int, default 10
        Of no influence.

    Returns
    -------
    (list, sequence)
        No signals, and the plan as it was.
    """
    return [], plan


def noop_order_signals(plan: Plan, **_: object) -> tuple[list[Signal], Plan]:
    """Stand for the default arrangement of signals.

    Parameters
    ----------
    plan : sequence of tuple of Operator
        Groups of Nengo's operators.
    **_
        Of no influence.

    Returns
    -------
    (list, sequence)
        No signals, and the plan as it was.
    """
    return [], plan


def remove_unmodified_resets(operators: Sequence[Operator]) -> list[Operator]:
    """Part of the default simplifications.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of Operator
        As they were.
    """
    return _as_they_are(operators)


def remove_zero_incs(operators: Sequence[Operator]) -> list[Operator]:
    """Part of the default simplifications.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of Operator
        As they were.
    """
    return _as_they_are(operators)


def remove_identity_muls(operators: Sequence[Operator]) -> list[Operator]:
    """Part of the default simplifications.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of Operator
        As they were.
    """
    return _as_they_are(operators)


def remove_constant_copies(operators: Sequence[Operator]) -> list[Operator]:
    """Part of the default simplifications.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of Operator
        As they were.
    """
    return _as_they_are(operators)


def remove_reset_incs(operators: Sequence[Operator]) -> list[Operator]:
    """Part of the default simplifications.

    Parameters
    ----------
    operators : sequence of Operator
        Nengo's operators.

    Returns
    -------
    list of Operator
        As they were.
    """
    return _as_they_are(operators)


default_simplifications: tuple[Callable, ...] = (
    remove_unmodified_resets,
    remove_zero_incs,
    remove_identity_muls,
    remove_constant_copies,
    remove_reset_incs,
)
