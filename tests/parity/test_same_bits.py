"""`run`, `run_steps`, piece by piece or not, and `predict` give the same bits, in single precision.

They are one loop over chunks of time, and one compiled function. The exception is by design: of a
single item, NumPy takes the first steps of `run`, but not of `predict` (`runtimes/choose.py`); to
rounding these agree too, which `test_parity` holds.
"""

import numpy as np
import pytest

import nengo_dl
from tests.networks import NETWORKS

N_STEPS = 30

#: Each with what may be carried, drawn, or called in another way: spikes, learned weights, filters
#: of several states, noise, convolutions, Python in the loop.
NAMES = [
    "convolutions",
    "lif_parameters",
    "linear_filters",
    "nodes_in_a_loop",
    "pes_on_ensembles",
    "seeded_processes",
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "minibatch_size"),
    [*((name, None) for name in NAMES), ("pes_on_ensembles", 2), ("seeded_processes", 2)],
)
def test_same_bits(name, minibatch_size, numpy_steps):
    numpy_steps(0)
    net = NETWORKS[name]()
    seen = {}
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:

        def shown():
            return [np.array(sim.data[p]) for p in net.probes_to_check]

        predicted = sim.predict(n_steps=N_STEPS, stateful=False)
        seen["predict"] = [predicted[p] for p in net.probes_to_check]
        if minibatch_size is None:
            seen["predict"] = [array[0] for array in seen["predict"]]
        sim.reset()  # learned weights are parameters, which a prediction keeps
        sim.run_steps(N_STEPS)
        seen["run_steps"] = shown()
        sim.reset()
        sim.run(N_STEPS * sim.dt)
        expected = shown()
        sim.reset()
        for n_steps in (1, 7, N_STEPS - 8):
            sim.run_steps(n_steps)
        seen["in pieces"] = shown()
    for way, arrays in seen.items():
        for probe, found, wanted in zip(net.probes_to_check, arrays, expected, strict=True):
            np.testing.assert_array_equal(found, wanted, err_msg=f"{way}: {probe}")
