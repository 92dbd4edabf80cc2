"""The table of a network's objects."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.simulator.summary import rows


class Own(nengo.LIF):
    """A neuron type that runs on the host."""


@pytest.fixture(scope="module")
def sim():
    """Return a simulator of a network with one of each kind of object."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=None)
        x = nengo.Node(np.ones(2), label="in")
        with nengo.Network(label="hidden"):
            frozen = nengo.Ensemble(5, 2, label="[a]")
            array = nengo.networks.EnsembleArray(4, 2, label="array")
        host = nengo.Ensemble(3, 2, neuron_type=Own(), label="host")
        unused = nengo.Ensemble(2, 1, label="unused")
        out = nengo.Node(size_in=2, label="out")
        nengo.Connection(x, frozen)
        nengo.Connection(x, array.input)
        nengo.Connection(x, host)
        nengo.Connection(array.output, out, transform=2.0)
        conn = nengo.Connection(frozen, out, learning_rule_type=nengo.PES(), label="learns")
        nengo.Connection(x, conn.learning_rule)
        layer = nengo_dl.Layer(keras.layers.BatchNormalization())(out, label="norm")
        nengo.Probe(layer), nengo.Probe(host.neurons), nengo.Connection(x[0], unused)
    net.config[frozen].trainable = False
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        yield sim


def test_rows(sim):
    found = {row.name: row for row in rows(sim.session)}
    numbers = {n: (r.kind, r.neurons, r.trained, r.fixed, r.learned) for n, r in found.items()}
    assert numbers == {
        "hidden.[a]": ("LIF", 5, 0, 15, 0),
        "hidden.array.array_0": ("LIF", 4, 8, 0, 0),
        "hidden.array.array_1": ("LIF", 4, 8, 0, 0),
        "host": ("Own", 3, 9, 0, 0),
        "unused": ("LIF", 2, 4, 0, 0),
        "norm": ("BatchNormalization", 0, 4, 4, 0),
        "hidden.array.array_0->output": ("Connection", 0, 4, 0, 0),
        "hidden.array.array_1->output": ("Connection", 0, 4, 0, 0),
        "hidden.array.output->out": ("Connection", 0, 1, 0, 0),
        "learns": ("Connection", 0, 0, 0, 10),
    }
    assert found["norm"].trainable == "yes, no" and found["learns"].trainable == "online"
    groups = sim.program.groups
    assert any(g.startswith("host") for g in found["host"].groups)
    for name in ("hidden.array.array_0", "hidden.array.array_1"):
        assert list(found[name].groups) == list(found["hidden.array.array_0"].groups)
        assert {g.partition(" ")[0] for g in found[name].groups} == {"sum", "dot", "neurons"}
    assert all(
        any(text == f"{g.kind} ×{len(g.ops)}" for g in groups)
        for row in found.values()
        for text in row.groups
    )


def test_numbers_are_those_of_keras(sim):
    found = rows(sim.session)
    model = sim.keras_model
    trained = sum(row.trained for row in found)
    assert trained == sum(w.shape.num_elements() for w in model.trainable_weights)
    others = sum(row.fixed + 3 * row.learned for row in found)
    assert others == sum(w.shape.num_elements() for w in model.non_trainable_weights)


def test_the_table(sim, capsys):
    text = []
    sim.summary(line_length=120, print_fn=text.append)
    (table,) = text
    for line in (
        "│ unused (LIF)                              │       2 │          4 │ yes       │ unused",
        "│ hidden.[a] (LIF)                          │       5 │         15 │ no        │",
        "│ learns (Connection)                       │         │         10 │ online    │",
        " Neurons: 18 in 5 ensembles",
        " Parameters: 71\n   trainable: 42\n   not trainable: 19\n"
        "   learned online, in each batch item: 10\n",
        f"{len(sim.program.ops)} in {len(sim.program.groups)} groups",
    ):
        assert line in table
    assert capsys.readouterr().out == ""
    sim.summary(line_length=120)
    assert capsys.readouterr().out.rstrip("\n") == table


def test_the_summary_of_keras(sim):
    text = []
    sim.keras_model.summary(line_length=120, print_fn=lambda line, **_: text.append(line))
    table = "".join(text)
    assert "tensor_graph (TensorGraph)" in table and "Trainable params: 42" in table


def test_inference_only_and_empty_networks(capsys):
    with nengo.Network() as net:
        nengo_dl.configure_settings(inference_only=True)
        nengo.Ensemble(5, 1)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        (row,) = rows(sim.session)
        assert (row.trained, row.fixed, row.trainable) == (0, 10, "no")
    with nengo_dl.Simulator(nengo.Network(), progress_bar=False) as sim:
        assert rows(sim.session) == []
        sim.summary()
    assert "Neurons: 0 in 0 ensembles" in capsys.readouterr().out
