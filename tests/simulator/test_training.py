"""Compile, fit and evaluate: losses, metrics, histories, callbacks, state, and what is trained."""

import contextlib
import csv
import sys
import warnings

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from nengo_dl.callbacks import IsolateState, NengoSummaries, TensorBoard
from tests.networks import Jitter

pytestmark = pytest.mark.training


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


@pytest.fixture
def linear():
    """Return a network that multiplies its input by a weight, which can be trained."""
    with nengo.Network(seed=0) as net:
        net.a, net.b = nengo.Node([0.0], label="a"), nengo.Node(size_in=1)
        net.conn = nengo.Connection(net.a, net.b, transform=2.0, synapse=None)
        net.p = nengo.Probe(net.b)
    return net


@pytest.fixture
def two_probes():
    """Return a network whose two probes see its input, and twice its input."""
    with nengo.Network(seed=0) as net:
        net.a, net.b = nengo.Node([0.0]), nengo.Node(size_in=1)
        net.conn = nengo.Connection(net.a, net.b, transform=2.0, synapse=None)
        net.p, net.q = nengo.Probe(net.a), nengo.Probe(net.b)
    return net


ONES, ZEROS = np.ones((4, 3, 1)), np.zeros((4, 3, 1))


def weight(sim, net):
    """Return the weight of the network's connection as a number."""
    return float(sim.data[net.conn].weights.ravel()[0])


# --- losses and metrics --------------------------------------------------------------------------

LOSSES = {
    "string": lambda net: "mse",
    "function": lambda net: lambda y_true, y_pred: tf.reduce_mean((y_true - y_pred) ** 2),
    "not reduced": lambda net: lambda y_true, y_pred: (y_true - y_pred) ** 2,
    "Keras function": lambda net: keras.losses.mean_squared_error,
    "object": lambda net: keras.losses.MeanSquaredError(),
    "list": lambda net: ["mse", keras.losses.MeanSquaredError()],
    "probes": lambda net: {net.p: "mse", net.q: "mse"},
    "names": lambda net: {"probe": "mse", "probe_1": "mse"},
    "nan_mse": lambda net: nengo_dl.losses.nan_mse,
}


@pytest.mark.parametrize("form", LOSSES)
def test_forms_of_losses(two_probes, form):
    net = two_probes
    with simulator(net, minibatch_size=2) as sim:
        sim.compile(loss=LOSSES[form](net))
        found = sim.evaluate(ONES, [ZEROS, ZEROS], verbose=0)
        assert list(found) == ["loss", "probe_loss", "probe_1_loss"]
        assert found == pytest.approx({"loss": 5, "probe_loss": 1, "probe_1_loss": 4})
        assert all(isinstance(value, float) for value in found.values())


def test_constant_loss(linear):
    with simulator(linear) as sim:
        sim.compile(loss=lambda y_true, y_pred: 3.5)
        assert sim.evaluate(ONES, ZEROS, verbose=0)["loss"] == 3.5


METRICS = {
    "one for all": ("mae", ["probe_mae", "probe_1_mae"]),
    "one each": (["mae", "mse"], ["probe_mae", "probe_1_mse"]),
    "lists": ([["mae", "mse"], []], ["probe_mae", "probe_mse"]),
    "dict": ({"probe_1": ["mae", "mse"]}, ["probe_1_mae", "probe_1_mse"]),
    "object": (
        keras.metrics.MeanAbsoluteError(name="error"),
        ["probe_error", "probe_1_error"],
    ),
}


@pytest.mark.parametrize("form", METRICS)
def test_forms_of_metrics(two_probes, form):
    given, keys = METRICS[form]
    with simulator(two_probes) as sim:
        sim.compile(loss="mse", metrics=given)
        for _ in range(2):  # metrics begin anew in each call
            found = sim.evaluate(ONES, [ZEROS, ZEROS], verbose=0)
            assert list(found) == ["loss", "probe_loss", "probe_1_loss", *keys]
            for key in keys:
                expected = {"probe": 1, "probe_1": 2}[key.rpartition("_")[0]]
                assert found[key] == pytest.approx(expected ** (2 if "mse" in key else 1)), key


def test_metrics_of_a_single_probe(linear):
    def constant_error(y_true, y_pred):
        return 7.0

    with simulator(linear) as sim:
        sim.compile(loss="mse", metrics=["mae", "mse", constant_error])
        found = sim.evaluate(ONES, ZEROS, verbose=0)
        assert list(found)[2:] == ["probe_mae", "probe_mse", "probe_constant_error"]
        assert list(found.values()) == pytest.approx([4, 4, 2, 4, 7])


@pytest.mark.parametrize("sparse", [True, False])
def test_accuracy(sparse):
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(3))
        nengo.Probe(node)
    x = np.eye(3)[[0, 1, 2, 0]][:, None]
    labels = np.array([0, 1, 1, 1])
    y = labels[:, None, None] if sparse else np.eye(3)[labels][:, None]
    loss = keras.losses.SparseCategoricalCrossentropy() if sparse else "categorical_crossentropy"
    with simulator(net) as sim:
        sim.compile(loss=loss, metrics=["accuracy"])
        assert sim.evaluate(x, y, verbose=0)["probe_accuracy"] == pytest.approx(0.5)


def test_loss_weights(two_probes):
    net = two_probes
    with simulator(net) as sim:
        for weights in ([0.5, 0.25], {net.p: 0.5, "probe_1": 0.25}):
            sim.compile(loss="mse", loss_weights=weights)
            found = sim.evaluate(ONES, [ZEROS, ZEROS], verbose=0)
            assert found == pytest.approx({"loss": 1.5, "probe_loss": 1, "probe_1_loss": 4})
        with pytest.warns(UserWarning, match=r"loss_weights \(1\) does not match.*Probes \(2\)"):
            sim.compile(loss="mse", loss_weights=0.5)
        assert sim.evaluate(ONES, [ZEROS, ZEROS], verbose=0)["loss"] == pytest.approx(4.5)


@pytest.mark.parametrize("kind", ["loss", "metrics", "loss_weights"])
def test_unknown_probes_in_compile(two_probes, kind):
    foreign = nengo.Probe(nengo.Node([0], add_to_container=False), add_to_container=False)
    with simulator(two_probes) as sim:
        for key in ("probe_7", foreign, two_probes.a):
            with pytest.raises(ValidationError, match="not one of the network's probes.*'probe_1'"):
                sim.compile(**{"loss": "mse", kind: {key: "mse"}})
        with pytest.raises(TypeError, match="'loss' twice, by position and by name"):
            sim.compile("sgd", "mse", loss="mse")


def test_fit_needs_compile_and_gradients(linear):
    with simulator(linear) as sim:
        for method in (sim.fit, sim.evaluate):
            with pytest.raises((RuntimeError, ValueError), match="compile"):
                method(ONES, ZEROS, verbose=0)
        sim.compile(loss="mse")
        assert isinstance(sim.keras_model.optimizer, keras.optimizers.RMSprop)
    with linear:
        nengo_dl.configure_settings(inference_only=True)
    with simulator(linear) as sim:
        sim.compile(loss="mse")
        assert sim.evaluate(ONES, ZEROS, verbose=0)["loss"] == pytest.approx(4)
        assert sim.keras_model.trainable_weights == []
        for method in (lambda: sim.fit(ONES, ZEROS), sim.check_gradients):
            with pytest.raises(SimulationError, match="Make it without: leave inference_only out"):
                method()


# --- weights of samples --------------------------------------------------------------------------


def test_sample_weights(linear):
    x, y = np.ones((2, 3, 1)), np.ones((2, 3, 1))
    for minibatch_size in (None, 2):
        with simulator(linear, minibatch_size=minibatch_size) as sim:
            sim.compile(loss="mse", loss_weights=[0.5])
            assert sim.evaluate(x, y, verbose=0) == pytest.approx({"loss": 0.5, "probe_loss": 1})
            for given in (
                [0, 1],
                np.array([0.0, 1.0]),
                {linear.p: [0, 1]},
                {"probe": np.array([[0, 0, 0], [1, 1, 1]])},
                [np.array([0, 1])],
            ):
                found = sim.evaluate(x, y, sample_weight=given, verbose=0)
                assert found == pytest.approx({"loss": 0.25, "probe_loss": 0.5})
            with pytest.raises(
                ValidationError,
                match=r"'probe' have shape \(1,\) and type float64, expected numbers \(2,\)",
            ):
                sim.evaluate(x, y, sample_weight=[1.0], verbose=0)


def test_sample_weights_of_validation_and_training(linear):
    with simulator(linear) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        history = sim.fit(
            ONES,
            ZEROS,
            sample_weight=np.zeros(4),
            validation_data=(ONES, ZEROS, np.zeros(4)),
            verbose=0,
        ).history
        assert history == {"loss": [0], "probe_loss": [0], "val_loss": [0], "val_probe_loss": [0]}
        assert weight(sim, linear) == 2


def test_metrics_with_sample_weights(two_probes):
    """`metrics` count all samples alike, `weighted_metrics` do not."""
    net = two_probes
    x, weights = np.arange(1, 5.0)[:, None, None] * np.ones((4, 3, 1)), np.array([1.0, 0, 0, 1])
    errors = keras.metrics.RootMeanSquaredError(name="rmse")
    with simulator(net, minibatch_size=2) as sim:
        sim.compile(
            keras.optimizers.SGD(0.0),
            loss={net.q: "mse"},
            metrics={net.q: "mae"},
            weighted_metrics={net.q: ["mae", errors], "probe": "mse"},
        )
        y = {net.p: 0 * x, net.q: 0 * x}
        expected = {
            "loss": (4 + 64) / 4,
            "probe_1_loss": (4 + 64) / 4,
            "probe_1_mae": 5,
            "probe_1_weighted_mae": (2 + 8) / 2,
            "probe_1_rmse": ((4 + 64) / 2) ** 0.5,
            "probe_mse": (1 + 16) / 2,
        }
        given = {net.q: weights, "probe": np.repeat(weights[:, None], 3, axis=1)}
        found = sim.evaluate(x, y, sample_weight=given, verbose=0)
        assert found == pytest.approx(expected, rel=1e-5) and list(found) == list(expected)
        history = sim.fit(x, y, sample_weight=given, verbose=0).history
        assert list(history) == list(expected)
        assert history["probe_1_weighted_mae"] == pytest.approx([5])


def labelled():
    """Return a network that gives its input, its probe, and inputs and classes of four items."""
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(2), label="x")
        out = nengo.Node(size_in=2)
        nengo.Connection(node, out, transform=1.0, synapse=None)
        net.probe, net.other = nengo.Probe(out, label="y"), nengo.Probe(node, label="other")
    x = np.where(np.eye(2)[[0, 1, 1, 0]], 0.8, 0.2)[:, None]
    return net, x, np.array([0, 1, 0, 1])


@pytest.mark.parametrize("form", ["numbers", "one-hot", "by probe", "by name"])
def test_class_weights(form):
    net, x, classes = labelled()
    one_hot = form == "one-hot"
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    y = np.eye(2)[classes][:, None] if one_hot else classes[:, None, None]
    each = keras.losses.get(loss)(y, x + 0.0).numpy()[:, 0]
    given = {0: 2.0}  # 1 for all others
    given = {"by probe": {net.probe: given}, "by name": {"y": given}}.get(form, given)
    options = {"class_weight": given, "shuffle": False, "verbose": 0}
    with simulator(net, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss={net.probe: loss})
        weights = np.array([2, 1, 2, 1])
        history = sim.fit(x, {"y": y}, **options).history
        assert history["loss"] == pytest.approx([np.mean(weights * each)], rel=1e-5)
        history = sim.fit(
            x, {"y": y}, sample_weight=[1, 2, 3, 4], validation_split=0.5, **options
        ).history
        weights = weights * [1, 2, 3, 4]
        assert history["loss"] == pytest.approx([np.mean((weights * each)[:2])], rel=1e-5)
        # classes have no weights in validation
        assert history["val_loss"] == pytest.approx([np.mean([3, 4] * each[2:])], rel=1e-5)


def test_bad_class_weights():
    net, x, classes = labelled()
    sparse = "sparse_categorical_crossentropy"
    y = {net.probe: classes[:, None, None]}
    both = {**y, net.other: classes[:, None, None]}
    bad = {
        "expected a dict, got 3": (3, {"y": sparse}, y),
        "2 probes have a loss .'y', 'other'.*by probe": ({0: 1.0}, sparse, both),
        "there are no targets for 'other'": (
            {"other": {0: 1.0}},
            {"y": sparse},
            {"y": y[net.probe]},
        ),
        "targets of 'y' have no classes": (
            {0: 1.0},
            {"y": lambda y_true, y_pred: y_pred},
            {"y": 0.5 + y[net.probe]},
        ),
        "cannot be given with a generator": ({0: 1.0}, {"y": sparse}, None),
    }
    with simulator(net) as sim:
        for message, (weights, loss, targets) in bad.items():
            sim.compile(loss=loss)
            data = iter([]) if targets is None else x
            with pytest.raises(ValidationError, match=message):
                sim.fit(data, targets, class_weight=weights, verbose=0)


# --- fit -----------------------------------------------------------------------------------------

#: Networks with numbers that are drawn in Keras's calls, and whether XLA compiles them: in training
#: and in testing.
DRAWN = {
    "StochasticSpiking": (nengo.StochasticSpiking(nengo.LIFRate()), None, (True, False)),
    "noise": (nengo.LIF(), nengo.processes.WhiteNoise(seed=1), (False, False)),
    "neither": (nengo.LIF(), None, (True, True)),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_drawn_numbers(kind):
    neuron_type, noise, compiled = DRAWN[kind]
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1, neuron_type=neuron_type, noise=noise)
        a, b = nengo.Node([0.5]), nengo.Node(size_in=1)
        nengo.Connection(a, ens, synapse=None)
        nengo.Connection(ens, b, synapse=0.01)
        nengo.Probe(b)
    with simulator(net, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        losses = sim.fit(ONES, ZEROS, epochs=2, verbose=0).history["loss"]
        found = [sim.keras_model.jit_compile]
        losses += [sim.evaluate(ONES, ZEROS, verbose=0)["loss"] for _ in range(2)]
        found.append(sim.keras_model.jit_compile)
    assert tuple(found) == compiled
    assert np.isfinite(losses).all() and min(losses) > 0
    assert (losses[0] == losses[1]) == (noise is None)
    assert losses[2] == losses[3]  # evaluating leaves the generators as they were


@pytest.mark.parametrize("stateful", [False, True])
def test_validation_draws_nothing_that_training_would(stateful):
    """Noise of training is the same, whether `fit` validates or not."""
    with nengo.Network(seed=0) as net:
        noise = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
        ens = nengo.Ensemble(10, 1, noise=nengo.processes.WhiteNoise())
        nengo.Connection(noise, ens, synapse=None)
        nengo.Probe(ens, synapse=0.01)
    losses = []
    for validation in (None, (None, ZEROS[:2])):
        with simulator(net, minibatch_size=2) as sim:
            sim.compile(keras.optimizers.SGD(0.0), loss="mse")
            options = {"epochs": 3, "validation_data": validation, "verbose": 0, "shuffle": False}
            history = sim.fit(None, ZEROS[:2], n_steps=3, stateful=stateful, **options).history
            losses.append(history["loss"])
    assert len(set(losses[0])) == 3
    assert losses[0] == losses[1]


def test_history(linear):
    with simulator(linear, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
        history = sim.fit(ONES, ZEROS, epochs=2, validation_data=(ONES, ZEROS), verbose=0)
        assert list(history.history) == [
            *("loss", "probe_loss", "probe_mae"),
            *("val_loss", "val_probe_loss", "val_probe_mae"),
        ]
        # w <- w - 0.1 * 2 w, twice an epoch; losses are before each step
        w = 2 * 0.8 ** np.arange(5)
        np.testing.assert_allclose(
            history.history["loss"], [np.mean(w[:2] ** 2), np.mean(w[2:4] ** 2)], rtol=1e-5
        )
        np.testing.assert_allclose(history.history["val_loss"], w[[2, 4]] ** 2, rtol=1e-5)
        assert weight(sim, linear) == pytest.approx(w[4], rel=1e-5)


def test_second_compile_and_changed_weights(linear):
    with simulator(linear) as sim:
        for loss, expected in (("mse", 4), ("mae", 2)):
            sim.compile(keras.optimizers.SGD(0.0), loss=loss)
            sim.fit(ONES, ZEROS, verbose=0)
            assert sim.evaluate(ONES, ZEROS, verbose=0)["loss"] == pytest.approx(expected)
        sim.keras_model.set_weights([np.full(w.shape, 3.0) for w in sim.keras_model.weights])
        assert weight(sim, linear) == 3
        assert sim.evaluate(ONES, ZEROS, verbose=0)["loss"] == pytest.approx(3)
        np.testing.assert_allclose(sim.predict(ONES)[linear.p], 3 * ONES)
        sim.run_steps(2, data=ONES[:1, :2])
        np.testing.assert_allclose(sim.data[linear.p], 3 * ONES[0, :2])


def test_validation(linear):
    with simulator(linear, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        forms = [(x, ZEROS) for x in (ONES, {linear.a: ONES}, {"a": ONES}, [ONES])]
        for x, y in (*forms, (ONES[:3], ZEROS[:3]), (ONES[:, :1], ZEROS[:, :1])):
            for data in ((x, {linear.p: y}), [x, y]):
                found = sim.fit(ONES, ZEROS, validation_data=data, verbose=0).history
                assert found["val_loss"] == pytest.approx([4])
        found = sim.fit(ONES, ZEROS, validation_data=(None, ZEROS[:2]), verbose=0).history
        assert found["val_loss"] == pytest.approx([0])
        with pytest.raises(ValidationError, match="'a' should have rank 3"):
            sim.fit(ONES, ZEROS, validation_data=(ONES[0, 0], ZEROS))
        with pytest.raises(ValidationError, match="targets for 'probe' have 2 items, expected 4"):
            sim.fit(ONES, ZEROS, validation_data=(ONES, ZEROS[:2]))
        x = np.stack([ONES[0], ONES[0], 2 * ONES[0], 2 * ONES[0]])
        found = sim.fit(x, 0 * x, validation_split=0.5, verbose=0).history
        assert (found["loss"], found["val_loss"]) == (pytest.approx([4]), pytest.approx([16]))
        x[1] = 3  # one item to train with, and three to validate, which fill no minibatch
        found = sim.fit(x, 0 * x, validation_split=0.7, verbose=0).history
        assert (found["loss"], found["val_loss"]) == (
            pytest.approx([4]),
            pytest.approx([4 * (9 + 4 + 4) / 3]),
        )


def test_validation_of_another_length_than_training():
    """Inputs that do not show their length take that of their own call."""
    with nengo.Network() as net:
        nengo.Node([0.0], label="data")
        node = nengo.Node([1.0])
        count = nengo.Node(size_in=1)
        nengo.Connection(count, count, synapse=0)
        nengo.Connection(node, count, synapse=None, transform=1.0)
        probe = nengo.Probe(count)
    with simulator(net) as sim:
        loss = {probe: lambda y_true, y_pred: tf.reduce_max(y_pred)}
        sim.compile(keras.optimizers.SGD(0.0), loss=loss)
        y = np.zeros((1, 1, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = sim.fit(
                {"data": np.zeros((1, 5, 1))},
                {probe: y},
                validation_data=({"data": np.zeros((1, 1, 1))}, {probe: y}),
                verbose=0,
            ).history
        assert (history["loss"], history["val_loss"]) == ([5], [1])


def test_fit_without_inputs():
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(node, out, transform=0.5, synapse=None)
        probe = nengo.Probe(out)
    with simulator(net) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss=lambda y_true, y_pred: abs(2 - y_pred))
        sim.fit(n_steps=5, y={probe: np.zeros((1, 5, 1))}, epochs=5, verbose=0)
        np.testing.assert_allclose(sim.predict(n_steps=2)[probe].ravel(), 2 * [1.0], rtol=1e-5)


def test_shuffling_and_steps_per_epoch(linear):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

    x = np.arange(1, 5.0)[:, None, None] * np.ones((4, 3, 1))
    with simulator(linear) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss=lambda y, out: out[0, 0, 0])
        sim.fit(x, x, shuffle=False, callbacks=[Watch()], verbose=0)
        np.testing.assert_allclose(seen, [2, 3, 4, 5])  # running means of 2, 4, 6, 8
        seen.clear()
        sim.fit(x, x, shuffle=False, steps_per_epoch=2, callbacks=[Watch()], verbose=0)
        assert len(seen) == 2


# --- datasets and generators ---------------------------------------------------------------------


def dataset(n=4, batch=2, targets="dict", weights=False):
    """Return a Dataset of inputs by name, and targets."""
    x = {"a": np.ones((n, 3, 1), "f4"), "n_steps": np.full((n, 1), 3, "i4")}
    y = np.zeros((n, 3, 1), "f4")
    y = {"probe": y} if targets == "dict" else y
    parts = (x, y, np.zeros(n, "f4")) if weights else (x, y)
    return tf.data.Dataset.from_tensor_slices(parts).batch(batch)


@pytest.mark.parametrize("targets", ["dict", "array"])
def test_fit_and_evaluate_datasets(linear, targets):
    with simulator(linear, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        data = dataset(targets=targets)
        assert sim.evaluate(data, verbose=0)["probe_loss"] == pytest.approx(4)
        history = sim.fit(data, epochs=2, validation_data=data, verbose=0).history
        np.testing.assert_allclose(
            history["val_loss"], [(2 * 0.8**2) ** 2, (2 * 0.8**4) ** 2], rtol=1e-5
        )
        with pytest.raises(SimulationError, match="n_steps cannot be given"):
            sim.fit(data, n_steps=3)
        assert sim.evaluate(dataset(weights=True), verbose=0)["loss"] == 0


@pytest.mark.parametrize("positional", [False, True])
def test_fit_generators(linear, positional):
    def items():
        for _ in range(4):
            x, n = np.ones((2, 3, 1), "f4"), np.full((2, 1), 3)
            y = np.zeros((2, 3, 1), "f4")
            yield ((x, n), y) if positional else ({"a": x, "n_steps": n}, {"probe": y})

    with simulator(linear, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        history = sim.fit(items(), verbose=0).history
        assert weight(sim, linear) == pytest.approx(2 * 0.8**4, rel=1e-5)
        assert list(history) == ["loss", "probe_loss"]


class Items(keras.utils.PyDataset):
    """Minibatches of given sizes."""

    def __init__(self, sizes, y="probe"):
        super().__init__()
        self.sizes, self.y = sizes, y

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        n = self.sizes[index]
        x = {"a": np.ones((n, 3, 1), "f4"), "n_steps": np.full((n, 1), 3)}
        return x, {self.y: np.zeros((n, 3, 1), "f4")}


def test_fit_and_evaluate_pydatasets(linear):
    with simulator(linear, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        data = Items([2, 2])
        assert sim.evaluate(data, verbose=0)["probe_loss"] == pytest.approx(4)
        history = sim.fit(data, epochs=2, validation_data=data, verbose=0).history
        assert history["val_loss"] == pytest.approx([(2 * 0.8**2) ** 2, (2 * 0.8**4) ** 2])
        assert sim.predict(data)[linear.p].shape == (4, 3, 1)
        with pytest.raises(ValidationError, match="'p' is not one of.*targets.*'probe'"):
            sim.fit(Items([2], y="p"), verbose=0)


MINIBATCHES = {
    "PyDataset": lambda *sizes: Items(sizes),
    "generator": lambda *sizes: (Items(sizes)[i] for i in range(len(sizes))),
    "Dataset": lambda *sizes: dataset(sum(sizes), batch=max(sizes)),
}


@pytest.mark.parametrize("form", MINIBATCHES)
def test_items_that_are_no_minibatches(linear, form):
    """The last may be smaller, none may be larger."""
    with linear:  # in a compiled loop too
        nengo.Probe(linear.b, synapse=0.01 if form == "Dataset" else None)
    with simulator(linear, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss={linear.p: "mse"})
        make = MINIBATCHES[form]
        assert sim.fit(make(2, 1), verbose=0).history["loss"] == pytest.approx([4])
        assert sim.predict(make(2, 1))[linear.p].shape == (3, 3, 1)
        for method in (lambda data: sim.fit(data, verbose=0), sim.predict):
            with pytest.raises(ValidationError, match="minibatch.*3.*expected at most.*2"):
                method(make(3))


def test_items_of_another_length_than_they_say(linear):
    data = iter([{"a": ONES[:1], "n_steps": np.full((1, 1), 4)}])
    with simulator(linear) as sim:
        with pytest.raises(ValidationError, match="data have 3 steps, but n_steps is 4"):
            sim.predict(data)


# --- callbacks -----------------------------------------------------------------------------------


def test_callbacks_of_keras(linear, tmp_path):
    calls = []
    rates = []
    callbacks = [
        keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        keras.callbacks.LearningRateScheduler(lambda epoch, lr: 0.1 / (epoch + 1)),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: calls.append(epoch)),
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: rates.append(float(sim.keras_model.optimizer.learning_rate))
        ),
    ]
    with simulator(linear) as sim:
        sim.compile(keras.optimizers.SGD(0.5), loss="mse")
        sim.fit(ONES, ZEROS, epochs=9, callbacks=callbacks, verbose=0)
        trained = weight(sim, linear)
        assert calls == [0, 1] and len(list(tmp_path.glob("*.weights.h5"))) == 2
        np.testing.assert_allclose(rates, [0.1, 0.05])
        with open(tmp_path / "log.csv") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2 and {"epoch", "loss", "probe_loss"} <= set(rows[0])
        sim.keras_model.load_weights(tmp_path / "1.weights.h5")
        assert weight(sim, linear) > trained
        sim.keras_model.load_weights(tmp_path / "2.weights.h5")
        assert weight(sim, linear) == trained
        # the learning rate stays until something changes it
        sim.fit(ONES, ZEROS, initial_epoch=2, epochs=3, callbacks=callbacks[2:3], verbose=0)
        assert float(sim.keras_model.optimizer.learning_rate) == pytest.approx(0.1 / 3)


def test_tensorboard(two_probes, tmp_path):
    pytest.importorskip("tensorboard")
    net = two_probes
    with net:
        ens = nengo.Ensemble(4, 1, label="ens a")
        conn = nengo.Connection(ens, net.b, label="out")
        empty = nengo.Connection(net.a, ens)
    with simulator(net) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        callbacks = [
            TensorBoard(str(tmp_path)),
            NengoSummaries(tmp_path / "own", sim, [ens, ens.neurons, conn]),
        ]
        sim.fit(ONES, [ZEROS, ZEROS], epochs=2, callbacks=callbacks, verbose=0)
        assert {"epoch_loss", "epoch_probe_loss", "epoch_probe_1_loss"} <= set(tags(tmp_path))
        assert tags(tmp_path / "own") == 2 * [
            *("Ensemble_ens_a_encoders", "Ensemble.neurons_ens_a_bias", "Connection_out_weights")
        ]
        for obj, message in ((net.a, "is a Node"), (empty, "has no weights")):
            with pytest.raises(ValidationError, match=message):
                NengoSummaries(tmp_path, sim, [obj])


def test_tensorboard_is_missed_before_training(two_probes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with simulator(two_probes) as sim:
        for make in (TensorBoard, lambda path: NengoSummaries(path, sim, [])):
            with pytest.raises(ImportError, match="not installed: pip install tensorboard"):
                make(str(tmp_path))


def tags(path):
    """Return the tags in TensorBoard's files, in order."""
    found = []
    for file in sorted(path.rglob("*.v2")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found += [value.tag for value in event.summary.value if value.tag != "keras"]
    return found


def test_callbacks_can_end_a_prediction(linear):
    class Stop(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            assert list(logs) == ["probe"]
            self.model.stop_predicting = batch == 1

    with simulator(linear) as sim:
        assert sim.predict(ONES, callbacks=[Stop()])[linear.p].shape == (2, 3, 1)
        assert sim.predict(ONES)[linear.p].shape == (4, 3, 1)


@pytest.mark.parametrize("method", ["predict", "evaluate", "fit"])
def test_isolated_state(method):
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0])
        probe = nengo.Probe(node, synapse=0.1)
        ens = nengo.Ensemble(1, 1)
        nengo.Connection(node, ens)
        target = nengo.Probe(ens)
    with simulator(net) as sim:
        sim.run_steps(5)
        before = np.array(sim.predict(n_steps=3)[probe])
        sim.compile(keras.optimizers.SGD(0.0), loss={target: "mse"})
        data = {"x": {node: ONES}, "stateful": True, "callbacks": [IsolateState(sim)]}
        if method != "predict":
            data.update(y={target: ZEROS}, verbose=0)
        out = getattr(sim, method)(**data)
        assert sim.n_steps == 5
        np.testing.assert_array_equal(sim.predict(n_steps=3)[probe], before)
        if method == "predict":
            np.testing.assert_array_equal(out[probe], np.repeat(before, 4, axis=0))


# --- state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("minibatch_size", [1, 3])
def test_stateful_calls_count_steps(linear, minibatch_size):
    batches = 3 // minibatch_size
    x = np.ones((3, 4, 1))
    with simulator(linear, minibatch_size=minibatch_size) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        sim.run_steps(5)
        sim.fit(x, x, epochs=2, verbose=0)
        sim.evaluate(x, x, verbose=0)
        sim.predict(x)
        assert sim.n_steps == 5
        sim.fit(x, x, epochs=2, stateful=True, verbose=0)
        assert sim.n_steps == 5 + 8 * batches
        sim.predict(x, stateful=True)
        assert sim.n_steps == 5 + 12 * batches
        sim.evaluate(x, x, stateful=True, verbose=0)
        assert sim.n_steps == 5 + 16 * batches
        sim.predict_on_batch(x[:minibatch_size], stateful=True)
        assert sim.n_steps == 9 + 16 * batches and sim.time == pytest.approx(sim.n_steps / 1000)


@pytest.mark.parametrize("method", ["predict", "evaluate", "fit"])
def test_state_is_handed_on(method):
    """A filter sees all minibatches of stateful calls as one series."""
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node([0.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(node, out, synapse=0.01, transform=1.0)
        probe = nengo.Probe(out)
    x = np.random.RandomState(0).uniform(size=(5, 4, 1))
    expected = np.concatenate([[[0]], nengo.Lowpass(0.01).filt(x.reshape(20, 1), y0=0)])[:-1]
    with simulator(net) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        sim.run_steps(4, data=x[:1])
        call = {
            "predict": lambda: sim.predict(x[1:4], stateful=True),
            "evaluate": lambda: sim.evaluate(x[1:4], x[1:4], stateful=True, verbose=0),
            "fit": lambda: sim.fit(x[1:4], x[1:4], stateful=True, shuffle=False, verbose=0),
        }[method]
        call()
        sim.run_steps(4, data=x[4:])
        np.testing.assert_allclose(sim.data[probe], expected[[*range(4), *range(16, 20)]])


def test_every_minibatch_begins_alike():
    with nengo.Network() as net:
        node = nengo.Node([0.0])
        probe = nengo.Probe(node, synapse=0.01)
    with simulator(net) as sim:
        sim.run_steps(10, data=np.ones((1, 10, 1)))
        out = sim.predict(np.ones((3, 4, 1)))[probe]
        np.testing.assert_array_equal(out[0], out[1])
        np.testing.assert_array_equal(out[0], out[2])
        assert out[0, 0, 0] > sim.data[probe][-1, 0]
        sim.compile(loss="mse")
        assert sim.evaluate(np.ones((3, 4, 1)), out, verbose=0)["loss"] < 1e-12


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_learned_weights_change_in_any_call(minibatch_size):
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0])
        ens = nengo.Ensemble(10, 1)
        out = nengo.Node(size_in=1)
        nengo.Connection(node, ens, synapse=None)
        conn = nengo.Connection(ens, out, learning_rule_type=nengo.PES(1e-2))
        nengo.Connection(node, conn.learning_rule, synapse=None)
        probe = nengo.Probe(out)
    x, y = np.ones((4, 20, 1)), {probe: np.ones((4, 20, 1))}
    with simulator(net, minibatch_size=minibatch_size) as sim:

        def weights():
            return np.array(sim.data[conn].weights)

        first = weights()
        assert first.shape == ((1, 10) if minibatch_size is None else (2, 1, 10))
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        seen = [first]
        for call in (
            lambda: sim.predict(x),
            lambda: sim.evaluate(x, y, verbose=0),
            lambda: sim.fit(x, y, verbose=0),
            lambda: sim.run_steps(5, stateful=False),
        ):
            call()
            assert np.abs(weights() - seen[-1]).max() > 1e-6
            seen.append(weights())
        assert sim.n_steps == 0
        sim.reset(include_trainable=False)
        np.testing.assert_array_equal(weights(), seen[-1])
        sim.reset()
        np.testing.assert_array_equal(weights(), first)


# --- what is trained -----------------------------------------------------------------------------


def all_kinds():
    """Return a network with a parameter of every kind, and what has none."""
    with nengo.Network(seed=0) as net:
        net.a = nengo.Node(np.zeros(4), label="a")
        net.ens = nengo.Ensemble(5, 1, label="ens")
        net.direct = nengo.Ensemble(5, 1, neuron_type=nengo.Direct(), label="direct")
        net.out = nengo.Node(size_in=4)
        connect = nengo.Connection
        net.conns = {
            "dense": connect(net.a, net.ens, transform=np.ones((1, 4))),
            "scalar": connect(net.a, net.out, transform=1.0),
            "decoded": connect(net.ens, net.out[0]),
            "solver": connect(net.ens, net.ens, solver=nengo.solvers.LstsqL2(weights=True)),
            "sparse": connect(net.a, net.out, transform=nengo.Sparse((4, 4), [(0, 1)])),
            "conv": connect(net.a, net.out[:2], transform=nengo.Convolution(1, (4, 1), (3,), (1,))),
            "transposed": connect(
                net.a[:2],
                net.out,
                transform=nengo.ConvolutionTranspose(1, (2, 1), kernel_size=(3,), strides=(1,)),
            ),
            "none": connect(net.a, net.out),
            "direct": connect(net.a[0], net.direct),
        }
        net.probe, net.decoded = nengo.Probe(net.out), nengo.Probe(net.ens)
    return net


def trainable_size(sim):
    """Return how many numbers can be trained."""
    return sum(int(np.prod(w.shape)) for w in sim.keras_model.trainable_weights)


def test_what_is_trainable_by_default():
    with simulator(all_kinds()) as sim:
        weights = {"dense": 4, "scalar": 1, "decoded": 5, "solver": 25, "sparse": 1, "conv": 6}
        assert trainable_size(sim) == 5 + 5 + 1 + sum(weights.values())
        # the decoders of the probe on the ensemble are not among them
        assert not any("robe" in w.name for w in sim.keras_model.weights)


def test_settings_of_trainability():
    net = all_kinds()
    with net:
        nengo_dl.configure_settings(trainable=False)
    net.config[nengo.Ensemble].trainable = True
    with simulator(net) as sim:  # encoders, but neither biases nor connections
        assert trainable_size(sim) == 5 + 1
    net.config[net.conns["dense"]].trainable = True
    net.config[net.ens].trainable = False
    net.config[net.ens.neurons].trainable = True
    with simulator(net) as sim:
        assert trainable_size(sim) == 1 + 4 + 5


def test_settings_of_subnetworks():
    for parent, child in ((True, False), (False, None)):
        with nengo.Network() as net:
            nengo_dl.configure_settings(trainable=parent)
            with nengo.Network():
                nengo_dl.configure_settings(trainable=child)
                ens = nengo.Ensemble(5, 1)
                nengo.Probe(ens.neurons)
            if parent:
                net.config[ens].trainable = True
        with simulator(net) as sim:
            assert sim.keras_model.trainable_weights == []


def test_only_trainable_parameters_change():
    net = all_kinds()
    with net:
        nengo_dl.configure_settings(trainable=True)
        net.config[net.conns["decoded"]].trainable = False
    with simulator(net) as sim:
        decoders = np.array(sim.data[net.conns["decoded"]].weights)
        sparse = np.array(sim.data[net.conns["sparse"]].weights)
        sim.compile(keras.optimizers.SGD(0.1), loss={net.probe: "mse"})
        x = np.random.RandomState(0).uniform(size=(4, 10, 4))
        sim.fit(x, {net.probe: x}, verbose=0)
        np.testing.assert_array_equal(sim.data[net.conns["decoded"]].weights, decoders)
        assert not np.array_equal(sim.data[net.conns["sparse"]].weights, sparse)


@pytest.mark.parametrize("setting", [True, None])
def test_learning_rule_and_training_of_the_same_weights(setting):
    """What a rule learns is trained too if the user says so."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=None)
        pre, post = nengo.Ensemble(5, 1), nengo.Node(size_in=1)
        conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(), label="taught")
        nengo.Connection(nengo.Node([0.1]), conn.learning_rule, synapse=None)
        net.config[conn].trainable = setting
        probe = nengo.Probe(post)
    caught = pytest.warns(UserWarning, match="taught.*learning rule.*trainable: fit changes")
    with caught if setting else contextlib.nullcontext():
        sim = simulator(net, minibatch_size=2)
    with sim:
        trained = [w.name for w in sim.keras_model.trainable_weights]
        assert ("taught.weights" in trained) is bool(setting)
        sim.compile(keras.optimizers.SGD(1.0), loss="mse")
        targets = np.array([-100.0, 100.0]).reshape(2, 1, 1).repeat(9, axis=1)
        before = sim.data[conn].weights
        sim.fit(y={probe: targets}, n_steps=9, verbose=0)
        moved = sim.data[conn].weights - before
        assert np.all(np.any(moved, axis=(1, 2)))
        # the rule does the same in both items, training the opposite
        assert np.allclose(moved[0], moved[1], atol=1e-3) is (setting is None)


@pytest.mark.parametrize("behind_is_trained", [True, False])
@pytest.mark.parametrize("kind", ["neurons", "function", "process"])
def test_paths_without_gradient_are_no_error(kind, behind_is_trained):
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0])
        before = nengo.Node(size_in=1)
        conn = nengo.Connection(node, before, transform=1.0, synapse=None)
        if kind == "neurons":
            after = nengo.Ensemble(5, 1, neuron_type=type("Own", (nengo.LIF,), {})())
        elif kind == "function":
            after = nengo.Node(lambda t, x: x + 1, size_in=1)
        else:
            after = nengo.Node(Jitter(seed=0), size_in=1)
        nengo.Connection(before, after, synapse=None)
        out = nengo.Node(size_in=1)
        last = nengo.Connection(after, out, transform=1.0 if kind != "neurons" else None)
        probe = nengo.Probe(out)
        if not behind_is_trained:
            nengo_dl.configure_settings(trainable=None)
            net.config[last].trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with simulator(net) as sim:
            behind = np.array(sim.data[last].weights)
            sim.compile(keras.optimizers.SGD(100.0), loss="mse")
            sim.fit(np.ones((2, 10, 1)), {probe: np.full((2, 10, 1), 50.0)}, verbose=0)
            assert sim.data[conn].weights == 1.0
            assert np.array_equal(sim.data[last].weights, behind) != behind_is_trained


@pytest.mark.parametrize("spiking, rate", [
    (nengo.LIF(), nengo.LIFRate()),
    (nengo.SpikingRectifiedLinear(), nengo.RectifiedLinear()),
    (nengo_dl.SpikingLeakyReLU(), nengo_dl.LeakyReLU()),
    (nengo.RegularSpiking(nengo.LIFRate()), nengo.LIFRate()),
], ids=str)  # fmt: skip
def test_spiking_neurons_train_as_rates(spiking, rate):
    def train(neuron_type):
        with nengo.Network(seed=0) as net:
            node = nengo.Node([0.0])
            ens = nengo.Ensemble(20, 1, neuron_type=neuron_type, seed=1, max_rates=[50] * 20)
            out = nengo.Node(size_in=1)
            nengo.Connection(node, ens, synapse=None)
            solver = nengo.solvers.NoSolver(np.full((20, 1), 1e-3))
            nengo.Connection(ens, out, synapse=None, solver=solver)
            probe = nengo.Probe(out)
        rng = np.random.RandomState(0)
        x = rng.uniform(-1, 1, (8, 4, 1))
        with simulator(net, minibatch_size=4) as sim:
            sim.compile(keras.optimizers.Adam(1e-3), loss="mse")
            history = sim.fit(x, {probe: x}, epochs=3, shuffle=False, verbose=0)
            return history.history["loss"], sim.data.get_params((ens, "encoders"), (ens, "bias"))

    losses, params = train(spiking)
    expected, others = train(rate)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert losses[-1] < losses[0]
    for found, wanted in zip(params, others, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_forced_learning_phase_gives_rates_and_keeps_state():
    def make(neuron_type, **settings):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(**settings)
            node = nengo.Node([0.7])
            ens = nengo.Ensemble(10, 1, neuron_type=neuron_type, seed=1)
            nengo.Connection(node, ens, synapse=None)
            net.out = nengo.Probe(ens.neurons)
            if "voltage" in ens.neurons.probeable:
                net.voltage = nengo.Probe(ens.neurons, "voltage")
        return net

    net, rates = make(nengo.LIF(), learning_phase=True), make(nengo.LIFRate())
    with simulator(net) as sim, simulator(rates) as ref:
        sim.run_steps(20)
        ref.run_steps(20)
        np.testing.assert_allclose(sim.data[net.out], ref.data[rates.out], rtol=1e-5)
        voltage = sim.data[net.voltage]
        np.testing.assert_array_equal(voltage, np.broadcast_to(voltage[0], voltage.shape))
    net = make(nengo.LIF(), learning_phase=False)
    with simulator(net) as sim:
        spikes = []
        sim.compile(
            keras.optimizers.SGD(0.0),
            loss={net.out: lambda y_true, y_pred: tf.reduce_sum(y_pred * (1000 - y_pred))},
        )
        spikes = sim.fit(n_steps=20, y={net.out: np.zeros((1, 20, 10))}, verbose=0)
        assert spikes.history["loss"] == [0]  # only 0 and 1000 [Hz]


def test_xor():
    """A problem that only hidden neurons can solve is solved."""
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].neuron_type = nengo.Sigmoid(tau_ref=1)
        net.config[nengo.Connection].synapse = None
        node = nengo.Node(np.zeros(2))
        hidden = nengo.Ensemble(5, 2, gain=np.ones(5), bias=np.zeros(5))
        out = nengo.Ensemble(1, 1, gain=np.ones(1), bias=np.zeros(1))
        nengo.Connection(node, hidden.neurons, transform=nengo_dl.dists.Glorot())
        nengo.Connection(hidden.neurons, out.neurons, transform=nengo_dl.dists.Glorot())
        probe = nengo.Probe(out.neurons)
    x = np.array([[[0.0, 0.0]], [[0, 1]], [[1, 0]], [[1, 1]]])
    y = np.array([[[0.1]], [[0.9]], [[0.9]], [[0.1]]])
    with simulator(net, minibatch_size=4) as sim:
        sim.compile(keras.optimizers.Adam(0.05), loss="mse")
        # many minibatches in an epoch, since Keras takes longer for an epoch than for a minibatch
        many = [np.tile(part, (50, 1, 1)) for part in (x, y)]
        sim.fit(*many, epochs=10, shuffle=False, verbose=0)
        np.testing.assert_allclose(sim.predict(x)[probe], y, atol=0.1)


def test_regularize_takes_any_target():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        a, b = nengo.Node(np.zeros(2)), nengo.Node(size_in=2)
        conn = nengo.Connection(a, b, transform=[[1, 2], [3, 4]])
        probe = nengo.Probe(conn, "weights")
        out = nengo.Probe(b)
    x = np.ones((4, 3, 2))
    with simulator(net, minibatch_size=4) as sim:
        loss = nengo_dl.losses.Regularize()
        sim.compile(keras.optimizers.SGD(0.1), loss={probe: loss}, metrics={out: "mae"})
        y = {probe: np.zeros((4, 3, probe.size_in)), out: np.zeros((4, 3, 2))}
        assert sim.evaluate(x, y, verbose=0)["loss"] == pytest.approx(30**0.5)
        history = sim.fit(x, y, epochs=3, verbose=0).history["loss"]
        assert history[2] < history[1] < history[0]
        assert sim.predict(x)[probe].shape == (1, 3, 2, 2)
        assert sim.predict(np.ones((8, 3, 2)))[probe].shape == (2, 3, 2, 2)
