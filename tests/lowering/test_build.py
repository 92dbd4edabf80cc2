"""What is built is what Nengo's builder makes of the same network, bit for bit."""

import os

import nengo
import numpy as np
import pytest
from nengo.builder import Model
from nengo.exceptions import BuildError
from nengo.solvers import LstsqL2

from nengo_dl.lowering import build_model
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
