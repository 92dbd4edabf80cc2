"""Data whose items are no multiple of the minibatch: none is lost, and none counts twice."""

import warnings

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import ValidationError

import nengo_dl

pytestmark = pytest.mark.training

BATCH = 4
SIZES = [1, 3, 4, 7]


def simulator(net, minibatch_size=BATCH, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False, **kwargs)


def dense(n_steps=1):
    """Return a network that is a dense layer, inputs, and classes of seven items."""
    rng = np.random.RandomState(0)
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        net.a, out = nengo.Node(np.zeros(3)), nengo.Node(size_in=2)
        net.weights = rng.uniform(-1, 1, (2, 3))
        nengo.Connection(net.a, out, transform=net.weights, synapse=None)
        net.p = nengo.Probe(out, label="p")
    return net, rng.uniform(-1, 1, (7, n_steps, 3)), rng.randint(2, size=(7, n_steps, 1))


def keras_model(net, steps=1):
    """Return the same as a model of Keras, which takes a smaller last minibatch as it is."""
    x = keras.Input((steps, 3), dtype="float64")
    layer = keras.layers.Dense(2, use_bias=False, dtype="float64")
    model = keras.Model(x, layer(x))
    layer.set_weights([net.weights.T])
    return model


@pytest.fixture(autouse=True)
def in_double_precision():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def compiled(model, **loss):
    loss = loss or {
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }
    model.compile(keras.optimizers.SGD(0.5), **loss)
    return model


def same(history, expected):
    """Compare logs of a simulation with those of a model of Keras."""
    renamed = {key.replace("p_accuracy", "accuracy"): v for key, v in history.items()}
    for key, values in expected.items():
        np.testing.assert_allclose(renamed[key], values, rtol=1e-12, err_msg=key)


# --- what Keras does -----------------------------------------------------------------------------

OPTIONS = {
    "plain": {},
    "sample_weight": {"sample_weight": np.arange(7.0)},
    "class_weight": {"class_weight": {0: 3.0, 1: 0.5}},
    "validation_split": {"validation_split": 0.3},
    "steps_per_epoch": {"steps_per_epoch": 1},
    "steps_per_execution": {},
    "weights and split": {"sample_weight": np.arange(7.0), "validation_split": 0.2},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_fit_is_as_in_keras(case):
    net, x, y = dense()
    options = {"epochs": 3, "shuffle": False, "verbose": 0, **OPTIONS[case]}
    reference = keras_model(net)
    compiled(reference)
    if case == "class_weight":  # for outputs with steps, Keras has none
        factors = np.where(y[:, 0, 0] == 0, 3.0, 0.5)
        options = {**options, "sample_weight": factors}
        options.pop("class_weight")
    expected = reference.fit(x, y, batch_size=BATCH, **options).history
    if case == "class_weight":
        options = {**options, **OPTIONS[case]}
        options.pop("sample_weight")
    with simulator(net) as sim:
        compiled(sim)
        if case == "steps_per_execution":
            sim.keras_model.steps_per_execution = 2
        history = sim.fit(x, y, **options).history
        same(history, expected)
        np.testing.assert_allclose(
            sim.keras_model.get_weights()[0], reference.get_weights()[0].T, rtol=1e-12
        )


@pytest.mark.parametrize("items", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate_is_as_in_keras(items, weighted):
    net, x, y = dense()
    x, y = x[:items], y[:items]
    weights = np.arange(1.0, 1 + items) if weighted else None
    loss = {
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
        "weighted_metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy_w")],
    }
    reference = compiled(keras_model(net), **loss)
    expected = reference.evaluate(
        x, y, batch_size=BATCH, sample_weight=weights, return_dict=True, verbose=0
    )
    with simulator(net) as sim:
        compiled(sim, **loss)
        found = sim.evaluate(x, y, sample_weight=weights, verbose=0)
    assert list(found) == ["loss", "p_loss", "p_accuracy", "p_accuracy_w"]
    assert [found[k] for k in ("loss", "p_accuracy", "p_accuracy_w")] == pytest.approx(
        [expected[k] for k in ("loss", "accuracy", "accuracy_w")], rel=1e-12
    )


def test_losses_that_are_means_already():
    """The user's own mean over a minibatch has the items in it that there are, and no other."""
    net, x, _ = dense(n_steps=2)
    y = np.zeros((7, 2, 2))
    y[::2, 0] = np.nan
    for loss in (nengo_dl.losses.nan_mse, lambda y, out: tf.reduce_max(out) - y.shape[0]):
        with simulator(net) as sim, simulator(net, minibatch_size=3) as other:
            compiled(sim, loss=loss)
            compiled(other, loss=loss)
            found = sim.evaluate(x, y, verbose=0)["loss"]
            parts = [
                other.evaluate(x[4:], y[4:], verbose=0)["loss"],
                sim.evaluate(x[:4], y[:4], verbose=0)["loss"],
            ]
            assert found == pytest.approx((3 * parts[0] + 4 * parts[1]) / 7, rel=1e-12)


def test_all_items_are_seen_once_an_epoch():
    net, x, _ = dense()
    seen = []

    def look(y_true, y_pred):
        tf.py_function(lambda y: seen.extend(y.numpy()[:, 0, 0]), [y_true], [])
        return y_pred * 0

    y = np.broadcast_to(np.arange(7.0)[:, None, None], (7, 1, 2))
    with simulator(net) as sim:
        compiled(sim, loss=look)
        sim.fit(x, y, epochs=2, verbose=0)
    assert sorted(seen[:7]) == sorted(seen[7:]) == list(range(7))
    assert seen[:7] != list(range(7))  # shuffled


# --- predict and one item at a time --------------------------------------------------------------


def spiking():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.a = nengo.Node(np.zeros(2), label="a")
        ens = nengo.Ensemble(20, 2)
        nengo.Connection(net.a, ens, synapse=0.005)
        net.p = nengo.Probe(ens, synapse=0.01, label="p")
        nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(seed=3)), label="noise")
        nengo.Probe(nengo.Node(lambda t: t), label="time")
    return net


@pytest.mark.parametrize("items", SIZES)
def test_predict_gives_all_items(items):
    net = spiking()
    x = np.random.RandomState(1).uniform(-1, 1, (items, 9, 2))
    with simulator(net) as sim, simulator(net, minibatch_size=None) as single:
        found, expected = sim.predict({net.a: x}), single.predict({net.a: x})
        assert list(found) == list(expected)
        for probe, array in expected.items():
            assert array.shape[0] == items
            np.testing.assert_allclose(found[probe], array, rtol=1e-12, atol=1e-14)
        y = np.zeros((items, 9, 2))
        for each in (sim, single):
            compiled(each, loss={"p": "mse"}, metrics={"p": "mae"})
        assert sim.evaluate({net.a: x}, {"p": y}, verbose=0) == pytest.approx(
            single.evaluate({net.a: x}, {"p": y}, verbose=0), rel=1e-12
        )


FORMS = {
    "arrays": lambda x, y: (x, y),
    "Dataset": lambda x, y: (tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH), None),
    "generator": lambda x, y: (((x[i : i + 4], y[i : i + 4]) for i in range(0, len(x), 4)), None),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("items", SIZES)
def test_fit_on_any_number_of_items(items, form):
    net, x, _ = dense(n_steps=2)
    x, y = x[:items], np.ones((items, 2, 2))
    reference = compiled(keras_model(net, steps=2), loss="mse")
    expected = reference.fit(
        x, y, batch_size=BATCH, shuffle=False, verbose=0, validation_data=(x[:1], y[:1])
    ).history
    with simulator(net) as sim:
        compiled(sim, loss="mse")
        data = FORMS[form](x, y)
        options = {"shuffle": False} if form == "arrays" else {}
        history = sim.fit(*data, validation_data=(x[:1], y[:1]), verbose=0, **options).history
        same(history, expected)


# --- what padded items must not change -----------------------------------------------------------


def learning():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.a = nengo.Node([0.0])
        ens, error = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        nengo.Connection(net.a, ens)
        net.conn = nengo.Connection(
            ens, error, learning_rule_type=nengo.PES(1e-2), transform=1.0, function=lambda x: 0
        )
        nengo.Connection(net.a, error, transform=-1.0)
        nengo.Connection(error, net.conn.learning_rule)
        net.p = nengo.Probe(error, label="p", synapse=0.01)
    return net


@pytest.mark.parametrize("method", ["predict", "evaluate", "fit", "Dataset"])
@pytest.mark.parametrize("stateful", [False, True])
def test_learning_rules_do_not_see_padding(method, stateful):
    """Places of a minibatch that have no item keep what they had learned, and their state."""
    net = learning()
    x = np.random.RandomState(0).uniform(-1, 1, (6, 8, 1))
    whole = np.concatenate([x, x[4:]])
    found = []
    for data in (x, whole):
        with simulator(net) as sim:
            compiled(sim, loss="mse")
            sim.keras_model.optimizer.learning_rate = 0.0
            if method == "predict":
                sim.predict(data, stateful=stateful)
            elif method == "Dataset":
                pairs = tf.data.Dataset.from_tensor_slices((data, data)).batch(BATCH)
                sim.fit(pairs, stateful=stateful, verbose=0)
            else:
                options = {"shuffle": False} if method == "fit" else {}
                getattr(sim, method)(data, data, stateful=stateful, verbose=0, **options)
            if data is x:
                first = np.array(sim.data[net.conn].weights)
                steps = sim.n_steps
            found.append((np.array(sim.data[net.conn].weights), sim.n_steps))
    with simulator(net) as sim:  # the first minibatch alone
        sim.predict(x[:4], stateful=stateful)
        before = np.array(sim.data[net.conn].weights)
    assert steps == (16 if stateful else 0) == found[1][1]
    np.testing.assert_allclose(found[0][0][:2], found[1][0][:2], rtol=1e-12)
    if method == "predict":
        np.testing.assert_allclose(first[2:], before[2:], rtol=1e-12)
    assert not np.allclose(found[0][0][2:], found[1][0][2:])


def test_batch_normalization_says_what_it_sees():
    with nengo.Network() as net:
        a = nengo.Node(np.zeros(2))
        layer = nengo_dl.Layer(keras.layers.BatchNormalization(name="normal"))(a)
        nengo.Probe(layer)
    x = np.random.RandomState(0).uniform(size=(7, 1, 2))
    with simulator(net) as sim:
        compiled(sim, loss="mse")
        with pytest.warns(UserWarning, match="has 3 of 4 items.*'normal' sees too.*not exact"):
            sim.fit(x, x, verbose=0)
        for items in (4, 6):  # copies of two items have their mean and variance
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                sim.fit(x[:items], x[:items], verbose=0)
                sim.evaluate(x, x, verbose=0)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("split, message", [(0.95, "in each"), (1.0, "from 0 to below 1")])
def test_both_parts_of_a_split_have_items(split, message):
    net, x, y = dense()
    with (
        simulator(net) as sim,
        pytest.raises(ValidationError, match=f"validation_split.*{message}"),
    ):
        compiled(sim)
        sim.fit(x, y, validation_split=split, verbose=0)


def test_weights_of_other_items():
    net, x, y = dense()
    with simulator(net) as sim:
        compiled(sim)
        for n in (4, 8):
            with pytest.raises(
                ValidationError, match=rf"shape \({n},\) .*, expected numbers \(7,\)"
            ):
                sim.fit(x, y, sample_weight=np.ones(n), verbose=0)


def test_minibatches_that_are_too_large():
    net, x, y = dense()
    for data in (iter([(x, y)]), tf.data.Dataset.from_tensors((x, y))):
        with simulator(net) as sim:
            compiled(sim)
            with pytest.raises(ValidationError, match="has 7 items, expected at most.*4"):
                sim.fit(data, verbose=0)
