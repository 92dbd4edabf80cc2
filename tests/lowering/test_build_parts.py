"""Parts of building that are our own: each does what the part of Nengo's does."""

import copy
import itertools

import nengo
import numpy as np
import pytest
import scipy.linalg
from nengo.builder import Builder, Model
from nengo.builder.signal import Signal
from nengo.cache import DecoderCache
from nengo.exceptions import BuildError, SignalError
from nengo.solvers import LstsqL2

from nengo_dl.lowering import decoders
from nengo_dl.lowering.decoder_cache import Inputs, SharedKeys, default_cache
from nengo_dl.lowering.random_states import RandomState
from nengo_dl.lowering.signals import Signals
from tests.lowering.test_build import assert_same_build, build_ours, random_network, sharing


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for key, value in {"enabled": "True", "path": str(tmp_path)}.items():
        monkeypatch.setitem(nengo.rc["decoder_cache"], key, value)
    return tmp_path


def connected():
    """Return connections of many kinds, plain and special."""
    with nengo.Network(seed=1) as net:
        node, direct = nengo.Node([0.5, 1]), nengo.Ensemble(5, 2, neuron_type=nengo.Direct())
        a, b = nengo.Ensemble(20, 2, label="a"), nengo.Ensemble(20, 2)
        out = nengo.Node(size_in=2, label="out")
        for pre, post in itertools.product([node, direct, a, b], [direct, b, out]):
            nengo.Connection(pre, post)
            nengo.Connection(pre, post, function=np.square, synapse=None, label="named")
            nengo.Connection(pre[::-1], post[[1]], transform=[[0.1, 0.2]], synapse=0.02)
            nengo.Connection(pre[1], post[0], transform=-1, synapse=nengo.Alpha(0.01))
        nengo.Connection(a, b, solver=LstsqL2(weights=True))
        nengo.Connection(a.neurons, b.neurons, transform=nengo.dists.Gaussian(0, 1))
        learned = nengo.Connection(a, out, learning_rule_type=nengo.PES())
        nengo.Connection(out, learned.learning_rule)
        nengo.Connection(node, out, transform=nengo.Sparse((2, 2), [[0, 1]], [2.0]))
        nengo.Connection(a, out, transform=nengo.dists.Uniform(0, 1))
        nengo.Probe(out)
    return net


def told(model):
    """Return what operators say of themselves and of their signals."""
    lists = "sets", "incs", "reads", "updates"
    return [
        (
            type(op),
            op.tag,
            [[(s._name, s.shape, s.readonly) for s in getattr(op, n)] for n in lists],
        )
        for op in model.operators
    ]


def test_operators_are_nengos():
    """Also names and tags, in the same order."""
    net = connected()
    expected = Model(dt=0.001)
    expected.build(net)
    ours = build_ours(net)
    assert told(ours) == told(expected)
    for conn in net.all_connections:
        assert list(ours.sig[conn]) == list(expected.sig[conn])
        assert ours.params[conn].transform is conn.transform
    assert_same_build(net)


def test_an_object_that_is_not_in_the_network():
    with nengo.Network() as net:
        ens, node = nengo.Ensemble(10, 1), nengo.Node(size_in=1)
        nengo.Connection(ens, node)
    net.nodes.remove(node)
    with pytest.raises(BuildError, match="the 'post' object <Node .* is not in the model"):
        build_ours(net)


@pytest.mark.parametrize("kind", [nengo.Dense, nengo.Connection])
def test_a_part_that_someone_replaced(kind, monkeypatch):
    built = []
    nengos = Builder.builders[kind]
    theirs = lambda model, *args, **kw: built.append(args) or nengos(model, *args, **kw)  # noqa: E731
    monkeypatch.setitem(Builder.builders, kind, theirs)
    net = connected()
    build_ours(net)
    assert len(built) >= 13


VALUES = [np.array(0.5), np.arange(6.0).reshape(2, 3).T, np.ones(2, dtype=np.float32)]
VALUES += [np.arange(3), np.array(2)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_signals_are_nengos(value):
    ours, nengos = (make(value, name="s", readonly=True) for make in (Signals(), Signal))
    assert type(ours) is Signal and ours.__dict__.keys() == nengos.__dict__.keys()
    for signal in (ours, nengos):
        assert not signal.initial_value.flags.writeable
        assert (signal.name, signal.readonly, signal.shape) == ("s", True, value.shape)
        assert signal.initial_value.flags.c_contiguous and signal.dtype == value.dtype
        np.testing.assert_array_equal(signal.initial_value, value)
    value[...] = 7  # as with Nengo, what is contiguous is not copied
    np.testing.assert_array_equal(ours.initial_value, nengos.initial_value)


def test_signals_of_zeros():
    make = Signals()
    first, second = make(shape=3, name="a"), make(shape=3, name="b")
    assert first.shape == (3,) and not first.initial_value.any() and not first.readonly
    assert first.base is not second.base
    assert first[1:].base is first and first[1:].elemoffset == 1
    with pytest.raises(ValueError, match="read-only"):
        first.initial_value[0] = 1


def test_signals_without_numbers():
    with pytest.raises(SignalError, match="contains NaNs"):
        Signals()(np.array([np.nan]), name="s")


def holding(kind):
    """Return what may go on to draw, with a generator that is gone, and one like it."""
    ours, numpys = RandomState(3), np.random.RandomState(3)
    kept = {
        "itself": lambda rng: rng,
        "method": lambda rng: rng.random_sample,
        "copy": copy.copy,
        "numbers": lambda rng: np.random.Generator(rng._bit_generator),
    }[kind]
    return kept(ours), kept(numpys)


@pytest.mark.parametrize("kind", ["itself", "method", "copy", "numbers"])
def test_nobody_else_draws_from_a_generator_that_is_kept(kind):
    ours, numpys = holding(kind)
    draw = lambda kept: kept() if kind == "method" else kept.random(5)  # noqa: E731
    for seed in range(20):
        assert RandomState(seed).normal() == np.random.RandomState(seed).normal()
        np.testing.assert_array_equal(draw(ours), draw(numpys))


def test_generators_are_used_again():
    RandomState(1).normal()  # the second number of a pair waits
    rng = RandomState(2)
    bits = id(rng._bit_generator)
    del rng
    again = RandomState(5)
    assert id(again._bit_generator) == bits
    np.testing.assert_array_equal(again.normal(size=9), np.random.RandomState(5).normal(size=9))


def test_a_user_keeps_a_generator():
    """Distributions may draw later on from what they were given."""

    class Keeping(nengo.dists.Distribution):
        def __init__(self):
            super().__init__()
            self.__dict__["kept"] = []

        def sample(self, n, d=None, rng=np.random):
            self.kept.append(rng)
            drawn = [rng.uniform(size=n if d is None else (n, d)) for rng in self.kept]
            return np.mean(drawn, axis=0)

    nets = []
    for _ in range(2):
        with nengo.Network(seed=0) as net:
            for _ in range(4):
                nengo.Ensemble(10, 1, encoders=nengo.dists.Choice([[1]]), eval_points=Keeping())
        nets.append(net)
    expected = Model(dt=0.001)
    for net, model in zip(nets, (build_ours(nets[0]), expected), strict=True):
        if model is expected:
            model.build(net)
    for ours, theirs in zip(nets[0].ensembles, nets[1].ensembles, strict=True):
        kept = (ours.eval_points.kept, theirs.eval_points.kept)
        assert [rng.uniform() for rng in kept[0]] == [rng.uniform() for rng in kept[1]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_are_nengos(dtype, tmp_path):
    rng = np.random.RandomState(0)
    gain, bias = rng.rand(2, 7).astype(dtype)
    points, encoders = rng.randn(30, 2).astype(dtype), rng.randn(7, 2).astype(dtype)
    cache, inputs = SharedKeys(False, tmp_path), Inputs(points, encoders, 1.5)
    nengos = DecoderCache(False, tmp_path)
    x = np.dot(points, encoders.T / 1.5)
    for solver, neurons in itertools.product(
        [LstsqL2(), LstsqL2(reg=0.2)], [nengo.LIF(), nengo.Tanh()]
    ):
        for columns in (points, points[:, 1:]):
            rng.normal()  # now and then, one of a pair waits
            rest = columns, rng
            wanted = nengos._get_cache_key(solver, neurons, gain, bias, x, *rest)
            assert cache._get_cache_key(solver, neurons, gain, bias, inputs, *rest) == wanted
            assert cache._get_cache_key(solver, neurons, gain, bias, x, *rest) == wanted
    assert len(inputs.digests) == 4


def test_the_cache_is_filled_as_nengo_fills_it(cache, tmp_path):
    contents = []
    for name, build in {
        "nengo": lambda: nengo.Simulator(sharing(), progress_bar=False).close(),
        "ours": lambda: build_ours(sharing()),
    }.items():
        nengo.rc["decoder_cache"]["path"] = str(tmp_path / name)
        build()
        with DecoderCache(readonly=True) as stored:
            contents.append(set(stored._index._index))
    assert contents[0] == contents[1] and len(contents[0]) == 7


def test_what_the_cache_holds_is_bit_equal(cache):
    for seed in range(4):
        expected = Model(dt=0.001)
        expected.build(random_network(seed))
        for _ in range(2):  # filled, then read
            ours = build_ours(random_network(seed))
            for mine, wanted in zip(ours.params.values(), expected.params.values(), strict=True):
                if getattr(wanted, "weights", None) is not None:
                    np.testing.assert_array_equal(mine.weights, wanted.weights)


def test_a_cache_with_keys_of_the_users_own(cache, monkeypatch):
    given = []
    nengos = DecoderCache._get_cache_key

    def own(self, solver, neuron_type, gain, bias, x, targets, rng):
        given.append(x)
        return nengos(self, solver, neuron_type, gain, bias, x, targets, rng)

    monkeypatch.setattr(DecoderCache, "_get_cache_key", own)
    assert type(default_cache()) is DecoderCache
    build_ours(sharing())
    assert len(given) == 7 and all(isinstance(x, np.ndarray) for x in given)


@pytest.mark.parametrize("first", [2.0, np.inf, -1.0])
def test_factors_are_scipys(first):
    gram = np.array([[first, 1.0], [1.0, 3.0]])
    try:
        wanted = scipy.linalg.cho_factor(gram.copy())
    except (ValueError, scipy.linalg.LinAlgError) as error:
        with pytest.raises(type(error)):
            decoders._factor(gram)
    else:
        np.testing.assert_array_equal(decoders._factor(gram.copy())[0], wanted[0])


def test_rates_are_nengos():
    rng = np.random.RandomState(0)
    neurons = nengo.LIF(tau_rc=0.03, tau_ref=0.003, amplitude=0.1)
    for dtype in (np.float32, np.float64):
        x, gain, bias = (rng.randn(*s).astype(dtype) for s in ((50, 9), (9,), (9,)))
        kept = x.copy()
        rates = decoders._rates(neurons, x, gain, bias)
        np.testing.assert_array_equal(rates, neurons.rates(x, gain, bias))
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("fails", ["function", "solver"])
def test_errors_of_users_reach_them(fails):
    class Failing(LstsqL2):
        def __call__(self, A, Y, rng=None, E=None):
            raise ZeroDivisionError("the user's")

    def function(x):
        if functions:
            raise ZeroDivisionError("the user's")
        return x

    functions = []
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1)
        given = {"solver": Failing()} if fails == "solver" else {"function": function}
        nengo.Connection(ens, nengo.Node(size_in=1), **given)
    functions.append(function)
    with pytest.raises(ZeroDivisionError, match="the user's"):
        build_ours(net)


UFUNCS = [np.square, np.sin, np.cos, np.exp, np.tanh, np.abs, np.sqrt, np.log1p, np.sign, np.isnan]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("part", [slice(None), slice(1, None), [1, 0]], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", UFUNCS, ids=lambda f: f.__name__)
def test_numpys_functions_are_called_for_all_points_at_once(function, dtype, part):
    points = np.random.RandomState(0).uniform(-1, 1, size=(523, 3)).astype(dtype)[:, part]
    found = decoders._at_once(function, points)
    wanted = np.array([function(point) for point in points])
    if function in (np.square, np.abs):
        assert found is not None
    if found is not None:
        np.testing.assert_array_equal(found, wanted.astype(found.dtype))


def test_other_functions_are_called_for_each_point():
    counting = np.frompyfunc(lambda x: x, 1, 1)
    assert not any(map(decoders._is_numpys, (counting, np.add, np.modf, np.sum, np.vectorize(abs))))
    assert decoders._is_numpys(np.square)


def test_where_single_calls_round_otherwise():
    """As if NumPy added in another order."""
    points = np.random.RandomState(0).normal(size=(50, 2))
    function = lambda x: x + (1e-16 if x.ndim == 2 else 0)  # noqa: E731
    assert decoders._at_once(function, points * 1e-3) is None
