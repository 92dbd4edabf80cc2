"""What a long run keeps is what its probes ask for, and a closed simulator keeps nothing."""

import gc
import os
import subprocess
import sys
import weakref

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.runtimes.tensorflow.shared_functions import SHARED
from tests.networks import NETWORKS

SCRIPT = """
import resource, sys
import nengo, nengo_dl

with nengo.Network(seed=0) as net:
    ensembles = [nengo.Ensemble(50, 1) for _ in range(3)]
    nengo.Connection(nengo.Node(0.5), ensembles[0])
    nengo.Connection(ensembles[0], ensembles[1])
    nengo.Connection(ensembles[1], ensembles[2])
    probe = nengo.Probe(ensembles[2], synapse=0.01, sample_every=0.1)
for n_steps in map(int, sys.argv[1:]):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(n_steps)
        print(len(sim.data[probe]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def samples_and_peaks(*runs):
    """Return samples and peak memory [MB] after runs of so many steps, in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, *map(str, runs)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    numbers = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    return [(samples, kilobytes / 1024) for samples, kilobytes in numbers]


def test_memory_does_not_grow_with_the_length_of_a_run():
    (few, short), (many, long) = samples_and_peaks(10_000, 300_000)
    assert (few, many) == (100, 3_000)
    assert long - short < 50  # as much for each step as 170 bytes


def test_a_compiled_step_keeps_its_own_rows():
    """Not those of the whole chunk that was compiled."""
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(50, 1)
        probe = nengo.Probe(ensemble.neurons)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(17)
        for _ in range(3):
            sim.step()
        assert sim.compile_count == 1
        last = sim._recorder.of(probe)[-1]
    while isinstance(last.base, np.ndarray):
        last = last.base
    assert last.nbytes == 50 * 4


def functions_kept():
    """Return how many traced functions TensorFlow has not forgotten."""
    gc.collect()
    return sum(isinstance(obj, tf.__internal__.FuncGraph) for obj in gc.get_objects())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["communication_channel", "pes_on_ensembles", "nodes_in_a_loop"])
def test_closed_simulators_are_forgotten(name, assume, own_garbage):
    """With their programs; what XLA compiled stays, as in all of TensorFlow."""
    assume(numpy_loop_elements=0)
    alive, before = [], functions_kept()
    for _ in range(2):
        with nengo_dl.Simulator(NETWORKS[name](), progress_bar=False) as sim:
            sim.run_steps(20)
            sim.predict(n_steps=3)
        alive += [weakref.ref(sim), weakref.ref(sim.session)]
        del sim
    SHARED.clear()  # of functions, for the next simulator
    assert functions_kept() == before
    assert all(ref() is None for ref in alive)
