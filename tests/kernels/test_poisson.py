"""Poisson spikes: those of Nengo, drawn for a whole chunk of time where the rates are known."""

import warnings

import nengo
import numpy as np
import pytest

import nengo_dl
from tests.networks import wave
from tests.parity.test_parity import assert_same, quiet, simulator

N_STEPS = 60


def chain(feedback=False, synapse=0.005):
    """Poisson spikes of negative and positive rates, twice, with LIF neurons between them."""
    with nengo.Network(seed=0) as net:
        types = [nengo.PoissonSpiking(nengo.Tanh(), amplitude=0.5), nengo.LIF()]
        types.append(nengo.PoissonSpiking(nengo.RectifiedLinear()))
        first, second, third = (nengo.Ensemble(9, 1, neuron_type=kind) for kind in types)
        nengo.Connection(nengo.Node(wave), first, synapse=synapse)
        nengo.Connection(first, second)
        nengo.Connection(second, third)
        if feedback:
            nengo.Connection(third, first)
        net.probes_to_check = [nengo.Probe(ens.neurons) for ens in (first, second, third)]
        net.probes_to_check.append(nengo.Probe(third, synapse=0.01))
    return net


@pytest.mark.parametrize("minibatch_size", [None, 3])
@pytest.mark.parametrize(
    "arguments", [{"synapse": None}, {}, {"feedback": True}], ids=["fed", "filtered", "in a loop"]
)
def test_spikes_are_those_of_nengo(arguments, minibatch_size):
    """However a run is cut up: rows of a chunk beyond its steps consume no random numbers."""
    net = chain(**arguments)
    with quiet(), nengo.Simulator(net, progress_bar=False, optimize=False) as reference:
        reference.run_steps(N_STEPS)
    with simulator(net, minibatch_size=minibatch_size) as sim:
        assert sim.session.first_steps.takes_all == ("feedback" in arguments)
        for n_steps in (7, 50, 3):
            sim.run_steps(n_steps)
        for probe in net.probes_to_check:
            items = sim.data[probe] if minibatch_size else [sim.data[probe]]
            assert_same(probe, items[0], reference.data[probe])
            assert not any(np.array_equal(item, items[0]) for item in items[1:])


def test_known_rates_are_drawn_outside_the_loops():
    with simulator(chain()) as sim:
        kinds = [(stage.looped, [g.kind for g in stage.groups]) for stage in sim.program.stages]
    drawn = [looped for looped, groups in kinds if "drawn_spikes" in groups]
    assert drawn == [False, False]
    assert sum(looped for looped, _ in kinds) == 3


def test_mean_is_the_rate_and_nothing_is_warned_of():
    rates = np.array([-300.0, -20, 0, 5, 80, 400])
    with nengo.Network(seed=1) as net:
        kind = nengo.PoissonSpiking(nengo.Tanh(tau_ref=0.001), amplitude=2)
        unit = {"gain": np.ones(6), "bias": np.arctanh(0.001 * rates)}
        probe = nengo.Probe(nengo.Ensemble(6, 1, neuron_type=kind, **unit).neurons)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with nengo_dl.Simulator(net, progress_bar=False, minibatch_size=2) as sim:
            sim.run_steps(10_000)
    found = sim.data[probe].mean(axis=1)
    deviation = 2 * np.sqrt(np.abs(rates) / 10)  # of the mean, in Hz: 10 s of spikes
    assert np.all(np.abs(found - 2 * rates) <= 5 * deviation)
    assert not np.array_equal(*sim.data[probe])


@pytest.mark.training
def test_training_sees_the_rates():
    """The same values and gradients as the rates of the base type, times the amplitude."""
    spikes = nengo.PoissonSpiking(nengo.LIFRate(), amplitude=0.5)
    found = []
    for kind in (spikes, nengo.LIFRate(amplitude=0.5)):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype="float64")
            ens = nengo.Ensemble(
                10, 1, neuron_type=kind, gain=nengo.dists.Choice([2]), bias=nengo.dists.Choice([3])
            )
            nengo.Connection(nengo.Node([0.5]), ens, synapse=None)
            out = nengo.Node(size_in=1)
            solver = nengo.solvers.NoSolver(np.full((10, 1), 1e-2))
            conn = nengo.Connection(ens, out, synapse=0.01, solver=solver)
            probe = nengo.Probe(out)
        x = np.linspace(-1, 1, 40).reshape(2, 20, 1)
        with nengo_dl.Simulator(net, progress_bar=False, minibatch_size=2) as sim:
            sim.compile("sgd", loss={probe: "mse"})
            history = sim.fit(x, {probe: x}, epochs=3, verbose=0).history
            assert sim.keras_model.jit_compile
            sim.evaluate(x, {probe: x}, verbose=0)  # draws spikes, which XLA cannot
            assert sim.keras_model.jit_compile == (kind is not spikes)
            found.append((history["loss"], sim.data[conn].weights, sim.data[ens].bias))
            if kind is spikes:
                sim.check_gradients()
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


class Falling(nengo.RectifiedLinear):
    """A rate type that says that no rate of it is negative, and is wrong in the fifth step."""

    state = {"age": nengo.dists.Choice([0])}

    def step(self, dt, J, output, age):
        age += 1
        output[...] = 100.0 - 30 * age


@pytest.mark.filterwarnings("ignore:.*no compiled form")
@pytest.mark.parametrize("small", [True, False], ids=["in NumPy", "in segments"])
def test_rates_that_cannot_be(small, assume):
    if not small:
        assume(numpy_loop_elements=0)
    with nengo.Network(seed=0) as net:
        unit = {"gain": np.ones(3), "bias": np.ones(3), "label": "place"}
        ens = nengo.Ensemble(3, 1, neuron_type=nengo.PoissonSpiking(Falling()), **unit)
        nengo.Probe(ens.neurons)
    with simulator(net) as sim:
        with pytest.raises(ValueError, match="lam < 0") as caught:
            sim.run_steps(5)
        where = "PoissonSpiking neurons of <Ensemble 'place'>"
        assert caught.value.__notes__ == [f"Raised by {where}"]
