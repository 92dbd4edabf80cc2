"""Places of signals: however blocks are laid out, each argument has the elements it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengo_dl.compiler.arrange import Addresses, Runs, arrange_sources, depth_of
from nengo_dl.compiler.costs import CPU
from nengo_dl.compiler.ir import Graph, Op, Output, Role, Signal, View
from nengo_dl.compiler.simplify import find_routes, simplify
from nengo_dl.kernels import CATALOGUE
from tests.random_graphs import build, graphs, tried

addresses = st.lists(st.integers(-1, 12), max_size=20).map(lambda a: np.array(a, dtype=np.int64))


# ------------------------------------------------------------------------------------- elements


def elements_read(read):
    """Return the (signal, position) of each element of a `Read`; None for zeros."""
    found = []
    for piece in read.pieces:
        if piece.block is None:
            found += [None] * (piece.stop - piece.start)
        else:
            members = [(s, i) for s in piece.block.members for i in range(s.size)]
            found += members[piece.start : piece.stop]
    assert read.gather is not None or len(found) == read.size
    return found if read.gather is None else [found[i] for i in read.gather]


def elements_of(view, routes):
    """Return the (signal, position) of each element of a view, looking through routes."""
    route = routes.get(view.signal)
    if route is None:
        whole = [(view.signal, i) for i in range(view.signal.size)]
    else:
        whole = [None] * view.signal.size
        for source, target in zip(route.reads, route.targets, strict=True):
            where = np.arange(len(whole))[slice(None) if target is None else target]
            for i, element in zip(where, elements_of(source, routes), strict=True):
                whole[i] = element
    return [whole[i] for i in view.positions()]


def terms_of(op, routes):
    """Return, for each element of a sum, the elements that are added."""
    found = [[] for _ in range(op.writes[0].size)]
    for view, target in zip(op.reads, op.targets, strict=True):
        where = np.arange(len(found))[slice(None) if target is None else target]
        for i, element in zip(where, elements_of(view, routes), strict=True):
            found[i].append(element)
    return [_sorted(terms) for terms in found]


def _sorted(terms):
    return sorted((t for t in terms if t is not None), key=lambda t: (id(t[0]), t[1]))


ways = st.tuples(st.booleans(), st.booleans())


@tried(120)
@given(graph=graphs(), way=ways)
def test_arguments_have_the_elements_of_their_views(graph, way):
    simplifies, groups = way
    program = build(graph, simplifies, groups)
    graph = simplify(graph, CATALOGUE.traits) if simplifies else find_routes(graph)
    routes = {op.writes[0]: op for op in graph.ops if op.kind == "route"}
    for group in program.groups:
        reads = list(map(elements_read, group.reads))
        if group.kind == "sum":
            if len(group.read_shapes[0]) == 2:  # all terms in one
                (joined,), ((n, size),) = reads, group.read_shapes
                reads = [joined[i * size : (i + 1) * size] for i in range(n)]
            expected = [terms for op in group.ops for terms in terms_of(op, routes)]
            assert [_sorted(terms) for terms in zip(*reads, strict=True)] == expected
        else:
            slots = zip(*(op.reads for op in group.ops), strict=True)
            expected = [[e for view in views for e in elements_of(view, routes)] for views in slots]
            assert reads == expected
        assert [b.members for b in group.writes] == [tuple(op.writes[0] for op in group.ops)]
    for stage in program.stages:
        for output, read in stage.outputs:
            assert elements_read(read) == elements_of(output.view, routes)
        for block, read in stage.carried:
            views = [graph.next.get(s, View(s)) for s in block.members]
            expected = [e for view in views for e in elements_of(view, routes)]
            assert elements_read(read) == expected


@tried(60)
@given(graph=graphs(), way=ways)
def test_each_signal_has_one_place(graph, way):
    program = build(graph, *way)
    placed = [s for b in program.layout.blocks for s in b.members]
    assert len(set(placed)) == len(placed)
    kept = simplify(graph, CATALOGUE.traits) if way[0] else graph
    assert set(placed) == set(kept.sources())
    for block in program.layout.blocks:
        assert len({(s.role, s.dtype, s.trainable) for s in block.members}) == 1
    written = [s for g in program.groups for b in g.writes for s in b.members]
    assert len(set(written)) == len(written)
    assert not set(written) & set(placed)
    assert program.layout.place().keys() == set(placed)


@tried(60)
@given(graph=graphs())
def test_blocks_start_with_the_values_of_their_members(graph):
    for block in build(graph).layout.blocks:
        if block.role not in (Role.INPUT, Role.TIME):
            expected = np.concatenate([np.ravel(s.initial) for s in block.members])
            assert block.initial().shape == block.shape
            np.testing.assert_array_equal(block.initial().ravel(), expected)
        else:
            assert len(block.members) == 1


# ------------------------------------------------------------------------------------- runs


@given(addresses)
def test_runs_expand_to_what_was_packed(given_addresses):
    runs = Runs.pack(given_addresses)
    assert runs.expand().tolist() == given_addresses.tolist()
    assert np.all(runs.counts > 0)
    zeros = runs.starts < 0
    assert not np.any(zeros[1:] & zeros[:-1])
    assert not np.any(~zeros[:-1] & (runs.starts[1:] == (runs.starts + runs.counts)[:-1]))


@given(addresses, addresses)
def test_runs_join(first, second):
    joined = Runs.join([Runs.pack(first), Runs.pack(second)])
    assert joined.expand().tolist() == [*first, *second]


@given(addresses, st.slices(20) | st.lists(st.integers(0, 3)).map(np.array) | st.none())
def test_part_of_runs(given_addresses, index):
    if isinstance(index, np.ndarray):
        index = index[index < len(given_addresses)].astype(int)
    part = Runs.pack(given_addresses).part(index)
    expected = given_addresses if index is None else given_addresses[index]
    assert part.expand().tolist() == expected.tolist()


@pytest.mark.parametrize(
    "index", [None, slice(1, 3), slice(3, 1), slice(2, None, -1), slice(-2, 9)]
)
def test_part_of_one_run(index):
    expected = np.arange(5, 9)[slice(None) if index is None else index]
    assert Runs.of(5, 4).part(index).expand().tolist() == expected.tolist()


# ------------------------------------------------------------------------------------- reads


def space(*sizes):
    made = Addresses()
    return made, [made.add(f"b{i}", [Signal(f"s{i}", (n,))]) for i, n in enumerate(sizes)]


def test_neighbours_in_different_blocks_are_different_pieces():
    """The last element of one block and the first of the next do not make one run."""
    made, (first, second) = space(3, 3)
    views = [View(first.members[0], np.array([1, 2])), View(second.members[0], np.array([0, 1]))]
    joined = Runs.pack(np.concatenate([made.runs(v).expand() for v in views]))
    assert repr(made.read(joined)) == "b0[1:3] + b1[0:2]"


def test_whole_blocks_are_read_as_they_are():
    made, blocks = space(3, 0, 2)
    runs = Runs.join([made.runs(View(b.members[0])) for b in blocks])
    read = made.read(runs)
    assert [(p.block, p.whole) for p in read.pieces] == [(blocks[0], True), (blocks[2], True)]
    assert read.gather is None


def test_nothing_is_read():
    made, (block,) = space(0)
    read = made.read(made.runs(View(block.members[0])))
    assert (read.pieces, read.gather, read.size) == ((), None, 0)


@pytest.mark.parametrize(
    "count, gathers", [(CPU.gather_pieces, False), (CPU.gather_pieces + 1, True)]
)
def test_many_small_pieces_are_gathered(count, gathers):
    made, (block,) = space(100)
    index = np.arange(count)[::-1] * 2
    read = made.read(made.runs(View(block.members[0], index)))
    assert (read.gather is not None) == gathers
    assert len(read.pieces) == (1 if gathers else count)
    assert elements_read(read) == [(block.members[0], i) for i in index]


def test_gathers_have_zeros_too():
    made, (block,) = space(50)
    index = np.array([-1, 3] * 20)
    read = made.read(Runs.pack(index))
    found = [None if e is None else e[1] for e in elements_read(read)]
    assert read.gather is not None
    assert found == [None, 3] * 20


@pytest.mark.parametrize(
    ("starts", "n", "repeats"),
    [
        ([0, 0, 4, 4], 4, (4, 2)),
        ([0] * 30, 1, (1, 30)),
        ([2, 2, 2], 3, (3, 3)),
        ([0, 4, 0, 4], 4, None),
        ([0, 0, 4], 4, None),
        ([0, 0, 5, 5], 4, None),
        ([0, 0, -1, -1], 1, None),
    ],
    ids=["parts", "number", "one part", "in turn", "rest", "gap", "zeros"],
)
def test_parts_that_are_repeated(starts, n, repeats):
    """What many read is not gathered."""
    made, (block,) = space(11)
    runs = Runs(np.array(starts), np.full(len(starts), n))
    read = made.read(runs)
    assert read.repeats == repeats
    expected = [None if a < 0 else (block.members[0], a) for a in runs.expand()]
    assert elements_read(read) == expected


# ------------------------------------------------------------------------------------- sources


def test_sources_lie_as_they_are_read():
    """The weights of like products form one block, which is read as a whole."""
    x = Signal("x", (2,), Role.INPUT)
    weights = [Signal(f"w{i}", (3, 2), Role.PARAMETER, initial=np.ones((3, 2))) for i in range(4)]
    ops = [Op("dot", (View(w), View(x)), (Signal("y", (3,)),)) for w in weights[::-1]]
    graph = Graph(tuple(ops), {}, tuple(Output(i, View(op.writes[0])) for i, op in enumerate(ops)))
    (group,) = build(graph).groups
    (piece,) = group.reads[0].pieces
    assert piece.whole
    assert piece.block.shape == (4, 3, 2)
    assert piece.block.members == tuple(weights[::-1])


def test_state_lies_as_it_is_updated():
    """Though something else reads it first, in another order."""
    states = [Signal(f"s{i}", (2,), Role.STATE, initial=np.zeros(2)) for i in range(3)]
    mix = Op("sum", tuple(map(View, states[::-1])), (Signal("mix", (2,)),), targets=(None,) * 3)
    ops, following = [mix], {}
    for i, state in enumerate(states):
        y = Signal(f"y{i}", (2,))
        attrs = {"a": 0.5, "b": 1.0}
        ops.append(Op("lowpass", (View(state), View(mix.writes[0])), (y,), attrs))
        following[state] = View(y)
    graph = Graph(tuple(ops), following, (Output("out", View(states[0])),))
    program = build(graph, simplifies=False)
    ((block, read),) = program.stages[-1].carried
    assert block.members == tuple(states)
    assert [p.whole for p in read.pieces] == [True]


def test_trained_and_fixed_weights_do_not_share_a_block():
    x = Signal("x", (2,), Role.INPUT)
    weights = [
        Signal(f"w{i}", (3, 2), Role.PARAMETER, initial=np.ones((3, 2)), trainable=i % 2 == 0)
        for i in range(4)
    ]
    ops = [Op("dot", (View(w), View(x)), (Signal("y", (3,)),)) for w in weights]
    layout = arrange_sources([ops], Graph(tuple(ops), {}, ()), CATALOGUE)
    found = {b.members: b.trainable for b in layout.of(Role.PARAMETER)}
    assert found == {tuple(weights[::2]): True, tuple(weights[1::2]): False}


def test_depth_of_sums():
    x, y = Signal("x", (3,), Role.INPUT), Signal("y", (3,))
    whole = Op("sum", (View(x),) * 2, (y,), targets=(None, None))
    parts = (View(x, slice(0, 2)), View(x, slice(0, 1)), View(x))
    some = Op("sum", parts, (y,), targets=(slice(0, 2), np.array([2]), None))
    assert depth_of(whole) == 2
    assert depth_of(some) == 2
    assert depth_of(Op("sum", (), (y,))) == 0
