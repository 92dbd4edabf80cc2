"""Python that shares objects with other Python, and Python state that `make_step` makes."""

import nengo
import numpy as np
import pytest
from shared_python import N_STEPS, make

import nengo_dl

MODES = {
    "one run": [N_STEPS],
    "cut": [7, 1, N_STEPS - 8],
    "steps": [1] * N_STEPS,
}


def in_nengo(seed):
    """Return what Nengo's probes record, and the calls of Python, in order."""
    net, probes, world = make(seed)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        built = len(world.calls)
        sim.run_steps(N_STEPS)
        return [sim.data[p] for p in probes], world.calls[built:]


@pytest.mark.parametrize("seed", range(50))
def test_random_networks_with_shared_python_are_equal_to_nengo(seed):
    expected, calls = in_nengo(seed)
    for mode, cuts in MODES.items():
        net, probes, world = make(seed)
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            built = len(world.calls)
            for n in cuts:
                sim.run_steps(n)
            assert world.calls[built:] == calls, mode
            for probe, wanted in zip(probes, expected, strict=True):
                np.testing.assert_allclose(
                    sim.data[probe], wanted, rtol=1e-9, atol=1e-9, err_msg=f"{mode}, {probe}"
                )
    _predict(seed, expected, calls)


def _predict(seed, expected, calls):
    net, probes, world = make(seed)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        built = len(world.calls)
        found = sim.predict(n_steps=N_STEPS)
        assert world.calls[built:] == calls
        for probe, wanted in zip(probes, expected, strict=True):
            np.testing.assert_allclose(found[probe][0], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(50, 60))
def test_compiled_programs_call_shared_python_in_the_same_order(seed, assume):
    assume(numpy_loop_elements=0)
    _predict(seed, *in_nengo(seed))
