"""Simulators in several threads: none disturbs another."""

import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError
from nengo.rc import rc

import nengo_dl


def described(seed, dtype):
    """Return a network whose numbers are not those of float32."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype=dtype)
        inp = nengo.Node(rng.uniform(-1, 1, size=2))
        a = nengo.Ensemble(30, 2, encoders=rng.normal(size=(30, 2)))
        b = nengo.Ensemble(30, 1)
        nengo.Connection(inp, a, transform=rng.uniform(size=(2, 2)))
        nengo.Connection(a, b, function=lambda x: x[0] * x[1])
        net.conn = nengo.Connection(b, a[:1], transform=rng.uniform())
        net.p = nengo.Probe(b, synapse=0.01)
    return net


def results(case):
    """Return what a simulator of the case finds, from the description of its network on."""
    seed, dtype = case
    net = described(seed, "float64" if dtype == "nengo" else dtype)
    if dtype == "nengo":
        sim = nengo.Simulator(net, progress_bar=False)
    else:
        sim = nengo_dl.Simulator(net, progress_bar=False)
    with sim:
        sim.run_steps(12)
        return np.array(sim.data[net.conn].weights), np.array(sim.data[net.p])


def test_builds_of_several_precisions():
    """Bit for bit what one thread finds, here and in Nengo's own simulator."""
    kinds = ("float64", "float32", "nengo", "float32")
    cases = [(seed, kind) for seed in range(3) for kind in kinds]
    expected = {case: results(case) for case in set(cases)}
    bits, kind = rc.get("precision", "bits"), type(rc)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(results, cases))
    for case, arrays in zip(cases, found, strict=True):
        for got, wanted in zip(arrays, expected[case], strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted, err_msg=str(case))
    assert rc.get("precision", "bits") == bits and type(rc) is kind


def test_precision_of_a_build_is_that_of_its_thread():
    """What the user's code reads and makes within a build, and what other threads do meanwhile."""
    inside, ready, seen = threading.Event(), threading.Event(), {}
    building = []

    def other():
        inside.wait(60)
        seen["other"] = (
            rc.float_dtype,
            nengo.Ensemble(1, 1, encoders=[[0.1]], add_to_container=False),
        )
        ready.set()

    def function(x):
        if building:
            inside.set()
            ready.wait(60)
        seen["own"] = rc.float_dtype
        return x

    with nengo.Network() as net:
        a, b = nengo.Ensemble(5, 1), nengo.Ensemble(5, 1)
        nengo.Connection(a, b, function=function)
    building.append(True)
    thread = threading.Thread(target=other)
    thread.start()
    with nengo_dl.Simulator(net, progress_bar=False):
        pass
    thread.join()
    assert seen["own"] == np.float32
    dtype, ens = seen["other"]
    assert dtype == np.float64 and ens.encoders[0, 0] == 0.1


def test_precision_is_restored_after_errors():
    building = []

    def fails(x):
        if building:
            raise ZeroDivisionError
        return x

    with nengo.Network() as net:
        nengo.Connection(nengo.Ensemble(5, 1), nengo.Node(size_in=1), function=fails)
    building.append(True)
    before = rc.float_dtype, type(rc)
    with pytest.raises(ZeroDivisionError):
        nengo_dl.Simulator(net, progress_bar=False)
    assert (rc.float_dtype, type(rc)) == before


def test_one_simulator_in_two_threads():
    """An error, and not more rows than steps; afterwards any thread may go on."""
    net, started = described(0, "float32"), threading.Event()

    def waits(t):
        if t > 0:
            started.set()
            go_on.wait(60)
        return 0.5

    go_on = threading.Event()
    with net:
        nengo.Connection(nengo.Node(waits), net.conn.pre)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        first = threading.Thread(target=lambda: sim.run_steps(10))
        first.start()
        assert started.wait(60)
        for call in (sim.step, sim.reset, sim.predict, lambda: sim.save_params("nowhere")):
            with pytest.raises(SimulationError, match="in use in another thread"):
                call()
        go_on.set()
        first.join()
        second = threading.Thread(target=lambda: sim.run_steps(5))
        second.start()
        second.join()
        assert sim.n_steps == len(sim.data[net.p]) == 15


def test_calls_within_calls():
    """A callback is in the thread of the call that it belongs to."""
    net = described(0, "float32")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        found = []
        callback = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: found.append(sim.get_nengo_params(net.conn))
        )
        sim.fit(n_steps=2, y=np.zeros((1, 2, 1)), verbose=0, callbacks=[callback])
        assert len(found) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*")
@pytest.mark.parametrize("new", [False, True])
def test_after_a_fork(new):
    """A message instead of waiting for ever."""
    net = described(0, "float32")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if new:
                    nengo_dl.Simulator(net, progress_bar=False)
                else:
                    sim.step()
            except SimulationError as error:
                os.write(write, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        message = os.read(read, 10_000).decode() if os.write(write, b" ") else ""
        assert "fork" in message and "get_context('spawn')" in message
        sim.step()


def test_precision_of_keras_is_that_of_each_call():
    """Also where simulators of both precisions compute at the same time; then it is the user's."""
    seen = []

    def run(dtype):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype=dtype)
            node = nengo_dl.TensorNode(
                lambda t, x: (seen.append((dtype, keras.config.floatx())), time.sleep(0.05), x)[2],
                shape_in=(1,),
                shape_out=(1,),
            )
            nengo.Connection(nengo.Node([0.5]), node, synapse=None)
            nengo.Probe(node)
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(20)

    before = keras.config.floatx()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, ["float32", "float64"] * 4))
    assert {dtype for dtype, _ in seen} == {"float32", "float64"}
    assert all(dtype == found for dtype, found in seen)
    assert keras.config.floatx() == before


def test_blocks_of_several_precisions_do_not_wait():
    nets = [described(0, dtype) for dtype in ("float64", "float32")]
    before = keras.config.floatx()
    sims = [nengo_dl.Simulator(net, progress_bar=False) for net in nets]
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(sims[0])
        second.enter_context(sims[1])
        first.close()
        assert keras.config.floatx() == "float32"
        sims[1].run_steps(3)
    assert keras.config.floatx() == before
