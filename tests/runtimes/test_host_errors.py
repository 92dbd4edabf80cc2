"""What a user's own code raises arrives as it is, and with the name of the object it belongs to."""

import nengo
import numpy as np
import pytest

import nengo_dl


class OwnError(Exception):
    """An exception that neither Nengo nor TensorFlow knows."""


def fails(t, x=None):
    if t > 0.0045:
        raise OwnError("mine")
    return 0.0


class Failing(nengo.Process):
    """A process that fails in its fifth step."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return fails


class FailingNeurons(nengo.neurons.NeuronType):
    """A neuron type that fails in its fifth step."""

    state = {"age": nengo.dists.Choice([0])}

    def max_rates_intercepts(self, gain, bias):
        return gain, bias

    def step(self, dt, J, output, age):
        age += 1
        output[...] = fails(dt * age[0])


def ensemble(neuron_type, **kwargs):
    unit = {"gain": np.ones(3), "bias": np.ones(3)}
    return nengo.Ensemble(3, 1, neuron_type=neuron_type, label="place", **unit, **kwargs)


def chained(function):
    """A function of a connection from a node that shows the time."""
    source, relay = nengo.Node(lambda t, x: t, size_in=1, size_out=1), nengo.Node(size_in=1)
    return nengo.Connection(source, relay, function=function, label="place")


#: What fails, and what is then said to have failed.
CASES = {
    "function of time": (
        lambda: nengo.Node(fails, label="place"),
        "function 'fails' of <Node 'place'>",
    ),
    "function": (
        lambda: nengo.Node(fails, size_in=1, size_out=1, label="place"),
        "function 'fails' of <Node 'place'>",
    ),
    "function without output": (
        lambda: nengo.Node(fails, size_in=1, size_out=0, label="place"),
        "function 'fails' of <Node 'place'>",
    ),
    "function of time without output": (
        lambda: nengo.Node(fails, size_out=0, label="place"),
        "function 'fails' of <Node 'place'>",
    ),
    "function of a connection": (
        lambda: chained(lambda x: fails(x[0])),
        "function '<lambda>' of <Connection place>",
    ),
    "process": (
        lambda: nengo.Node(Failing(), size_out=1, label="place"),
        "process Failing() of <Node 'place'>",
    ),
    "process with input": (
        lambda: nengo.Node(Failing(), size_in=1, size_out=1, label="place"),
        "process Failing() of <Node 'place'>",
    ),
    "noise": (
        lambda: ensemble(nengo.LIF(), noise=Failing()),
        "process Failing() of <Ensemble 'place'>",
    ),
    "neurons": (
        lambda: ensemble(FailingNeurons()),
        "FailingNeurons neurons of <Ensemble 'place'>",
    ),
}


@pytest.fixture(params=["in NumPy", "in segments"])
def mode(request, assume):
    """Both ways to run Python in the loop."""
    if request.param == "in segments":
        assume(numpy_loop_elements=0)
    return request.param


@pytest.mark.filterwarnings("ignore:.*no compiled form")
@pytest.mark.parametrize("name", CASES)
def test_error_arrives_with_the_name_of_its_object(name, mode):
    make, where = CASES[name]
    with nengo.Network(seed=0) as net:
        obj = make()
        if isinstance(obj, nengo.Ensemble):
            nengo.Probe(obj.neurons)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        for call in (sim.run_steps, lambda n: sim.predict(n_steps=n)):
            with pytest.raises(OwnError, match="mine") as caught:
                call(10)
            assert caught.value.__notes__ == [f"Raised by {where}"]
            assert sim.n_steps == 0  # of a chunk that fails nothing is kept


def test_checks_of_outputs_name_the_node(mode):
    with nengo.Network() as net:
        nengo.Node(lambda t, x: "text", size_in=1, size_out=1, label="place")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(nengo.exceptions.SimulationError, match="invalid type") as caught:
            sim.run_steps(1)
    assert caught.value.__notes__ == ["Raised by function '<lambda>' of <Node 'place'>"]
