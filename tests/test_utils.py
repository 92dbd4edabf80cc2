"""Names of functions, nodes and probes."""

from functools import partial

import nengo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengo_dl.utils import function_name, io_names, sanitize_name


@pytest.mark.parametrize(
    "name, expected",
    [
        ("plain", "plain"),
        ("a b:c", "a_b_c"),
        ("a.b-c/d_1", "a.b-c/d_1"),
        ("<lambda>(é)!", "lambda"),
        (None, "None"),
        (1.5, "1.5"),
    ],
)
def test_sanitize_name(name, expected):
    assert sanitize_name(name) == expected


def test_function_name():
    class Callable:
        def __call__(self):
            pass

    assert function_name(test_function_name) == "test_function_name"
    assert function_name(lambda: None) == "lambda"
    assert function_name(lambda: None, sanitize=False) == "<lambda>"
    assert function_name(Callable()) == "Callable"
    assert function_name(partial(len)) == "partial"


def named(nodes, probes=()):
    """The names of nodes and probes with these labels."""
    with nengo.Network():
        nodes = [nengo.Node([0], label=label) for label in nodes]
        target = nengo.Node([0])
        probes = [nengo.Probe(target, label=label) for label in probes]
        names = io_names(nodes, probes)
    assert list(names) == [*nodes, *probes]
    return list(names.values())


@pytest.mark.parametrize(
    "nodes, probes, expected",
    [
        ([None, None, "x", "X"], ["x"], ["node", "node_1", "x", "X_1", "x_2"]),
        ([], [None, None, None], ["probe", "probe_1", "probe_2"]),
        (["node", None], ["Node"], ["node", "node_1", "Node_2"]),
        (["x", "x", "x_1", "x"], [], ["x", "x_2", "x_1", "x_3"]),
        (["x_1", "x", "X"], ["x_1"], ["x_1", "x", "X_2", "x_1_1"]),
        (["n_steps", "N_Steps"], ["steps_run"], ["n_steps_1", "N_Steps_2", "steps_run_1"]),
        (["n_steps", "n_steps_1"], [], ["n_steps_2", "n_steps_1"]),
        (["日本", ""], ["!"], ["日本", "node", "probe"]),
        (["a/b", "a\\b"], ["/"], ["a_b", "a_b_1", "_"]),
        (["Größe", "入力 1", "😀"], ["größe"], ["Größe", "入力_1", "😀", "größe_1"]),
        (["e\u0301", "\u00e9"], ["a\u3000b\x00"], ["\u00e9", "\u00e9_1", "a_b"]),
        (["a b", "a:b"], ["a_b"], ["a_b", "a_b_1", "a_b_2"]),
    ],
)
def test_io_names(nodes, probes, expected):
    assert named(nodes, probes) == expected


LABELS = st.lists(
    st.one_of(st.none(), st.sampled_from(["x", "X", "x_1", "x_1_1", "node", "n_steps", "probe"])),
    max_size=8,
)


@given(LABELS, LABELS)
def test_io_names_are_unique_whatever_their_case(nodes, probes):
    names = [name.lower() for name in named(nodes, probes)]
    assert len({*names, "n_steps", "steps_run"}) == len(names) + 2


def test_nothing_to_name():
    assert io_names([], []) == {}
