"""TensorNode and Layer: functions, Keras layers and whole models inside networks."""

import functools
import warnings

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from nengo_dl import Layer, TensorNode


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def run(make, x=None, n_steps=3, dtype="float32", **kwargs):
    """Return what a node made by ``make(input)`` gives for an input of two values."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype)
        node = nengo.Node(np.zeros(2))
        probe = nengo.Probe(make(node))
    with simulator(net, **kwargs) as sim:
        return sim.predict(x, n_steps=None if x is not None else n_steps)[probe]


class Weighted(keras.layers.Layer):
    """Multiplies its input by a weight, and adds the time if it gets one."""

    batch = 1

    def build(self, shape):
        self.shape_seen = shape
        self.w = self.add_weight(name="w", shape=(), initializer="ones")
        self.built = True

    def call(self, inputs):
        if isinstance(inputs, list | tuple):
            t, x = inputs
            return self.w * x + t
        return self.w * (inputs if len(inputs.shape) else tf.fill((self.batch, 1), inputs))


def joined(func, **kwargs):
    """Return a function that connects its argument to a TensorNode."""

    def make(node):
        tensor = TensorNode(func, **kwargs)
        if tensor.size_in:
            nengo.Connection(node, tensor, synapse=None)
        return tensor

    return make


X = np.arange(12.0).reshape(2, 3, 2)
TIMES = np.array([0.001, 0.002, 0.003])

# --- what a TensorNode calls ---------------------------------------------------------------------

KINDS = {
    "f(x)": (lambda x: x**2, {"shape_in": (2,), "pass_time": False}, X**2),
    "f(t, x)": (lambda t, x: x + t, {"shape_in": (2,)}, X + TIMES[:, None]),
    "f(t)": (lambda t: tf.reshape(t, (1, 1)), {}, np.tile(TIMES[:, None], (2, 1, 1))),
    "layer(x)": (Weighted(), {"shape_in": (2,), "pass_time": False}, X),
    "layer(t, x)": (Weighted(), {"shape_in": (2,)}, X + TIMES[:, None]),
    "layer(t)": (Weighted(), {"shape_out": (1,)}, np.tile(TIMES[:, None], (2, 1, 1))),
    "matrix": (
        lambda x: tf.transpose(x, (0, 2, 1)),
        {"shape_in": (1, 2), "pass_time": False},
        X,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unroll", [1, 3])
def test_kinds_of_functions(kind, dtype, unroll):
    func, kwargs, expected = KINDS[kind]
    if isinstance(func, keras.layers.Layer):
        func = Weighted()
    out = run(joined(func, **kwargs), X, dtype=dtype, unroll_simulation=unroll)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_shapes_that_layers_see():
    for kwargs, expected in (
        ({"pass_time": False, "shape_in": (2, 1)}, (4, 2, 1)),
        ({"shape_in": (2, 1)}, [(), (4, 2, 1)]),
        ({"shape_out": (1,)}, ()),
    ):
        layer = Weighted()
        layer.batch = 4
        run(joined(layer, **kwargs), minibatch_size=4)
        seen = layer.shape_seen
        seen = [tuple(s) for s in seen] if isinstance(expected, list) else tuple(seen)
        assert seen == expected


def test_sizes_and_shapes():
    with nengo.Network():
        node = TensorNode(lambda t, x: tf.zeros((x.shape[0], 4, 5)), shape_in=(2, 3))
        assert (node.size_in, node.size_out, node.shape_out) == (6, 20, (4, 5))
        assert isinstance(node.shape_out, tuple)
        node = TensorNode(lambda t: tf.zeros((7, 3)))  # only what follows the batch axis counts
        assert (node.size_in, node.shape_in, node.shape_out) == (0, None, (3,))
        node = TensorNode(keras.layers.Conv1D(2, 3), shape_in=(5, 1), pass_time=False)
        assert node.shape_out == (3, 2) and not node.layer.built
        calls = []
        TensorNode(calls.append, shape_in=(1,), shape_out=(1,), pass_time=False)
        assert calls == []


BAD_NODES = {
    "nothing to call with": (
        {"tensor_func": lambda: 0, "pass_time": False},
        "needs an input: give shape_in",
    ),
    "not callable": ({"tensor_func": [1, 2]}, r"function or Keras Layer, got \[1, 2\]"),
    "zero": ({"tensor_func": lambda t: t, "shape_out": (0,)}, "shape_out"),
    "None": ({"tensor_func": lambda t: t, "shape_in": (None,)}, "shape_in"),
    "fails": ({"tensor_func": lambda t: 1 / 0}, "ZeroDivisionError.*Give shape_out explicitly"),
    "no tensor": ({"tensor_func": lambda t: [1.0]}, "must return a tensor, got list"),
    "an input without shape": (
        {"tensor_func": lambda t, x: x},
        r"called with the time, but takes \(t, x\).*Give shape_in if it has an input",
    ),
    "the same with shape_out": (
        {"tensor_func": lambda t, x: x, "shape_out": (1,)},
        "missing a required argument: 'x'.*Give shape_in if it has an input",
    ),
    "no time": (
        {"tensor_func": lambda x: x, "shape_in": (1,), "shape_out": (1,)},
        r"called with the time and the input, but takes \(x\).*Give pass_time=False",
    ),
    "a time that is not passed": (
        {"tensor_func": lambda t, x: x, "shape_in": (1,), "pass_time": False},
        r"called with the input, but takes \(t, x\).*Give pass_time=True",
    ),
    "layer without shape": (
        {"tensor_func": keras.layers.Dense(3)},
        "Give shape_in: without it, the layer receives the time and nothing else",
    ),
    "layer fails": (
        {"tensor_func": keras.layers.Conv1D(1, 9), "shape_in": (2, 1), "pass_time": False},
        "Give shape_out explicitly",
    ),
}


@pytest.mark.parametrize("case", BAD_NODES)
def test_bad_arguments(case):
    kwargs, message = BAD_NODES[case]
    with nengo.Network(), pytest.raises(ValidationError, match=message):
        TensorNode(**kwargs)


BAD_OUTPUTS = {
    "no tensor": (lambda t: np.zeros((2, 1), "f4"), "must return a tensor, got ndarray"),
    "batch": (lambda t: tf.zeros((3, 1)), r"first axis.*minibatch size 2, got shape \(3, 1\)"),
    "size": (lambda t: tf.zeros((2, 4)), r"expected 1 output elements.*got 4"),
    "dtype": (lambda t: tf.zeros((2, 1), "int32"), "expected output dtype float32, got int32"),
}


@pytest.mark.parametrize("case", BAD_OUTPUTS)
def test_bad_outputs(case):
    func, message = BAD_OUTPUTS[case]
    with nengo.Network() as net:
        nengo.Probe(TensorNode(func, shape_out=(1,), label="bad"))
    with pytest.raises(ValidationError, match=f"bad.*{message}"):
        simulator(net, minibatch_size=2)


def test_nengo_builds_but_does_not_run_them():
    with nengo.Network() as net:
        node = TensorNode(lambda t: tf.zeros((1, 1)))
        other = TensorNode(lambda x: x, shape_in=(1,), pass_time=False)
        nengo.Connection(node, other)
    nengo.rc["nengo.Simulator"]["fail_fast"] = "False"
    try:
        with (
            nengo.Simulator(net, progress_bar=False) as sim,
            pytest.raises(SimulationError, match="only be simulated by NengoDL"),
        ):
            sim.step()
    finally:
        nengo.rc["nengo.Simulator"]["fail_fast"] = "True"


# --- order and effects ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["py_function", "numpy_function"])
def test_python_runs_once_a_step_in_order(kind):
    seen = []

    def note(t):
        seen.append(round(float(t) * 1000))
        return np.float32(t)

    call = {
        "py_function": lambda t: tf.py_function(note, [t], tf.float32),
        "numpy_function": lambda t: tf.numpy_function(note, [t], tf.float32),
    }[kind]
    with nengo.Network() as net:
        probe = nengo.Probe(TensorNode(lambda t: tf.reshape(call(t), (1, 1)), shape_out=(1,)))
    with simulator(net) as sim:
        sim.run_steps(5)
        sim.run_steps(4)
        assert seen == list(range(1, 10))
        np.testing.assert_allclose(sim.data[probe][:, 0], sim.trange(), rtol=1e-6)


def test_printing(capfd):
    def show(t):
        tf.print("at", t * 1000)
        return tf.reshape(t, (1, 1))

    with nengo.Network() as net:
        nengo.Probe(TensorNode(show, shape_out=(1,)))
    with simulator(net) as sim:
        sim.run_steps(4)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("at")]
    assert [round(float(line.split()[1])) for line in lines] == [1, 2, 3, 4]


def test_example_of_the_tutorial():
    with nengo.Network() as net:
        node = nengo.Node([0.5, -0.1])
        tensor = TensorNode(lambda t, x: x + t, shape_in=(2,))
        nengo.Connection(node, tensor, synapse=None)
        probe = nengo.Probe(tensor)
    with simulator(net) as sim:
        sim.run_steps(10)
        np.testing.assert_allclose(sim.data[probe][:, 0], 0.5 + sim.trange(), rtol=1e-5)


# --- weights -------------------------------------------------------------------------------------


@pytest.mark.training
def test_weights_of_a_layer_that_was_built_before():
    dense = keras.layers.Dense(4, kernel_initializer="ones")
    dense.build((None, 6))
    dense.set_weights([np.ones((6, 4)), np.zeros(4)])
    with nengo.Network() as net:
        node = nengo.Node(np.ones(6))
        probe = nengo.Probe(Layer(dense)(node))
    for expected in (6.0, None):
        with simulator(net) as sim:
            out = sim.predict(n_steps=1)[probe]
            if expected is None:  # the second simulator begins with what the first one trained
                assert out[0, 0, 0] < 6 and np.allclose(dense.get_weights()[0], 0.97)
                continue
            np.testing.assert_array_equal(out, np.full((1, 1, 4), 6.0))
            sim.compile(keras.optimizers.SGD(0.01), loss="mse")
            sim.fit(n_steps=1, y=np.zeros((1, 1, 4)), verbose=0)
            np.testing.assert_allclose(dense.get_weights()[0], 0.97, rtol=1e-6)
            sim.reset()
            np.testing.assert_allclose(dense.get_weights()[0], 0.97, rtol=1e-6)
            assert len(sim.keras_model.trainable_weights) == 2


@pytest.mark.training
@pytest.mark.parametrize("unroll", [1, 3])
def test_shared_layers_have_one_set_of_weights(unroll):
    layer = Weighted()
    with nengo.Network() as net:
        node = nengo.Node([2.0])
        first = Layer(layer)(node)
        probe = nengo.Probe(Layer(layer)(first))
    with simulator(net, unroll_simulation=unroll) as sim:
        assert len(sim.keras_model.trainable_weights) == 1
        sim.compile(keras.optimizers.SGD(0.01), loss=lambda y_true, y_pred: y_pred)
        sim.fit(n_steps=3, y=np.zeros((1, 3, 1)), verbose=0)
        # d(2 w^2)/dw = 4 w
        assert float(layer.w.numpy()) == pytest.approx(0.96)
        out = sim.predict(n_steps=3)[probe]
        np.testing.assert_allclose(out, 2 * 0.96**2, rtol=1e-5)


@pytest.mark.training
@pytest.mark.parametrize("kind", ["sequential", "functional", "in a custom layer"])
def test_whole_models(kind):
    keras.utils.set_random_seed(0)
    inner = [keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(3)]
    inputs = keras.Input((2,))
    model = keras.Sequential([inputs, *inner])
    if kind != "sequential":
        model = keras.Model(inputs, inner[1](inner[0](inputs)))
    x = np.random.RandomState(0).uniform(size=(4, 1, 2)).astype("float32")
    expected = np.asarray(model(x[:, 0]))
    func = model
    if kind == "in a custom layer":

        class Wrapped(keras.layers.Layer):
            def build(self, shape):
                self.model = keras.models.clone_model(model)
                self.model.set_weights(model.get_weights())
                self.built = True

            def call(self, inputs):
                return self.model(inputs)

        func = Wrapped()
    with nengo.Network() as net:
        nengo_dl.configure_settings(stateful=False, use_loop=False)
        node = nengo.Node(np.zeros(2))
        probe = nengo.Probe(
            Layer(func)(node, **({"shape_out": (3,)} if kind == "in a custom layer" else {}))
        )
    with simulator(net, minibatch_size=2) as sim:
        np.testing.assert_allclose(sim.predict(x)[probe][:, 0], expected, atol=1e-6)
        assert len(sim.keras_model.trainable_weights) == 4
        sim.compile(keras.optimizers.Adam(0.05), loss="mse")
        y = np.zeros((4, 1, 3))
        losses = sim.fit(x, y, epochs=5, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


@pytest.mark.training
@pytest.mark.parametrize("use_loop", [True, False])
def test_batch_normalization(use_loop):
    layer = keras.layers.BatchNormalization(momentum=0.9)
    with nengo.Network() as net:
        nengo_dl.configure_settings(use_loop=use_loop)
        node = nengo.Node(np.zeros(2))
        probe = nengo.Probe(Layer(layer)(node))
    x = np.random.RandomState(0).normal(3, 2, size=(8, 1, 2)).astype("float32")
    with simulator(net, minibatch_size=8) as sim:
        plain = keras.layers.BatchNormalization(momentum=0.9)
        np.testing.assert_allclose(sim.predict(x)[probe][:, 0], plain(x[:, 0]), rtol=1e-5)
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        sim.evaluate(x, x, verbose=0)
        np.testing.assert_array_equal(layer.moving_mean, np.zeros(2))
        sim.fit(x, x, verbose=0)
        plain(x[:, 0], training=True)
        np.testing.assert_allclose(layer.moving_mean, plain.moving_mean, rtol=1e-5)
        np.testing.assert_allclose(layer.moving_variance, plain.moving_variance, rtol=1e-5)
        np.testing.assert_allclose(sim.predict(x)[probe][:, 0], plain(x[:, 0]), rtol=1e-4)


@pytest.mark.training
@pytest.mark.parametrize("phase", [None, True, False])
def test_layers_are_told_whether_they_train(phase):
    class Tell(keras.layers.Layer):
        def call(self, inputs, training=None):
            return inputs * 0 + (2.0 if training else 1.0)

    with nengo.Network() as net:
        nengo_dl.configure_settings(learning_phase=phase)
        probe = nengo.Probe(Layer(Tell())(nengo.Node([0.0])))
    with simulator(net) as sim:
        loss = {probe: lambda y_true, y_pred: tf.reduce_mean(y_pred)}
        sim.compile(keras.optimizers.SGD(0.0), loss=loss)
        y = np.zeros((1, 2, 1))
        inference, training = {None: (1, 2), True: (2, 2), False: (1, 1)}[phase]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert sim.evaluate(n_steps=2, y=y, verbose=0)["loss"] == inference
        assert np.all(sim.predict(n_steps=2)[probe] == inference)
        sim.run_steps(2)
        assert np.all(sim.data[probe] == inference)
        x = {"n_steps": np.full((1, 1), 2), "node": np.zeros((1, 2, 1), "f4")}
        assert np.all(sim.keras_model(x, training=True)["probe"] == training)


@pytest.mark.training
def test_losses_of_regularizers_are_added():
    dense = keras.layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")
    with nengo.Network() as net:
        probe = nengo.Probe(Layer(dense)(nengo.Node([1.0])))
    with simulator(net) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss={probe: "mse"})
        found = sim.evaluate(n_steps=2, y={probe: np.ones((1, 2, 1))}, verbose=0)
        assert found == pytest.approx({"loss": 0.01, "probe_loss": 0})


@pytest.mark.training
def test_settings_of_layers_decide_what_is_trained():
    def make(**settings):
        dense = keras.layers.Dense(2)
        frozen = keras.layers.Dense(2, trainable=False)
        with nengo.Network() as net:
            nengo_dl.configure_settings(**settings)
            node = nengo.Node(np.zeros(2))
            nengo.Probe(Layer(frozen)(Layer(dense)(node)))
        return simulator(net)

    for settings, expected in (({"trainable": False}, 2), ({"inference_only": True}, 0)):
        with make(**settings) as sim:
            assert len(sim.keras_model.trainable_weights) == expected
            assert len(sim.keras_model.weights) == 4


def test_layer_of_another_precision_is_cast():
    out = run(lambda node: Layer(keras.layers.Dense(2))(node), X, dtype="float64")
    assert out.dtype == np.float64


# --- Layer ---------------------------------------------------------------------------------------


def test_layer_makes_a_node_and_a_connection():
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(4))
        func = lambda x: x  # noqa: E731
        obj, conn = Layer(func)(node, return_conn=True, synapse=0.1)
        assert isinstance(obj, TensorNode) and obj.shape_in == (4,)
        assert conn.synapse == nengo.Lowpass(0.1) and conn.pre is node and conn.post is obj
        obj = Layer(func)(node, shape_in=(2, 2), label="mine")
        assert obj.shape_in == (2, 2) and obj.label == "mine"
        assert Layer(func)(node, transform=np.ones((3, 4))).size_in == 3
        assert Layer(func)(node, transform=2).size_in == 4
        assert Layer(func)(node, transform=nengo.dists.Uniform(0, 1), shape_in=(5,)).size_in == 5
        assert Layer(functools.partial(func))(node).size_out == 4
        obj, conn = Layer(nengo.LIF())(node, return_conn=True, gain=np.ones(4), bias=np.zeros(4))
        assert isinstance(obj, nengo.ensemble.Neurons) and obj.size_in == 4
        assert conn.synapse is None
    with simulator(net) as sim:
        assert not any("->" in w.name for w in sim.keras_model.trainable_weights)


def test_connections_of_layers_are_frozen_in_any_network():
    with nengo.Network() as net:
        with nengo.Network():
            node = nengo.Node(np.zeros(2))
            nengo.Probe(Layer(lambda x: x)(node, transform=np.ones((2, 2))))
    with simulator(net) as sim:
        assert sim.keras_model.trainable_weights == []
    with nengo.Network() as net:
        nengo_dl.configure_settings(trainable=True)
        with nengo.Network():
            nengo_dl.configure_settings(trainable=True)
            node = nengo.Node(np.zeros(2))
            nengo.Probe(Layer(lambda x: x)(node, transform=np.ones((2, 2))))
    with simulator(net) as sim:
        assert sim.keras_model.trainable_weights == []


def test_names_of_layers():
    assert str(Layer(keras.layers.Dense(1, name="mine"))) == "Layer(mine)"
    assert str(Layer(test_names_of_layers)) == "Layer(test_names_of_layers)"
    assert str(Layer(nengo.LIF())) == "Layer(LIF())"


def test_tensor_layer_is_deprecated():
    with nengo.Network(), pytest.warns(DeprecationWarning, match="use nengo_dl.Layer"):
        assert nengo_dl.tensor_layer(nengo.Node([0]), lambda x: x).size_in == 1


@pytest.mark.parametrize("value", [None, 3, np.ones(4), keras.Input((4,))])
def test_layers_of_what_is_in_no_network(value):
    layer = nengo_dl.Layer(keras.layers.Dense(3, name="dense"))
    with (
        nengo.Network(),
        pytest.raises(ValidationError, match=r"Layer\(dense\) is applied to.*type"),
    ):
        layer(value)


@pytest.mark.parametrize(
    "func, argument, takes",
    [
        (keras.layers.Dense(3), "activation", "TensorNode: label, shape_out"),
        (keras.layers.Dense(3), "pass_time", "TensorNode: label, shape_out"),
        (nengo.LIF(), "shape_out", "Ensemble: bias, encoders"),
        (nengo.LIF(), "n_neurons", "Ensemble: bias, encoders"),
    ],
)
def test_arguments_that_layers_do_not_take(func, argument, takes):
    with nengo.Network() as net:
        node = nengo.Node([0.0] * 4)
        with pytest.raises(ValidationError, match=f"takes no argument '{argument}'.*{takes}"):
            nengo_dl.Layer(func)(node, **{argument: 1})
        assert len(net.all_objects) == 1, "nothing was made"
        nengo_dl.Layer(nengo.LIF())(node, max_rates=nengo.dists.Choice([50]), label="lif")
        nengo_dl.Layer(keras.layers.Dense(3))(node, shape_out=(3,), label="dense")


def test_validate_output():
    """As the original had it, for those who check their functions themselves."""
    check, output = nengo_dl.tensor_node.validate_output, tf.zeros((2, 3, 4))
    for arguments in ({}, {"minibatch_size": 2, "output_d": 12, "dtype": tf.float32}):
        check(output, **arguments)
    for arguments, message in (
        ({"minibatch_size": 3}, "minibatch size 3, got shape"),
        ({"output_d": 5}, "expected 5 output elements.*got 12"),
        ({"dtype": "float64"}, "dtype float64, got float32"),
    ):
        with pytest.raises(ValidationError, match=message):
            check(output, **arguments)
    with pytest.raises(ValidationError, match="must return a tensor, got ndarray"):
        check(np.zeros((2, 3)))


class Told(keras.layers.Layer):
    """Is to be told whether it trains."""

    def call(self, x, training=None):
        return x


class Around(keras.layers.Layer):
    """Takes no `training` itself, but has a layer that does."""

    def __init__(self):
        super().__init__()
        self.inner = Told()

    def call(self, x):
        return self.inner(x)


ALONE = ("itself", "built before")


@pytest.mark.training
@pytest.mark.parametrize("kind", [*ALONE, "within a model", "within a layer"])
def test_layers_are_always_told_whether_they_train(monkeypatch, kind):
    told = []
    monkeypatch.setattr(Told, "call", lambda self, x, training=None: told.append(training) or x)
    layer = {"within a model": keras.Sequential([Told()]), "within a layer": Around()}.get(kind)
    layer = Told() if layer is None else layer
    if kind == "built before":
        layer.build((None, 2))
    with nengo.Network() as net:
        node = TensorNode(layer, shape_in=(2,), pass_time=False)
        nengo.Connection(nengo.Node([1.0, 2.0]), node, synapse=None)
        nengo.Probe(node)
    with simulator(net) as sim:
        # Keras itself tells layers within others nothing while it lets the outer one build them
        assert told and set(told) <= ({False} if kind in ALONE else {None, False})
        told.clear()
        sim.run_steps(2)
        assert told and set(told) == {False}
        sim.compile("sgd", loss="mse")
        sim.fit(n_steps=2, y=np.zeros((1, 2, 2)), verbose=0)
    assert set(told) == {False, True}


MADE_INSIDE = {
    "layer": lambda x: keras.layers.Dense(1)(x),
    "Keras variable": lambda x: x * keras.Variable(1.0),
    "TensorFlow variable": lambda x: x * tf.Variable(1.0),
}


@pytest.mark.parametrize("shape_out", [None, (1,)])
@pytest.mark.parametrize("func", MADE_INSIDE.values(), ids=MADE_INSIDE)
def test_variables_cannot_be_made_inside_the_function(func, shape_out):
    with nengo.Network() as net:
        TensorNode(func, shape_in=(1,), shape_out=shape_out, pass_time=False, label="maker")
    message = "maker.*makes a variable.*Make the layer once, outside of the function"
    with pytest.raises(ValidationError, match=message):
        simulator(net)


def test_variables_that_a_function_uses_are_named():
    """They are not trained; but weights of a layer that is part of the simulation are."""
    variable, known = tf.Variable(2.0, name="mine"), keras.layers.Dense(1, name="known")
    captured = keras.layers.Dense(1, name="captured")
    captured.build((None, 1))

    def func(x):
        return captured(x) * variable

    with nengo.Network() as net:
        node = nengo.Node([1.0])
        Layer(func)(node, label="user")
        nengo_dl.Layer(known)(node)
        nengo_dl.Layer(lambda x: known(x))(node)
    message = "user.*'captured/bias', 'captured/kernel', 'mine', which fit does not train"
    with pytest.warns(UserWarning, match=message) as caught:
        simulator(net).close()
    assert [w.filename for w in caught] == [__file__]
