"""Arguments that cannot be meant: early errors, in the user's words."""

import pickle

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl


def relay():
    with nengo.Network(seed=0) as net:
        net.inp = nengo.Node([1.0])
        net.p = nengo.Probe(net.inp)
    return net


@pytest.fixture(scope="module")
def sim():
    with nengo_dl.Simulator(relay(), progress_bar=None) as sim:
        yield sim


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"dt": 0}, "positive number of seconds, got 0"),
        ({"dt": -0.001}, "positive number of seconds, got -0.001"),
        ({"dt": np.nan}, "positive number of seconds, got nan"),
        ({"dt": np.inf}, "positive number of seconds, got inf"),
        ({"dt": "1ms"}, "positive number of seconds, got '1ms'"),
        ({"dt": True}, "positive number of seconds, got True"),
        ({"dt": 32}, r"steps of 32 seconds.*minibatch_size=32.*give 32\.0"),
        ({"dt": np.int64(32)}, "minibatch_size=32"),
        ({"seed": "a"}, "seed: expected an integer of at least 0, got 'a'"),
        ({"seed": -1}, "seed: expected an integer of at least 0, got -1"),
        ({"seed": 2**32}, "seed: must be at most 4294967295, got 4294967296"),
        ({"minibatch_size": 2.5}, "minibatch_size: expected a positive integer, got 2.5"),
        ({"minibatch_size": "a"}, "minibatch_size: expected a positive integer, got 'a'"),
        ({"minibatch_size": 0}, "minibatch_size: expected a positive integer, got 0"),
        ({"unroll_simulation": np.nan}, "unroll_simulation: expected a positive integer, got nan"),
        ({"model": 3}, "expected a nengo.builder.Model, got 3 of type int"),
        ({"device": "/gpu:0"}, "no device '/gpu:0'; TensorFlow has '/cpu:0'"),
        ({"device": "/cpu:7"}, "no device '/cpu:7'; TensorFlow has '/cpu:0'"),
        ({"device": "/job:worker/task:1/cpu:0"}, "no device '/job:worker"),
        ({"device": "fastest"}, "'fastest' is not the name of a device; TensorFlow has '/cpu:0'"),
        ({"device": 0}, "0 is not the name of a device"),
    ],
)
def test_of_the_simulator(arguments, message):
    with pytest.raises(ValidationError, match=message):
        nengo_dl.Simulator(relay(), progress_bar=False, **arguments)


@pytest.mark.parametrize("dt", [1, 1.0, 60.0, np.float32(0.5)])
def test_lengths_of_steps_that_are_taken(dt):
    with nengo_dl.Simulator(relay(), dt=dt, progress_bar=False) as sim:
        sim.run_steps(2)
        assert sim.time == 2 * dt


@pytest.mark.parametrize("device", [None, "/cpu:0", "cpu:0", "/device:CPU:0", "CPU"])
def test_devices_that_are_there(device):
    with nengo_dl.Simulator(relay(), device=device, progress_bar=False) as sim:
        sim.run_steps(2)
        assert len(sim.data[sim.model.probes[0]]) == 2


class HasNet:
    net = relay()


@pytest.mark.parametrize(
    "network, message",
    [
        (None, "give a network, or a built model"),
        (3, "expected a nengo.Network, got 3 of type int$"),
        (keras.Sequential([keras.layers.Dense(2)]), r"Sequential; a Keras model.*nengo_dl\.Layer"),
        (HasNet(), "HasNet; give its network, the attribute 'net'"),
        (nengo.builder.Model(), r"Model; give it as Simulator\(None, model="),
    ],
)
def test_what_is_no_network(network, message):
    with pytest.raises(ValidationError, match=message):
        nengo_dl.Simulator(network, progress_bar=False)


@pytest.mark.parametrize(
    "method, argument, message",
    [
        (
            "run_steps",
            2.5,
            "n_steps: expected a whole number of steps, got 2.5.*seconds is for `run`",
        ),
        ("run_steps", "a", "n_steps: expected a whole number of steps, got 'a'"),
        ("run_steps", None, "n_steps: expected a whole number of steps, got None"),
        ("run_steps", True, "n_steps: expected a whole number of steps, got True"),
        ("run_steps", -1, "n_steps: must not be negative, got -1"),
        ("run", "1s", "time_in_seconds: expected a number of seconds, got '1s'"),
        ("run", None, "time_in_seconds: expected a number of seconds, got None"),
        ("run", np.nan, "time_in_seconds: expected a finite number of seconds, got nan"),
        ("run", np.inf, "time_in_seconds: expected a finite number of seconds, got inf"),
        ("reset", 0.5, "seed: expected an integer of at least 0, got 0.5"),
        ("trange", 0, "sample_every: expected a positive number of seconds, got 0"),
        ("trange", np.nan, "sample_every: expected a positive number of seconds, got nan"),
    ],
)
@pytest.mark.filterwarnings("ignore:Changing the seed")
def test_of_methods(sim, method, argument, message):
    with pytest.raises(ValidationError, match=message):
        getattr(sim, method)(argument)
    assert sim.n_steps == 0


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "evaluate", "fit"])
def test_numbers_of_steps(sim, method):
    with pytest.raises(ValidationError, match="n_steps: expected a whole number of steps, got 2.5"):
        getattr(sim, method)(n_steps=2.5)


def test_whole_numbers_of_other_types():
    """Such as what a division gives."""
    with nengo_dl.Simulator(relay(), progress_bar=False) as sim:
        for n_steps in (1.0 / 0.5, np.float64(2), np.int32(2)):
            sim.run_steps(n_steps)
        assert sim.n_steps == 6 and isinstance(sim.n_steps, int)


def test_what_nengo_takes_too():
    """`optimize` and None for no progress bar, so that scripts need no change."""
    with nengo_dl.Simulator(relay(), optimize=False, progress_bar=None) as sim:
        sim.run(0.003, progress_bar=None)
        assert sim.n_steps == 3


def test_no_order_of_steps(sim):
    with pytest.raises(AttributeError, match=r"no step_order.*sim\.program"):
        _ = sim.step_order


def test_pickling(sim):
    with pytest.raises(NotImplementedError, match="compiled programs.*save_params.*load_params"):
        pickle.dumps(sim)


@pytest.mark.parametrize("minibatch_size, shape", [(None, (0,)), (1, (1, 0)), (3, (3, 0))])
def test_data_of_probes_that_recorded_nothing(minibatch_size, shape):
    """An array that can be computed with, and that is equal to an empty list."""
    net = relay()
    net.p.synapse = nengo.Lowpass(0.01)
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        for _ in range(2):
            empty = sim.data[net.p]
            assert isinstance(empty, np.ndarray) and empty.shape == shape
            assert empty.dtype == np.float32 and empty == [] and not empty != []
            assert (2 * empty).sum() == 0
            sim.run_steps(2)
            assert sim.data[net.p].size == 2 * sim.minibatch_size
            sim.clear_probes()


def test_generator_is_that_of_nengo():
    net = relay()
    with nengo.Simulator(net, seed=4, progress_bar=False) as reference:
        expected = reference.rng.randint(1000, size=5)
    with nengo_dl.Simulator(net, seed=4, progress_bar=False) as sim:
        np.testing.assert_array_equal(sim.rng.randint(1000, size=5), expected)
