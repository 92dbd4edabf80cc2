"""A description tells apart whatever may compile to something else, and nothing more."""

from dataclasses import dataclass

import nengo
import numpy as np
import pytest

from nengo_dl.compiler.ir import Block, Op, Role, Signal, View
from nengo_dl.compiler.ir import Output as Recorded
from nengo_dl.kernels.base import Kernel
from nengo_dl.runtimes.tensorflow.description import describe

MOST = 1000


def signal(name="x", role=Role.STATE, initial=(1.0, 2.0), **kwargs):
    return Signal(name, (2,), role, initial=np.array(initial), **kwargs)


class Own(nengo.LIF):
    """A neuron type of a user's."""


@dataclass
class OwnRecord:
    """A record of a user's."""


class OwnKernel(Kernel):
    """A kernel of a user's."""


def with_attribute(kept):
    neurons = nengo.LIF()
    neurons.__dict__["kept"] = kept
    return neurons


DIFFERENT = [
    (0.0, -0.0),
    (1, 1.0),
    (1, True),
    (1.0, np.float64(1.0)),
    (np.float32(1), np.float64(1)),
    ("1", 1),
    ((1, 2), [1, 2]),
    ((1, (2,)), (1, 2)),
    ((), (None,)),
    (((1,), (2,)), ((1, 2), ())),
    (slice(0, 2), slice(0, 2, 1)),
    (range(2), (0, 1)),
    (np.zeros(2), np.zeros((2, 1))),
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.zeros(2), np.array([0.0, -0.0])),
    ({"a": 1}, {"b": 1}),
    (frozenset({Role.STATE}), frozenset({Role.INPUT})),
    (nengo.LIF(), nengo.LIF(tau_rc=0.03)),
    (nengo.LIF(), nengo.LIFRate()),
    (with_attribute(1), with_attribute(2)),
    (nengo.LIF, nengo.LIFRate),
    (signal(), signal(initial=(1.0, 3.0))),
    (signal(), signal(role=Role.CONSTANT)),
    (signal(), signal(trainable=True)),
    (signal(), signal(dtype="int")),
    (signal(role=Role.PARAMETER), signal(role=Role.ADAPTED)),
]


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a, b):
    assert describe(a, most=MOST) is not None
    assert describe(a, most=MOST) != describe(b, most=MOST)
    assert describe(a, most=MOST) == describe(a, most=MOST)


def test_who_is_who():
    """One thing twice is not two that look alike."""
    one, other = signal(), signal()
    assert describe((one, one), most=MOST) != describe((one, other), most=MOST)
    assert describe((one, other, one), most=MOST) != describe((one, other, other), most=MOST)
    assert describe((one, other), most=MOST) == describe((other, one), most=MOST)


def test_names_do_not_count():
    def all_of(name):
        read, written = signal(name), Signal(name, (2,))
        op = Op("sum", (View(read),), (written,), tag=name)
        block = Block(name, Role.STATE, "float", (read,), 0)
        return op, block, Recorded(name, View(written), name=name)

    assert describe(all_of("a"), most=MOST) == describe(all_of("b"), most=MOST)


def test_given_values_do_not_count():
    def of(role, *values):
        thing = signal(role=role, initial=values)
        return describe(thing, most=MOST, given=[thing])

    assert of(Role.STATE, 0.5, 1.0) == of(Role.STATE, 0.0, -3.0)
    # kernels may ask whether a state begins above the threshold
    assert of(Role.STATE, 0.5, 1.0) != of(Role.STATE, 0.5, 1.5)
    assert of(Role.PARAMETER, 0.5, 1.0) == of(Role.PARAMETER, 0.5, 1.5)


def test_printed_objects_are_the_same():
    printed = nengo.LIF()
    assert repr(printed) and describe(printed, most=MOST) == describe(nengo.LIF(), most=MOST)


NOT_PLAIN = [len, lambda: 0, np.random.RandomState(0), object(), np.array([None]), {1, 2}]
OF_USERS = [Own, Own(), OwnRecord(), OwnKernel, with_attribute(Own())]


@pytest.mark.parametrize("thing", NOT_PLAIN + OF_USERS)
def test_no_description(thing):
    assert describe(((1, "a"), [thing]), most=MOST) is None


def test_too_long():
    assert describe([signal() for _ in range(10)], most=20) is None
