"""NaN and infinite inputs: an error that says where they come from, or what Nengo does."""

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import BuildError, SimulationError, ValidationError

import nengo_dl
from nengo_dl.runtimes.numpy import first_steps
from nengo_dl.simulator import checks as feeds

BAD = [np.nan, np.inf, -np.inf]
N_STEPS = 6


def chain(node):
    """A node, and neurons that would take what is no number for no input."""
    ens = nengo.Ensemble(5, 1, seed=0, label="ens")
    nengo.Connection(node, ens, synapse=None)
    return nengo.Probe(ens.neurons)


def bad_data(value, items=3):
    """Data of which item 1 has no number in step 4."""
    data = np.ones((items, N_STEPS, 1))
    data[1, 3, 0] = value
    return data


class Bad(nengo.Process):
    """A process that gives no number in step 4."""

    value = nengo.params.NumberParam("value")

    def __init__(self, value, **kwargs):
        super().__init__(default_size_out=1, **kwargs)
        self.value = value

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x=None: self.value if round(t / dt) == 4 else 1.0


@pytest.fixture
def fed():
    """A network whose only node is fed."""
    with nengo.Network() as net:
        net.node = nengo.Node([0.0], label="stimulus")
        net.probe = chain(net.node)
    return net


WHERE = r"'stimulus'.*in item 1, step 4"


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("method", ["run", "predict", "predict_on_batch", "fit", "evaluate"])
def test_data_that_are_no_numbers_are_refused(fed, method, value):
    data, targets = {fed.node: bad_data(value)}, {fed.probe: np.zeros((3, N_STEPS, 5))}
    with nengo_dl.Simulator(fed, minibatch_size=3, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        calls = {
            "run": lambda: sim.run_steps(N_STEPS, data=data),
            "predict": lambda: sim.predict(data),
            "predict_on_batch": lambda: sim.predict_on_batch(data),
            "fit": lambda: sim.fit(data, targets, verbose=0),
            "evaluate": lambda: sim.evaluate(data, targets, verbose=0),
        }
        with pytest.raises(ValidationError, match=WHERE):
            calls[method]()
        assert sim.n_steps == 0


@pytest.mark.parametrize("method", ["predict", "fit", "evaluate"])
def test_minibatches_of_a_dataset_that_are_no_numbers_are_refused(fed, method):
    steps = np.full((3, 1), N_STEPS, np.int32)
    x = {"stimulus": bad_data(np.nan).astype(np.float32), "n_steps": steps}
    item = (x,) if method == "predict" else (x, {"probe": np.zeros((3, N_STEPS, 5), np.float32)})
    data = tf.data.Dataset.from_tensors(item)
    with nengo_dl.Simulator(fed, minibatch_size=3, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        before = sim.get_nengo_params(fed.ensembles[0])["bias"]
        with pytest.raises(ValidationError, match=r"'stimulus'.*item 1, step 4"):
            getattr(sim, method)(data, verbose=0)
        np.testing.assert_array_equal(sim.get_nengo_params(fed.ensembles[0])["bias"], before)


def keras_data(value):
    """Data of item 1 that has no number in step 4, as Keras takes it."""
    steps = np.full((3, 1), N_STEPS, np.int32)
    return {"stimulus": bad_data(value).astype(np.float32), "n_steps": steps}


def test_what_is_given_to_keras_itself_is_checked_too(fed):
    """Also after calls with good data, whose functions are compiled."""
    x, y = keras_data(np.nan), {"probe": np.zeros((3, N_STEPS, 5), np.float32)}
    good = {fed.node: np.ones((3, N_STEPS, 1))}
    dataset = tf.data.Dataset.from_tensors((x, y))
    with nengo_dl.Simulator(fed, minibatch_size=3, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        model = sim.keras_model
        sim.fit(good, {fed.probe: y["probe"]}, verbose=0)
        calls = {
            "predict": lambda: model.predict(x, verbose=0),
            "predict of a Dataset": lambda: model.predict(dataset.map(lambda x, y: x), verbose=0),
            "predict_on_batch": lambda: model.predict_on_batch(x),
            "a call": lambda: model(x),
            "fit": lambda: model.fit(x, y, verbose=0, batch_size=3, shuffle=False),
            "evaluate": lambda: model.evaluate(dataset, verbose=0),
            "train_on_batch": lambda: model.train_on_batch(x, y),
            "test_on_batch": lambda: model.test_on_batch(x, y),
        }
        for call in calls.values():
            with pytest.raises(ValidationError, match="nan for 'stimulus', in its item 1, step 4"):
                call()


def test_a_callback_does_not_end_the_checks(fed):
    """Data of `evaluate` in it are arrays, which are checked elsewhere."""
    y = {"probe": np.zeros((3, N_STEPS, 5), np.float32)}
    items = [(keras_data(1.0), y), (keras_data(np.nan), y)]
    with nengo_dl.Simulator(fed, minibatch_size=3, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        good = {fed.node: np.ones((3, N_STEPS, 1))}, {fed.probe: y["probe"]}
        inner = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: sim.evaluate(*good, verbose=0)
        )
        with pytest.raises(ValidationError, match="nan for 'stimulus', in its item 1, step 4"):
            sim.fit(iter(items), callbacks=[inner], verbose=0)


@pytest.mark.parametrize("value", BAD)
def test_in_a_graph_outputs_are_nan_from_that_step_on(fed, value):
    """Nobody can raise an error there; neurons would give plausible numbers."""
    with fed:
        fed.last = nengo.Probe(fed.node, label="last")
        nengo_dl.configure_settings(keep_history=True)
        fed.config[fed.last].keep_history = False
    x = {name: tf.constant(array) for name, array in keras_data(value).items()}
    with nengo_dl.Simulator(fed, minibatch_size=3, progress_bar=False) as sim:
        expected = sim.keras_model({**x, "stimulus": tf.ones((3, N_STEPS, 1))})
        found = tf.function(lambda x: sim.keras_model(x))(x)
    wrong = np.zeros((3, N_STEPS), bool)
    wrong[1, 3:] = True
    spikes = expected["probe"].numpy()
    assert spikes.any()
    np.testing.assert_array_equal(found["probe"], np.where(wrong[..., None], np.nan, spikes))
    np.testing.assert_array_equal(found["last"], [[[1]], [[np.nan]], [[1]]])


def test_numbers_too_large_for_the_precision_are_refused(fed):
    with nengo_dl.Simulator(fed, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="'stimulus'.*inf.*step 4.*float32"):
            sim.run_steps(N_STEPS, data={fed.node: np.where(bad_data(0) == 0, 1e300, 1)[1:2]})


#: What gives no number, and what is then said.
SOURCES = {
    "function of time": (
        lambda bad: nengo.Node(lambda t: bad if round(t / 0.001) == 4 else 1.0, label="place"),
        "<Node 'place'>.*non-finite value.*in step 4",
    ),
    "process": (
        lambda bad: nengo.Node(Bad(bad), label="place"),
        "<Node 'place'> returned non-finite value.*in step 4, for item 0",
    ),
    "process with inputs": (
        lambda bad: nengo.Node(Bad(bad, default_size_in=1), size_in=1, label="place"),
        "<Node 'place'> returned non-finite value.*in step 4, for item 0",
    ),
    "function": (
        lambda bad: nengo.Node(
            lambda t, x: bad if round(t / 0.001) == 4 else 1.0, size_in=1, size_out=1, label="place"
        ),
        "non-finite value.*in step 4, for item 0",
    ),
}


@pytest.mark.parametrize("value", [*BAD, 1e300])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", SOURCES)
def test_python_that_gives_no_numbers_is_named(kind, compiled, value, monkeypatch):
    if compiled:
        monkeypatch.setattr(first_steps, "numpy_loop", lambda *_: None)
    make, message = SOURCES[kind]
    with nengo.Network() as net:
        chain(make(value))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(SimulationError, match=message):
            sim.run_steps(N_STEPS)


def test_constants_too_large_for_the_precision_are_refused():
    """Nengo itself refuses those that are no numbers."""
    with nengo.Network() as net:
        chain(nengo.Node([1e300], label="place"))
    with pytest.raises(BuildError, match="output of <Node 'place'> is .*expected finite float32"):
        nengo_dl.Simulator(net, progress_bar=False)


NEURONS = [
    nengo.LIF(),
    nengo.LIFRate(),
    nengo.AdaptiveLIF(),
    nengo.AdaptiveLIFRate(),
    nengo.RectifiedLinear(),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.Izhikevich(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo_dl.LeakyReLU(),
    nengo_dl.SpikingLeakyReLU(),
]


class Played(nengo.Process):
    """Plays currents, which Nengo does not check."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: bad_data(np.nan)[1, round(t / dt) - 1]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("neurons", NEURONS, ids=lambda n: type(n).__name__)
def test_neurons_do_with_nan_what_they_do_in_nengo(neurons, compiled, monkeypatch):
    """Whatever checks there are: NaN may come from elsewhere."""
    monkeypatch.setattr(feeds, "check_finite", lambda *_: None)

    def network(node):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype="float64")
            source = node()
            ens = nengo.Ensemble(
                2, 1, neuron_type=neurons, gain=[1, 2], bias=[0.5, 1], encoders=[[1], [1]]
            )
            nengo.Connection(source, ens.neurons, transform=[[9], [4]], synapse=None)
            keys = [k for k in ens.neurons.probeable if k not in ("spikes", "input", "in")]
            probes = [nengo.Probe(ens.neurons, key) for key in keys]
        return net, source, probes

    net, _, theirs = network(lambda: nengo.Node(Played(), size_in=1, size_out=1))
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(N_STEPS)
        expected = [sim.data[p] for p in theirs]
    net, node, probes = network(lambda: nengo.Node([0.0]))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        data = {node: bad_data(np.nan)[1:2]}
        if compiled:
            found = [sim.predict(data)[p][0] for p in probes]
        else:
            sim.run_steps(N_STEPS, data=data)
            found = [sim.data[p] for p in probes]
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, wanted)


class Recorder(nengo.Process):
    """Takes what it is given, and returns nothing: Nengo lets its output be NaN."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        seen = self.seen = []
        return lambda t, x: seen.append(x.copy())


@pytest.mark.parametrize("steps", [3, 30])
def test_processes_may_return_nothing(steps):
    with nengo.Network() as net:
        nengo.Connection(nengo.Node([2.0]), nengo.Node(Recorder(), size_in=1), synapse=None)
    process = net.nodes[1].output
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(steps)
    np.testing.assert_array_equal(process.seen, np.full((steps, 1), 2.0))
