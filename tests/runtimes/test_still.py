"""Inputs that stand still: what depends on them alone is computed once; nothing else changes."""

from dataclasses import replace

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.compiler.still import hold_still
from nengo_dl.simulator.calls import Call

STEPS = 6
RNG = np.random.RandomState(0)
IMAGES, SERIES = RNG.uniform(-1, 1, (3, 1, 12)), RNG.uniform(-1, 1, (3, STEPS, 2))
OFF = float("inf")  # steps from which on anything is computed once


def network(**settings):
    """Two layers, and a path around them, an input that moves, and one that is constant."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(keep_history=True, **settings)
        net.config[nengo.Connection].synapse = None
        net.config[nengo.Ensemble].neuron_type = nengo.LIF(amplitude=0.01)
        net.image = nengo.Node(np.zeros(12), label="image")
        net.moving = nengo.Node(np.zeros(2), label="moving")
        constant = nengo.Node([0.5, 0.2])
        first = nengo.Ensemble(20, 1, label="first").neurons
        second = nengo.Ensemble(20, 2, label="second")
        uniform = nengo_dl.dists.Glorot()
        nengo.Connection(net.image, first, transform=uniform)
        nengo.Connection(first, second.neurons, transform=uniform)
        for node in (net.moving, constant):
            nengo.Connection(node, second)
        nengo.Connection(second, second, synapse=0.01)
        net.out = nengo.Node(size_in=2)
        nengo.Connection(second, net.out)
        nengo.Connection(net.image[:2], net.out, transform=0.1)
        rate = nengo.Ensemble(8, 2, neuron_type=nengo.LIFRate(amplitude=0.01))
        nengo.Connection(net.image[2:4], rate)
        nengo.Connection(rate, net.out)
        net.shown = [nengo.Probe(o) for o in (net.out, rate, net.image, rate)]
        net.config[net.shown[-1]].keep_history = False
    return net


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, seed=0, **kwargs)


def results(sim, images, predicts, **n_steps):
    """What probes see, and the loss and all weights after some items in minibatches of two."""
    net, items = sim.model.toplevel, len(images)
    x = {net.image: images, net.moving: SERIES[:items]}
    found = list(sim.predict(x, **n_steps).values()) if predicts else []
    sim.compile(keras.optimizers.SGD(1e-3), loss={p: "mse" for p in net.shown[:2]})
    y = {p: np.zeros((items, STEPS, 2)) for p in net.shown[:2]}
    found += sim.fit(x, y, shuffle=False, verbose=0, **n_steps).history["loss"]
    return found + list(sim.session.graph.parameters.values().values())


@pytest.mark.training
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({"training_spikes": "rates", "dtype": "float64"}, 1e-12),
        ({"training_spikes": "fast_sigmoid", "dtype": "float64"}, 1e-12),
    ],
)
def test_nothing_else_changes(settings, tolerance, assume):
    predicts = settings["training_spikes"] != "rates"  # of which predictions know nothing
    images = IMAGES if predicts else IMAGES[:2]  # once with a minibatch that is not full
    with simulator(network(**settings)) as sim:
        found = results(sim, images, predicts, n_steps=STEPS)
        assert ("once, as all steps are alike" in str(sim.strategy)) == predicts
    assume(still_steps=OFF)
    with simulator(network(**settings)) as sim:
        expected = results(sim, np.repeat(images, STEPS, axis=1), predicts)
    for value, wanted in zip(found, expected, strict=True):
        assert np.shape(value) == np.shape(wanted)
        np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance)


def test_what_is_computed_once():
    """All that the image alone decides, but neither Python nor the user's own code."""
    net = network()
    with net:
        tensor = nengo_dl.TensorNode(lambda t, x: x * t, shape_in=(2,), label="tensor")
        python = nengo.Node(lambda t, x: x + t, size_in=2, label="python")
        for node in (tensor, python):
            nengo.Connection(net.image[:2], node)
            nengo.Probe(node)
    with simulator(net) as sim:
        blocks = sim.session.plan.inputs
        called = replace(sim.program, stages=tuple(map(_in_python, sim.program.stages)))
        program = hold_still(sim.program, {blocks["image"]})
        unchanged = hold_still(called, {blocks["moving"]})
    once, *rest = program.stages
    assert once.still and not any(stage.still for stage in rest)
    assert {g.kind for g in once.groups} >= {"dot", "neurons"}
    left = [group for stage in rest for group in stage.groups]
    assert any(g.kind == "tensor_node" for g in left)
    assert any(not g.traits.compiled for g in left)
    assert len(once.groups) + len(left) == len(sim.program.groups)
    assert {o.key for o, _ in once.outputs} == set(net.shown[1:])
    assert unchanged is called


def _in_python(stage):
    return replace(stage, groups=tuple(replace(g, traits=_Python()) for g in stage.groups))


class _Python:
    """Traits of what is called in each step."""

    compiled, sequential, has_effects = False, False, False


def test_data_of_one_step():
    """They are held, and so are arrays that repeat one without a copy; nothing else is."""
    net = network()
    with simulator(net) as sim:
        session, moving = sim.session, SERIES[:2]
        repeated = np.broadcast_to(IMAGES[:2], (2, STEPS, 12))
        for images, n_steps in ((IMAGES[:2], STEPS), (repeated, STEPS), (repeated, None)):
            call = Call(session, {net.image: images, net.moving: moving}, n_steps, holds=True)
            assert call.data[net.image].shape == (2, 1, 12) and call.n_steps == STEPS
            assert call.data[net.moving].shape == (2, STEPS, 2)
        call = Call(session, {net.image: repeated.copy()}, None, holds=True)
        assert call.data[net.image].shape == (2, STEPS, 12)
        for x, n_steps, message in (
            ({net.image: IMAGES, net.moving: SERIES}, None, "differ in their number of steps"),
            ({net.image: IMAGES, net.moving: SERIES}, 7, "data have 6 steps, but n_steps is 7"),
            ({net.image: repeated}, 7, "data have 6 steps, but n_steps is 7"),
        ):
            with pytest.raises(ValidationError, match=message):
                sim.predict(x, n_steps=n_steps)
        with pytest.raises(ValidationError, match="data have 1 steps, but n_steps is 6"):
            sim.run_steps(STEPS, data={net.image: IMAGES[:2]})


@pytest.mark.training
def test_targets_are_not_repeated():
    net = network()
    with simulator(net) as sim:
        sim.compile("sgd", loss={net.shown[0]: "mse"})
        with pytest.raises(ValidationError, match=r"shape \(3, 1, 2\), expected \(3, 6, 2\)"):
            sim.fit({net.image: IMAGES}, {net.shown[0]: np.zeros((3, 1, 2))}, n_steps=STEPS)


def test_items_of_a_generator_are_held():
    """And chunk after chunk of time, each minibatch from the state that the last one left."""
    with nengo.Network(seed=0) as net:
        net.node = nengo.Node(np.zeros(2))
        net.probe = nengo.Probe(nengo.Ensemble(10, 2), synapse=0.01)
        nengo.Connection(net.node, net.all_ensembles[0])
    images = IMAGES[:2, :, :2]
    with simulator(net) as sim:
        sim.session.runner.longest = 4
        expected = sim.predict(np.repeat(images, 2 * STEPS, 1))[net.probe]
        items = ({"node": images, "n_steps": np.full((2, 1), STEPS)} for _ in range(2))
        found = sim.predict(items, stateful=True)[net.probe]
    halves = np.concatenate([found[:2], found[2:]], axis=1)
    np.testing.assert_allclose(halves, expected, rtol=1e-5, atol=1e-6)
