"""Calls of `fit` and `evaluate` with series of several lengths: few programs, the same numbers."""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.losses import Regularize
from nengo_dl.runtimes import switches
from nengo_dl.runtimes.tensorflow.keras.padding import bucket

pytestmark = pytest.mark.training

LENGTHS = [5, 6, 8, 5, 6]
FEW = [5, 7, 7]  # a program of its own, and one of 8 steps, twice
LOGS = 1e-6  # Keras's means for logs are in float32, whatever the simulation is in


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def filtered(net):
    ens, out = nengo.Ensemble(20, 2), nengo.Node(size_in=1)
    nengo.Connection(net.a, ens, synapse=0.01)
    nengo.Connection(ens, out, synapse=0.005, function=lambda x: x[0] * x[1])
    net.p = nengo.Probe(out, synapse=0.01, label="p")
    nengo.Probe(ens.neurons, label="rates")


def feedforward(net):
    ens = nengo.Ensemble(20, 2, neuron_type=nengo.LIFRate())
    nengo.Connection(net.a, ens, synapse=None)
    net.p = nengo.Probe(ens[:1], label="p", synapse=None)
    nengo.Probe(ens.neurons, label="rates")


def recurrent(net):
    nengo_dl.configure_settings(training_spikes="fast_sigmoid")
    filtered(net)
    ens = net.ensembles[0]
    nengo.Connection(ens, ens, synapse=0.02)


def noisy(net):
    filtered(net)
    net.ensembles[0].noise = nengo.processes.WhiteNoise(seed=1)


def learned(net):
    filtered(net)
    rule = net.connections[-1]
    rule.learning_rule_type = nengo.PES(1e-3)
    nengo.Connection(nengo.Node([0.5], label="error"), rule.learning_rule, synapse=None)


def latest(net):
    nengo_dl.configure_settings(keep_history=False)
    filtered(net)


def python_inside(net):
    filtered(net)
    node = nengo.Node(lambda t, x: x + t, size_in=1)
    nengo.Connection(node, net.p.target, synapse=0.01, transform=0.5)
    nengo.Connection(net.a[0], node, synapse=0.01)


NETWORKS = [filtered, feedforward, recurrent, noisy, learned, latest, python_inside]


def network(build, **settings):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        net.a = nengo.Node(np.zeros(2), label="a")
        net.latest = build is latest
        build(net)
    return net


def logs_and_weights(net, lengths, loss="mse", items=5, **options):
    """Train and test on series of some lengths: all logs, weights, and the number of programs."""
    rng, logs = np.random.RandomState(0), []
    losses = {"p": loss, "rates": Regularize(dtype="float64")}
    with simulator(net, minibatch_size=2, seed=1, **options.pop("simulator", {})) as sim:
        sim.compile(
            keras.optimizers.SGD(1e-3),
            loss=losses,
            metrics={"p": ["mae", keras.metrics.RootMeanSquaredError()]},
        )
        for n in lengths:
            rows = 1 if net.latest else n
            x = rng.uniform(-1, 1, (items, n, 2))
            y = {"p": rng.uniform(-1, 1, (items, rows, 1)), "rates": np.zeros((items, rows, 20))}
            weights = {"p": rng.uniform(0.5, 1, (items, rows))}
            logs.append(
                sim.fit(
                    {"a": x}, y, shuffle=False, sample_weight=weights, verbose=0, **options
                ).history
            )
            logs.append(sim.evaluate({"a": x}, y, verbose=0))
        model = sim.keras_model
        counts = model.train_function.compile_count, model.test_function.compile_count
        steps = sim.n_steps
        return logs, [np.array(w) for w in model.get_weights()], counts, steps


@pytest.mark.parametrize("xla", [True, False], ids=["XLA", "no XLA"])
@pytest.mark.parametrize("build", NETWORKS, ids=lambda f: f.__name__)
def test_lengths_share_programs(build, xla, monkeypatch, assume):
    """As many programs for all calls as for two lengths, and what a program for each gives."""
    if xla and build not in (filtered, feedforward):
        pytest.skip("compiling takes long, and XLA sees no more than padded arrays")
    monkeypatch.setattr(switches, "XLA", xla)
    # a minibatch of one item has programs of its own; one network with a loop shows that
    items = 5 if build is recurrent and not xla else 4
    # one network shows that a length may fill its program, and that lengths come again
    lengths = LENGTHS if build is filtered and not xla else FEW
    net, left = network(build), items % 2
    logs, weights, counts, _ = logs_and_weights(net, lengths, items=items)
    assert counts == (2 + 2 * left,) * 2
    assume(own_function_minibatches=0)
    expected, exact_weights, exact_counts, _ = logs_and_weights(net, lengths, items=items)
    assert exact_counts == (len(set(lengths)) * (1 + left),) * 2
    for found, wanted in zip(logs, expected, strict=True):
        assert found.keys() == wanted.keys()
        for key in wanted:
            np.testing.assert_allclose(found[key], wanted[key], rtol=LOGS, err_msg=key)
    for found, wanted in zip(weights, exact_weights, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)


def test_state_is_handed_on_between_lengths(monkeypatch, assume):
    """And between minibatches, the last of which is smaller."""
    monkeypatch.setattr(switches, "XLA", False)
    net = network(recurrent)
    found = logs_and_weights(net, FEW, items=5, stateful=True)
    assume(own_function_minibatches=0)
    expected = logs_and_weights(net, FEW, items=5, stateful=True)
    assert found[3] == expected[3] == sum(FEW) * 3
    for one, other in zip(found[0], expected[0], strict=True):
        for key in other:
            np.testing.assert_allclose(one[key], other[key], rtol=LOGS, err_msg=key)


def test_unrolled_loops(monkeypatch):
    monkeypatch.setattr(switches, "XLA", False)
    net = network(filtered)
    options = {"simulator": {"unroll_simulation": 3}}
    logs, _, counts, _ = logs_and_weights(net, [3, 9, 12], items=2, **options)
    expected, _, _, _ = logs_and_weights(net, [3, 9, 12], items=2)
    assert counts == (2, 2)  # 3; 12 for 9 and 12
    for one, other in zip(logs, expected, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=LOGS)


@pytest.mark.parametrize("setting", ["checkpoint_steps", "loss", "jit_compile"])
def test_lengths_that_cannot_share(setting):
    """Each is compiled once."""
    settings = {"checkpoint_steps": 2} if setting == "checkpoint_steps" else {}
    net = network(filtered, **settings)

    def static(y_true, y_pred):
        steps = range(y_pred.shape[1])
        return keras.ops.stack([(y_true[:, i] - y_pred[:, i]) ** 2 for i in steps], axis=1)

    lengths = [5, 6, 5]
    if setting == "jit_compile":
        with simulator(net) as sim:
            sim.compile("sgd", loss={"p": "mse"}, jit_compile=True)
            for n in lengths:
                sim.fit(np.ones((1, n, 2)), {"p": np.ones((1, n, 1))}, verbose=0)
            assert sim.keras_model.train_function.compile_count == 2
        return
    loss = static if setting == "loss" else "mse"
    logs, _, counts, _ = logs_and_weights(net, lengths, loss=loss, items=2)
    # what could not share was traced once in vain
    assert counts == ((3, 3) if setting == "loss" else (2, 2))
    assert all(np.isfinite(log["loss"]).all() for log in logs)


def test_programs_are_bounded(monkeypatch, assume):
    monkeypatch.setattr(switches, "XLA", False)
    assume(kept_functions=3)
    net = network(feedforward)
    with simulator(net) as sim:
        sim.compile("sgd", loss={"p": "mse"})
        for n in (1, 2, 3, 5, 9, 1):
            sim.fit(np.ones((1, n, 2)), {"p": np.ones((1, n, 1))}, verbose=0)
        functions = sim.keras_model.train_function
        assert functions.compile_count == 6 and len(functions._functions) == 3


def test_long_training_has_a_program_of_its_own(monkeypatch, assume):
    monkeypatch.setattr(switches, "XLA", False)
    assume(own_function_minibatches=4)
    net = network(feedforward)
    with simulator(net) as sim:
        sim.compile("sgd", loss={"p": "mse"})
        for n, epochs in ((5, 1), (6, 1), (7, 1), (6, 4)):
            sim.fit(np.ones((1, n, 2)), {"p": np.ones((1, n, 1))}, epochs=epochs, verbose=0)
        kinds = [(k.room, k.masked) for k in sim.keras_model.train_function._functions]
    assert kinds == [(5, False), (8, True), (6, False)]


def test_items_of_a_generator_may_differ_in_length():
    net = network(filtered)
    rng = np.random.RandomState(0)
    items = [(rng.uniform(-1, 1, (2, n, 2)), np.zeros((2, n, 1))) for n in LENGTHS]
    with simulator(net, minibatch_size=2) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss={"p": "mse"})
        found = sim.fit(iter(items), verbose=0).history["loss"]
        each = [sim.fit(x, {"p": y}, verbose=0).history["loss"] for x, y in items]
        assert sim.keras_model.train_function.compile_count == 2
        np.testing.assert_allclose(found, np.mean(each), rtol=LOGS)
        outputs = sim.predict(iter([x for x, _ in items if x.shape[1] == 6]))
        assert outputs["p"].shape == (4, 6, 1)


def test_lengths_without_inputs():
    """The number of steps is that of the call, whatever was compiled for another."""
    with nengo.Network(seed=0) as net:
        out = nengo.Node(size_in=1)
        nengo.Connection(nengo.Node([1.0]), out, synapse=None, transform=0.5)
        nengo.Probe(out, label="p")
    with simulator(net) as sim:
        sim.compile("sgd", loss=lambda y, out: tf.cast(tf.shape(out)[1], "float32"))
        for n in (3, 5, 6, 3):
            y = np.zeros((1, n, 1))
            assert sim.fit(n_steps=n, y=y, verbose=0).history["loss"] == [n]
            assert sim.evaluate(n_steps=n, y=y, verbose=0)["loss"] == n


@pytest.mark.parametrize(
    "steps, unroll, expected", [(1, 1, 1), (5, 1, 8), (8, 1, 8), (9, 3, 12), (3, 3, 3)]
)
def test_bucket(steps, unroll, expected):
    assert bucket(steps, unroll) == expected


def test_weights_of_steps_need_a_loss_of_steps():
    net = network(filtered)
    with simulator(net) as sim:
        sim.compile("sgd", loss={"p": lambda y_true, y_pred: keras.ops.sum((y_true - y_pred), 1)})
        x, y = np.ones((1, 5, 2)), {"p": np.ones((1, 5, 1))}
        sim.fit(x, y, sample_weight=np.ones(1), verbose=0)
        with pytest.raises(ValidationError, match=r"'p' gives .* \(1, 1\), .* of 5 steps"):
            sim.fit(x, y, sample_weight={"p": np.ones((1, 5))}, verbose=0)
