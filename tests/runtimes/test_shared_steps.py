"""Who trains networks that differ in variables alone compiles once, and trains the same."""

import functools
import gc
import weakref

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

import nengo_dl
from nengo_dl.runtimes import switches
from nengo_dl.runtimes.tensorflow.shared_functions import SHARED
from tests.networks import wave

ITEMS, STEPS = 4, 6


def network(seed=0, neuron_type=None, spikes="rates", outputs=2, synapse=None, learns=False):
    """Return a network; without arguments, one without a loop, which compiles fast."""
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(training_spikes=spikes)
        node = nengo.Node(np.zeros(3), label="node")
        ens = nengo.Ensemble(150, 3, neuron_type=neuron_type or nengo.RectifiedLinear())
        nengo.Connection(node, ens, synapse=None)
        out = nengo.Node(size_in=outputs)
        weights = nengo_dl.dists.Glorot()
        nengo.Connection(ens.neurons, out, transform=weights, synapse=synapse)
        if learns:
            post = nengo.Ensemble(150, 2)
            taught = nengo.Connection(ens[:2], post, learning_rule_type=nengo.PES(1e-3))
            nengo.Connection(node[:2], taught.learning_rule)
            nengo.Probe(post, label="post")
        net.p = nengo.Probe(out, label="probe")
    return net


def data(net, outputs=2, n_steps=STEPS):
    rng = np.random.RandomState(1)
    x = rng.uniform(-1, 1, (2 * ITEMS, n_steps, 3))
    return {net.nodes[0]: x}, {net.p: rng.uniform(-1, 1, (2 * ITEMS, n_steps, outputs))}


def nothing(sim):
    """Change nothing."""


def trained(net, optimizer=None, before=nothing, outputs=2, fitting=None, tests=False, **compiling):
    """Return losses, weights, and how many functions were compiled."""
    compiling.setdefault("loss", "mse")
    x, y = data(net, outputs)
    with nengo_dl.Simulator(net, minibatch_size=ITEMS, progress_bar=False, seed=0) as sim:
        sim.compile(optimizer or keras.optimizers.Adam(1e-2), **compiling)
        before(sim)
        shown = sim.fit(x, y, epochs=2, verbose=0, shuffle=False, **(fitting or {})).history
        model = sim.keras_model
        count = model.train_function.compile_count
        if tests:
            shown.update(sim.evaluate(x, y, verbose=0))
            count += model.test_function.compile_count
        return shown, model.get_weights(), count


def assert_same(found, expected):
    for key, values in expected[0].items():
        np.testing.assert_array_equal(found[0][key], values, err_msg=key)
    for x, y in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(x, y)


KINDS = {
    "surrogate": {"neuron_type": nengo.LIF(), "spikes": "fast_sigmoid"},
    "rates": {"neuron_type": nengo.LIF(), "synapse": 0.005},
    "no state": {},
    "learns": {"learns": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_as_by_itself(kind):
    """Whatever another network of another seed has learned."""
    expected = trained(network(seed=5, **KINDS[kind]), tests=True)
    assert expected[2] == 2
    SHARED.clear()
    other = trained(network(seed=6, **KINDS[kind]), tests=True)
    assert other[2] == 2 and other[0]["loss"] != expected[0]["loss"]
    found = trained(network(seed=5, **KINDS[kind]), tests=True)
    assert found[2] == 0
    assert_same(found, expected)


def sgd(**kwargs):
    return keras.optimizers.SGD(0.01, **kwargs)


def schedule(steps):
    return keras.optimizers.schedules.ExponentialDecay(0.01, steps, 0.5)


def twice(y_true, y_pred):
    return 2 * (y_true - y_pred) ** 2


#: How two models are trained, and how many functions the second compiles.
OPTIMIZERS = {
    "rate": ({"optimizer": sgd()}, {"optimizer": keras.optimizers.SGD(0.02)}, 0),
    "schedule": ({"optimizer": sgd()}, {"optimizer": keras.optimizers.SGD(schedule(2))}, 1),
    "schedules": tuple({"optimizer": keras.optimizers.SGD(schedule(n))} for n in (2, 4)) + (1,),
    "momentum": ({"optimizer": sgd()}, {"optimizer": sgd(momentum=0.9)}, 1),
    "clipping": ({"optimizer": sgd()}, {"optimizer": sgd(clipnorm=0.1)}, 1),
    "decay": ({"optimizer": sgd()}, {"optimizer": sgd(weight_decay=0.1)}, 1),
    "kind": ({"optimizer": sgd()}, {"optimizer": keras.optimizers.RMSprop(0.01)}, 1),
    "loss": ({}, {"loss": "mae"}, 1),
    "argument of loss": tuple({"loss": keras.losses.Huber(d)} for d in (1.0, 0.1)) + (1,),
    "weights of losses": ({}, {"loss_weights": {"probe": 2.0}}, 1),
    "own loss": ({}, {"loss": lambda y_true, y_pred: 3 * (y_true - y_pred) ** 2}, 1),
    "metric": ({}, {"metrics": ["mae"]}, 1),
    "other metric": ({"metrics": ["mae"]}, {"metrics": ["mape"]}, 1),
    "own metric": ({"metrics": [twice]}, {"metrics": [twice]}, 1),
}


@pytest.mark.parametrize("what", OPTIMIZERS)
def test_what_is_compiled_for(what):
    first, second, count = OPTIMIZERS[what]
    trained(network(seed=1), **first)
    # an optimizer belongs to one model
    again = [dict(second) for _ in range(2)]
    for kwargs in again:
        if "optimizer" in kwargs:
            given = kwargs["optimizer"]
            kwargs["optimizer"] = type(given).from_config(given.get_config())
    found = trained(network(), **again[0])
    assert found[2] == count
    SHARED.clear()
    assert_same(found, trained(network(), **again[1]))


def wrapped(factor):
    @functools.wraps(keras.losses.mean_squared_error)
    def loss(y_true, y_pred):
        return factor * keras.losses.mean_squared_error(y_true, y_pred)

    return loss


ALIKE = {
    "methods": [keras.losses.Huber(delta).call for delta in (1.0, 0.01)],
    "wrappers": [wrapped(1.0), wrapped(3.0)],
    "precision": [keras.losses.MeanSquaredError(dtype=d) for d in ("float32", "bfloat16")],
}


@pytest.mark.parametrize("what", ALIKE)
def test_losses_that_look_alike(what):
    first, second = ALIKE[what]
    trained(network(), loss=first)
    found = trained(network(), loss=second)
    assert found[2] == 1
    SHARED.clear()
    assert_same(found, trained(network(), loss=second))


def test_what_names_stand_for():
    """Nodes change places, and so do probes."""

    def swapped(nodes, probes):
        with nengo.Network(seed=0) as net:
            given = [nengo.Node(np.zeros(2)) for _ in range(2)]
            u, v = given[::nodes]
            ens = nengo.Ensemble(30, 2, neuron_type=nengo.RectifiedLinear(), seed=1)
            outs = [nengo.Node(size_in=2, label=label) for label in "ab"]
            nengo.Connection(u, ens, synapse=None, seed=3)
            for number, out in enumerate(outs):
                weights = nengo_dl.dists.Glorot()
                nengo.Connection(ens.neurons, out, transform=weights, synapse=None, seed=number)
            nengo.Connection(v, outs[0], synapse=None)
            net.probed = [nengo.Probe(out) for out in outs[::probes]]
        rng = np.random.RandomState(0)
        x = {node: rng.uniform(-1, 1, (ITEMS, STEPS, 2)) for node in given}
        with nengo_dl.Simulator(net, minibatch_size=ITEMS, progress_bar=False, seed=0) as sim:
            sim.compile(sgd(), loss={net.probed[0]: "mse"})
            y = {net.probed[0]: np.ones((ITEMS, STEPS, 2))}
            history = sim.fit(x, y, epochs=2, verbose=0, shuffle=False).history
            return history, sim.keras_model.get_weights()

    for change in ((-1, 1), (1, -1)):
        swapped(1, 1)
        found = swapped(*change)
        SHARED.clear()
        assert_same(found, swapped(*change))


def frozen(sim):
    sim.keras_model.trainable_variables[0].trainable = False


def constrained(sim):
    sim.keras_model.trainable_variables[-1].constraint = keras.constraints.NonNeg()


def regularized(sim):
    sim.keras_model.trainable_variables[-1].regularizer = keras.regularizers.L2(0.1)


def without_decay(sim):
    sim.keras_model.optimizer.exclude_from_weight_decay(var_names=["weights"])


def own_step(sim):
    model = sim.keras_model
    step = model.train_step
    model.train_step = lambda batch: step(batch)


def own_update(sim):
    optimizer = sim.keras_model.optimizer
    update = optimizer.update_step
    optimizer.update_step = lambda gradient, variable, rate: update(2 * gradient, variable, rate)


def own_model(sim):
    class Doubled(type(sim.keras_model)):
        def compute_loss(self, *args, **kwargs):
            return 2 * super().compute_loss(*args, **kwargs)

    sim.keras_model.__class__ = Doubled


def active(sim):
    sim.keras_model.get_layer(index=-1).activity_regularizer = keras.regularizers.L2(0.1)


def inference(sim):
    sim.keras_model.inference_only = True


def other_order(sim):
    sim.keras_model.optimizer.build(sim.keras_model.trainable_variables[::-1])


CHANGES = [frozen, constrained, regularized, without_decay, own_step, other_order]
CHANGES += [own_update, own_model, active, inference]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_models(change):
    """What is changed behind what a configuration shows."""

    def run():
        return trained(network(), keras.optimizers.AdamW(0.01, weight_decay=0.1), before=change)

    trained(network(), keras.optimizers.AdamW(0.01, weight_decay=0.1))
    found = run()
    assert found[2] == 1
    SHARED.clear()
    assert_same(found, run())


@pytest.mark.parametrize(
    "fitting", [{"stateful": True}, {"sample_weight": np.arange(2.0 * ITEMS)}, {"n_steps": STEPS}]
)
def test_other_calls(fitting):
    trained(network())
    found = trained(network(), fitting=fitting)
    assert found[2] == (0 if "n_steps" in fitting else 1)
    SHARED.clear()
    assert_same(found, trained(network(), fitting=fitting))


def test_other_networks():
    trained(network())
    for kwargs in ({"neuron_type": nengo.LIFRate()}, {"outputs": 3}):
        found = trained(network(**kwargs), outputs=kwargs.get("outputs", 2))
        assert found[2] == 1
        SHARED.clear()
        assert_same(found, trained(network(**kwargs), outputs=kwargs.get("outputs", 2)))


def test_layers_and_noise_are_not_shared():
    """They may be, or hear, anything."""

    def layered():
        net = network()
        with net:
            layer = nengo_dl.Layer(keras.layers.Dense(2))(net.nodes[0])
            net.p = nengo.Probe(layer, label="layer")
        return net

    def noisy():
        net = network()
        net.ensembles[0].noise = nengo.processes.WhiteNoise(seed=1)
        return net

    for make in (layered, noisy):
        assert [trained(make())[2] for _ in range(2)] == [1, 1]


def test_two_at_a_time():
    nets = [network(seed=seed) for seed in (1, 2)]
    expected = [trained(network(seed=seed)) for seed in (1, 2)]
    sims = [nengo_dl.Simulator(n, minibatch_size=ITEMS, progress_bar=False, seed=0) for n in nets]
    for sim in sims:
        sim.compile(keras.optimizers.Adam(1e-2), loss="mse")
    for _ in range(2):
        for sim, net in zip(sims, nets, strict=True):
            sim.fit(*data(net), epochs=1, verbose=0, shuffle=False)
    for sim, (_, weights, _) in zip(sims, expected, strict=True):
        for x, y in zip(sim.keras_model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(x, y)
        sim.close()


def test_nobody_is_kept(own_garbage):
    """Nor any function, but those for the next; TensorFlow keeps no gradients of ours."""

    def fit():
        net = network(neuron_type=nengo.LIF(), spikes="fast_sigmoid")
        x, y = data(net)
        with nengo_dl.Simulator(net, minibatch_size=ITEMS, progress_bar=False) as sim:
            sim.compile(keras.optimizers.Adam(1e-2), loss="mse")
            sim.fit(x, y, verbose=0)
            count = sim.keras_model.train_function.compile_count
            return count, [weakref.ref(x) for x in (sim, sim.session, sim.session.graph)]

    before = set(ops.gradient_registry._registry)
    count, refs = fit()
    gc.collect()
    assert count == 1 and [ref() for ref in refs] == [None] * len(refs)
    assert fit()[0] == 0
    assert set(ops.gradient_registry._registry) == before


def test_debuggers_see_all_that_is_traced():
    trained(network())
    tf.debugging.enable_check_numerics()
    try:
        assert trained(network())[2] == 1
    finally:
        tf.debugging.disable_check_numerics()
    assert trained(network())[2] == 0


def test_strategies_of_one_device():
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        assert trained(network())[0]["loss"]


def test_large_models_and_those_that_switch_it_off_are_not_shared(assume, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(switches, "SHARED_FUNCTIONS", False)
        assert [trained(network())[2] for _ in range(2)] == [1, 1]
    assume(shared_elements=1000)
    assert [trained(network())[2] for _ in range(2)] == [1, 1]
    assert not len(SHARED)


def test_conversion_of_what_was_trained_by_a_shared_function():
    """Parameters that a shared function trained are those of its simulator."""
    trained(network(seed=1))
    net = network(seed=2)
    x, y = data(net)
    with nengo_dl.Simulator(net, minibatch_size=ITEMS, progress_bar=False, seed=0) as sim:
        before = sim.data[net.connections[1]].weights.copy()
        sim.compile(keras.optimizers.Adam(1e-2), loss="mse")
        sim.fit(x, y, verbose=0)
        assert sim.keras_model.train_function.compile_count == 0
        after = sim.data[net.connections[1]].weights
        assert not np.array_equal(before, after)
        sim.freeze_params(net)
    with net:
        net.nodes[0].output = wave_of_three
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(20)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(20)
        np.testing.assert_allclose(sim.data[net.p], reference.data[net.p], atol=1e-4)


def wave_of_three(t):
    return np.repeat(wave(t), 3)
