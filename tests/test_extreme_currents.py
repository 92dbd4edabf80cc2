"""Currents as large as the precision allows: spikes as Nengo's, and finite gradients."""

import itertools
from types import SimpleNamespace

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.kernels.context import as_they_are
from nengo_dl.kernels.registry import neuron_kernel
from nengo_dl.surrogate import Arctangent, FastSigmoid, Rates, SmoothRate, Surrogate, Triangle

DT = 0.001
STEPS = 8

SPIKING = [
    nengo.LIF(),
    nengo.LIF(tau_ref=0),
    nengo.LIF(tau_rc=0.002),  # longer steps, for its time constant
    nengo.LIF(min_voltage=-np.inf),
    nengo.AdaptiveLIF(),
    nengo.SpikingRectifiedLinear(),
    nengo_dl.SpikingLeakyReLU(),
    nengo.Izhikevich(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.LIFRate()),
]
RATES = [
    nengo.LIFRate(),
    nengo.LIFRate(tau_ref=0),
    nengo.AdaptiveLIFRate(),
    nengo.RectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo_dl.LeakyReLU(),
    nengo_dl.SoftLIFRate(),
    nengo_dl.SoftLIFRate(tau_ref=0),
]


class Bell(Surrogate):
    """A surrogate of a user."""

    def shape(self, x):
        return 2.0 ** -(x * x)


CHOICES = [
    Rates(),
    Rates(smoothing=0.1),
    SmoothRate(),
    *(
        shape(detach_reset=detached)
        for shape in (FastSigmoid, Arctangent, Triangle)
        for detached in (True, False)
    ),
    Bell(slope=3.0),
]
CASES = [*itertools.product(SPIKING, CHOICES), *((n, Rates()) for n in RATES)]


def currents(dtype):
    """Return currents of both signs, from 0 to near the largest number."""
    largest = np.log10(np.finfo(dtype).max) - 4
    sizes = np.concatenate([[0, 0.5, 1, 1.5, 2], np.logspace(1, largest, 25)])
    return np.unique(np.concatenate([-sizes, sizes])).astype(dtype)


def constants(kernel, neurons):
    """Return what a kernel knows of neurons."""
    values = {name: float(getattr(neurons, name)) for name in kernel.constants}
    return SimpleNamespace(
        **values, once=lambda x: x, keep=as_they_are, begins_low=(True,) * len(kernel.states)
    )


def run(neurons, choice, J):
    """Return outputs, and the gradient of their sum by the currents."""
    kernel = neuron_kernel(type(neurons))
    known, J = constants(kernel, neurons), tf.constant(J)
    uniform = [tf.fill(J.shape, tf.cast(0.3, J.dtype))] if kernel.draws else []
    names = kernel.rate_states if isinstance(choice, Rates) else kernel.states
    states, outputs = [tf.zeros_like(J) for _ in names], []
    with tf.GradientTape() as tape:
        tape.watch(J)
        for _ in range(STEPS):
            output, *states = kernel.training_step(known, DT, choice, J, *states, *uniform)
            outputs.append(output)
        total = tf.reduce_sum(tf.stack(outputs[-1:]))
    return np.array(outputs), tape.gradient(total, J)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("neurons, choice", CASES, ids=repr)
def test_gradients_are_finite(neurons, choice, dtype):
    if isinstance(choice, Rates | SmoothRate) and not neuron_kernel(type(neurons)).rated:
        pytest.skip("it has no rate")
    outputs, gradient = run(neurons, choice, currents(dtype)[None])
    assert np.all(np.isfinite(outputs))
    assert gradient is not None and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "neurons",
    [
        # not refractory for whole steps: with large currents, rounding would decide
        nengo.LIF(tau_ref=0.0023),
        nengo.LIF(tau_ref=0),
        nengo.LIF(tau_ref=0.0023, tau_rc=0.002),
        nengo.LIF(tau_ref=0.0023, min_voltage=-np.inf),
        nengo.AdaptiveLIF(tau_ref=0.0023),
    ],
    ids=repr,
)
def test_spikes_are_those_of_nengo(neurons, dtype):
    """In each step, for currents of all sizes, while simulating too."""
    J = currents("float64")
    J = J[np.abs(J) < np.finfo(dtype).max / 1e4]
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype)
        node = nengo.Node(J)
        ens = nengo.Ensemble(
            len(J), 1, neuron_type=neurons, gain=np.ones(len(J)), bias=np.zeros(len(J))
        )
        nengo.Connection(node, ens.neurons, synapse=None)
        probe = nengo.Probe(ens.neurons)
        nengo.Probe(ens.neurons, "refractory_time")
    with nengo.Simulator(net, progress_bar=False) as ref, np.errstate(all="ignore"):
        ref.run_steps(STEPS)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        found = sim.predict(n_steps=STEPS)  # compiled
        for p in net.all_probes:
            np.testing.assert_allclose(
                found[p][0], ref.data[p], rtol=1e-5 if dtype == "float32" else 1e-9, atol=1e-7
            )
    assert np.any(ref.data[probe])
