"""`sim.data.raw`: rows of probes as in Nengo's simulator, which nengo_gui reads and deletes."""

import threading

import nengo
import numpy as np
import pytest

import nengo_dl


@pytest.fixture
def net():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.ens = nengo.Ensemble(5, 1)
        nengo.Connection(nengo.Node(np.sin), net.ens)
        net.p = nengo.Probe(net.ens, synapse=0.01)
        net.matrix = nengo.Probe(
            nengo.Connection(net.ens, nengo.Node(size_in=2), transform=[[1], [2]]), "weights"
        )
    return net


def both(net):
    return nengo.Simulator(net, progress_bar=False), nengo_dl.Simulator(net, progress_bar=False)


@pytest.mark.parametrize("index", [slice(None), slice(3), slice(2, None, 2), -1])
def test_rows_are_those_of_nengo(net, index):
    """Before anything is recorded, while it is, and after some were deleted."""
    theirs, ours = both(net)
    with theirs, ours:
        for sim in (theirs, ours):
            assert sim.data.raw[net.p][:] == []
            for n_steps in (4, 6):  # NumPy takes them
                sim.run_steps(n_steps)
                assert len(sim.data[net.p]) == len(sim.data.raw[net.p])
                del sim.data.raw[net.p][index]
            sim.step()
        assert len(ours.data.raw[net.p]) == len(theirs.data.raw[net.p])
        for probe in (net.p, net.matrix):
            expected, found = theirs.data.raw[probe], ours.data.raw[probe]
            assert isinstance(found[:], list)
            np.testing.assert_allclose(found[:], expected[:], rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(found[-1], expected[-1], rtol=1e-12, atol=1e-15)
            np.testing.assert_array_equal(ours.data[probe], found[:])


def test_items_of_a_minibatch(net):
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sim.run_steps(4)
        before = sim.data[net.p]
        del sim.data.raw[net.p][0]  # and what was made of it for `data` is not shown again
        assert np.shape(sim.data.raw[net.p][:]) == (3, 3, 1)
        np.testing.assert_array_equal(sim.data[net.p], before[:, 1:])


def test_what_is_no_probe(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert sim.data.raw[net.ens] is sim.model.params[net.ens]
        assert list(sim.data.raw) == list(sim.data) and len(sim.data.raw) == len(sim.data)
        with pytest.raises(KeyError):
            sim.data.raw[None]


def test_another_thread_takes_rows_away(net):
    """As nengo_gui does: each row is either taken or still there."""
    taken, over = [], threading.Event()

    def take():
        while not over.is_set():
            rows = sim.data.raw[net.p]
            found = rows[:]
            del rows[: len(found)]
            taken.extend(found)

    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        thread = threading.Thread(target=take)
        thread.start()
        for _ in range(100):
            sim.step()
        over.set()
        thread.join()
        assert len(taken) + len(sim.data[net.p]) == 100 == len(sim.data[net.matrix])
