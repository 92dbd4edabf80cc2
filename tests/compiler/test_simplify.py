"""Each rewrite keeps what a graph computes, and drops what it says it drops."""

import numpy as np
import pytest
from hypothesis import given

from nengo_dl.compiler.graph import compose, ordered
from nengo_dl.compiler.ir import Graph, Op, Output, Role, Signal, View
from nengo_dl.compiler.simplify import DEFAULT_PASSES, find_routes, simplify
from nengo_dl.compiler.simplify.copy_propagation import propagate_copies
from nengo_dl.compiler.simplify.dead_code import remove_dead_code
from nengo_dl.compiler.simplify.duplicate_states import merge_duplicate_states
from nengo_dl.compiler.simplify.identities import remove_identity_products
from nengo_dl.compiler.simplify.routes import terms_per_element
from nengo_dl.compiler.simplify.zeros import remove_zeros
from nengo_dl.kernels import CATALOGUE
from tests.random_graphs import check_answer, draw_inputs, graphs, interpret, tried


def routed(graph, _):
    return find_routes(graph)


TRAITS = CATALOGUE.traits
PASSES = {rewrite.__name__: rewrite for rewrite in (*DEFAULT_PASSES, routed, simplify)}
every_pass = pytest.mark.parametrize("rewrite", PASSES.values(), ids=PASSES)


def source(role, values, name="s"):
    values = np.asarray(values, dtype=float)
    return Signal(name, values.shape, role, initial=values)


def total(*terms, size=2, targets=None, name="total"):
    signal = Signal(name, (size,))
    views = tuple(t if isinstance(t, View) else View(t) for t in terms)
    return Op("sum", views, (signal,), targets=targets or (None,) * len(terms)), signal


def output(view):
    return (Output("out", view if isinstance(view, View) else View(view)),)


X = Signal("x", (2,), Role.INPUT)


# ------------------------------------------------------------------------------------- any graph


@every_pass
@tried(60)
@given(graph=graphs())
def test_results_stay(rewrite, graph):
    inputs = draw_inputs(graph, 3)
    expected = interpret(graph, inputs, 3)
    rewritten = rewrite(ordered(graph), TRAITS)
    found = interpret(rewritten, inputs, 3)
    states = {s: v for s, v in found.states.items() if s in rewritten.next}
    last = {o.key: v[-1:] if o.last_only else v for o, v in _by_output(rewritten, found)}
    check_answer(graph, last, states, expected, 3)


def _by_output(graph, answer):
    return [(o, answer.outputs[o.key]) for o in graph.outputs]


@every_pass
@tried(30)
@given(graph=graphs())
def test_a_second_time_changes_nothing(rewrite, graph):
    once = rewrite(ordered(graph), TRAITS)
    assert sorted(str(rewrite(once, TRAITS)).splitlines()) == sorted(str(once).splitlines())


@every_pass
@tried(30)
@given(graph=graphs())
def test_ops_stay_behind_what_they_read(rewrite, graph):
    rewritten = rewrite(ordered(graph), TRAITS)
    made = {s: i for i, op in enumerate(rewritten.ops) for s in op.writes}
    for i, op in enumerate(rewritten.ops):
        assert all(made.get(v.signal, -1) < i for v in op.reads)


@pytest.mark.parametrize("rewrite", DEFAULT_PASSES)
@tried(30)
@given(graph=graphs())
def test_a_pass_with_nothing_to_do_returns_the_same_graph(rewrite, graph):
    simple = simplify(graph, TRAITS)
    assert rewrite(simple, TRAITS) is simple


def test_ops_that_do_not_change_stay():
    copy, y = total(X)
    reader, z = total(X, y)
    other, out = total(X, X)
    graph = propagate_copies(Graph((copy, reader, other), {}, (*output(out), *output(z))), TRAITS)
    assert graph.ops[0] is not reader
    assert graph.ops[1] is other


@tried(30)
@given(graph=graphs())
def test_graphs_do_not_change_in_place(graph):
    before = str(graph)
    simplify(graph, TRAITS)
    assert str(graph) == before


@tried(30)
@given(graph=graphs())
def test_nothing_is_left_to_simplify(graph):
    simple = simplify(graph, TRAITS)
    used = {v.signal for op in simple.ops for v in op.reads}
    used.update(o.view.signal for o in simple.outputs)
    used.update(v.signal for v in simple.next.values())
    assert all(op.writes[0] in used for op in simple.ops)
    assert len(simple.ops) <= len(graph.ops)
    for op in simple.ops:
        if op.kind == "sum":
            assert np.max(terms_per_element(op)) > 1


# ------------------------------------------------------------------------------------- zeros


def test_zero_terms_go_away():
    zero = source(Role.CONSTANT, [0, 0])
    op, y = total(X, zero, X)
    (found,) = remove_zeros(Graph((op,), {}, output(y)), TRAITS).ops
    assert [v.signal for v in found.reads] == [X, X]
    assert found.targets == (None, None)


@pytest.mark.parametrize("role", [Role.PARAMETER, Role.STATE, Role.ADAPTED])
def test_zeros_that_may_change_stay(role):
    zero = source(role, [0, 0])
    op, y = total(X, zero)
    graph = Graph((op,), {}, output(y))
    assert remove_zeros(graph, TRAITS).ops == graph.ops


def test_products_with_zero_spread():
    """Zeros are found behind products and sums."""
    zero = source(Role.CONSTANT, np.zeros((2, 2)))
    y = Signal("y", (2,))
    product = Op("dot", (View(zero), View(X)), (y,))
    second, z = total(y, y)
    third, out = total(X, z)
    found = remove_zeros(Graph((product, second, third), {}, output(out)), TRAITS).ops
    assert [len(op.reads) for op in found] == [0, 0, 1]
    assert all(op.kind == "sum" for op in found)


def test_a_view_of_zeros_may_be_of_a_signal_that_is_not():
    mixed = source(Role.CONSTANT, [0, 1, 0])
    op, y = total(View(mixed, slice(0, 2)))
    assert (
        interpret(remove_zeros(Graph((op,), {}, output(y)), TRAITS), {}, 1).outputs["out"].sum() > 0
    )


# ------------------------------------------------------------------------------------- ones


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("ones", [np.ones(2), np.ones(()), np.ones((1,))], ids=str)
def test_products_with_one_are_copies(ones, swap):
    y = Signal("y", (2,))
    reads = (View(source(Role.CONSTANT, ones)), View(X))
    op = Op("multiply", reads[::-1] if swap else reads, (y,), tag="mine")
    (found,) = remove_identity_products(Graph((op,), {}, output(y)), TRAITS).ops
    assert (found.kind, found.reads, found.targets) == ("sum", (reads[1],), (None,))
    assert found.tag == "mine"


def test_products_with_one_that_spread_a_value_stay():
    scalar, y = Signal("x", (), Role.INPUT), Signal("y", (3,))
    op = Op("multiply", (View(source(Role.CONSTANT, np.ones(3))), View(scalar)), (y,))
    assert remove_identity_products(Graph((op,), {}, output(y)), TRAITS).ops == (op,)


@pytest.mark.parametrize("role", [Role.PARAMETER, Role.STATE])
def test_ones_that_may_change_stay(role):
    y = Signal("y", (2,))
    op = Op("multiply", (View(source(role, np.ones(2))), View(X)), (y,))
    assert remove_identity_products(Graph((op,), {}, output(y)), TRAITS).ops == (op,)


# ------------------------------------------------------------------------------------- aliases


def test_readers_of_a_copy_read_the_original():
    copy, y = total(X)
    again, z = total(View(y, slice(None, None, -1)), name="again")
    last, out = total(View(z, np.array([0, 0])), z)
    graph = propagate_copies(Graph((copy, again, last), {}, output(View(z, slice(0, 1)))), TRAITS)
    (op,) = graph.ops
    assert [v.signal for v in op.reads] == [X, X]
    assert [v.positions().tolist() for v in op.reads] == [[1, 1], [1, 0]]
    assert graph.outputs[0].view.positions().tolist() == [1]


def test_state_that_is_copied_may_become_another():
    """`b` becomes what `a` was, though the copy is gone."""
    a, b = source(Role.STATE, [1, 2], "a"), source(Role.STATE, [0, 0], "b")
    copy, y = total(a)
    grow, z = total(a, a)
    graph = Graph((copy, grow), {a: View(z), b: View(y)}, output(b))
    rewritten = propagate_copies(graph, TRAITS)
    assert rewritten.next[b].signal is a
    assert interpret(rewritten, {}, 3).outputs["out"][:, 0].tolist() == [[0, 0], [1, 2], [2, 4]]


@pytest.mark.parametrize("outer", [None, slice(1, 5), slice(4, 0, -1), np.array([3, 3, 0, 1])])
@pytest.mark.parametrize("inner", [None, slice(1, 3), slice(None, None, -2), np.array([2, 0])])
def test_compose(outer, inner):
    whole = View(Signal("x", (6,)), outer)
    middle = View(Signal("y", (whole.size,)), inner)
    found = compose(whole, middle)
    assert found.signal is whole.signal
    assert found.shape == middle.shape
    assert found.positions().tolist() == whole.positions()[middle.positions()].tolist()


# ------------------------------------------------------------------------------------- twins


def twins(second=(0, 0), role=Role.STATE, index=None):
    a, b = source(Role.STATE, [0, 0], "a"), source(role, second, "b")
    grow, y = total(X, a)
    both, z = total(a, b)
    graph = Graph((grow, both), {a: View(y), b: View(y, index)}, output(z))
    return a, b, merge_duplicate_states(graph, TRAITS)


def test_twins_are_merged():
    a, _, graph = twins()
    assert list(graph.next) == [a]
    assert [v.signal for v in graph.ops[1].reads] == [a, a]


@pytest.mark.parametrize(
    "different", [{"second": (0, 1)}, {"role": Role.ADAPTED}, {"index": slice(None, None, -1)}]
)
def test_states_that_differ_are_not_merged(different):
    a, b, graph = twins(**different)
    assert list(graph.next) == [a, b]


def test_twins_of_parts_are_merged():
    """States that become the same part of what is made."""
    parts = [View(X, slice(0, 1)), View(X, slice(1, 2)), View(X, slice(0, 1))]
    states = [source(Role.STATE, [0], name) for name in "abc"]
    both, out = total(*states, size=1)
    graph = merge_duplicate_states(
        Graph((both,), dict(zip(states, parts, strict=True)), output(out)), TRAITS
    )
    assert list(graph.next) == states[:2]


# ------------------------------------------------------------------------------------- dead code


def test_what_nobody_sees_goes_away():
    state, other = source(Role.STATE, [0, 0], "state"), source(Role.STATE, [0, 0], "other")
    used, y = total(X, state)
    unused, z = total(X, other)
    graph = Graph((used, unused), {state: View(y), other: View(z)}, output(y))
    found = remove_dead_code(graph, TRAITS)
    assert found.ops == (used,)
    assert list(found.next) == [state]


def test_what_an_output_needs_many_steps_later_stays():
    states = [source(Role.STATE, [0, 0], f"s{i}") for i in range(4)]
    op, y = total(X, X)
    following = {states[0]: View(y)}
    following.update((states[i + 1], View(states[i])) for i in range(3))
    graph = Graph((op,), following, output(states[3]))
    assert remove_dead_code(graph, TRAITS).ops == (op,)
    assert set(remove_dead_code(graph, TRAITS).next) == set(states)


@pytest.mark.parametrize("kind", ["host", "python", "tensor_node"])
def test_effects_stay(kind):
    before, y = total(X, X)
    op = Op(kind, (View(y),), (Signal("z", (1,)),))
    assert remove_dead_code(Graph((before, op), {}, ()), TRAITS).ops == (before, op)


def test_learning_stays():
    weights = source(Role.ADAPTED, [0, 0])
    op, y = total(X, weights)
    assert remove_dead_code(Graph((op,), {weights: View(y)}, ()), TRAITS).ops == (op,)


# ------------------------------------------------------------------------------------- routes


@pytest.mark.parametrize(
    "targets, is_route",
    [
        ((None,), True),
        ((slice(0, 1), slice(1, 2)), True),
        ((np.array([1]), np.array([0])), True),
        ((None, slice(0, 1)), False),
        ((slice(0, 1), slice(0, 1)), False),
        ((), True),
    ],
)
def test_routes(targets, is_route):
    views = [View(X, None if t is None else slice(0, 1)) for t in targets]
    op, y = total(*views, targets=targets)
    (found,) = find_routes(Graph((op,), {}, output(y))).ops
    assert found.kind == ("route" if is_route else "sum")


def test_passes_repeat_until_nothing_goes_away():
    """A zero that shows up late lets a whole chain go."""
    zero = source(Role.CONSTANT, np.zeros((2, 2)))
    ones = source(Role.CONSTANT, np.ones(2))
    y, z = Signal("y", (2,)), Signal("z", (2,))
    state = source(Role.STATE, [0, 0], "state")
    ops = (
        Op("dot", (View(zero), View(X)), (y,)),
        Op("multiply", (View(ones), View(y)), (z,)),
    )
    add, out = total(X, z)
    keep, memory = total(state, z)
    graph = Graph((*ops, add, keep), {state: View(memory)}, output(out))
    simple = simplify(graph, TRAITS)
    assert simple.ops == ()
    assert not simple.next
    assert simple.outputs[0].view.signal is X
