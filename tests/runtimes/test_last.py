"""What only probes of the last step need is computed for that step alone, and is the same."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

STEPS = 6
X = np.random.RandomState(0).uniform(-1, 1, (4, STEPS, 3))


def network(skipped=(), **settings):
    """A readout of spikes, rates behind it, a clock, and probes of the last step and of all."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(
            dtype="float64", keep_history=True, skip_passes=list(skipped), **settings
        )
        net.config[nengo.Connection].synapse = None
        net.inp = nengo.Node(np.zeros(3))
        clock = nengo.Node(lambda t: np.sin(500 * t))
        lif = nengo.LIF(amplitude=0.01)
        spikes = nengo.Ensemble(30, 1, neuron_type=lif, gain=np.ones(30), bias=np.ones(30))
        uniform = nengo_dl.dists.Glorot()
        nengo.Connection(net.inp, spikes.neurons, transform=uniform)
        out = nengo.Node(size_in=8)
        nengo.Connection(spikes.neurons, out, transform=uniform)
        rates = nengo.Ensemble(20, 8, neuron_type=nengo.LIFRate(amplitude=0.01))
        nengo.Connection(out, rates)
        nengo.Connection(clock, rates[0])
        around = nengo.Ensemble(12, 3, neuron_type=nengo.RectifiedLinear(amplitude=0.01))
        nengo.Connection(net.inp, around)
        shown = [rates, out, spikes.neurons, around, out, net.inp]
        net.shown = [nengo.Probe(o) for o in shown]
        for probe in net.shown[:4]:
            net.config[probe].keep_history = False
    return net


def simulator(net):
    return nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, seed=0)


def trained(net, x, loss_of=slice(None), lengths=(STEPS,)):
    """What probes see, losses, and all weights after training for some numbers of steps."""
    probes = net.shown[loss_of]
    with simulator(net) as sim:
        found = list(sim.predict({net.inp: x}).values())
        sim.compile(keras.optimizers.SGD(1e-2), loss={p: "mse" for p in probes})
        for n in lengths:
            last = net.shown[:4]
            y = {p: np.ones((4, 1 if p in last else n, p.size_in)) for p in probes}
            found += sim.fit({net.inp: x[:, :n]}, y, shuffle=False, verbose=0).history["loss"]
        return found + list(sim.session.graph.parameters.values().values())


@pytest.mark.training
@pytest.mark.parametrize("loss_of", [slice(None), slice(4)], ids=["all", "last"])
@pytest.mark.parametrize("spikes", ["rates", "fast_sigmoid"])
def test_nothing_else_changes(spikes, loss_of):
    """With all steps in the loss, and with the last alone; several lengths share a function."""
    lengths = (STEPS, 4, 5) if spikes == "rates" and loss_of.stop else (STEPS,)
    found = trained(network(training_spikes=spikes), X, loss_of, lengths)
    plain = network(["take_last"], training_spikes=spikes)
    for value, wanted in zip(found, trained(plain, X, loss_of, lengths), strict=True):
        assert np.shape(value) == np.shape(wanted)
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-13)


def test_what_moves():
    """Only the last step of rates is needed; the readout is needed in all steps."""
    with simulator(network()) as sim:
        *others, last = sim.strategy.program.stages
        assert "for the last step alone" in str(sim.strategy)
    assert last.last and not any(stage.last for stage in others)
    assert {g.kind for g in last.groups} >= {"neurons", "dot"}
    assert not any(stage.latest for stage in others)
    net = network()
    net.probes.remove(net.shown[4])
    with simulator(net) as sim:
        *others, last = sim.strategy.program.stages
        (loop,) = [stage for stage in others if stage.looped]
        assert loop.latest == loop.exports != ()


def test_python_is_called_in_each_step():
    calls = []
    net = network()
    with net:
        node = nengo.Node(lambda t, x: calls.append(t) or x, size_in=20)
        nengo.Connection(net.all_ensembles[1].neurons, node, synapse=None)
        probe = nengo.Probe(node)
        net.config[probe].keep_history = False
    with simulator(net) as sim:
        calls.clear()
        sim.predict({net.inp: X[:2]})
    assert len(calls) == 2 * STEPS
