"""Methods of the simulator in callbacks of Keras: they do what they do between two calls."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl

pytestmark = pytest.mark.training

RNG = np.random.RandomState(0)
X, Y = RNG.uniform(-1, 1, (4, 3, 1)), RNG.uniform(-1, 1, (4, 3, 1))
BATCH = 2


def simulator():
    """Return a simulator with a synapse, neurons, and a rule that learns in each minibatch."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        a, b = nengo.Node([0.5], label="a"), nengo.Node(size_in=1)
        nengo.Connection(a, b, transform=2.0, synapse=0.01)
        ens, c = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        nengo.Connection(b, ens)
        taught = nengo.Connection(ens, c, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(a, taught.learning_rule)
        nengo.Probe(b, label="b"), nengo.Probe(c, label="c")
    sim = nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False)
    sim.net, sim.taught = net, taught
    sim.compile(keras.optimizers.SGD(0.1), loss={"b": "mse"}, metrics={"b": "mae"})
    return sim


def fit(sim, stateful, epochs=1, **kwargs):
    options = {"verbose": 0, "shuffle": False, "stateful": stateful, **kwargs}
    return sim.fit(X, {"b": Y}, epochs=epochs, **options).history


def evaluate(sim, **kwargs):
    return sim.evaluate(X[:, :2], {"b": Y[:, :2]}, verbose=0, **kwargs)


def outcome(sim):
    """Return all that a simulator is after what was done with it."""
    found = [sim.n_steps, sim.data[sim.taught].weights]
    found += sim.keras_model.get_weights()
    sim.run_steps(3)
    return [*found, *(sim.data[p] for p in sim.net.all_probes)]


@pytest.fixture(scope="module")
def sim():
    """Return a simulator for many tests, each of which begins anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nengo_dl.runtimes.switches.XLA", False)
        with simulator() as sim:
            yield sim


@pytest.fixture
def path(sim, tmp_path):
    """Return the file from which the simulator goes on."""
    sim.reset()
    sim.run_steps(5)
    path = tmp_path / "params.npz"
    sim.save_params(path, include_state=True, include_optimizer=True)
    sim.clear_probes()
    return path


def begin(sim, path):
    """Forget what came after `path`."""
    sim.clear_probes()
    sim.load_params(path, include_state=True, include_optimizer=True)


def inside(sim, act, stateful, path):
    """Return results of an act in a callback between two epochs."""
    begin(sim, path)
    seen = []

    def between_epochs(epoch, logs):
        if epoch == 0:
            seen.append(act(sim, path))

    callback = keras.callbacks.LambdaCallback(on_epoch_end=between_epochs)
    history = fit(sim, stateful, epochs=2, callbacks=[callback])
    return [*seen, *history.values(), *outcome(sim)]


def outside(sim, act, stateful, path):
    """Return results of the same between two calls."""
    begin(sim, path)
    first = fit(sim, stateful)
    seen = act(sim, path)
    second = fit(sim, stateful)
    history = [first[key] + second[key] for key in first]
    return [seen, *history, *outcome(sim)]


def save_and_load(sim, path):
    other = path.with_name("other.npz")
    sim.save_params(other, include_state=True)
    sim.run_steps(2)
    sim.load_params(other, include_state=True)
    return sim.n_steps


def nengo_params(sim):
    with pytest.warns(UserWarning, match="learned different weights in each batch item"):
        return sim.get_nengo_params(sim.taught)["solver"].values


def freeze(sim, path):
    with pytest.warns(UserWarning, match="learned different weights in each batch item"):
        sim.freeze_params(sim.taught)
    return sim.taught.solver.values


def values(results):
    """Return what predict returned, in the order of the probes."""
    return list(results.values())


ACTS = {
    "reset": lambda sim, path: sim.reset(),
    "reset but for what is trained": lambda sim, path: sim.reset(include_trainable=False),
    "run_steps": lambda sim, path: sim.run_steps(4),
    "run_steps without state": lambda sim, path: sim.run_steps(4, stateful=False),
    "step": lambda sim, path: sim.step(),
    "predict": lambda sim, path: values(sim.predict(X)),
    "predict with state": lambda sim, path: values(sim.predict(X, stateful=True)),
    "predict_on_batch": lambda sim, path: values(sim.predict_on_batch(X[:BATCH])),
    "evaluate": lambda sim, path: list(evaluate(sim).values()),
    "evaluate with state": lambda sim, path: list(evaluate(sim, stateful=True).values()),
    "fit": lambda sim, path: fit(sim, False)["loss"],
    "fit with state": lambda sim, path: fit(sim, True, validation_data=(X, {"b": Y}))["loss"],
    "check_gradients": lambda sim, path: sim.check_gradients(np.zeros((BATCH, 1, 1))) and None,
    "save and load": save_and_load,
    "load": lambda sim, path: sim.load_params(path, include_state=True, include_optimizer=True),
    "freeze_params": freeze,
    "get_nengo_params": lambda sim, path: nengo_params(sim),
    "times": lambda sim, path: [sim.n_steps, sim.time, *sim.trange()],
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("stateful", [False, True])
def test_methods_between_two_epochs(sim, act, stateful, path):
    found, expected = (way(sim, act, stateful, path) for way in (inside, outside))
    flat = [keras.tree.flatten(part) for part in (found, expected)]
    for one, other in zip(*flat, strict=True):
        if one is not None or other is not None:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_soft_reset_between_two_epochs(sim, path):
    with pytest.warns(DeprecationWarning, match="soft_reset is deprecated"):
        inside(sim, lambda sim, path: sim.soft_reset(), True, path)
    assert sim.n_steps == 6 + 3


@pytest.mark.parametrize("stateful", [False, True])
def test_calls_between_two_minibatches_change_no_losses(sim, path, stateful):
    """Nor do they what Keras has measured in the epoch so far."""

    def measure(batch, logs):
        evaluate(sim)
        values(sim.predict(X))

    losses = []
    for callbacks in ([], [keras.callbacks.LambdaCallback(on_train_batch_end=measure)]):
        begin(sim, path)
        losses.append(fit(sim, stateful, epochs=2, callbacks=callbacks))
        assert sim.n_steps == 5 + (12 if stateful else 0)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_reset_between_two_minibatches(sim, path, method):
    """Each of them begins at step 0, where they would go on from each other."""
    steps = []

    def reset(batch, logs):
        steps.append(sim.n_steps)
        sim.reset()

    event = {"evaluate": "on_test_batch_end", "predict": "on_predict_batch_end"}[method]
    callback = keras.callbacks.LambdaCallback(**{event: reset})
    options = {"verbose": 0, "stateful": True, "callbacks": [callback]}
    sim.reset()
    if method == "predict":
        twice = values(sim.predict(np.concatenate([X[:2], X[:2]]), **options))
        assert all(np.array_equal(array[:2], array[2:]) for array in twice)
    else:
        score = sim.evaluate(X, {"b": Y}, **options)["loss"]
        parts = [sim.evaluate(X[i : i + 2], {"b": Y[i : i + 2]}, verbose=0) for i in (0, 2)]
        assert score == pytest.approx(np.mean([part["loss"] for part in parts]), rel=1e-12)
    assert sim.n_steps == 0 and steps == [3, 3]


@pytest.mark.parametrize("stateful", [False, True])
def test_validation_leaves_training_as_it_is(sim, path, stateful):
    found = []
    for validation in (None, (X[:, ::-1], {"b": Y})):
        begin(sim, path)
        history = fit(sim, stateful, epochs=2, validation_data=validation)
        found.append([history["loss"], outcome(sim)])
    for one, other in zip(*map(keras.tree.flatten, found), strict=True):
        np.testing.assert_array_equal(one, other)


def test_validation_begins_where_fit_began(sim, path):
    """So that it measures the same in each epoch, whatever the state of training."""
    sim.keras_model.optimizer.learning_rate = 0.0
    history = fit(sim, True, epochs=2, validation_data=(X, {"b": Y}))
    assert sim.n_steps == 5 + 2 * 2 * 3
    begin(sim, path)
    expected = sim.evaluate(X, {"b": Y}, stateful=True, verbose=0)["loss"]
    assert history["val_loss"] == pytest.approx([expected] * 2, rel=1e-12)


def test_fit_in_a_callback_of_fit_keeps_what_belongs_to_the_outer(sim, path):
    def train(epoch, logs):
        sim.keras_model.stop_training = epoch == 1
        inner.append(fit(sim, False, epochs=3, validation_data=(X, {"b": Y}))["loss"])

    inner = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=train)
    history = fit(sim, False, epochs=5, callbacks=[callback], validation_data=(X, {"b": Y}))
    assert list(map(len, inner)) == [3, 3] and len(history["val_loss"]) == 2
    losses = [history["loss"][0], *inner[0], history["loss"][1], *inner[1]]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize(
    ("method", "within"),
    [("compile", "fit"), ("compile", "evaluate")]
    + [("close", "fit"), ("close", "evaluate"), ("close", "predict")],
)
def test_what_would_pull_away_what_is_running_is_refused(sim, path, method, within):
    def act(*args):
        getattr(sim, method)()

    events = {"fit": "on_epoch_end", "evaluate": "on_test_end", "predict": "on_predict_end"}
    options = {"callbacks": [keras.callbacks.LambdaCallback(**{events[within]: act})], "verbose": 0}
    data = [X] if within == "predict" else [X, {"b": Y}]
    message = f"{method} was called in a callback of {within}.*when {within} has returned"
    with pytest.raises(SimulationError, match=message):
        getattr(sim, within)(*data, **options)
    assert not sim.closed and not sim.session.running
    sim.run_steps(1)


def test_compile_in_a_callback_of_predict():
    with simulator() as sim:
        compile = keras.callbacks.LambdaCallback(on_predict_end=lambda logs: sim.compile("sgd"))
        sim.predict(X, callbacks=[compile])
        assert type(sim.keras_model.optimizer) is keras.optimizers.SGD


def test_an_interrupted_fit_has_as_many_steps_as_its_state(sim, path):
    def interrupt(batch, logs):
        raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(sim, True, callbacks=[callback])
    assert sim.n_steps == 5 + 3
    found = outcome(sim)
    begin(sim, path)
    sim.fit(X[:2], {"b": Y[:2]}, stateful=True, verbose=0)
    expected = outcome(sim)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
