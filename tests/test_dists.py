"""Initial distributions: statistics, limits, and how they behave as Nengo objects."""

import copy
import pickle

import nengo
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nengo.exceptions import ValidationError

from nengo_dl.dists import Glorot, He, TruncatedNormal, VarianceScaling

ALL = [
    TruncatedNormal(),
    TruncatedNormal(mean=1, stddev=0.5, limit=0.2),
    VarianceScaling(scale=2, mode="fan_in", distribution="normal"),
    Glorot(),
    Glorot(scale=3, distribution="normal"),
    He(),
    He(scale=2, distribution="uniform"),
]


@pytest.mark.parametrize("dist", ALL, ids=repr)
def test_shapes_and_seeds(dist):
    assert dist.sample(5, rng=np.random.RandomState(0)).shape == (5,)
    assert dist.sample(5, None).shape == (5,)
    samples = dist.sample(5, 3, rng=np.random.RandomState(0))
    assert samples.shape == (5, 3)
    np.testing.assert_array_equal(samples, dist.sample(5, 3, rng=np.random.RandomState(0)))
    assert not np.array_equal(samples, dist.sample(5, 3, rng=np.random.RandomState(1)))
    np.random.seed(0)
    np.testing.assert_array_equal(samples, dist.sample(5, 3))
    assert dist.sample(0).shape == (0,)


@pytest.mark.parametrize("dist", ALL, ids=repr)
def test_is_a_nengo_object(dist):
    assert isinstance(dist, nengo.dists.Distribution)
    for other in (copy.copy(dist), copy.deepcopy(dist), pickle.loads(pickle.dumps(dist))):
        assert other == dist and hash(other) == hash(dist) and repr(other) == repr(dist)
        np.testing.assert_array_equal(
            other.sample(4, 2, rng=np.random.RandomState(0)),
            dist.sample(4, 2, rng=np.random.RandomState(0)),
        )
    assert eval(repr(dist)) == dist
    with pytest.raises(ValidationError):
        setattr(dist, "mean" if isinstance(dist, TruncatedNormal) else "scale", 7)


def test_repr_and_equality():
    assert repr(He(scale=2)) == "He(scale=2)"
    assert repr(Glorot()) == "Glorot()"
    assert He(2) != He(3)
    assert Glorot() != VarianceScaling()
    assert TruncatedNormal(stddev=0.5) == TruncatedNormal(stddev=0.5, limit=1)


@given(
    mean=st.floats(-10, 10),
    stddev=st.floats(0, 10),
    limit=st.one_of(st.none(), st.floats(0.5, 20)),
    seed=st.integers(0, 100),
)
def test_truncated_normal_stays_within_its_limit(mean, stddev, limit, seed):
    dist = TruncatedNormal(mean, stddev, limit)
    samples = dist.sample(50, 2, rng=np.random.RandomState(seed))
    assert np.all(np.abs(samples - mean) <= dist.limit)
    assert dist.limit == (2 * stddev if limit is None else limit)


def test_truncated_normal_statistics(rng):
    samples = TruncatedNormal(mean=3, stddev=2).sample(100_000, rng=rng)
    assert np.mean(samples) == pytest.approx(3, abs=0.03)
    # The standard deviation of a unit normal truncated at 2 is 0.8796.
    assert np.std(samples) == pytest.approx(2 * 0.8796, rel=0.01)
    assert np.all(TruncatedNormal(mean=3, stddev=0).sample(10) == 3)


@pytest.mark.parametrize("mode, fan", [("fan_in", 30), ("fan_out", 50), ("fan_avg", 40)])
def test_variance_scaling(mode, fan, rng):
    s = 2 / fan
    samples = np.stack([VarianceScaling(2, mode).sample(50, 30, rng) for _ in range(100)])
    assert np.var(samples) == pytest.approx(s, rel=0.02)
    assert np.abs(samples).max() <= np.sqrt(3 * s)
    assert np.abs(samples).max() == pytest.approx(np.sqrt(3 * s), rel=0.01)

    normal = VarianceScaling(2, mode, "normal").sample(50, 30, np.random.RandomState(0))
    expected = TruncatedNormal(stddev=np.sqrt(s)).sample(50, 30, np.random.RandomState(0))
    np.testing.assert_array_equal(normal, expected)


def test_without_dimensions_there_is_one_input():
    for mode, fan in [("fan_in", 1), ("fan_out", 9), ("fan_avg", 5)]:
        samples = VarianceScaling(1, mode).sample(9, rng=np.random.RandomState(0))
        limit = np.sqrt(3 / fan)
        expected = np.random.RandomState(0).uniform(-limit, limit, size=9)
        np.testing.assert_allclose(samples, expected)


def test_glorot_and_he_are_variance_scaling():
    def draw(dist):
        return dist.sample(4, 6, rng=np.random.RandomState(1))

    np.testing.assert_allclose(draw(Glorot(3)), draw(VarianceScaling(3, "fan_avg", "uniform")))
    np.testing.assert_allclose(draw(He(3)), draw(VarianceScaling(9, "fan_in", "normal")))
    np.testing.assert_allclose(
        draw(He(3, "uniform")), draw(VarianceScaling(9, "fan_in", "uniform"))
    )
    assert np.all(draw(Glorot(0, "normal")) == 0)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: TruncatedNormal(stddev=-1),
            "TruncatedNormal.stddev: .*greater than or equal to 0",
        ),
        (lambda: TruncatedNormal(limit=0), "TruncatedNormal.limit: .*greater than 0"),
        (lambda: TruncatedNormal(limit=-1), "TruncatedNormal.limit: .*greater than"),
        (lambda: VarianceScaling(scale=-1), "VarianceScaling.scale: .*greater than"),
        (lambda: VarianceScaling(mode="fan"), "VarianceScaling.mode: .*must be one of.*fan_in"),
        (lambda: Glorot(distribution="x"), "Glorot.distribution: .*must be one of.*uniform"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


def test_in_a_network():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(4, 1, gain=np.ones(4), bias=np.zeros(4))
        conn = nengo.Connection(nengo.Node([1, 2, 3]), ens.neurons, transform=Glorot())
    with nengo.Simulator(net, progress_bar=False) as sim:
        weights = sim.data[conn].weights
    assert weights.shape == (4, 3)
    assert np.all(np.abs(weights) <= np.sqrt(3 / 3.5))
