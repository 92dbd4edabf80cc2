"""Minibatches in parts that are simulated side by side."""

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.compiler.costs import CPU
from nengo_dl.compiler.ir import Block, Group, Role, Signal, Stage
from nengo_dl.kernels import CATALOGUE
from nengo_dl.runtimes.tensorflow import backend, execute
from nengo_dl.runtimes.tensorflow.tune.minibatch import count_parts, divide_items

N_STEPS = 40
BATCH = 5


@pytest.fixture
def three_cores(monkeypatch):
    """Three cores, and networks of any size divided among them."""
    monkeypatch.setattr(backend, "cores", lambda: 3)
    with costs.assuming(part_elements=1):
        yield


@pytest.mark.parametrize(
    "batch, count, sizes",
    [(1, 1, [1]), (4, 2, [2, 2]), (5, 2, [2, 3]), (7, 3, [2, 2, 3]), (3, 3, [1, 1, 1])],
)
def test_divide_items(batch, count, sizes):
    divided = divide_items(batch, count)
    assert [len(items) for items in divided] == sizes
    assert [i for items in divided for i in items] == list(range(batch))


def stage_of(size, looped=True):
    block = Block("made", Role.TEMPORARY, "float", (Signal("made", (size,)),), 0)
    return Stage(looped, (Group("sum", (), (), (), (block,), CATALOGUE.kernel("sum")),))


@pytest.mark.parametrize(
    "stages, batch, cores, expected",
    [
        ([stage_of(CPU.part_elements)], 1, 4, 1),
        ([stage_of(CPU.part_elements)], 8, 1, 1),
        ([stage_of(CPU.part_elements)], 8, 4, 4),
        ([stage_of(CPU.part_elements)], 3, 4, 3),
        ([stage_of(CPU.part_elements // 4)], 8, 4, 2),
        ([stage_of(CPU.part_elements // 4)], 7, 4, 1),
        ([stage_of(CPU.part_elements // 8), stage_of(CPU.part_elements // 8)], 8, 4, 2),
        ([stage_of(CPU.part_elements, looped=False)], 8, 4, 1),
        ([], 8, 4, 1),
    ],
)
def test_count_parts(stages, batch, cores, expected):
    assert count_parts(stages, batch, cores) == expected


def population(**kwargs):
    """A recurrent ensemble of which a probe, and what it is fed, differ from item to item."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.node = nengo.Node(np.zeros(2))
        ens = nengo.Ensemble(20, 2, **kwargs)
        nengo.Connection(net.node, ens)
        nengo.Connection(ens, ens, synapse=0.01, transform=0.5)
        nengo.Probe(ens, synapse=nengo.Alpha(0.01))
        nengo.Probe(ens.neurons, "voltage", sample_every=0.003)
    return net


def learning():
    """What is learned has a row for each item; weights that stand still one for all."""
    net = population()
    (ens,) = net.all_ensembles
    with net:
        post = nengo.Ensemble(8, 2)
        learned = nengo.Connection(ens, post, learning_rule_type=nengo.PES())
        nengo.Connection(post, learned.learning_rule)
        fixed = nengo.Connection(ens, post)
        for connection in (learned, fixed):
            nengo.Probe(connection, "weights", sample_every=0.01)
    return net


def noisy():
    net = population(noise=nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 1)))
    with net:
        signal = nengo.Node(nengo.processes.WhiteSignal(0.1, 50), size_out=2)
        nengo.Connection(signal, net.all_ensembles[0])
    return net


def simulated(net, fed, batch=BATCH):
    """Return the number of parts, what was compiled, and what all probes see."""
    data = {net.node: np.random.RandomState(1).uniform(-1, 1, (batch, N_STEPS, 2))} if fed else {}
    with nengo_dl.Simulator(net, progress_bar=False, minibatch_size=batch, seed=0) as sim:
        for half in np.split(np.arange(N_STEPS), 2):
            sim.run_steps(len(half), data={node: x[:, half] for node, x in data.items()})
        return (
            sim.strategy.parts,
            sim.compile_count,
            [np.array(sim.data[p]) for p in net.all_probes],
        )


@pytest.mark.parametrize(
    "make, fed",
    [
        (population, True),
        (lambda: population(neuron_type=nengo.Izhikevich()), True),
        (learning, True),
        (noisy, False),
    ],
    ids=["LIF", "Izhikevich", "learning", "noise"],
)
def test_same_numbers(make, fed, three_cores, monkeypatch):
    net = make()
    count, compiled, found = simulated(net, fed)
    assert (count, compiled) == (3, 2)  # parts of two items share what is compiled
    monkeypatch.setattr(backend, "cores", lambda: 1)
    count, compiled, expected = simulated(net, fed)
    assert (count, compiled) == (1, 1)
    for a, b in zip(found, expected, strict=True):
        assert np.any(a)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_predict(three_cores):
    """Each minibatch is divided; the state of all of its items goes on to the next call."""
    net = population()
    data = np.random.RandomState(1).uniform(-1, 1, (2 * BATCH, N_STEPS, 2))
    probe = net.all_probes[0]
    with nengo_dl.Simulator(net, progress_bar=False, minibatch_size=BATCH) as sim:
        whole = sim.predict(data)[probe]
        sim.predict(data[:BATCH, :10], stateful=True)
        rest = sim.predict(data[:BATCH, 10:], stateful=True)[probe]
    assert np.ptp(whole[:, -1], axis=0).min() > 0
    np.testing.assert_allclose(rest, whole[:BATCH, 10:], rtol=1e-9, atol=1e-12)


def test_goes_on_if_xla_refuses_a_part(three_cores, monkeypatch):
    expected = simulated(population(), True)[-1]

    def refuse(*_):
        raise tf.errors.UnimplementedError(None, None, "of this kind")

    monkeypatch.setattr(execute, "as_one_kernel", refuse)
    found = simulated(population(), True)[-1]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def python(x):
    return nengo.Node(lambda t, x: x, size_in=x)


def tensors(x):
    return nengo_dl.TensorNode(
        lambda t, x: x - tf.reduce_mean(x, axis=0, keepdims=True), shape_in=(x,), shape_out=(x,)
    )


@pytest.mark.parametrize("make", [python, tensors])
def test_not_with_code_that_sees_all_items(make, three_cores):
    net = population()
    with net:
        nengo.Probe(nengo.Node(size_in=2))
        node = make(2)
        nengo.Connection(net.node, node, synapse=None)
        nengo.Connection(node, net.all_ensembles[0], synapse=None)
    with nengo_dl.Simulator(net, progress_bar=False, minibatch_size=BATCH) as sim:
        assert sim.strategy.parts == 1


def test_shown(three_cores):
    with nengo_dl.Simulator(population(), progress_bar=False, minibatch_size=BATCH) as sim:
        assert "\nminibatch in 3 parts, side by side\nblocks:\n" in str(sim.strategy)
    with nengo_dl.Simulator(population(), progress_bar=False) as sim:
        assert "parts" not in str(sim.strategy)


@pytest.mark.parametrize(
    "on_cpu, affinity, threads, expected",
    [
        (True, {0, 1, 5}, 0, 3),
        (True, {0, 1, 5}, 2, 2),
        (True, {3}, 8, 1),
        (False, {0, 1, 5}, 0, 1),
    ],
)
def test_cores(on_cpu, affinity, threads, expected, monkeypatch):
    monkeypatch.setattr(backend, "computes_on_cpu", lambda: on_cpu)
    monkeypatch.setattr(backend.os, "sched_getaffinity", lambda _: affinity, raising=False)
    threading = backend.tf.config.threading
    monkeypatch.setattr(threading, "get_inter_op_parallelism_threads", lambda: threads)
    assert backend.cores() == expected
