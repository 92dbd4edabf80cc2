"""States that a loop holds as one array: the same numbers, wherever runs begin and end."""

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.compiler.costs import CPU
from nengo_dl.kernels.spiking import LIFKernel

N_STEPS = 200
DT = 0.001
RESTING = nengo.dists.Choice([0.2])


def population(neuron_types, probed=(), size=20):
    """Ensembles that inhibit themselves, driven through threshold and back."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(lambda t: 1.5 * np.sin(40 * t))
        for i, neuron_type in enumerate(neuron_types):
            ens = nengo.Ensemble(
                size, 1, neuron_type=neuron_type, max_rates=nengo.dists.Uniform(50, 90), seed=i
            )
            nengo.Connection(node, ens)
            nengo.Connection(ens, ens, transform=-0.1, synapse=0.01)
            nengo.Probe(ens.neurons)
            for key in probed:
                nengo.Probe(ens.neurons, key)
    return net


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def packed(sim):
    """Return how many groups hold their states as one."""
    return sum(g.packed for g in sim.strategy.program.groups)


@pytest.mark.parametrize(
    "neuron_types",
    [
        [nengo.LIF()],
        [nengo.LIF(tau_ref=0)],
        [nengo.LIF(tau_ref=0.4 * DT), nengo.LIF(tau_ref=DT), nengo.LIF(tau_ref=10.5 * DT)],
        [nengo.LIF(tau_rc=0.01), nengo.LIF(tau_rc=0.05, amplitude=2)],
    ],
    ids=["usual", "never refractory", "refractory", "different"],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_same_as_nengo(neuron_types, dtype):
    """Every spike in its step, in runs of odd lengths."""
    net = population(neuron_types)
    with net:
        nengo_dl.configure_settings(dtype=dtype)
    with nengo.Simulator(net, progress_bar=False) as reference, simulator(net) as sim:
        assert packed(sim) == 1
        # in single precision, rounding moves spikes after some time
        lengths = (1, 2, 30, N_STEPS - 33) if dtype == "float64" else (1, 2, 17)
        reference.run_steps(sum(lengths))
        for length in lengths:
            sim.run_steps(length)
        for probe in net.all_probes:
            assert np.any(reference.data[probe])
            np.testing.assert_allclose(
                sim.data[probe], reference.data[probe], rtol=1e-6, atol=1e-6, err_msg=str(probe)
            )


def test_runs_continue_to_the_bit():
    net = population([nengo.LIF(), nengo.LIF(tau_ref=0.0035)])
    with net:
        decoded = nengo.Probe(net.all_ensembles[0], synapse=0.01)
    with simulator(net) as whole, simulator(net) as cut:
        assert packed(whole) == 1
        whole.run_steps(N_STEPS)
        for _ in range(N_STEPS):
            cut.run_steps(1)
        np.testing.assert_array_equal(whole.data[decoded], cut.data[decoded])


def test_a_saved_state_goes_on(tmp_path):
    net = population([nengo.LIF()])
    probe = net.all_probes[0]
    with simulator(net) as sim:
        sim.run_steps(77)
        sim.save_params(tmp_path / "params", include_state=True)
        sim.run_steps(50)
        expected = np.array(sim.data[probe][-50:])
    with simulator(net) as sim:
        sim.load_params(tmp_path / "params", include_state=True)
        sim.run_steps(50)
        np.testing.assert_array_equal(sim.data[probe], expected)


@pytest.mark.parametrize(
    ("neuron_type", "probed"),
    [
        (nengo.LIF(), ["voltage"]),
        (nengo.LIF(), ["refractory_time"]),
        (nengo.LIF(min_voltage=-1), []),
        (nengo.LIF(initial_state={"voltage": nengo.dists.Uniform(-1, 0)}), []),
        (nengo.LIF(initial_state={"refractory_time": RESTING}), []),
        (nengo.AdaptiveLIF(), []),
    ],
    ids=["voltage", "refractory time", "negative voltages", "below zero", "refractory", "adaptive"],
)
def test_not_where_more_than_one_number_is_needed(neuron_type, probed):
    net = population([neuron_type], probed)
    with nengo.Simulator(net, progress_bar=False) as reference, simulator(net) as sim:
        assert packed(sim) == 0
        reference.run_steps(N_STEPS)
        sim.run_steps(N_STEPS)
        for probe in net.all_probes:
            np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-9)


@pytest.mark.parametrize(
    ("items", "inlined", "expected"),
    [
        (1, False, 1),
        (4, False, 1),
        (CPU.divided_packed_elements.start // 20 + 1, True, 1),
        (CPU.divided_packed_elements.start // 20 + 1, False, 0),
    ],
)
def test_not_for_items_that_xla_would_divide(items, inlined, expected):
    """It does not divide what is a part of one kernel."""
    changes = {} if inlined else {"single_kernel_elements": 0}
    with costs.assuming(**changes):
        with simulator(population([nengo.LIF()]), minibatch_size=items) as sim:
            assert packed(sim) == expected


def test_not_in_training():
    with simulator(population([nengo.LIF()])) as sim:
        assert not any(g.packed for g in sim.session.graph.plan.training_program.groups)


def test_unpacking_loses_nothing():
    """What is packed again is the same, for neurons that rest, wait and integrate."""
    held = np.array([0, 0.3, 1, -0.0005, -DT, -1.5 * DT, -0.01])
    voltage, refractory = (np.asarray(a) for a in LIFKernel.unpack(DT, held))
    again = np.asarray(LIFKernel.pack(DT, voltage, refractory))
    assert np.all((voltage == 0) | (refractory == 0))
    np.testing.assert_array_equal(again, np.where(held >= -DT, np.maximum(held, 0), held))
