"""Names of functions, nodes and probes."""

from functools import partial

import nengo
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nengo.exceptions import SimulationError

import nengo_dl
from nengo_dl import utils
from nengo_dl.utils import align_func, function_name, io_names, sanitize_name


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


def test_align_func():
    """The decorator of the original: arrays of one type, or an error."""

    @align_func("float32")
    def function(value):
        """Say so."""
        return value

    assert function([1, 2]).dtype == np.float32 and function.__doc__ == "Say so."
    for value, message in (
        (None, "'function' returned non-finite value None"),
        ([1, np.nan], "non-finite value"),
        ("a", "value 'a' of invalid type <class 'str'>"),
    ):
        with pytest.raises(SimulationError, match=message):
            function(value)


def test_numpy_function_has_arrays_of_its_own():
    import tensorflow as tf

    def in_place(x):
        x += 1
        return x

    x = tf.zeros(3)
    np.testing.assert_array_equal(utils.numpy_function(in_place, [x], tf.float32), np.ones(3))
    np.testing.assert_array_equal(x, np.zeros(3))


def test_names_that_need_more():
    assert utils.tf_gpu_installed is False
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = utils.nothing


def test_progress_bar_of_the_original(capsys):
    with utils.ProgressBar("Load", "Loaded", max_value=3) as bar:
        assert list(bar(range(3))) == [0, 1, 2]
        bar.max_value = 4
        with bar.sub("Part", max_value=2) as part:
            part.step()
        assert bar.max_steps == bar.max_value == 4
    assert capsys.readouterr().out == ""


def test_version():
    assert nengo_dl.version.version == nengo_dl.__version__
    assert nengo_dl.version.version_info >= (0,)
    assert all(isinstance(part, int) for part in nengo_dl.version.version_info)
