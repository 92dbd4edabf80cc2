"""The decision how TensorFlow runs a program: one function from facts to a record."""

from dataclasses import FrozenInstanceError, replace

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtimes.tensorflow.strategy import Facts, Refusal, Scope, Strategy, choose
from nengo_dl.runtimes.tensorflow.tune import Target


def simulator(net, **kwargs):
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def spiking(**settings):
    """A loop, and products before and after it."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        net.inp = nengo.Node(np.zeros(3))
        ens = nengo.Ensemble(20, 3)
        nengo.Connection(net.inp, ens)
        net.p = nengo.Probe(ens, synapse=0.01)
    return net


def rates(convolves=False):
    """No loop at all."""
    with nengo.Network(seed=0) as net:
        net.inp = nengo.Node(np.zeros(16))
        transform = nengo.Convolution(2, (4, 4, 1)) if convolves else np.ones((8, 16))
        size = 8
        ens = nengo.Ensemble(size, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(net.inp, ens.neurons, transform=transform, synapse=None)
        net.p = nengo.Probe(ens.neurons)
    return net


def calling_python():
    net = spiking()
    with net:
        node = nengo.Node(lambda t, x: x + 1, size_in=3, label="python")
        nengo.Connection(net.all_ensembles[0], node)
        nengo.Connection(node, net.all_ensembles[0])
    return net


def facts_of(net, purpose, **changes):
    with simulator(net) as sim:
        graph = sim.session.graph
        facts = graph._facts(purpose, "auto", frozenset())
    return replace(facts, **changes)


@pytest.fixture(scope="module")
def looped():
    return {purpose: facts_of(spiking(), purpose) for purpose in ("simulate", "test", "train")}


@pytest.mark.parametrize(
    ("purpose", "changes", "expected"),
    [
        ("simulate", {}, Scope.CALL),
        ("simulate", {"enabled": False}, Scope.NOTHING),
        ("simulate", {"asked": False}, Scope.CALL),
        ("test", {}, Scope.CALL),
        ("train", {}, Scope.CALL),
        ("train", {"enabled": False}, Scope.NOTHING),
        ("train", {"enabled": False, "asked": True}, Scope.CALL),
        ("train", {"asked": False}, Scope.NOTHING),
        ("train", {"draws": True}, Scope.STEP),
        ("test", {"replicas": True}, Scope.STEP),
        ("train", {"masked": True}, Scope.LOOPS),
        ("test", {"masked": True}, Scope.SIMULATION),
        ("test", {"masked": True, "asked": False}, Scope.NOTHING),
    ],
)
def test_scope(looped, purpose, changes, expected):
    assert choose(replace(looped[purpose], **changes)).scope is expected


@pytest.mark.parametrize(("convolves", "steps"), [(True, None), (False, None), (True, 4)])
def test_training_without_loops(convolves, steps):
    """Convolutions, and small networks without a loop, are faster outside of XLA."""
    facts = facts_of(rates(convolves), "train", checkpoint_steps=steps)
    expected = Scope.LOOPS if steps is None else Scope.NOTHING
    assert choose(facts).scope is expected
    assert choose(replace(facts, asked=True)).scope is Scope.CALL


def test_calls_of_python_lie_between_what_is_compiled():
    strategy = choose(facts_of(calling_python(), "simulate"))
    assert strategy.scope is Scope.SEGMENTS
    assert strategy.calls_in_loops
    assert "calls of Python: " in str(strategy)
    assert choose(facts_of(calling_python(), "train")).scope is Scope.NOTHING


def test_what_xla_refuses_leads_to_another_strategy(looped):
    facts = replace(looped["simulate"], target=Target(single_kernels=True))
    strategy = choose(facts)
    assert strategy.single_kernels
    again = choose(replace(facts, refused=frozenset({Refusal.SINGLE_KERNELS})))
    assert not again.single_kernels
    assert not any(stage.inline for stage in again.program.stages)
    assert "in one kernel" in str(strategy)
    assert "in one kernel" not in str(again)


def test_only_what_simulates_is_one_kernel_or_in_parts(looped):
    target = Target(batch=8, cores=2, single_kernels=True)
    target = replace(target, costs=replace(target.costs, part_elements=1))
    found = {p: choose(replace(f, target=target)) for p, f in looped.items()}
    assert {p: s.parts for p, s in found.items()} == {"simulate": 2, "test": 1, "train": 1}
    assert [p for p, s in found.items() if s.single_kernels] == ["simulate"]


def test_the_program_stays_as_it_was(looped):
    facts = looped["simulate"]
    before = str(facts.program)
    assert any(g.packed for g in choose(facts).program.groups)
    assert str(facts.program) == before
    assert not any(g.packed for g in facts.program.groups)


def test_a_strategy_does_not_change(looped):
    strategy = choose(looped["simulate"])
    with pytest.raises(FrozenInstanceError):
        strategy.parts = 2
    assert isinstance(strategy, Strategy)
    assert isinstance(looped["simulate"], Facts)


def test_gradients_in_chunks_of_time_are_for_training_alone():
    net = spiking(checkpoint_steps=5)
    assert choose(facts_of(net, "train")).checkpoint_steps == 5
    assert choose(facts_of(net, "test")).checkpoint_steps is None


def test_a_simulator_shows_its_strategy():
    with simulator(spiking(), minibatch_size=4) as sim:
        text = str(sim.strategy)
        assert text.startswith("to simulate: XLA compiles all of a call\n")
        assert text.endswith(str(sim.strategy.program))
    with pytest.raises(nengo.exceptions.SimulatorClosed):
        _ = sim.strategy
