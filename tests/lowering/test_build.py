"""What is built is what Nengo's builder makes of the same network, bit for bit."""

import copy
import gc
import os
import pickle

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Model
from nengo.exceptions import BuildError
from nengo.solvers import LstsqL2

from nengo_dl.lowering import build_model, decoders
from nengo_dl.lowering.random_states import RandomState
from nengo_dl.session.progress import Progress
from tests.networks import NETWORKS

N_NETWORKS = int(os.environ.get("NENGO_DL_FUZZ", "20"))

NEURONS = [
    nengo.LIF(),
    nengo.LIFRate(),
    nengo.RectifiedLinear(),
    nengo.Sigmoid(),
    nengo.AdaptiveLIF(),
    nengo.PoissonSpiking(nengo.LIFRate()),
]
SOLVERS = [
    LstsqL2(),
    LstsqL2(reg=0.02, weights=True),
    nengo.solvers.LstsqNoise(),
    nengo.solvers.Nnls(),
    nengo.solvers.LstsqDrop(drop=0.2),
]
FUNCTIONS = [None, np.sin, np.square, lambda x: x * x[0], lambda x: list(x), lambda x: tuple(2 * x)]


def build_ours(net):
    with Progress(False).stage("Build") as stage:
        return build_model(net, 0.001, "float64", stage)


def arrays_of(model):
    """Return all arrays that a model has for its objects, in order; decoded probes' included."""
    found = []
    for obj, built in model.params.items():
        fields = [getattr(built, name) for name in getattr(built, "_fields", ())]
        signals = [s.initial_value for s in model.sig[obj].values() if s is not None]
        arrays = [x.toarray() if hasattr(x, "toarray") else x for x in (*fields, *signals)]
        found += [(type(obj), x) for x in arrays if isinstance(x, np.ndarray)]
    return found


def assert_same_build(net):
    expected = Model(dt=0.001)
    expected.build(net)
    for (obj, value), (_, wanted) in zip(
        arrays_of(build_ours(net)), arrays_of(expected), strict=True
    ):
        np.testing.assert_array_equal(value, wanted, err_msg=str(obj))
        assert value.dtype == wanted.dtype


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_zoo(name):
    assert_same_build(NETWORKS[name]())


def random_network(seed):
    """Return ensembles with functions, solvers, slices and points of many kinds."""
    rng = np.random.RandomState(seed)
    pick = lambda options: options[rng.randint(len(options))]  # noqa: E731
    with nengo.Network(seed=seed) as net:
        ensembles = [
            nengo.Ensemble(
                int(rng.randint(5, 40)),
                2,
                neuron_type=pick(NEURONS),
                radius=pick([1.0, 1.5]),
                seed=pick([None, 3]),
            )
            for _ in range(4)
        ]
        for _ in range(6):
            pre, post, points = pick(ensembles), pick(ensembles), pick([None, rng.randn(60, 2)])
            parts = [slice(None), slice(0, 1), [1, 0]] if points is None else [slice(None)]
            part = pick(parts)  # only of whole ensembles can points be chosen
            size = len(np.zeros(2)[part])
            nengo.Connection(
                pre[part] if points is None else pre,
                post[:size],
                function=pick(FUNCTIONS),
                solver=pick(SOLVERS),
                eval_points=points,
                scale_eval_points=pick([True, False]),
                seed=pick([None, 5]),
            )
        nengo.Probe(ensembles[0])
    return net


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_networks():
    """CI tries 20; for more, set NENGO_DL_FUZZ=200."""
    for seed in range(N_NETWORKS):
        assert_same_build(random_network(seed))


def described():
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        nengo.Connection(pre, post, function=np.square)
        nengo.Probe(post)
    return net


@pytest.mark.parametrize("first", ["nengo", "ours"])
def test_decoder_cache_is_nengos(first, tmp_path, monkeypatch):
    """What one of both has solved the other reads."""
    for key, value in {"enabled": "True", "path": str(tmp_path)}.items():
        monkeypatch.setitem(nengo.rc["decoder_cache"], key, value)
    solved = []
    call = LstsqL2.__call__

    def counting(self, *args, **kwargs):
        solved.append(self)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(LstsqL2, "__call__", counting)
    builds = [lambda: nengo.Simulator(described(), progress_bar=False).close()]
    builds.append(lambda: build_ours(described()))
    for build in builds if first == "nengo" else builds[::-1]:
        build()
        assert len(solved) == 2


def sharing(function=np.square, **ensemble):
    """Return connections out of one ensemble; two of them have the same targets."""
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 2, **ensemble)
        for each, reg in [(None, 0.1), (function, 0.1), (None, 0.1), (np.sin, 0.1), (None, 0.2)]:
            nengo.Connection(ens, nengo.Node(size_in=2), function=each, solver=LstsqL2(reg=reg))
        nengo.Connection(ens[0], nengo.Node(size_in=1), synapse=nengo.Alpha(0.01))
        nengo.Connection(nengo.Ensemble(20, 2), ens)
    return net


@pytest.mark.parametrize("neuron_type", [*decoders.SHARED, nengo.PoissonSpiking])
def test_connections_share_what_is_equal(neuron_type, monkeypatch):
    """Rates of each ensemble are found once, and each other thing as often as it differs."""
    poisson = neuron_type is nengo.PoissonSpiking
    net = sharing(neuron_type=neuron_type(nengo.LIFRate()) if poisson else neuron_type())
    assert_same_build(net)
    calls = []
    for name in ("_rates", "_regularized"):
        function = getattr(decoders, name)
        called = lambda *args, f=function: calls.append(f.__name__) or f(*args)  # noqa: E731
        monkeypatch.setattr(decoders, name, called)
    build_ours(net)
    assert [calls.count(name) for name in ("_rates", "_regularized")] == (
        [1, 1] if poisson else [2, 6]
    )


def test_little_is_kept(assume):
    """Where activities take much memory, they are found again; the numbers are the same."""
    assume(kept_activities_bytes=1)
    with sharing() as net:
        first, second = net.ensembles
        for ens in (first, second, first):
            nengo.Connection(ens, nengo.Node(size_in=2), function=lambda x: x[::-1])
    assert_same_build(net)


def test_nengo_reads_what_was_shared(tmp_path, monkeypatch):
    for key, value in {"enabled": "True", "path": str(tmp_path)}.items():
        monkeypatch.setitem(nengo.rc["decoder_cache"], key, value)
    build_ours(sharing())
    monkeypatch.setattr(LstsqL2, "__call__", None)
    nengo.Simulator(sharing(), progress_bar=False).close()


def test_a_solver_that_someone_replaced(monkeypatch):
    solved = []
    call = LstsqL2.__call__
    counting = lambda self, *args, **kwargs: solved.append(self) or call(self, *args, **kwargs)  # noqa: E731
    monkeypatch.setattr(LstsqL2, "__call__", counting)
    build_ours(sharing())
    assert len(solved) == 7


def test_silent_neurons():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1, gain=np.ones(10), bias=-9 * np.ones(10))
        nengo.Connection(ens, nengo.Node(size_in=1))
    with pytest.raises(BuildError, match="'activities' matrix is all zero for <Ensemble"):
        build_ours(net)


def test_random_states_are_numpys():
    """All draws are the same, shuffling columns included; and of both kinds Nengo may ask."""
    ours, numpys = RandomState(7), np.random.RandomState(7)
    for x in (np.arange(20.0), np.arange(40.0).reshape(20, 2), np.arange(20.0)[:, None], [1, 2, 3]):
        drawn = [copy.copy(x), copy.copy(x)]
        for rng, each in zip((ours, numpys), drawn, strict=True):
            rng.shuffle(each)
        np.testing.assert_array_equal(*drawn)
    for rng in (ours, pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        for mine, wanted in zip(rng.get_state(), numpys.get_state(), strict=True):
            np.testing.assert_array_equal(mine, wanted)
    assert isinstance(numpys, RandomState) and isinstance(ours, np.random.RandomState)
    assert not isinstance(np, RandomState)


def test_a_build_function_that_someone_replaced(monkeypatch):
    """The user's own is called."""
    built = []
    nengos = Builder.builders[nengo.Ensemble]
    theirs = lambda model, ens: built.append(ens) or nengos(model, ens)  # noqa: E731
    monkeypatch.setitem(Builder.builders, nengo.Ensemble, theirs)
    net = sharing()
    build_ours(net)
    assert built == net.ensembles


def test_garbage_is_collected_as_before():
    before = gc.get_threshold()
    seen = []
    build_ours(sharing(lambda x: seen.append(gc.get_threshold()) or x))
    assert gc.get_threshold() == before
    assert seen[-1][0] > before[0]


def test_functions_are_called_once_a_point_in_order():
    calls = []
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 2, eval_points=np.linspace(-1, 1, 24).reshape(12, 2))
        nengo.Connection(ens, nengo.Node(size_in=1), function=lambda x: calls.append(x.copy()) or 0)
    calls.clear()  # Nengo asks for the size
    model = build_ours(net)
    np.testing.assert_array_equal(calls, model.params[ens].eval_points)


def test_a_function_without_result():
    with nengo.Network() as net:
        ens, given = nengo.Ensemble(10, 1), []
        nengo.Connection(
            ens,
            nengo.Node(size_in=1),
            function=lambda x: given.append(x) or (None if given[1:] else 0),
        )
    with pytest.raises(BuildError, match="function returned None. Cannot solve for decoders"):
        build_ours(net)
