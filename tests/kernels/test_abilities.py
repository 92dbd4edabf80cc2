"""Abilities of kernels: found by their methods, answered for where they are missing."""

from types import SimpleNamespace

import nengo
import numpy as np
import pytest

from nengo_dl.compiler.ir import Op
from nengo_dl.kernels import (
    CATALOGUE,
    Kernel,
    NeuronKernel,
    abilities,
    kernel,
    neuron,
    neuron_kernel,
    registry,
)
from nengo_dl.kernels.abilities import (
    HasNumPyStep,
    HasSlope,
    HasSurrogate,
    NamesResiduals,
    PacksStates,
    SmoothsRate,
    StepsInNumPy,
    StepsPacked,
)
from nengo_dl.surrogate import FastSigmoid, Rates, SmoothRate


@kernel("plain")
class Plain(Kernel):
    """Has no ability."""


@kernel("able")
class Able(Kernel):
    """Has all abilities, and names none of them."""

    stepper = object

    def in_numpy(self, group, reads, writes, ctx):
        return len

    def packs(self, group):
        return True

    def pack(self, group, states, ctx):
        return states[0]

    def unpack(self, group, held, ctx):
        return [held]

    def for_training(self, op):
        return Op("plain", op.reads, op.writes), {"old": "new"}

    def residuals(self, group):
        return 3

    def inlined(self, group, batch):
        return batch == 1


def group_of(kind):
    """Return what the catalogue asks about."""
    return SimpleNamespace(kind=kind)


def test_answers_for_a_kernel_without_abilities():
    group, op = group_of("plain"), Op("plain", (), ())
    assert CATALOGUE.in_numpy(group, [], [], None) is None
    assert CATALOGUE.residuals(group) is None
    assert CATALOGUE.stepper(op) is None
    assert CATALOGUE.for_training(op) == (op, {})
    assert not CATALOGUE.packs(group)
    assert not CATALOGUE.inlines(group, 1)
    with pytest.raises(TypeError, match="kernel of kind 'plain' packs no states"):
        CATALOGUE.packer(group)


def test_abilities_are_found_by_their_methods():
    group, op = group_of("able"), Op("able", (), ())
    assert CATALOGUE.in_numpy(group, [], [], None) is len
    assert CATALOGUE.residuals(group) == 3
    assert CATALOGUE.stepper(op) is object
    changed, held = CATALOGUE.for_training(op)
    assert (changed.kind, held) == ("plain", {"old": "new"})
    assert CATALOGUE.packs(group)
    assert CATALOGUE.packer(group).pack(group, [5], None) == 5
    assert [CATALOGUE.inlines(group, batch) for batch in (1, 2)] == [True, False]


def test_who_has_which():
    """Half an ability is none."""
    found = [a for a in vars(abilities).values() if getattr(a, "_is_runtime_protocol", False)]
    assert len(found) == 11
    of_neurons = {HasNumPyStep, HasSlope, HasSurrogate, SmoothsRate, StepsPacked}
    assert {a for a in found if isinstance(Able(), a)} == set(found) - of_neurons
    assert not [a for a in found if isinstance(Plain(), a)]
    assert [a for a in of_neurons if issubclass(Steep, a)] == [SmoothsRate]


def test_a_missing_method_is_an_error_where_a_kernel_is_registered():
    with pytest.raises(TypeError, match="abstract.*in_numpy"):

        @kernel("unfinished")
        class Unfinished(Kernel, StepsInNumPy):
            pass

    with pytest.raises(TypeError, match="UnfinishedNeurons .* not its methods: surrogate_step"):

        @neuron(SimpleNamespace)
        class UnfinishedNeurons(NeuronKernel, HasSurrogate):
            pass

    assert SimpleNamespace not in registry.neuron_types()
    with pytest.raises(KeyError, match="unfinished"):
        CATALOGUE.kernel("unfinished")


class Steep(NeuronKernel):
    """Says its abilities by methods alone."""

    spiking = True

    @classmethod
    def rate(cls, c, J):
        return 2 * J

    @classmethod
    def smooth_rate(cls, c, J, sigma):
        return sigma * J


def test_neurons_train_with_what_they_have():
    J, step = np.ones((1, 3), np.float32), Steep.training_step
    np.testing.assert_array_equal(step(None, 0.001, Rates(), J)[0], 2 * J)
    np.testing.assert_array_equal(step(None, 0.001, Rates(smoothing=0.5), J)[0], 0.5 * J)
    np.testing.assert_array_equal(step(None, 0.001, SmoothRate(smoothing=0.5), J)[0], 2 * J)
    with pytest.raises(NotImplementedError, match="Steep has no surrogate .* surrogate_step"):
        step(None, 0.001, FastSigmoid(), J)


def test_kernels_of_this_package_name_their_abilities():
    """So that a type checker compares them: what is found by methods is among the bases."""
    for kind in [k for k in registry._KERNELS.values() if k.__module__.startswith("nengo_dl.")]:
        for ability in (StepsInNumPy, NamesResiduals, PacksStates):
            assert isinstance(kind, ability) == (ability in type(kind).__mro__)
    lif = neuron_kernel(nengo.LIF)
    assert {HasNumPyStep, HasSlope, HasSurrogate, SmoothsRate, StepsPacked} <= set(lif.__mro__)
