"""A cognitive model of nengo_spa makes the same decisions in both simulators."""

import nengo
import nengo_spa as spa
import numpy as np

import nengo_dl

DIMENSIONS = 32
SHOWN = ("A", "B", "C")  # one after the other, for 150 ms each


def shown_at(t):
    return SHOWN[int(t // 0.15) % len(SHOWN)]


def build():
    """Basal ganglia choose what follows what is seen; the choice is bound to a role."""
    with spa.Network(seed=4) as net:
        nengo_dl.configure_settings(dtype="float64")
        vision = spa.Transcode(shown_at, output_vocab=DIMENSIONS)
        state, bound = spa.State(DIMENSIONS), spa.State(DIMENSIONS)
        vision.output_vocab.populate("A; B; C; ROLE")
        with spa.ActionSelection() as choice:
            spa.ifmax(spa.dot(vision, spa.sym.A), spa.sym.B >> state)
            spa.ifmax(spa.dot(vision, spa.sym.B), spa.sym.C >> state)
            spa.ifmax(spa.dot(vision, spa.sym.C), spa.sym.A >> state)
        state * spa.sym.ROLE >> bound
        net.decision = nengo.Probe(choice.thalamus.output, synapse=0.01)
        net.chosen = nengo.Probe(state.output, synapse=0.03)
        net.bound = nengo.Probe(bound.output, synapse=0.03)
        net.vocab = vision.output_vocab
    return net


def test_the_same_decisions():
    net = build()
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run(0.45)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run(0.45)
    for probe in (net.decision, net.chosen, net.bound):
        np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-9)

    for end, action, expected in ((140, 0, "B"), (290, 1, "C"), (440, 2, "A")):
        assert np.argmax(sim.data[net.decision][end]) == action
        pointer = sim.data[net.chosen][end]
        assert max(SHOWN, key=lambda name: net.vocab[name].dot(pointer)) == expected
        role = net.vocab.parse(f"{expected} * ROLE").v
        assert np.dot(sim.data[net.bound][end], role) > 0.3
