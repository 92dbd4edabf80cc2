"""What is passed on to Keras is checked before, and given by position as Keras has it."""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import ValidationError

import nengo_dl

ONES = np.ones((2, 1, 2))


@pytest.fixture(scope="module")
def sim():
    """Return a simulator that echoes its input."""
    with nengo.Network() as net:
        node = nengo.Node([0.0, 0.0])
        nengo.Probe(node, label="out")
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        yield sim


def one_argument(y_true):
    return y_true


def text(y_true, y_pred):
    return "x"


def nothing(y_true, y_pred):
    return None


NO_OBJECT = "a name that Keras knows, or an object such as keras"
COMPILE = [
    ({"metrics": 3}, f"{NO_OBJECT}.*'out', got 3"),
    ({"metrics": [["mae", 3]]}, f"{NO_OBJECT}.*'out', got 3"),
    ({"metrics": "foo"}, f"{NO_OBJECT}.*got 'foo'"),
    ({"weighted_metrics": [[None]]}, f"{NO_OBJECT}.*got None"),
    ({"metrics": keras.metrics.MeanSquaredError}, "got MeanSquaredError, a class: add ()"),
    ({"metrics": one_argument}, r"'one_argument' for 'out' is called with \(y_true, y_pred\)"),
    ({"loss": "foo"}, f"{NO_OBJECT}.*'out', got 'foo'"),
    ({"loss": 3}, f"{NO_OBJECT}.*'out', got 3"),
    ({"loss": keras.losses.MeanSquaredError}, "got MeanSquaredError, a class: add ()"),
    ({"loss": one_argument}, r"but takes \(y_true\)"),
    ({"loss": one_argument, "loss_weights": None}, "is called with"),
    ({"loss_weights": {"out": "a"}}, "expected a finite number for 'out', got 'a'"),
    ({"loss_weights": [np.nan]}, "expected a finite number for 'out', got nan"),
    ({"loss_weights": [[1.0]]}, "expected a finite number for 'out'"),
    ({"optimizer": 3}, f"optimizer: expected {NO_OBJECT}.*got 3"),
    ({"optimizer": "foo"}, f"optimizer: expected {NO_OBJECT}.*got 'foo'"),
    ({"optimizer": keras.optimizers.SGD}, "got SGD, a class: add ()"),
    ({"jit_compile": "x"}, "expected True, False or \"auto\", got 'x'"),
    ({"steps_per_execution": 0}, "steps_per_execution: expected a positive integer, got 0"),
]


@pytest.mark.parametrize("given, message", COMPILE, ids=range(len(COMPILE)))
def test_what_compile_cannot_take(sim, given, message):
    with pytest.raises(ValidationError, match=message.replace("()", r"\(\)")):
        sim.compile(**{"optimizer": "sgd", "loss": "mse", **given})


CALLS = [
    ("fit", {"epochs": "3"}, "epochs: expected an integer of at least 0, got '3'"),
    ("fit", {"epochs": 2.5}, "epochs: expected an integer"),
    ("fit", {"epochs": -1}, "epochs: expected an integer"),
    ("fit", {"initial_epoch": "a"}, "initial_epoch: expected an integer"),
    ("fit", {"steps_per_epoch": 0}, "steps_per_epoch: expected a positive integer, got 0"),
    ("fit", {"validation_freq": 0}, "validation_freq: expected a positive integer, got 0"),
    ("fit", {"validation_split": "a"}, "validation_split: expected a share of the items"),
    ("fit", {"callbacks": 3}, "callbacks: expected keras.callbacks.Callback objects, got 3"),
    ("fit", {"callbacks": [keras.callbacks.History]}, r"make an object of it: History\(\.\.\.\)"),
    ("evaluate", {"steps": 0}, "steps: expected a positive integer, got 0"),
    ("evaluate", {"callbacks": [3]}, "callbacks: expected keras.callbacks.Callback objects"),
    ("predict", {"steps": "a"}, "steps: expected a positive integer, got 'a'"),
    ("predict", {"callbacks": 3}, "callbacks: expected keras.callbacks.Callback objects, got 3"),
]


@pytest.mark.parametrize("method, given, message", CALLS)
def test_what_calls_cannot_take(sim, method, given, message):
    data = (ONES,) if method == "predict" else (ONES, ONES)
    with pytest.raises(ValidationError, match=message):
        getattr(sim, method)(*data, **given)


def test_arguments_by_position(sim):
    """In Keras's order: optimizer, loss, loss_weights, metrics."""
    sim.compile("sgd", "mse", [2.0], ["mae"])
    found = sim.evaluate(ONES, 3 * ONES, verbose=0)
    assert found == pytest.approx({"loss": 8, "out_loss": 4, "out_mae": 2})
    assert isinstance(sim.keras_model.optimizer, keras.optimizers.SGD)
    with pytest.raises(TypeError, match="at most 9 arguments by position"):
        sim.compile(*range(10))


@pytest.mark.parametrize("loss", [text, nothing])
def test_losses_that_give_no_tensor(sim, loss):
    sim.compile("sgd", loss)
    with pytest.raises(ValidationError, match="the loss of 'out' gave (None|'x'), no tensor"):
        sim.evaluate(ONES, ONES, verbose=0)


@pytest.mark.parametrize("label", [2, -1, 0.5, np.nan])
def test_numbers_of_classes_that_do_not_exist(sim, label):
    """Keras gives NaN, or an error of TensorFlow's that names no probe."""
    labels = np.array([[[1]], [[label]]])
    sim.compile("sgd", "sparse_categorical_crossentropy")
    for call in (
        lambda: sim.evaluate(ONES, labels, verbose=0),
        lambda: sim.fit(ONES, labels * 0, validation_data=(ONES, labels), verbose=0),
    ):
        with pytest.raises(ValidationError, match=f"'out' hold {label:g}, expected numbers of cla"):
            call()
    if label == -1:
        ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1, from_logits=True)
        sim.compile("sgd", ignoring)
        assert np.isfinite(sim.evaluate(ONES, labels, verbose=0)["loss"])


def test_numbers_of_classes_that_do_not_exist_in_minibatches(sim):
    """Of generators and Datasets, and given to Keras itself."""
    labels = np.array([[[1]], [[2]]])
    sim.compile("sgd", "sparse_categorical_crossentropy")
    minibatch = {"node": ONES}, {"out": labels}
    data = tf.data.Dataset.from_tensors(minibatch)
    for call in (
        lambda: sim.evaluate(data, verbose=0),
        lambda: sim.fit(iter([minibatch]), verbose=0),
        lambda: sim.fit(ONES, labels * 0, validation_data=data, verbose=0),
        lambda: sim.keras_model.train_on_batch(*minibatch),
    ):
        with pytest.raises(ValidationError, match="'out' hold 2, .* from 0 to 1"):
            call()
