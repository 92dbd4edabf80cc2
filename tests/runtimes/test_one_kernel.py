"""Functions that XLA:CPU makes one kernel of: the same results, whatever they read or give."""

import numpy as np
import pytest
import tensorflow as tf

from nengo_dl.compiler.costs import CPU
from nengo_dl.runtimes.tensorflow.single_kernel import as_one_kernel, is_possible

STEPS = 50

pytestmark = pytest.mark.skipif(
    not is_possible(), reason="this TensorFlow is not known to make one kernel of a loop"
)


def compiled(function, as_one):
    """Return a function that XLA compiles, with the given one as one kernel or as it is."""

    def call(*arguments):
        return as_one_kernel(function, *arguments) if as_one else function(*arguments)

    return tf.function(call, jit_compile=True, autograph=False)


def looped(weights, state, first, steps):
    """Run a loop over a matrix, with a series of results; `first` is not read."""

    def body(i, x, ys):
        x = tf.tanh(tf.linalg.matvec(weights, x)) + tf.cast(i, x.dtype)
        return i + 1, x, tf.tensor_scatter_nd_update(ys, [[i]], [tf.reduce_sum(x)])

    zeros = tf.zeros(STEPS, state.dtype)
    _, state, ys = tf.while_loop(lambda i, *_: i < steps, body, (0, state, zeros), None, STEPS)
    return {"state": state, "ys": [ys[:10]]}


@pytest.fixture
def arguments(request):
    """Return a matrix, a vector, and two counts."""
    rng, dtype = np.random.RandomState(0), getattr(request, "param", "float64")
    arrays = [rng.randn(20, 20), rng.randn(20)]
    return [*(tf.constant(a, dtype) for a in arrays), tf.constant(3, tf.int64), tf.constant(STEPS)]


@pytest.mark.parametrize("arguments", ["float32", "float64"], indirect=True)
def test_results(arguments):
    expected = compiled(looped, False)(*arguments)
    found = compiled(looped, True)(*arguments)
    tf.nest.assert_same_structure(found, expected)
    rtol = 1e-4 if arguments[0].dtype == tf.float32 else 1e-12
    for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol)


def test_is_one_kernel(arguments):
    """XLA still knows the attribute, and leaves the call where it is."""
    ir = compiled(looped, True).experimental_get_compiler_ir(*arguments)
    module = ir(stage="optimized_hlo")
    entry = module[module.index("ENTRY") :]
    assert "xla_cpu_small_call" in entry
    assert " while(" not in entry
    assert " while(" in module


def test_nested_arguments_and_plain_numbers():
    def function(arrays, number):
        return [arrays["x"] * number, [number]]

    x = tf.constant([1.0, 2.0])
    found = compiled(function, True)({"x": x, "unread": [x]}, 3.0)
    np.testing.assert_array_equal(found[0], [3, 6])
    assert found[1][0] == 3


def test_what_is_captured_need_not_be_read():
    """XLA must not end the process over what its passes remove."""
    outside = tf.constant([2.0])

    def call(x):
        captured = x * 3

        def function(y):
            return [y * outside + 0 * captured, tf.zeros_like(captured)]

        return as_one_kernel(function, x)

    found = tf.function(call, jit_compile=True, autograph=False)(tf.constant([4.0]))
    np.testing.assert_array_equal(np.ravel(found), [8, 0])


def test_what_has_no_form_is_an_error():
    """And not the end of the process."""
    total = compiled(lambda x: [tf.reduce_sum(x, 1)], True)
    most = CPU.single_kernel_terms
    np.testing.assert_allclose(total(tf.ones((1, most)))[0], [most])
    with pytest.raises(tf.errors.UnimplementedError):
        total(tf.ones((1, 2**15)))


@pytest.mark.parametrize(
    "dtype", ["bool", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
)
def test_types(dtype):
    x = tf.cast([[0, 1, 1]], dtype)
    (found,) = compiled(lambda x: [tf.concat([x, x], 0)], True)(x)
    assert found.dtype == x.dtype
    assert np.array_equal(tf.cast(found, tf.int32), [[0, 1, 1]] * 2)
