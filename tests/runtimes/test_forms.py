"""Forms of data that users of Nengo and of Keras expect to work, and what is said otherwise."""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.runtimes.tensorflow.backend import HostCalls
from nengo_dl.runtimes.tensorflow.keras import iterables


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


# --- the order of nodes, not of names ------------------------------------------------------------


@pytest.fixture(scope="module", params=["labels", "no labels"])
def echo(request):
    """Return an open simulator of a network that gives its inputs, whose names do not sort."""
    labels = ("b", "a") if request.param == "labels" else (None, None)
    with nengo.Network() as net:
        net.b, net.a = (nengo.Node([0.0], label=label) for label in labels)
        net.pb, net.pa = nengo.Probe(net.b), nengo.Probe(net.a)
    with simulator(net) as sim:
        sim.net = net
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        yield sim


ONE, N = np.ones((1, 2, 1)), np.full((1, 1), 2)
INPUTS = {
    "tuple": lambda net: (3 * ONE, 5 * ONE),
    "tuple with n_steps": lambda net: (3 * ONE, 5 * ONE, N),
    "list": lambda net: [3 * ONE, 5 * ONE],
    "objects": lambda net: {net.a: 5 * ONE, net.b: 3 * ONE},
    "objects and n_steps": lambda net: {net.a: 5 * ONE, net.b: 3 * ONE, "n_steps": N},
}
TARGETS = {
    "tuple": lambda net: (3 * ONE, 5 * ONE),
    "list": lambda net: [3 * ONE, 5 * ONE],
    "objects": lambda net: {net.pa: 5 * ONE, net.pb: 3 * ONE},
}


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("inputs", INPUTS)
def test_items_of_generators_are_in_the_order_of_nodes(echo, inputs, targets):
    x, y = INPUTS[inputs](echo.net), TARGETS[targets](echo.net)
    assert echo.evaluate(iter([(x, y)] * 2), verbose=0)["loss"] == 0
    history = echo.fit(
        iter([(x, y)] * 2), validation_data=iter([(x, y)]), validation_steps=1, verbose=0
    ).history
    assert history["loss"] == history["val_loss"] == [0]
    found = echo.predict(iter([(x, y)]))
    np.testing.assert_array_equal(found[echo.net.pb], 3 * ONE)
    np.testing.assert_array_equal(found[echo.net.pa], 5 * ONE)


def test_items_of_generators_are_read_without_a_tuner():
    """An iterator with one, when it is freed, may wait for it as long as it was kept."""
    data = iterables.dataset_of(iter([(ONE, ONE)]), lambda item: item, HostCalls("float64"))
    assert data.options().autotune.enabled is False


@pytest.mark.parametrize("n_steps", [True, False])
def test_datasets_are_in_the_order_of_nodes(echo, n_steps):
    x = (3 * ONE, 5 * ONE, N) if n_steps else (3 * ONE, 5 * ONE)
    data = tf.data.Dataset.from_tensors((x, (3 * ONE, 5 * ONE)))
    assert echo.evaluate(data, verbose=0)["loss"] == 0
    assert echo.fit(data, validation_data=data, verbose=0).history["val_loss"] == [0]
    assert echo.predict(data)[echo.net.pb][0, 0, 0] == 3
    names = echo.keras_model.input_names
    assert names == [echo._compiled.names[n] for n in (echo.net.b, echo.net.a)] + ["n_steps"]


def test_weights_of_samples_by_object(echo):
    net = echo.net
    x, y = {net.a: ONE, net.b: ONE}, {net.pa: 0 * ONE, net.pb: 0 * ONE}
    weight = {net.pa: np.ones(1), net.pb: np.zeros(1)}
    found = echo.evaluate(iter([(x, y, weight)]), verbose=0)
    assert found["loss"] == 1
    assert echo.evaluate(iter([(x, y, np.full(1, 0.5))]), verbose=0)["loss"] == 1


def test_targets_without_names_belong_to_losses(echo):
    """As many as losses, they are for the probes that have one."""
    net = echo.net
    echo.compile(keras.optimizers.SGD(0.0), loss={net.pa: "mse"})
    for form in (ONE, [ONE], iter([((0 * ONE, 3 * ONE), ONE)])):
        y = () if hasattr(form, "__next__") else (form,)
        x = form if hasattr(form, "__next__") else [0 * ONE, 3 * ONE]
        assert echo.evaluate(x, *y, verbose=0)["loss"] == 4
    echo.compile(keras.optimizers.SGD(0.0), loss="mse")


BAD_ITEMS = {
    "too many inputs": (lambda net: ((ONE,) * 4, (ONE, ONE)), "4 inputs, expected at most 3"),
    "missing": (lambda net: ({net.a: ONE}, (ONE, ONE)), "needs all inputs, so also"),
    "foreign": (lambda net: ({"c": ONE}, (ONE, ONE)), "'c' is not one of the network's inputs"),
    "too many targets": (lambda net: ((ONE, ONE), (ONE,) * 3), "targets for 3 probes, expected"),
    "unknown probe": (lambda net: ((ONE, ONE), {"c": ONE}), "'c' is not one of.*targets"),
    "too long": (lambda net: (ONE,) * 4, "tuple of 4, expected inputs, targets"),
    "steps": (lambda net: ((ONE, ONE, 2 * N), (ONE, ONE)), "2 steps, but n_steps is 4"),
    "lengths": (lambda net: ((ONE, np.ones((1, 3, 1))), (ONE, ONE)), "differ in their steps"),
    "size": (lambda net: ((ONE, np.ones((1, 2, 2))), (ONE, ONE)), r"shape \(1, 2, 2\) for.*, 1\)"),
    "no steps": (lambda net: ((ONE[:, :0],) * 2, (ONE, ONE)), "at least one of each"),
}


@pytest.mark.parametrize("case", BAD_ITEMS)
@pytest.mark.parametrize("number", [0, 2])
def test_bad_items(echo, case, number):
    """In the first item, and in one that comes when TensorFlow already reads them."""
    make, message = BAD_ITEMS[case]
    good = ((ONE, ONE), (ONE, ONE))
    message = f"{message}|item 3 of the generator has other data" if number else message
    with pytest.raises(ValidationError, match=message):
        echo.fit(iter([good] * number + [make(echo.net)]), verbose=0)


MISTAKES = {
    "too many inputs": (
        lambda b, a: ((ONE,) * 4, (ONE, ONE)),
        "x: a minibatch has 4 inputs, expected at most 3: .*'n_steps'",
    ),
    "too many targets": (
        lambda b, a: ((ONE, ONE), (ONE,) * 3),
        "y: a minibatch has targets for 3 probes, expected at most 2",
    ),
    "too many weights": (
        lambda b, a: ((ONE, ONE), (ONE, ONE), (np.ones(1),) * 3),
        "sample_weight: a minibatch has weights for 3 probes, expected at most 2",
    ),
    "missing": (
        lambda b, a: ({b: ONE, "n_steps": N}, (ONE, ONE)),
        "x: a minibatch has .*'n_steps'; each needs all inputs, so also",
    ),
    "foreign input": (
        lambda b, a: ({b: ONE, a: ONE, "c": ONE}, (ONE, ONE)),
        "x: 'c' is not one of the network's inputs ",
    ),
    "foreign target": (
        lambda b, a: ((ONE, ONE), {"c": ONE}),
        "y: 'c' is not one of the network's targets ",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_has_one_message(echo, case):
    """Whether Keras reads what our generators gave, or is given the same without us."""
    make, message = MISTAKES[case]
    item = make(*(echo._compiled.names[n] for n in (echo.net.b, echo.net.a)))
    with pytest.raises(ValidationError, match=message):
        echo.fit(iter([item]), verbose=0)
    with pytest.raises(ValidationError, match=message):
        echo.keras_model.fit(tf.data.Dataset.from_tensors(item), verbose=0)


def test_an_input_given_twice_in_an_item(echo):
    names = echo._compiled.names
    x = {echo.net.a: ONE, names[echo.net.a]: 2 * ONE, echo.net.b: ONE}
    with pytest.raises(ValidationError, match="given input data twice, by itself and by its name"):
        echo.fit(iter([(x, (ONE, ONE))]), verbose=0)
    y = {echo.net.pa: ONE, names[echo.net.pa]: 2 * ONE}
    with pytest.raises(ValidationError, match="given target data twice, by itself and by its name"):
        echo.fit(iter([((ONE, ONE), y)]), verbose=0)


def test_data_that_exclude_each_other(echo):
    with pytest.raises(ValidationError, match="items have targets, as second elements"):
        echo.fit(iter([((ONE, ONE), (ONE, ONE))]), (ONE, ONE), verbose=0)
    with pytest.raises(ValidationError, match="has no items, expected at least one"):
        echo.fit(iter([]), verbose=0)
    with pytest.raises(ValidationError, match="validation_data.*got 1 elements"):
        echo.fit([ONE, ONE], [ONE, ONE], validation_data=([ONE, ONE],), verbose=0)


# --- targets that would be broadcast -------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    with nengo.Network() as net:
        net.a = nengo.Node(np.zeros(2), label="a")
        net.p = nengo.Probe(net.a, label="p")
    with simulator(net, minibatch_size=5) as sim:
        yield sim


X = np.ones((5, 10, 2))
CROSS = "categorical_crossentropy"
BROADCAST = [
    ("mse", (5, 10, 1)),
    ("mse", (5, 10, 7)),
    ("mse", (5, 1, 2)),
    ("mae", (5, 1, 1)),
    (keras.losses.MeanSquaredError(), (5, 1, 2)),
    (keras.losses.Huber(), (5, 10, 1)),
    (keras.losses.mean_absolute_error, (5, 10, 1)),
    (nengo_dl.losses.nan_mse, (5, 1, 2)),
    (CROSS, (5, 10, 1)),
    ("sparse_" + CROSS, (5, 10, 2)),
    ("sparse_" + CROSS, (5, 1, 1)),
]


def without_address(value):
    """Return what is called the same in all processes that collect tests."""
    if isinstance(value, str | tuple):
        return str(value)
    return value.name if isinstance(value, keras.losses.Loss) else value.__name__


@pytest.mark.parametrize("loss, shape", BROADCAST, ids=without_address)
@pytest.mark.parametrize("form", ["fit", "evaluate", "validation_data", "generator", "Dataset"])
def test_targets_are_not_broadcast(pair, loss, shape, form):
    pair.compile("sgd", loss=loss)
    y, good = np.ones(shape), np.ones((5, 10, 1 if "sparse" in str(loss) else 2))
    calls = {
        "fit": lambda: pair.fit(X, y, verbose=0),
        "evaluate": lambda: pair.evaluate(X, y, verbose=0),
        "validation_data": lambda: pair.fit(X, good, validation_data=(X, y), verbose=0),
        "generator": lambda: pair.fit(iter([(X, y)]), verbose=0),
        "Dataset": lambda: pair.fit(tf.data.Dataset.from_tensors((X, y)), verbose=0),
    }
    output = r"\(5, 10, 2\)"
    given = str(shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValidationError, match=rf"'p' have shape {given}, expected.*{output}"):
        calls[form]()


def test_metrics_do_not_broadcast_either(pair):
    pair.compile("sgd", loss=lambda y, out: out, metrics=["mae"])
    with pytest.raises(ValidationError, match=r"\(5, 1, 2\), expected \(5, 10, 2\).*absolute"):
        pair.evaluate(X, np.ones((5, 1, 2)), verbose=0)


def test_targets_of_other_shapes_where_asked_for(pair):
    """By a function of the user's own, or one that looks at no targets."""
    own = lambda y, out: tf.reduce_mean((y - out) ** 2)  # noqa: E731
    for loss in (own, nengo_dl.losses.Regularize()):
        pair.compile("sgd", loss=loss)
        for shape in ((5, 1, 2), (5, 10, 1), (5, 1, 1)):
            assert np.isfinite(pair.evaluate(X, np.ones(shape), verbose=0)["loss"])


def test_targets_of_the_last_step():
    with nengo.Network() as net:
        nengo_dl.configure_settings(keep_history=False)
        nengo.Probe(nengo.Node([0.0]), label="p")
    x = np.ones((2, 4, 1))
    with simulator(net) as sim:
        sim.compile("sgd", loss="mse")
        assert sim.evaluate(x, x[:, :1], verbose=0)["loss"] == 0
        with pytest.raises(ValidationError, match=r"\(2, 4, 1\), expected \(2, 1, 1\)"):
            sim.evaluate(x, x, verbose=0)


# --- single steps, tables and labels -------------------------------------------------------------


@pytest.fixture(scope="module")
def layer():
    """Return an open simulator of a dense layer."""
    with nengo.Network() as net:
        net.a, out = nengo.Node(np.zeros(3), label="a"), nengo.Node(size_in=2)
        nengo.Connection(net.a, out, transform=np.ones((2, 3)), synapse=None)
        net.p = nengo.Probe(out, label="my output")
    with simulator(net, minibatch_size=4) as sim:
        sim.net = net
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        yield sim


FLAT, FLAT_Y = np.arange(18.0).reshape(6, 3), np.arange(12.0).reshape(6, 2)


def in_forms(x, y):
    """Give the arguments of `fit` for data without an axis of steps."""
    yield "arrays", (x, y)
    yield "dict", ({"a": x}, {"my_output": y})
    yield "lists", (x.tolist(), y.tolist())
    yield "tensors", (tf.constant(x), tf.constant(y))
    yield "Dataset", (tf.data.Dataset.from_tensor_slices((x, y)).batch(4),)
    yield "generator", (((x[i : i + 4], y[i : i + 4]) for i in (0, 4)),)


def test_single_steps(layer):
    expected = np.mean((FLAT.sum(axis=1, keepdims=True) - FLAT_Y) ** 2)
    for form, data in in_forms(FLAT, FLAT_Y):
        if form == "lists":
            data = (np.array(data[0]), np.array(data[1]))
        found = layer.fit(*data, verbose=0).history["loss"]
        assert found == pytest.approx([expected], rel=1e-5), form
    output = layer.predict(FLAT)[layer.net.p]
    np.testing.assert_allclose(output, FLAT.sum(axis=1)[:, None, None] * np.ones(2), rtol=1e-6)
    np.testing.assert_array_equal(layer.predict(FLAT, n_steps=1)[layer.net.p], output)
    pairs = tf.data.Dataset.from_tensor_slices((FLAT, FLAT_Y)).batch(4)
    np.testing.assert_array_equal(layer.predict(pairs)[layer.net.p], output)
    validation = (FLAT[:3], FLAT_Y[:3])
    history = layer.fit(FLAT, FLAT_Y, validation_data=validation, validation_split=0, verbose=0)
    assert len(history.history["val_loss"]) == 1
    with pytest.raises(ValidationError, match=r"rank 3 \(batch, steps, 3\), found rank 2"):
        layer.predict(FLAT, n_steps=6)


def test_classes_of_single_steps(layer):
    layer.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classes = np.arange(6) % 2
    found = [layer.evaluate(FLAT, y, verbose=0)["loss"] for y in (classes, classes[:, None])]
    pairs = tf.data.Dataset.from_tensor_slices((FLAT, classes)).batch(4)
    found.append(layer.evaluate(pairs, verbose=0)["loss"])
    assert found == pytest.approx([np.log(2)] * 3, rel=1e-6)
    layer.compile(keras.optimizers.SGD(0.0), loss="mse")


def test_single_steps_that_would_show_nothing():
    with nengo.Network() as net:
        net.p = nengo.Probe(nengo.Node(np.zeros(3)), synapse=0.01)
    with simulator(net) as sim:
        with pytest.raises(ValidationError, match=r"single step, add an axis: x\[:, None, :\]"):
            sim.predict(FLAT)
        with pytest.warns(UserWarning, match="Running for one step"):
            assert sim.predict(FLAT, n_steps=1)[net.p].shape == (6, 1, 3)


class Table:
    """What a DataFrame of pandas has of an array."""

    def __init__(self, values):
        self.shape, self._values = values.shape, values

    def __iter__(self):
        return iter(range(self.shape[1]))

    def to_numpy(self):
        return self._values


def tables():
    """Return kinds of tables."""
    try:
        import pandas as pd
    except ImportError:
        return [Table]
    return [Table, pd.DataFrame]


@pytest.mark.parametrize("table", tables(), ids=lambda kind: kind.__module__)
def test_tables(layer, table):
    net = layer.net
    expected = layer.predict(FLAT)[net.p]
    np.testing.assert_array_equal(layer.predict(table(FLAT))[net.p], expected)
    np.testing.assert_array_equal(layer.predict({net.a: table(FLAT)})[net.p], expected)
    loss = layer.evaluate(FLAT, FLAT_Y, verbose=0)["loss"]
    assert layer.evaluate(table(FLAT), table(FLAT_Y), verbose=0)["loss"] == loss
    history = layer.fit(
        table(FLAT), {net.p: table(FLAT_Y)}, validation_data=(table(FLAT), table(FLAT_Y)), verbose=0
    ).history
    assert history["val_loss"] == pytest.approx([loss])


def test_tables_with_text(layer):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"x": [1.0], "name": ["a"], "y": [2.0]})
    with pytest.raises(ValidationError, match="'a' are DataFrame with columns 'name'.*numbers"):
        layer.predict(table)
    with pytest.raises(ValidationError, match=r"DataFrame.*|shape \(1, 1, 2\), expected"):
        layer.predict(table[["x", "y"]])


def test_outputs_by_label(layer):
    found = layer.predict(FLAT)
    assert found["my output"] is found["my_output"] is found[layer.net.p]
    assert "my output" in found and "other" not in found and found.get("other") is None
    assert list(found) == [layer.net.p] and len(found) == 1
    with pytest.raises(KeyError, match="'other' is not one of.*'my_output'"):
        found["other"]
    assert layer.predict_on_batch(FLAT[:4])["my output"].shape == (4, 1, 2)


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stateful", [10, 0, "yes", None])
@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "evaluate", "fit", "run_steps"])
def test_stateful_is_a_truth_value(layer, method, stateful):
    x, y = FLAT[:4, None], FLAT_Y[:4, None]
    args = {
        "fit": (x, y, 1, stateful),
        "evaluate": (x, y, 1, stateful),
        "run_steps": (1, x, None, stateful),
    }.get(method, (x, 1, stateful))
    message = rf"stateful.*True or False, got {stateful!r}.*n_steps.*stateful.*epochs=10"
    with pytest.raises(ValidationError, match=message):
        getattr(layer, method)(*args)


def test_third_argument_is_the_number_of_steps(layer):
    x, y = FLAT[:, None], FLAT_Y[:, None]
    assert len(layer.fit(x, y, 1, False, verbose=0).history["loss"]) == 1
    assert layer.evaluate(x, y, 1, np.False_, verbose=0)["loss"] > 0
    with pytest.raises(ValidationError, match=r"targets.*\(6, 1, 2\), expected \(6, 4, 2\)"):
        layer.fit(x, y, 4, verbose=0)


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "evaluate", "fit"])
def test_numbers_of_steps(layer, method):
    call = getattr(layer, method)
    y = () if "predict" in method else (np.ones((4, 2, 2)),)
    for n_steps, message in ((0, "at least one step"), (-3, "at least one step"), (2.5, "whole")):
        with pytest.raises(ValidationError, match=f"n_steps.*{message}.*{n_steps}"):
            call(None, *y, n_steps=n_steps)
    with pytest.raises(ValidationError, match="whole number of steps, got '4'"):
        call(None, *y, n_steps="4")
    for shape in ((4, 0, 3), (0, 2, 3)):
        with pytest.raises(ValidationError, match="at least one item and one step"):
            call(np.ones(shape), *y)
