"""What the objects of a network are called."""

import nengo

from nengo_dl.lowering.names import name_objects


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
