"""What the objects of a network are called."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl
from nengo_dl.lowering.names import name_objects, without_addresses


def test_names_of_all_kinds_of_objects():
    with nengo.Network(label="top") as net:
        a, b = nengo.Ensemble(5, 1, label="a"), nengo.Ensemble(5, 1)
        node = nengo.Node([0], label="a")
        with nengo.Network(label="sub") as sub:
            inner, twin = nengo.Ensemble(5, 1, label="a"), nengo.Ensemble(5, 1)
            across = nengo.Connection(inner, b)
            within = nengo.Connection(inner[0], twin.neurons[:1])
        with nengo.Network():
            deepest = nengo.networks.EnsembleArray(5, 2)
        first, second = nengo.Connection(a, b), nengo.Connection(a, b)
        rule = nengo.Connection(a, b, learning_rule_type=nengo.PES(), label="taught")
        error = nengo.Connection(node, rule.learning_rule)
        down = nengo.Connection(node, inner)
    names = name_objects(net)
    expected = {
        a: "a",
        b: "ensemble",
        node: "a",
        sub: "sub",
        inner: "sub.a",
        twin: "sub.ensemble",
        across: "sub.a->ensemble",
        within: "sub.a->ensemble.neurons",
        deepest.ensembles[1]: "network.ensemblearray.1",
        deepest.output: "network.ensemblearray.output",
        first: "a->ensemble",
        second: "a->ensemble_1",
        rule: "taught",
        error: "a->taught.learning_rule",
        down: "a->sub.a",
    }
    assert {obj: names[obj] for obj in expected} == expected
    assert net not in names


def test_names_that_are_taken():
    with nengo.Network() as net:
        ensembles = [nengo.Ensemble(1, 1, label=n) for n in ("x", "x", "x_1", "x", "", "X")]
        nengo.Node([0], label="x")
    names = name_objects(net)
    assert [names[e] for e in ensembles] == ["x", "x_1", "x_1_1", "x_2", "ensemble", "X"]


def test_other_objects_change_no_name():
    def names_of(more):
        with nengo.Network() as net:
            if more:
                nengo.Node([0], label="ens"), nengo.Ensemble(1, 1, label="new")
                nengo.Connection(net.nodes[0], net.ensembles[0])
            ens = nengo.Ensemble(1, 1, label="ens"), nengo.Ensemble(1, 1)
            conn = nengo.Connection(*ens)
        names = name_objects(net)
        return [names[obj] for obj in (*ens, conn)]

    assert names_of(True) == names_of(False) == ["ens", "ensemble", "ens->ensemble"]


def test_a_model_without_a_network_has_no_names():
    assert name_objects(None) == {}


@pytest.mark.training
@pytest.mark.parametrize("label", ["a/b", "入力", "über 1:2", "-x", "😀", "/"])
def test_networks_with_all_kinds_of_labels_can_be_trained_and_saved(label, tmp_path):
    with nengo.Network(seed=0) as net:
        node, ens = nengo.Node([0.0], label=label), nengo.Ensemble(4, 1, label=label)
        nengo.Connection(node, ens)
        probe = nengo.Probe(ens, label=label)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        name, other = sim.get_name(node), sim.get_name(probe)
        assert {name, f"{name}_1"} == {name, other} and "node" not in name
        sim.compile("sgd", loss={other: "mse"}, metrics={probe: "mae"})
        x = np.ones((1, 2, 1))
        history = sim.fit({name: x}, {other: x}, verbose=0).history
        assert list(history) == ["loss", f"{other}_loss", f"{other}_mae"]
        sim.keras_model.save_weights(tmp_path / "a.weights.h5")
        sim.keras_model.load_weights(tmp_path / "a.weights.h5")
        sim.save_params(tmp_path / "a", include_state=True, include_optimizer=True)
        sim.load_params(tmp_path / "a", include_state=True, include_optimizer=True)


def unlabelled():
    """Return a network with an unlabelled object of every kind, and one with an address."""

    class Own(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            return lambda t: 0.0

        __repr__ = object.__repr__
        __str__ = object.__repr__

    with nengo.Network(seed=0) as net:
        constant, function = nengo.Node([0.5]), nengo.Node(lambda t: t)
        nengo.Node(Own(default_size_out=1))
        python = nengo.Node(lambda t, x: x, size_in=1)
        noise = nengo.processes.WhiteNoise(seed=0)
        ens, other = nengo.Ensemble(5, 1), nengo.Ensemble(5, 1, noise=noise)
        nengo.Connection(constant, ens)
        taught = nengo.Connection(ens, other, learning_rule_type=nengo.PES())
        nengo.Connection(other, taught.learning_rule)
        nengo.Connection(other, python)
        nengo.Connection(python, ens.neurons, transform=np.ones((5, 1)))
        nengo.Connection(function, other, function=lambda x: x**2)
        tensor = nengo_dl.TensorNode(lambda t, x: x, shape_in=(1,))
        nengo.Connection(python, tensor)
        with nengo.Network():
            inner = nengo.Ensemble(5, 1)
        nengo.Connection(function, inner)
        for obj in (constant, function, ens, ens.neurons, python, taught, tensor, inner, other):
            nengo.Probe(obj)
    return net


def test_nothing_shown_has_addresses():
    """What is unlabelled has the name of its place in the network."""
    shown, again = [], []
    for lines in (shown, again):
        with nengo_dl.Simulator(unlabelled(), progress_bar=False) as sim:
            lines += [str(sim.program), str(sim.session.compiled.training_program)]
            sim.summary(line_length=120, print_fn=lines.append)
            lines += sim.session.graph.obstacles
    assert shown == again and not any("0x" in text for text in shown)
    for name in ("ensemble_1", "node_1", "network.ensemble"):
        assert any(f'"{name}"' in text for text in shown)


def test_messages_have_no_addresses():
    with nengo.Network() as net:
        nengo.Node([0.0])
        probe = nengo.Probe(nengo.Node(lambda t: np.nan if t > 0 else 0.0))
        with nengo.Network():
            ens = nengo.Ensemble(3, 1)
        conn = nengo.Connection(ens, nengo.Node(size_in=1), learning_rule_type=nengo.PES())
        nengo_dl.configure_settings(trainable=None)
        net.config[conn].trainable = True
    with pytest.warns(UserWarning, match="has a learning rule") as caught:
        sim = nengo_dl.Simulator(net, progress_bar=False)
    with sim:
        with pytest.raises(SimulationError, match='<Node "node_1">') as error:
            sim.run_steps(1)
        with pytest.warns(UserWarning, match="contains synapses") as also:
            sim.predict({net.nodes[0]: np.zeros((1, 1, 1)), net.nodes[1]: np.zeros((1, 1, 1))})
    assert probe in sim.data
    texts = [str(w.message) for w in (*caught, *also)] + [str(error.value)]
    assert not any("0x" in text for text in texts)
    assert any('<Ensemble "network.ensemble">' in text for text in texts)


def test_a_model_without_a_network_has_no_addresses_either():
    readable = without_addresses({})
    assert readable("<Ensemble (unlabeled) at 0x7f0123abcdef>.bias") == "<Ensemble>.bias"
    assert readable("as it is, at 0") == "as it is, at 0"
