"""Groups: of equal signatures, independent within, in an order that works."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengo_dl.compiler.graph import CycleError, in_order, predecessors, reachable, successors
from nengo_dl.compiler.ir import Op, Role, Signal, View
from nengo_dl.compiler.schedule import schedule
from nengo_dl.compiler.simplify import find_routes, simplify
from nengo_dl.kernels import CATALOGUE
from tests.random_graphs import graphs, tried

both_ways = pytest.mark.parametrize("grouped", [True, False])


def network(edges, kinds):
    """Return ops by name; `edges` says which read which, `kinds` is a string of kinds by op."""
    signals = {name: Signal(name, (1,)) for name in kinds}
    x = Signal("x", (1,), Role.INPUT)
    return {
        name: Op(kind, tuple(View(signals[s]) for s in edges.get(name, "")) or (View(x),), (s,))
        for (name, kind), s in zip(kinds.items(), signals.values(), strict=True)
    }


def names(groups):
    return ["".join(op.writes[0].name for op in group) for group in groups]


def by_kind(op):
    return op.kind


# ------------------------------------------------------------------------------------- any graph


@both_ways
@tried(80)
@given(graph=graphs(), simplifies=st.booleans())
def test_groups_of_any_graph(grouped, graph, simplifies):
    graph = simplify(graph, CATALOGUE.traits) if simplifies else find_routes(graph)
    groups = schedule(graph.ops, CATALOGUE.signature, grouped)
    scheduled = [op for group in groups for op in group]
    assert len(set(scheduled)) == len(scheduled)
    assert set(scheduled) == {op for op in graph.ops if op.kind != "route"}
    routes = [op for op in graph.ops if op.kind == "route"]
    known = set(graph.sources())
    _route(routes, known)
    for group in groups:
        assert all(v.signal in known for op in group for v in op.reads)
        known.update(s for op in group for s in op.writes)
        _route(routes, known)
        assert len({CATALOGUE.signature(op) for op in group}) == 1
        assert grouped or len(group) == 1


def _route(routes, known):
    """Add what routes give whose sources are all known."""
    while True:
        found = [r for r in routes if r.writes[0] not in known]
        found = [r for r in found if all(v.signal in known for v in r.reads)]
        if not found:
            return
        known.update(r.writes[0] for r in found)


@tried(30)
@given(graph=graphs())
def test_equal_graphs_give_equal_groups(graph):
    first = schedule(find_routes(graph).ops, CATALOGUE.signature)
    second = schedule(find_routes(graph).ops, CATALOGUE.signature)
    assert names(first) == names(second)


# ------------------------------------------------------------------------------------- examples


def test_like_ops_form_one_group_across_branches():
    ops = network({"c": "a", "d": "b", "e": "cd"}, dict(a="f", b="f", c="g", d="g", e="f"))
    assert names(schedule(list(ops.values()), by_kind)) == ["ab", "cd", "e"]


def test_a_kind_waits_until_all_its_members_are_ready():
    """`g` could run right after `a`, but one of it waits for `c`, which need not wait."""
    ops = network({"b": "a", "d": "c"}, dict(a="f", b="g", c="h", d="g"))
    assert names(schedule(list(ops.values()), by_kind)) == ["a", "c", "bd"]


def test_members_that_depend_on_each_other_are_parted():
    ops = network({"b": "a", "c": "b"}, dict(a="f", b="f", c="f"))
    assert names(schedule(list(ops.values()), by_kind)) == ["a", "b", "c"]


def test_routes_are_passed_through():
    ops = network({"b": "a", "c": "b", "d": "c"}, dict(a="f", b="route", c="route", d="f"))
    assert names(schedule(list(ops.values()), by_kind)) == ["a", "d"]


@both_ways
def test_cycles_are_named(grouped):
    ops = network({"a": "b", "b": "a"}, dict(a="f", b="g", c="f"))
    with pytest.raises(CycleError, match="2 operators depend on each other .*: f, g") as caught:
        schedule(list(ops.values()), by_kind, grouped)
    assert caught.value.ops == (ops["a"], ops["b"])


@both_ways
def test_nothing_to_schedule(grouped):
    assert schedule([], by_kind, grouped) == []


# ------------------------------------------------------------------------------------- order


@tried(40)
@given(graph=graphs())
def test_in_order(graph):
    ordered = in_order(graph.ops)
    assert sorted(map(id, ordered)) == sorted(map(id, graph.ops))
    place = {op.writes[0]: i for i, op in enumerate(ordered)}
    for i, op in enumerate(ordered):
        assert all(place.get(v.signal, -1) < i for v in op.reads)


@tried(40)
@given(graph=graphs())
def test_reachable_follows_all_paths(graph):
    before = predecessors(graph.ops)
    after = successors(before)
    for i, sources in enumerate(before):
        assert all(i in after[j] for j in sources)
    closure = [reachable([i], after) for i in range(len(graph.ops))]
    for i, found in enumerate(closure):
        assert found == {i}.union(*(closure[j] for j in after[i]))
