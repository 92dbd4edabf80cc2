"""The loop over time against a plain loop in Python: results and gradients, compiled or not."""

import numpy as np
import pytest
import tensorflow as tf

from nengo_dl.runtimes.tensorflow.loops.scan import scan, scan_again, scan_keeping

BATCH, SIZE = 2, 3
SPECS = [((BATCH, SIZE), tf.float64), ((BATCH, 1), tf.float64)]

#: Length, valid steps and steps in the body of the loop.
LENGTHS = [
    (1, 1, 1),
    (2, 2, 1),
    (7, 7, 1),
    (7, 4, 1),
    (7, 1, 1),
    (2, 2, 2),
    (8, 8, 2),
    (8, 4, 2),
    (6, 6, 3),
    (6, 0, 1),
]
lengths = pytest.mark.parametrize("length, valid, unroll", LENGTHS)
modes = pytest.mark.parametrize("mode", ["eager", "traced", "xla"])


@pytest.fixture
def arrays(rng):
    """Return weights, a state and a series for eight steps."""
    shapes = [(SIZE, SIZE), (BATCH, SIZE), (8, BATCH, SIZE)]
    return [tf.constant(rng.uniform(-1, 1, size=shape)) for shape in shapes]


def step(weights):
    """A step that uses all it is given, and whose results are of two shapes."""

    def one(i, carry, xs):
        state, count = carry
        (x,) = xs
        state = tf.tanh(state @ weights + x + 0.1 * tf.cast(i, tf.float64))
        return [state, count + 1], [state * x, tf.reduce_sum(state, axis=1, keepdims=True)]

    return one


def python_loop(weights, state, xs, length, valid):
    """Return the final state, the count, and both series."""
    one, carry, rows = step(weights), [state, tf.constant(0)], []
    for i in range(valid):
        carry, ys = one(tf.constant(i), carry, [xs[i]])
        rows.append(ys)
    rows += [[tf.zeros(s, d) for s, d in SPECS]] * (length - valid)
    return *carry, *(tf.stack(column) for column in zip(*rows, strict=True))


def loop(weights, state, xs, length, valid, unroll=1):
    carry, ys = scan(step(weights), [state, tf.constant(0)], [xs], SPECS, length, valid, unroll)
    return *carry, *ys


def loop_again(weights, state, xs, length, valid, unroll=1):
    """The loop whose gradient computes each step again; the weights are fixed over time."""

    def one(i, carry, x, fixed):
        return step(fixed[0])(i, carry, x)

    start = [state, tf.constant(0)]
    carry, ys = scan_again(one, start, [xs], [weights], SPECS, length, valid, unroll)
    return *carry, *ys


def loop_alone(weights, state, xs, length, valid, unroll=1):
    """The same, each loop compiled by itself."""

    def one(i, carry, x, fixed):
        return step(fixed[0])(i, carry, x)

    start = [state, tf.constant(0)]
    bounds = length, valid, unroll
    carry, ys = scan_again(one, start, [xs], [weights], SPECS, *bounds, alone=True)
    return *carry, *ys


def loop_keeping(weights, state, xs, length, valid, unroll=1):
    """The loop that keeps what the gradient of a step needs, in two parts."""

    def one(i, carry, x, fixed, keep):
        (state, count), (x,) = carry, x
        state = state + tf.stop_gradient(keep(state)[0] - state)
        kept, weights = keep(x, fixed[0])
        weights = fixed[0] + tf.stop_gradient(weights - fixed[0])
        return step(weights)(i, [state, count], [x + tf.stop_gradient(kept - x)])

    start, residuals = [state, tf.constant(0)], [SPECS[0]] * 2 + [((SIZE, SIZE), tf.float64)]
    bounds = length, valid, unroll
    carry, ys = scan_keeping(one, start, [xs], [weights], SPECS, residuals, *bounds)
    return *carry, *ys


loops = pytest.mark.parametrize("run_loop", [loop, loop_again, loop_alone, loop_keeping])


def in_mode(function, mode):
    if mode == "eager":
        return function
    return tf.function(function, autograph=False, jit_compile=mode == "xla")


def equal(found, expected, rtol=1e-12):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


# ------------------------------------------------------------------------------------- results


@modes
@lengths
@loops
def test_results(run_loop, mode, length, valid, unroll, arrays):
    weights, state, xs = arrays
    run = in_mode(lambda w, s, x: run_loop(w, s, x, length, valid, unroll), mode)
    expected = python_loop(weights, state, xs, length, valid)
    equal(run(weights, state, xs[:length]), expected)


@modes
def test_valid_steps_are_known_at_run_time(mode, arrays):
    """One trace serves any number of steps."""
    weights, state, xs = arrays
    traces = []

    def function(valid):
        traces.append(valid)
        return loop(weights, state, xs, 8, valid)

    run = in_mode(function, mode)
    for valid in (1, 5, 8):
        equal(run(tf.constant(valid)), python_loop(weights, state, xs, 8, valid))
    assert mode == "eager" or len(traces) == 1


@pytest.mark.parametrize("mode", ["eager", "traced"])
def test_length_is_known_at_run_time(mode, arrays):
    weights, state, xs = arrays

    def function(length, part):
        return loop(weights, state, part, length, length)

    if mode == "traced":
        series = tf.TensorSpec((None, BATCH, SIZE), tf.float64)
        signature = [tf.TensorSpec((), tf.int32), series]
        function = tf.function(function, input_signature=signature, autograph=False)
    for length in (1, 2, 7):
        found = function(tf.constant(length), xs[:length])
        equal(found, python_loop(weights, state, xs, length, length))


@modes
@pytest.mark.parametrize("length, unroll", [(1, 1), (6, 1), (6, 2), (6, 6)])
def test_no_series_in_or_out(mode, length, unroll):
    def function(start):
        return scan(lambda i, c, xs: ([c[0] * 2 + i], xs), [start], [], [], length, length, unroll)

    expected = 3
    for i in range(length):
        expected = expected * 2 + i
    carry, ys = in_mode(function, mode)(tf.constant(3))
    assert [int(c) for c in carry] == [expected]
    assert ys == []


@modes
@pytest.mark.parametrize("length, unroll", [(1, 1), (6, 1), (6, 2), (6, 6)])
def test_nothing_is_carried(mode, length, unroll):
    def function(xs):
        return scan(
            lambda i, c, x: (c, [x[0] * 2]), [], [xs], [((), xs.dtype)], length, length, unroll
        )[1]

    xs = tf.constant(np.arange(length, dtype=float))
    equal(in_mode(function, mode)(xs), [xs * 2])


@modes
def test_nothing_is_read(mode):
    """There is nothing to differentiate then."""

    def function():
        def count(i, *_):
            return [], [tf.cast(i, tf.float64)]

        return scan_again(count, [], [], [], [((), tf.float64)], 4, 4)[1]

    equal(in_mode(function, mode)(), [np.arange(4)])


def test_shapes_are_known_while_tracing(arrays):
    weights, state, xs = arrays
    shapes = []

    @tf.function(autograph=False)
    def function(length):
        shapes.append([y.shape.as_list() for y in loop(weights, state, xs, 8, 8)[2:]])
        shapes.append([y.shape.as_list() for y in loop(weights, state, xs, length, length)[2:]])

    function(tf.constant(8))
    assert shapes == [
        [[8, BATCH, SIZE], [8, BATCH, 1]],
        [[None, BATCH, SIZE], [None, BATCH, 1]],
    ]


# ------------------------------------------------------------------------------------- gradients


@modes
@lengths
@loops
def test_gradients(run_loop, mode, length, valid, unroll, arrays):
    """With respect to all that goes in, of all that comes out."""

    def gradients(run):
        def function(*sources):
            with tf.GradientTape() as tape:
                tape.watch(sources)
                weights, state, xs = sources
                state, _, *ys = run(weights, state, xs)
                loss = tf.reduce_sum(state**2) + sum(tf.reduce_sum(tf.sin(y)) for y in ys)
            return tape.gradient(loss, sources, unconnected_gradients="zero")

        return function

    arrays[2] = arrays[2][:length]
    expected = gradients(lambda *a: python_loop(*a, length, valid))(*arrays)
    found = in_mode(gradients(lambda *a: run_loop(*a, length, valid, unroll)), mode)(*arrays)
    equal(found, list(map(tf.convert_to_tensor, expected)), rtol=1e-10)


@pytest.mark.parametrize("mode", ["traced", "xla"])
@loops
def test_gradients_where_the_last_step_alone_counts(run_loop, mode, arrays):
    """As with a loss of the last step: all gradients come through the state."""

    def gradients(run):
        def function(weights):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = tf.reduce_sum(run(weights)[0])
            return [tape.gradient(loss, weights)]

        return function

    weights, state, xs = arrays
    expected = gradients(lambda w: python_loop(w, state, xs, 8, 8))(weights)
    found = in_mode(gradients(lambda w: run_loop(w, state, xs, 8, 8)), mode)(weights)
    equal(found, expected, rtol=1e-10)


@loops
def test_gradients_of_a_length_known_at_run_time(run_loop, arrays):
    weights, state, xs = arrays
    series = tf.TensorSpec((None, BATCH, SIZE), tf.float64)

    def gradient(run, part, length):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            _, _, y, z = run(weights, state, part, length, length)
            loss = tf.reduce_sum(y**2) + tf.reduce_sum(z)
        return tape.gradient(loss, weights)

    signature = [series, tf.TensorSpec((), tf.int32)]
    traced = tf.function(lambda x, n: gradient(run_loop, x, n), signature, autograph=False)
    for length in (1, 5):
        expected = gradient(python_loop, xs[:length], length)
        equal([traced(xs[:length], tf.constant(length))], [expected], rtol=1e-10)
