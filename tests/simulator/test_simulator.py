"""The life of a simulator, from building to closing: running, resetting, and what it tells."""

import gc
import pickle
import random
import signal
import subprocess
import sys
import threading
import warnings

import keras
import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import (
    NengoWarning,
    ReadonlyError,
    SimulationError,
    SimulatorClosed,
    ValidationError,
)

import nengo_dl
from nengo_dl.runtimes.later import seed_tensorflow
from tests.networks import Jitter


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


@pytest.fixture
def relay():
    """Return a network with a function of time, seen by a probe without and one with a synapse."""
    with nengo.Network(seed=0) as net:
        net.node = nengo.Node(lambda t: t, label="node")
        net.probe = nengo.Probe(net.node)
        net.filtered = nengo.Probe(net.node, synapse=0.01)
    return net


def noisy(seed=0, process_seed=None):
    """Return a network with noise in a node, in an ensemble and in a connection."""
    noise = nengo.processes.WhiteNoise(dist=nengo.dists.Gaussian(0, 1), seed=process_seed)
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype="float64")
        net.node = nengo.Node(noise)
        net.ens = nengo.Ensemble(10, 1, noise=noise)
        relay = nengo.Node(Jitter(seed=process_seed), size_in=1)
        nengo.Connection(net.node, relay)
        net.watched = [nengo.Probe(net.node), nengo.Probe(net.ens.neurons, "input")]
        net.watched += [nengo.Probe(relay)]
    return net


def recorded(sim, net):
    """Return copies of all recorded data."""
    return [np.array(sim.data[p]) for p in net.watched]


# --- running -------------------------------------------------------------------------------------


@pytest.mark.parametrize("minibatch_size", [None, 1, 3])
@pytest.mark.parametrize("unroll", [1, 5])
def test_runs_and_steps_add_up(relay, minibatch_size, unroll):
    with simulator(relay, minibatch_size=minibatch_size, unroll_simulation=unroll) as sim:
        assert sim.n_steps == 0 and sim.time == 0 and len(sim.trange()) == 0
        assert sim.data[relay.probe] == []
        sim.run(0.02)
        sim.run_steps(10)
        for _ in range(10):
            sim.run_steps(unroll)
        n = 30 + 10 * unroll
        assert sim.n_steps == n and isinstance(sim.n_steps, int)
        assert sim.time == pytest.approx(n * 0.001) and isinstance(sim.time, float)
        np.testing.assert_allclose(sim.trange(), 0.001 * np.arange(1, n + 1))
        data = sim.data[relay.probe]
        assert data.shape == ((n, 1) if minibatch_size is None else (minibatch_size, n, 1))
        np.testing.assert_allclose(data[..., 0], np.broadcast_to(sim.trange(), data.shape[:-1]))
        pieces = np.array(sim.data[relay.filtered])
        sim.reset()
        assert sim.n_steps == 0 and sim.data[relay.probe] == []
        sim.run_steps(n)
        np.testing.assert_allclose(sim.data[relay.filtered], pieces, atol=1e-7)


def test_step_is_one_step(relay):
    with simulator(relay) as sim:
        sim.step()
        sim.step()
        assert sim.n_steps == 2


def test_steps_are_rounded_up_to_whole_loops(relay):
    with simulator(relay, unroll_simulation=5) as sim:
        with pytest.warns(RuntimeWarning, match=r"\(7\) is not an even multiple.*run for 10"):
            sim.run_steps(7)
        assert sim.n_steps == 10 and sim.data[relay.probe].shape == (10, 1)
        with pytest.warns(RuntimeWarning, match="multiple"):
            sim.step()
        assert sim.n_steps == 15
        with pytest.raises(ValidationError, match=r"steps \(7\) must be a multiple.*\(5\)"):
            sim.predict(n_steps=7)


def test_length_of_a_run(relay):
    with simulator(relay) as sim:
        with pytest.raises(ValidationError, match="positive.*-0.0001"):
            sim.run(-0.0001)
        with pytest.raises(ValidationError, match="not be negative.*-3"):
            sim.run_steps(-3)
        with pytest.warns(UserWarning, match="0 timesteps"):
            sim.run(0)
        sim.run_steps(0)
        assert sim.n_steps == 0
        sim.run(0.0006)
        assert sim.n_steps == 1


def test_without_loop(relay):
    with relay:
        nengo_dl.configure_settings(use_loop=False)
    with simulator(relay, unroll_simulation=3) as sim:
        sim.run_steps(3)
        sim.run_steps(3)
        np.testing.assert_allclose(sim.data[relay.probe][:, 0], sim.trange())
        with pytest.raises(ValidationError, match=r"use_loop=False.*\(6\).*\(3\)"):
            sim.run_steps(6)
        with pytest.raises(ValidationError, match=r"use_loop=False.*\(9\)"):
            sim.predict(np.ones((1, 9, 1)))


def test_sample_every():
    with nengo.Network() as net:
        node = nengo.Node(lambda t: t)
        probe = nengo.Probe(node, sample_every=0.0025)
    with nengo.Simulator(net, progress_bar=False) as ref, simulator(net) as sim:
        for n in (7, 1, 12):
            ref.run_steps(n)
            sim.run_steps(n)
        np.testing.assert_allclose(sim.data[probe], ref.data[probe], rtol=1e-6)
        np.testing.assert_allclose(sim.trange(sample_every=0.0025), ref.trange(0.0025))
        assert sim.predict(n_steps=20)[probe].shape == (1, 20, 1)  # all steps


def test_trange_takes_one_period(relay):
    with simulator(relay) as sim:
        sim.run_steps(10)
        with pytest.warns(DeprecationWarning, match="sample_every"):
            assert len(sim.trange(dt=0.002)) == 5
        with pytest.raises(ValidationError, match="both"):
            sim.trange(sample_every=0.002, dt=0.002)


def test_without_history(relay):
    with relay:
        nengo_dl.configure_settings(keep_history=False)
        relay.config[relay.filtered].keep_history = True
    with simulator(relay) as sim:
        sim.run_steps(4)
        sim.run_steps(3000)  # several chunks
        np.testing.assert_allclose(sim.data[relay.probe], [[0.004], [3.004]], rtol=1e-6)
        assert sim.data[relay.filtered].shape == (3004, 1)
        out = sim.predict(np.arange(12.0).reshape(2, 6, 1))
        np.testing.assert_allclose(out[relay.probe], [[[5.0]], [[11.0]]])


def test_stateless_run_leaves_time_alone(relay):
    with simulator(relay) as sim:
        sim.run_steps(3)
        before = dict(sim.tensor_graph.state)
        sim.run_steps(3, stateful=False)
        assert sim.n_steps == 3 and sim.data[relay.probe].shape == (6, 1)
        assert all(np.array_equal(sim.tensor_graph.state[b], v) for b, v in before.items())


def test_network_configured_without_state(relay):
    with relay:
        nengo_dl.configure_settings(stateful=False)
    with simulator(relay) as sim:
        assert sim.stateful is False
        sim.run_steps(3)
        sim.run_steps(3)
        assert sim.n_steps == 0
        np.testing.assert_allclose(sim.data[relay.probe][:, 0], 2 * [0.001, 0.002, 0.003])
        np.testing.assert_array_equal(*np.split(sim.data[relay.filtered], 2))
        with pytest.warns(UserWarning, match="stateful=True is ignored"):
            sim.predict(n_steps=3, stateful=True)


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_interleaved_calls_do_not_disturb_a_run(minibatch_size):
    net = noisy(process_seed=1)
    with net:
        nengo_dl.configure_settings(dtype="float64")
        a = nengo.Node([0.5])
        b = nengo.Ensemble(10, 1)
        nengo.Connection(a, b)
        net.watched = [nengo.Probe(b, synapse=0.01)]
    with simulator(net, minibatch_size=minibatch_size) as sim:
        sim.run_steps(40)
        whole = recorded(sim, net)
        sim.reset()
        x = {a: np.ones((4, 3, 1))}
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        sim.run_steps(10)
        sim.predict(x)
        sim.run_steps(10)
        sim.evaluate(x, {net.watched[0]: np.ones((4, 3, 1))}, verbose=0)
        sim.run_steps(10)
        sim.fit(x, {net.watched[0]: np.ones((4, 3, 1))}, verbose=0)
        sim.run_steps(10)
        np.testing.assert_allclose(recorded(sim, net)[0], whole[0], atol=1e-12)


# --- Ctrl-C --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_what_was_simulated():
    """Interrupted at any time, a run can go on, and nothing is lost nor done twice."""
    net = noisy()
    with simulator(net) as sim:
        sim.run_steps(20_000)
        whole = recorded(sim, net)
    with simulator(net) as sim:
        sim.run_steps(100)  # compiles
        main = threading.get_ident()
        timer = threading.Timer(0.15, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                sim.run_steps(10_000)
                if sim.n_steps > 10**6:
                    pytest.fail("was not interrupted")
        done = sim.n_steps
        assert done > 100 and sim.data[net.watched[0]].shape == (done, 1)
        if done < 20_000:
            sim.run_steps(20_000 - done)
        for now, before in zip(recorded(sim, net), whole, strict=True):
            np.testing.assert_array_equal(now[:20_000], before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_between_the_steps_of_a_function():
    with nengo.Network() as net:
        node = nengo.Node(
            lambda t: signal.raise_signal(signal.SIGINT) or t if 0.0095 < t < 0.0105 else t
        )
        probe = nengo.Probe(node)
    with simulator(net) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(5000)
        assert 0 < sim.n_steps < 5000
        done = sim.n_steps
        sim.run_steps(5)
        np.testing.assert_allclose(sim.data[probe][:, 0], sim.trange(), rtol=1e-5)
        assert sim.n_steps == done + 5


@pytest.mark.usefixtures("ctrl_c")
def test_second_ctrl_c_does_not_wait():
    def stuck(t):
        if t > 0.0095:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("went on")
        return t

    with nengo.Network() as net:
        nengo.Probe(nengo.Node(stuck))
    with simulator(net) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(100)
        assert sim.n_steps == 0


@pytest.mark.parametrize("ignored", [True, False])
def test_ctrl_c_does_what_the_users_handler_says(ignored):
    """One of theirs is called, between two chunks; where it is ignored, nothing happens."""
    seen = []

    def presses(t):
        if 0.0015 < t < 0.0025:
            signal.raise_signal(signal.SIGINT)
        return t

    with nengo.Network() as net:
        nengo.Probe(nengo.Node(presses))
    with simulator(net) as sim:
        theirs = signal.SIG_IGN if ignored else lambda *args: seen.append((args[0], sim.n_steps))
        before = signal.signal(signal.SIGINT, theirs)
        try:
            sim.run_steps(100)
            assert signal.getsignal(signal.SIGINT) is theirs
        finally:
            signal.signal(signal.SIGINT, before)
        assert sim.n_steps == 100
    assert [number for number, _ in seen] == ([] if ignored else [signal.SIGINT])


# --- resetting -----------------------------------------------------------------------------------


def test_reset_repeats_everything_again_and_again():
    net = noisy()
    with simulator(net) as sim:
        sim.run_steps(10)
        first = recorded(sim, net)
        sim.run_steps(10)
        for _ in range(3):
            sim.reset()
            assert sim.n_steps == 0 and sim.time == 0
            sim.run_steps(10)
            for now, before in zip(recorded(sim, net), first, strict=True):
                np.testing.assert_array_equal(now, before)


def test_reset_with_a_seed():
    net = noisy()
    with simulator(net) as sim:
        assert sim.seed == net.seed + 1
        sim.run_steps(10)
        first = recorded(sim, net)
        with pytest.warns(UserWarning, match="seed is that of processes.*TensorFlow draws itself"):
            sim.reset(seed=5)
        assert sim.seed == 5
        sim.run_steps(10)
        other = recorded(sim, net)
        sim.reset()
        assert sim.seed == 5
        sim.run_steps(10)
        for again, second, before in zip(recorded(sim, net), other, first, strict=True):
            np.testing.assert_array_equal(again, second)
            assert not np.any(second == before)
    with simulator(net, seed=5) as sim:
        sim.run_steps(10)
        for fresh, second in zip(recorded(sim, net), other, strict=True):
            np.testing.assert_array_equal(fresh, second)


def test_reset_without_processes_goes_on_with_their_noise():
    net = noisy()
    with simulator(net) as sim:
        sim.run_steps(20)
        whole = recorded(sim, net)
        sim.reset()
        sim.run_steps(10)
        sim.reset(include_processes=False)
        sim.run_steps(10)
        assert sim.n_steps == 10
        for now, before in zip(recorded(sim, net)[:2], whole[:2], strict=True):
            np.testing.assert_allclose(now, before[10:])


def test_reset_without_probes_keeps_data(relay):
    with simulator(relay) as sim:
        sim.run_steps(5)
        sim.reset(include_probes=False)
        assert sim.n_steps == 0
        sim.run_steps(5)
        data = sim.data[relay.filtered]
        np.testing.assert_array_equal(data[:5], data[5:])


@pytest.mark.training
def test_reset_without_parameters_keeps_them(relay):
    with relay:
        ens = nengo.Ensemble(
            5, 1, neuron_type=nengo.RectifiedLinear(), gain=np.ones(5), bias=np.ones(5)
        )
        conn = nengo.Connection(relay.node, ens, transform=1.0)
        probe = nengo.Probe(ens)
    with simulator(relay) as sim:
        built = sim.data.get_params((conn, "weights"), (ens, "encoders"), (ens, "bias"))
        sim.compile(keras.optimizers.SGD(0.01), loss={probe: "mse"})
        sim.fit(np.ones((4, 3, 1)), {probe: np.ones((4, 3, 1))}, verbose=0)
        trained = sim.data.get_params((conn, "weights"), (ens, "encoders"), (ens, "bias"))
        assert not any(np.array_equal(*pair) for pair in zip(built, trained, strict=True))
        sim.reset(include_trainable=False)
        kept = sim.data.get_params((conn, "weights"), (ens, "encoders"), (ens, "bias"))
        assert all(np.array_equal(*pair) for pair in zip(kept, trained, strict=True))
        sim.reset()
        again = sim.data.get_params((conn, "weights"), (ens, "encoders"), (ens, "bias"))
        assert all(np.array_equal(*pair) for pair in zip(again, built, strict=True))


@pytest.mark.parametrize("with_python", [False, True])
def test_reset_of_what_was_learned_online(with_python):
    """It goes with the parameters, not with the state."""
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-2))
        nengo.Connection(nengo.Node([1]), conn.learning_rule)
        if with_python:
            nengo.Connection(post, nengo.Node(lambda t, x: x, size_in=1))
        weights = nengo.Probe(conn, "weights")
    with simulator(net) as sim:
        built = sim.data[conn].weights
        sim.run_steps(20)
        learned, shown = sim.data[conn].weights, np.array(sim.data[weights])
        assert not np.allclose(learned, built)
        sim.reset(include_trainable=False)
        np.testing.assert_array_equal(sim.data[conn].weights, learned)
        sim.run_steps(1)
        np.testing.assert_array_equal(sim.data[weights][0], learned)
        sim.reset()
        np.testing.assert_allclose(sim.data[conn].weights, built)
        sim.run_steps(20)
        np.testing.assert_array_equal(sim.data[weights], shown)


def test_reset_with_a_seed_leaves_seeded_processes_alone():
    net = noisy(process_seed=1)
    with simulator(net) as sim:
        sim.run_steps(10)
        first = recorded(sim, net)
        with pytest.warns(UserWarning, match="seed"):
            sim.reset(seed=5)
        sim.run_steps(10)
        np.testing.assert_array_equal(recorded(sim, net)[0], first[0])
        np.testing.assert_array_equal(recorded(sim, net)[2], first[2])


def test_soft_reset_is_deprecated(relay):
    with simulator(relay) as sim:
        sim.run_steps(5)
        with pytest.warns(DeprecationWarning, match="use reset"):
            sim.soft_reset()
        assert sim.n_steps == 0 and len(sim.data[relay.probe]) == 5


def test_nodes_are_captured_when_built(relay):
    with simulator(relay) as sim:
        relay.node.output = lambda t: -1
        sim.run_steps(2)
        sim.reset()
        sim.run_steps(2)
        np.testing.assert_allclose(sim.data[relay.probe][:, 0], [0.001, 0.002])


# --- life cycle ----------------------------------------------------------------------------------

CLOSED = {
    "run": lambda sim: sim.run(0.1),
    "run_steps": lambda sim: sim.run_steps(1),
    "step": lambda sim: sim.step(),
    "predict": lambda sim: sim.predict(n_steps=1),
    "predict_on_batch": lambda sim: sim.predict_on_batch(n_steps=1),
    "fit": lambda sim: sim.fit(n_steps=1),
    "evaluate": lambda sim: sim.evaluate(n_steps=1),
    "compile": lambda sim: sim.compile(loss="mse"),
    "reset": lambda sim: sim.reset(),
    "freeze_params": lambda sim: sim.freeze_params(sim.model.toplevel),
    "check_gradients": lambda sim: sim.check_gradients(),
    "with": lambda sim: sim.__enter__(),
    "keras_model": lambda sim: sim.keras_model,
    "tensor_graph": lambda sim: sim.tensor_graph,
    "seed": lambda sim: sim.seed,
}


@pytest.fixture(scope="module")
def closed():
    with nengo.Network(seed=0) as net:
        net.ens = nengo.Ensemble(5, 1)
        net.conn = nengo.Connection(net.ens, net.ens)
        net.probe = nengo.Probe(net.ens)
        net.silent = nengo.Probe(net.ens)
    sim = simulator(net)
    sim.run_steps(3)
    sim.close()
    sim.close()
    return sim, net


@pytest.mark.parametrize("name", CLOSED)
def test_closed_simulator_refuses(closed, name):
    assert closed[0].closed
    with pytest.raises(SimulatorClosed, match="closed"):
        CLOSED[name](closed[0])


def test_closed_simulator_still_tells(closed):
    sim, net = closed
    assert sim.data[net.probe].shape == (3, 1)
    assert (sim.n_steps, sim.time, sim.dt) == (3, pytest.approx(0.003), 0.001)
    assert len(sim.trange()) == 3
    with pytest.warns(UserWarning, match="closed") as caught:
        gain = sim.data[net.ens].gain
    assert len(caught) == 1
    np.testing.assert_allclose(gain, sim.model.params[net.ens].gain, rtol=1e-6)
    with pytest.warns(UserWarning, match="closed") as caught:
        weights, bias = sim.data.get_params((net.conn, "weights"), (net.ens, "bias"))
    assert len(caught) == 1
    np.testing.assert_array_equal(weights, sim.model.params[net.conn].weights)
    np.testing.assert_array_equal(bias, sim.model.params[net.ens].bias)
    with pytest.warns(UserWarning, match="closed"):
        assert "bias" in sim.get_nengo_params(net.ens)


def test_probe_that_never_ran_is_empty_after_close(relay):
    sim = simulator(relay)
    sim.close()
    assert sim.data[relay.probe] == []


def test_context_closes_also_after_an_exception(relay):
    with pytest.raises(ZeroDivisionError), simulator(relay) as sim:
        raise ZeroDivisionError
    assert sim.closed


def test_precision_and_device_hold_inside_the_context(relay):
    with relay:
        nengo_dl.configure_settings(dtype="float64")
    sim = simulator(relay, device="/cpu:0")
    assert keras.config.floatx() == "float32"
    with pytest.raises(ZeroDivisionError), sim:
        assert keras.config.floatx() == keras.layers.ReLU().compute_dtype == "float64"
        assert "CPU:0" in tf.constant(1.0).device
        raise ZeroDivisionError
    assert keras.config.floatx() == keras.layers.ReLU().compute_dtype == "float32"


def test_a_policy_of_the_users_stays(relay):
    """Layers of a simulation with another precision say themselves what they need."""
    with relay:
        nengo_dl.configure_settings(dtype="float64")
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        with simulator(relay) as sim:
            sim.predict(n_steps=2)
            assert keras.layers.ReLU().compute_dtype == "float16"
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)


def test_deletion_while_open_warns(relay, own_garbage):
    sim = simulator(relay)
    with pytest.warns(RuntimeWarning, match="deallocated while open"):
        del sim
        gc.collect()


def test_deletion_after_close_is_silent(relay, own_garbage):
    sim = simulator(relay)
    sim.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del sim
        gc.collect()


def test_what_the_user_froze_stays_frozen(relay, own_garbage):
    frozen = []
    gc.freeze()
    with simulator(relay):
        assert not any(obj is frozen for obj in gc.get_objects())


def test_no_pickling(relay):
    with simulator(relay) as sim, pytest.raises(NotImplementedError, match="pickle"):
        pickle.dumps(sim)


def test_what_cannot_be_assigned(relay):
    with simulator(relay) as sim:
        with pytest.raises(ReadonlyError, match="dt"):
            sim.dt = 0.1
        for name in ("n_steps", "time", "seed"):
            with pytest.raises(AttributeError):
                setattr(sim, name, 1)


def test_removed_methods_tell_what_to_use(relay):
    with simulator(relay) as sim:
        with pytest.raises(SimulationError, match=r"compile and \.fit"):
            sim.train()
        with pytest.raises(SimulationError, match=r"compile and \.evaluate"):
            sim.loss()


# --- construction --------------------------------------------------------------------------------


def test_arguments_of_the_constructor(relay):
    for name in ("minibatch_size", "unroll_simulation"):
        with pytest.raises(ValidationError, match=f"{name}.*positive integer.*got 0"):
            simulator(relay, **{name: 0})
    with pytest.raises(ValidationError, match="give a network"):
        simulator(None)
    with simulator(relay, dt=0.002, unroll_simulation=2, minibatch_size=3) as sim:
        assert (sim.dt, sim.unroll, sim.minibatch_size) == (0.002, 2, 3)
        assert sim.data.minibatched
    with simulator(relay) as sim:
        assert sim.minibatch_size == 1 and not sim.data.minibatched


def test_built_model_serves_several_simulators(relay):
    model = nengo.builder.Model(dt=0.002)
    model.build(relay)
    operators = list(model.operators)
    found = []
    for _ in range(2):
        with pytest.warns(NengoWarning, match=r"\(0.002\) does not match.*\(0.001\)"):
            sim = simulator(None, model=model)
        with sim:
            assert sim.dt == 0.002
            sim.run_steps(5)
            found.append(np.array(sim.data[relay.filtered]))
    assert model.operators == operators
    with nengo.Simulator(None, model=model, dt=0.002, progress_bar=False) as ref:
        ref.run_steps(5)
        np.testing.assert_allclose(found, 2 * [ref.data[relay.filtered]], rtol=1e-6)


def test_model_of_operators_only():
    model = nengo.builder.Model(dt=0.001)
    sig = nengo.builder.Signal(np.zeros(2), name="x")
    model.add_op(
        nengo.builder.operator.ElementwiseInc(
            nengo.builder.Signal(2.0), nengo.builder.Signal(np.ones(2)), sig
        )
    )
    probe = nengo.Probe(nengo.Node([0, 0], add_to_container=False), add_to_container=False)
    model.probes.append(probe)
    model.sig[probe]["in"] = sig
    with pytest.warns(UserWarning, match="No top-level network"):
        sim = simulator(None, model=model)
    with sim, nengo.Simulator(None, model=model, progress_bar=False) as ref:
        sim.run_steps(3)
        ref.run_steps(3)
        assert sim.predict(n_steps=1)[probe].shape[1] == 1  # stateless calls work too
        np.testing.assert_allclose(sim.data[probe][-1], sim.data[probe][0] * 3)
        assert sim.n_steps == 3
        assert sim.keras_model.trainable_weights == []


def test_empty_network():
    with simulator(nengo.Network()) as sim:
        sim.run_steps(7)
        assert sim.n_steps == 7
        assert sim.predict(n_steps=3) == {}
    with nengo.Network() as net:
        nengo.Node()
    with simulator(net) as sim:
        sim.run_steps(3)
        assert sim.n_steps == 3


def test_other_back_end_of_keras(relay, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(SimulationError, match="'jax'.*KERAS_BACKEND=tensorflow"):
        simulator(relay)


def test_without_gpu_nothing_is_wrong(relay, caplog):
    with warnings.catch_warnings(), caplog.at_level("INFO", logger="nengo_dl"):
        warnings.simplefilter("error", UserWarning)
        simulator(relay).close()
    assert any("Running on CPU" in message for message in caplog.messages)


def test_silent_without_progress_bar(relay, capsys):
    with simulator(relay) as sim:
        sim.run_steps(5)
        sim.predict(n_steps=5)
    assert capsys.readouterr().out == ""


def test_seeding_leaves_the_users_random_numbers_alone():
    before = random.getstate(), np.random.get_state()[1].copy()
    seed_tensorflow(3)
    first = tf.random.uniform((3,))
    seed_tensorflow(3)
    np.testing.assert_array_equal(tf.random.uniform((3,)), first)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("seed", [0, None])
def test_default_seed(seed):
    with simulator(nengo.Network(seed=seed)) as sim:
        assert sim.seed == 1 if seed == 0 else 0 <= sim.seed < 2**31
    with simulator(nengo.Network(seed=seed), seed=7) as sim:
        assert sim.seed == 7


# --- names ---------------------------------------------------------------------------------------


def test_names_of_inputs_and_outputs():
    with nengo.Network() as net:
        nodes = [nengo.Node([0]), nengo.Node([0]), nengo.Node([0], label="x")]
        nodes.append(nengo.Node([0], label="X"))
        passing = nengo.Node(size_in=1, label="x")
        probe = nengo.Probe(nodes[0], label="x")
        twice = nengo.Probe(nodes[0], label="n_steps")
    with nengo.Network():
        foreign = nengo.Node([0])
    with simulator(net) as sim:
        names = [sim.get_name(obj) for obj in (*nodes, probe)]
        assert names == ["node", "node_1", "x", "X_1", "x_2"]
        assert set(sim.keras_model.input_names) == {*names[:4], "n_steps"}
        assert sim.keras_model.output_names == ["x_2", sim.get_name(twice), "steps_run"]
        assert list(sim.node_inputs) == nodes
        assert [tensor.name for tensor in sim.node_inputs.values()] == names[:4]
        for obj in (passing, foreign, net, "x"):
            with pytest.raises(ValidationError, match="not an input Node or a Probe"):
                sim.get_name(obj)


def test_names_of_weights():
    with nengo.Network() as net:
        a, b = (nengo.Ensemble(n, 1, label=label) for n, label in ((5, "a/b"), (6, "b")))
        nengo.Connection(a, b, label="across")
        nengo.Probe(b)
    with simulator(net) as sim:
        names = [w.name for w in sim.keras_model.weights]
        assert not any("/" in name for name in names)
        assert {"across.weights"} <= set(names)
        assert any(name.startswith("a_b.encoders") for name in names)


# --- the Keras model -----------------------------------------------------------------------------


@pytest.mark.parametrize("minibatch_size", [None, 1, 3])
def test_keras_model_is_an_ordinary_one(relay, minibatch_size):
    batch = minibatch_size or 1
    with simulator(relay, minibatch_size=minibatch_size) as sim:
        x = np.random.RandomState(0).uniform(size=(batch, 4, 1)).astype("float32")
        inputs = {"node": x, "n_steps": np.full((batch, 1), 4, dtype="int32")}
        expected = sim.predict(x)
        out = sim.keras_model.predict(inputs, batch_size=batch, verbose=0)
        np.testing.assert_allclose(out["probe"], expected[relay.probe])
        np.testing.assert_allclose(out["probe_1"], expected[relay.filtered], atol=1e-7)
        assert np.all(out["steps_run"] == 4) and out["steps_run"].shape == (batch, 1)
        own = sim.tensor_graph.build_inputs()
        model = keras.Model(own, sim.tensor_graph(own))
        again = model.predict(inputs, batch_size=batch, verbose=0)
        np.testing.assert_allclose(again["probe_1"], out["probe_1"])


def test_weights_of_the_keras_model_are_saved_without_state(tmp_path):
    def make(seed, **kwargs):
        with nengo.Network(seed=seed) as net:
            ens = nengo.Ensemble(5, 1)
            net.probe = nengo.Probe(nengo.Ensemble(6, 1))
            nengo.Connection(ens, net.probe.target)
        return simulator(net, **kwargs)

    path = tmp_path / "a.weights.h5"
    with make(0) as one, make(1, minibatch_size=3) as other:
        one.run_steps(20)
        one.keras_model.save_weights(path)
        assert sum(w.shape.num_elements() for w in one.keras_model.weights) == 5 + 5 + 6 + 6 + 5
        other.keras_model.load_weights(path)
        for a, b in zip(one.keras_model.weights, other.keras_model.weights, strict=True):
            np.testing.assert_array_equal(a, b)


# --- TensorFlow's random numbers -----------------------------------------------------------------


def test_same_seed_means_same_random_tensors():
    def run(**kwargs):
        with nengo.Network(seed=0) as net:
            node = nengo_dl.TensorNode(
                lambda t: tf.random.uniform((1, 3)), shape_out=(3,), pass_time=True
            )
            probe = nengo.Probe(node)
        with simulator(net, **kwargs) as sim:
            sim.run_steps(4)
            return np.array(sim.data[probe])

    first = run(seed=3)
    assert len(np.unique(first)) == 12
    np.testing.assert_array_equal(first, run(seed=3))
    assert not np.any(first == run(seed=4))


# --- errors of the user's functions --------------------------------------------------------------


@pytest.mark.parametrize("value", [None, np.nan, np.inf, "text"])
@pytest.mark.parametrize("method", ["run_steps", "predict"])
@pytest.mark.parametrize("size_in", [0, 1])
def test_bad_output_of_a_function(value, method, size_in):
    function = (lambda t, x: value) if size_in else (lambda t: value)
    with nengo.Network() as net:
        node = nengo.Node(function, size_in=size_in, size_out=1)
        nengo.Probe(node)
    with simulator(net) as sim:
        call = {"run_steps": lambda: sim.run_steps(3), "predict": lambda: sim.predict(n_steps=3)}
        with pytest.raises(SimulationError, match="lambda.*returned"):
            call[method]()
        assert sim.n_steps == 0


def test_wrong_size_of_a_function():
    with nengo.Network() as net:
        nengo.Probe(nengo.Node(lambda t: [1, 2, 3], size_out=2))
    with simulator(net) as sim, pytest.raises(ValueError, match=r"3 numbers.*expected 2"):
        sim.run_steps(1)


def test_other_exceptions_of_a_function_come_through():
    def fails(t):
        raise KeyError("mine")

    with nengo.Network() as net:
        nengo.Probe(nengo.Node(fails, size_out=1))
    with simulator(net) as sim, pytest.raises(KeyError, match="mine"):
        sim.run_steps(1)


def test_importing_needs_no_tensorflow():
    code = "import sys, nengo_dl; print('tensorflow' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_what_is_not_compiled_is_named_once(caplog):
    class Squaring(nengo.neurons.NeuronType):
        def step(self, dt, J, output):
            output[:] = J**2

    def plant(t, x):
        return x

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1, neuron_type=Squaring(), gain=np.ones(5), bias=np.ones(5))
        nengo.Connection(nengo.Node(plant, size_in=1), ens)
        nengo.Probe(ens.neurons)
    with (
        caplog.at_level("INFO", logger="nengo_dl"),
        pytest.warns(UserWarning, match="Squaring neurons have no compiled form") as caught,
        simulator(net),
    ):
        pass
    assert len([w for w in caught if "Squaring" in str(w.message)]) == 1
    assert "Not compiled as a whole, because of: function 'plant'" in caplog.text
