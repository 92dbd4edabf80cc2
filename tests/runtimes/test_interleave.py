"""Many small populations: held element by element, with the same numbers as member by member."""

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler.costs import CPU

N_STEPS = 200


def array(count=20, size=20, neuron_type=lambda i: nengo.LIF(), probed=False, spikes=False):
    """Ensembles side by side, each with a loop of its own."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node([0.6])
        out = nengo.Node(size_in=count)
        for i in range(count):
            ens = nengo.Ensemble(size, 1, neuron_type=neuron_type(i), seed=i)
            nengo.Connection(node, ens, seed=i)
            nengo.Connection(ens, ens, synapse=0.1, seed=i)
            nengo.Connection(ens, out[i], synapse=None, seed=i)
            if i == 3 and probed:
                nengo.Probe(ens.neurons, "input")
                nengo.Probe(ens.neurons)
            if spikes:
                nengo.Probe(ens.neurons)
        nengo.Probe(out)
    return net


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def interleaved(sim):
    """Return the kinds of groups that work along their members."""
    return [g.kind for g in sim.strategy.program.groups if g.interleaving is not None]


def assert_same_as_nengo(net, **kwargs):
    with nengo.Simulator(net, progress_bar=False) as reference, simulator(net, **kwargs) as sim:
        reference.run_steps(N_STEPS)
        sim.run_steps(N_STEPS // 2 - 1)
        sim.run_steps(N_STEPS // 2 + 1)
        for probe in net.all_probes:
            expected = np.broadcast_to(reference.data[probe], sim.data[probe].shape)
            np.testing.assert_allclose(sim.data[probe], expected, rtol=1e-9, atol=1e-9)
        return interleaved(sim)


def test_several_items():
    assert assert_same_as_nengo(array(), minibatch_size=3) == ["dot", "sum", "neurons", "dot"]


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize(
    "neuron_type",
    [
        lambda i: nengo.LIF(),
        lambda i: nengo.LIF(tau_rc=0.02 + 0.001 * i, amplitude=1 + 0.1 * i),
        lambda i: nengo.AdaptiveLIF(tau_n=0.1 + 0.01 * i),
        lambda i: nengo.RectifiedLinear(amplitude=1 + 0.1 * i),
    ],
    ids=["alike", "different", "adaptive", "rates"],
)
def test_same_numbers(neuron_type, probed):
    """Of neurons with the same and with different constants; a probe reads its part."""
    kinds = assert_same_as_nengo(array(neuron_type=neuron_type, probed=probed))
    assert kinds == ["dot", "sum", "neurons", "dot"]


def test_decoders_of_several_connections():
    """Several matrices that are multiplied with the same vector, and vectors of several numbers."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        inp = nengo.Node(np.linspace(-1, 1, 40))
        first = nengo.networks.EnsembleArray(20, 20, ens_dimensions=2)
        nengo.Connection(inp, first.input)
        nengo.Connection(first.output, first.input, synapse=0.01, transform=0.1)
        for out in (first.output, first.add_output("squares", np.square)):
            nengo.Probe(out, synapse=0.01)
    assert assert_same_as_nengo(net) == ["dot", "sum", "neurons", "dot"]


@pytest.mark.parametrize("count, size", [(CPU.interleaved_members - 1, 20), (20, CPU.row_elements)])
def test_only_many_and_small_ones(count, size):
    """Few or large populations stay as they are."""
    with simulator(array(count, size)) as sim:
        assert interleaved(sim) == []


def test_not_where_all_spikes_are_recorded():
    """What is read as a whole in its own order would have to be put in order in each step."""
    net = array(spikes=True)
    assert assert_same_as_nengo(net) == []


def test_state_outside_of_loops_is_in_its_own_order():
    """So that it can go on in a program that holds it otherwise."""
    net = array()
    with simulator(net) as sim:
        sim.run_steps(50)
        state = {b.name: np.array(v) for b, v in sim.session.graph.state.items()}
        block = next(b for b in sim.session.graph.state if "voltage" in b.name)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(50)
        for i, ens in enumerate(net.all_ensembles):
            voltage = reference.signals[reference.model.sig[ens.neurons]["voltage"]]
            start = sum(s.size for s in block.members[: _position(block, ens, reference)])
            np.testing.assert_allclose(
                state[block.name][0, start : start + 20], voltage, atol=1e-9, err_msg=str(i)
            )


def _position(block, ens, reference):
    """Return the place of an ensemble's voltage in its block, by its initial values."""
    initial = reference.model.sig[ens.neurons]["voltage"].initial_value
    (position,) = [i for i, s in enumerate(block.members) if np.array_equal(s.initial, initial)]
    return position
