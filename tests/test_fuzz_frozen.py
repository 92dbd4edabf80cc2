"""Random networks, as if trained, frozen: Nengo's simulator gives what the trained one gave.

The networks are those of `test_fuzz`; for more than the 50 of CI, set NENGO_DL_FUZZ=500.
"""

import warnings

import nengo
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import nengo_dl
from tests.parity.test_fuzz import BOUNDED, N_NETWORKS, N_STEPS, networks, searched


class Drifting(nengo.Process):
    """A process that keeps what it has in the closure of its step."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        total = np.zeros(shape_out)

        def step(t, x=0.0):
            total[:] = 0.9 * total + 0.1 * np.cos(20 * t) + 0.05 * np.sum(x)
            return total.copy()

        return step


def add_python(net):
    """Add processes with state of their own, one that is fed, one that feeds; probe both."""
    with net:
        nengo_dl.configure_settings(trainable=None)
        source = nengo.Node(Drifting(default_size_out=2))
        fed = nengo.Node(Drifting(default_size_in=2, default_size_out=2), size_in=2)
        nengo.Connection(source, fed, synapse=None)
        for ens in net.all_ensembles:
            if ens.dimensions == 2:
                nengo.Connection(source, ens, transform=0.3)
        nengo.Probe(source), nengo.Probe(fed)


def add_probes(net):
    """Probe everything that ensembles and connections show, once more and in other ways."""
    with net:
        for ens in net.all_ensembles:
            nengo.Probe(ens)
            nengo.Probe(ens[::-1], solver=nengo.solvers.LstsqL2nz(reg=0.2))
            nengo.Probe(ens[0], synapse=0.005, seed=1)
            direct = isinstance(ens.neuron_type, nengo.Direct)
            for obj in (ens,) if direct else (ens, ens.neurons):
                for attr in obj.probeable:
                    nengo.Probe(obj, attr)
        for conn in net.all_connections:
            for attr in conn.probeable:
                if attr != "weights" or not isinstance(conn.transform, nengo.Sparse):
                    nengo.Probe(conn, attr)


def train(sim, seed):
    """Change all that can be trained, as training might."""
    parameters, rng = sim.session.graph.parameters, np.random.RandomState(seed)
    values = parameters.values()
    for signal, value in values.items():
        if signal.trainable:
            values[signal] = value * rng.uniform(0.8, 1.2, value.shape)
    parameters.assign_values(values)


def shown(sim, net):
    sim.run_steps(N_STEPS)
    return {probe: np.array(sim.data[probe]) for probe in net.all_probes}


@searched(N_NETWORKS)
@given(net=networks(), seed=st.integers(0, 1000))
def test_frozen_random_networks_match_nengo(net, seed):
    add_python(net)
    add_probes(net)
    for ens in net.all_ensembles:
        if isinstance(ens.neuron_type, nengo.Direct):
            net.config[ens].trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            try:
                with nengo_dl.Simulator(net, progress_bar=False) as sim:
                    train(sim, seed)
                    sim.freeze_params(net)
                    expected = shown(sim, net)
            except nengo.exceptions.BuildError:
                return  # neurons that never fire have no decoders
            # what explodes is subtracted until no digit is certain
            assume(all(np.abs(x).max(initial=0) < BOUNDED for x in expected.values()))
            with nengo.Simulator(net, progress_bar=False, optimize=False) as ref:
                found = shown(ref, net)
    for probe in net.all_probes:
        scale = max(1.0, np.abs(expected[probe]).max(initial=0))
        np.testing.assert_allclose(
            found[probe], expected[probe], rtol=0, atol=1e-9 * scale, err_msg=str(probe)
        )
