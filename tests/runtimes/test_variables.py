"""The Keras variables of parameters: their names, and how many parameters share one."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.graph_optimizer import noop_planner
from nengo_dl.runtimes.tensorflow.keras.parameters import variable_name


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def parallel(planner=None, size=5):
    """Two ensembles of the same size, alike in all but their labels, one of them learning."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(planner=planner)
        node = nengo.Node([0.5], label="in")
        with nengo.Network(label="sub"):
            net.a, net.b = (nengo.Ensemble(size, 1, label=label) for label in ("a b", "_ß/"))
        out = nengo.Node(size_in=1, label="out")
        for ens in (net.a, net.b):
            nengo.Connection(node, ens, transform=2.0)
        nengo.Connection(net.a, out)
        net.conn = nengo.Connection(net.b, out, learning_rule_type=nengo.PES(), label="learns")
        nengo.Connection(node, net.conn.learning_rule)
        net.probe = nengo.Probe(out)
    return net


NAMES = {
    "sub.a_b.encoders": (5, 1),
    "sub.a_b.bias": (5,),
    "sub.___.encoders": (5, 1),
    "sub.___.bias": (5,),
    "in->sub.a_b.weights": (),
    "in->sub.___.weights": (),
    "sub.a_b->out.weights": (1, 5),
    "learns.weights": (2, 1, 5),
}


@pytest.mark.parametrize("planner", [None, noop_planner])
def test_each_parameter_has_a_variable_of_its_own(planner):
    net = parallel(planner)
    with simulator(net, minibatch_size=2) as sim:
        weights = sim.keras_model.weights
        assert {w.name: tuple(w.shape) for w in weights} == NAMES
        assert {w.path for w in weights} == {f"tensor_graph/{name}" for name in NAMES}
        by_name = {w.name: w for w in weights}
        assert not by_name["learns.weights"].trainable and by_name["sub.___.bias"].trainable
        assert sim.tensor_graph.members_of(by_name["sub.___.bias"]) == ["sub._ß/.bias"]
        for ens, name in ((net.a, "sub.a_b"), (net.b, "sub.___")):
            np.testing.assert_array_equal(by_name[f"{name}.bias"], sim.data[ens].bias)


def test_what_trains_one_object_leaves_the_others_alone():
    """The norm of a gradient is clipped, and the optimizer keeps state, for each by itself."""
    net = parallel()
    with simulator(net) as sim:
        before = {w.name: w.numpy() for w in sim.keras_model.weights}
        by_name = {w.name: w for w in sim.keras_model.weights}
        by_name["sub.a_b.bias"].trainable = False
        sim.compile(keras.optimizers.SGD(1.0, clipnorm=1e-3, momentum=0.5), loss="mse")
        sim.fit(np.ones((1, 9, 1)), np.full((1, 9, 1), 100.0), epochs=1, verbose=0)
        slots = [v.path for v in sim.keras_model.optimizer.variables]
        assert any(slot.endswith("/tensor_graph_sub.___.bias_momentum") for slot in slots)
        moved = {n: np.linalg.norm(by_name[n].numpy() - before[n]) for n in NAMES}
    assert moved["sub.a_b.bias"] == 0
    for name in ("sub.a_b.encoders", "sub.___.encoders", "sub.___.bias", "sub.a_b->out.weights"):
        np.testing.assert_allclose(moved[name], 1e-3, rtol=1e-3)


def test_many_parameters_share_variables(assume):
    def results():
        net = parallel()
        with simulator(net, minibatch_size=2) as sim:
            sim.compile(keras.optimizers.SGD(0.1), loss="mse")
            sim.fit(np.ones((2, 3, 1)), np.zeros((2, 3, 1)), epochs=2, verbose=0)
            sim.run_steps(5)
            values = [sim.data[net.a].bias, sim.data[net.b].encoders, sim.data[net.conn].weights]
            sim.reset()
            members = {w.name: sim.tensor_graph.members_of(w) for w in sim.keras_model.weights}
            return members, [*values, sim.data[net.a].bias, sim.data[net.conn].weights]

    _, expected = results()
    assume(lone_parameters=7)
    members, found = results()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert members["sub.2_ensembles.bias"] == ["sub.a b.bias", "sub._ß/.bias"]
    assert members["learns.weights"] == ["learns.weights"]
    assert sum(len(names) for names in members.values()) == len(NAMES) > len(members)


@pytest.mark.parametrize(
    "names, expected",
    [
        (["a.encoders"], "a.encoders"),
        (["a b.c->d.neurons.weights"], "a_b.c->d.neurons.weights"),
        (["_a.bias"], "._a.bias"),
        (["net.a.bias", "net.b.bias"], "net.2_ensembles.bias"),
        (["net.x.a.bias", "net.y.b.bias", "net.y.b.encoders"], "net.3_ensembles.parameters"),
        (["a->b.weights", "c->d.weights"], "2_connections.weights"),
        (["a->b.weights", "c.encoders"], "2_objects.parameters"),
    ],
)
def test_names_of_variables(names, expected):
    assert variable_name(names) == expected


@pytest.mark.parametrize("planner", [None, noop_planner])
def test_weight_files_of_keras(planner, tmp_path, assume):
    path = tmp_path / "x.weights.h5"
    with simulator(parallel(), minibatch_size=2) as sim:
        for w in sim.keras_model.weights:
            w.assign(np.random.RandomState(0).uniform(size=w.shape))
        sim.keras_model.save_weights(path)
        expected = {w.name: w.numpy() for w in sim.keras_model.weights}
    with simulator(parallel(planner), minibatch_size=2) as sim:
        sim.keras_model.load_weights(path)
        for w in sim.keras_model.weights:
            np.testing.assert_array_equal(w, expected[w.name])
    assume(lone_parameters=0)
    net = parallel(planner)
    with simulator(net, minibatch_size=2) as sim:
        sim.keras_model.load_weights(path)
        np.testing.assert_array_equal(sim.data[net.b].bias, expected["sub.___.bias"])


def test_weights_that_do_not_fit(tmp_path):
    path, store = tmp_path / "x.weights.h5", {}
    with simulator(parallel()) as sim:
        sim.keras_model.save_weights(path)
        sim.tensor_graph.save_own_variables(store)
    with simulator(parallel(size=6)) as sim:
        before = [w.numpy() for w in sim.keras_model.weights]
        with pytest.raises(ValueError, match=r"has shape \(1, 1, 5\), expected \(1, 1, 6\)"):
            sim.tensor_graph.load_own_variables(store)
        with pytest.raises(ValueError, match="could not be loaded"):
            sim.keras_model.load_weights(path)
        del store["sub.a_b.bias"], store["learns.weights"]
        with pytest.raises(ValueError, match="no values of learns.weights, sub.a_b.bias$"):
            sim.tensor_graph.load_own_variables(store)
        for w, value in zip(sim.keras_model.weights, before, strict=True):
            np.testing.assert_array_equal(w, value)
