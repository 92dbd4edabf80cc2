"""Frozen networks give the same in Nengo's simulator: every transform, solver and learning rule."""

import nengo
import numpy as np
import pytest
import scipy.sparse
from nengo.solvers import LstsqDrop, LstsqL2, LstsqL2nz, LstsqNoise, Nnls, NoSolver

import nengo_dl
from tests.networks import wave4

STEPS = 12

#: From four values to as many, or to three.
TRANSFORMS = {
    "none": (lambda: None, 4),
    "scalar": (lambda: 2.0, 4),
    "vector": (lambda: [1.0, 2, 3, 4], 4),
    "matrix": (lambda: np.arange(12.0).reshape(3, 4), 3),
    "distribution": (lambda: nengo_dl.dists.Glorot(), 3),
    "sparse": (lambda: nengo.Sparse((3, 4), [(0, 1), (2, 3), (1, 0)], init=[1.0, 2.0, 3.0]), 3),
    "scipy": (lambda: nengo.Sparse((3, 4), init=scipy.sparse.csr_matrix(np.eye(3, 4))), 3),
    "convolution": (lambda: nengo.Convolution(3, (2, 2, 1), kernel_size=(2, 2)), 3),
    "channels first": (
        lambda: nengo.Convolution(2, (2, 2), kernel_size=(2,), strides=(1,), channels_last=False),
        2,
    ),
    "transposed": (
        lambda: nengo.ConvolutionTranspose(1, (4, 1), kernel_size=(3,), strides=(1,)),
        None,
    ),
}

#: From an ensemble of two dimensions, decoded.
DECODED = {
    "none": {},
    "function": {"function": lambda x: x[0] * x[1]},
    "points": {"function": np.ones((8, 3)), "eval_points": np.linspace(-1, 1, 16).reshape(8, 2)},
    "scalar": {"transform": 2.0},
    "vector": {"transform": [1.0, 2.0]},
    "matrix": {"transform": np.arange(6.0).reshape(3, 2)},
    "distribution": {"transform": nengo_dl.dists.Glorot(), "out": 3},
    "function and matrix": {"function": lambda x: [x[0], 1, x[1]], "transform": np.ones((2, 3))},
    "drop": {"solver": LstsqDrop(drop=0.5)},
    "noise": {"solver": LstsqNoise()},
    "positive": {"solver": Nnls()},
    "biased": {"solver": LstsqL2nz()},
    "nothing": {"solver": NoSolver()},
    "values": {"solver": NoSolver(np.ones((10, 3))), "function": lambda x: np.ones(3)},
}
FULL = {name: row for name, row in DECODED.items() if name not in ("values", "nothing")}


def ensemble(n=10, **kwargs):
    """Return an ensemble of two dimensions with a radius of its own."""
    return nengo.Ensemble(n, 2, radius=1.5, **kwargs)


def node(net):
    """Make what drives everything: four values."""
    return nengo.Node(wave4, label="node")


def size_of(transform, default):
    return transform.size_out if isinstance(transform, nengo.transforms.Transform) else default


def from_four(net, source):
    """Connect four values with each transform, to nodes, neurons and ensembles, and with slices."""
    for name, (make, size) in TRANSFORMS.items():
        size = size_of(make(), size) if size is None else size
        target = nengo.Node(size_in=size + 2)
        nengo.Connection(source, target[1:-1], transform=make(), label=f"{name} to node")
        yield name, nengo.Probe(target)
        if size <= 4:
            neurons = ensemble(n=size + 2).neurons
            index = list(range(size))[::-1]
            nengo.Connection(source, neurons[index], transform=make(), synapse=0.002)
            yield f"{name} to neurons", nengo.Probe(neurons, "input")


def nodes(net):
    yield from from_four(net, node(net))


def slices(net):
    yield from from_four(net, node(net)[[2, 0, 1, 3]])


def neurons(net):
    ens = ensemble()
    nengo.Connection(node(net)[:2], ens)
    yield from from_four(net, ens.neurons[2:6])


def direct(net):
    ens = nengo.Ensemble(1, 4, neuron_type=nengo.Direct())
    nengo.Connection(node(net), ens)
    yield from from_four(net, ens)


def decoded(net):
    pre = ensemble(neuron_type=nengo.LIFRate())
    nengo.Connection(node(net)[:2], pre)
    for name, row in DECODED.items():
        row = dict(row)
        size = row.pop("out", None) or np.shape(row.get("transform", ()))
        if isinstance(size, tuple):
            size = (
                size[0]
                if len(size) == 2
                else {"function": 1, "points": 3, "values": 3}.get(name, 2)
            )
        target = nengo.Node(size_in=size)
        nengo.Connection(pre, target, synapse=0.002, **row)
        yield name, nengo.Probe(target)
        wide = ensemble(n=size).neurons
        nengo.Connection(pre, wide, synapse=0.002, **row)
        yield f"{name} to neurons", nengo.Probe(wide, "input")
    target = ensemble()
    nengo.Connection(pre[1], target[0], synapse=0.002)
    nengo.Connection(pre[[1, 0]], target[::-1], synapse=0.002, function=lambda x: x**2)
    yield "slices", nengo.Probe(target.neurons, "input")


def full(net):
    pre = ensemble(neuron_type=nengo.LIFRate())
    nengo.Connection(node(net)[:2], pre)
    for name, row in FULL.items():
        row = dict(row)
        row.pop("out", None)
        if "solver" in row:  # solves for products with the transform, which has to be a matrix
            row["transform"] = np.eye(2)
        size = np.shape(row.get("transform", ()))
        size = size[0] if len(size) == 2 else {"function": 1, "points": 3}.get(name, 2)
        old = row.pop("solver", LstsqL2())
        solver = type(old)(weights=True)
        target = nengo.Ensemble(6, size)
        nengo.Connection(pre, target, synapse=0.002, solver=solver, **row)
        yield name, nengo.Probe(target.neurons, "input")
    target = ensemble()
    nengo.Connection(pre[0], target[1], synapse=0.002, solver=LstsqL2(weights=True))
    yield "slices", nengo.Probe(target.neurons, "input")


def learned(net):
    source = node(net)
    pre, post, other = (ensemble(neuron_type=nengo.LIFRate()) for _ in range(3))
    nengo.Connection(source[:2], pre)
    out = nengo.Node(size_in=2)
    square = np.ones((10, 10)) * 1e-3
    full = LstsqL2(weights=True)
    rules = {
        "pes": (pre, out, nengo.PES(1e-2), {}),
        "pes matrix": (pre, out[::-1], nengo.PES(1e-2), {"transform": 2 * np.eye(2)}),
        "pes full": (pre, post, nengo.PES(1e-2), {"solver": full}),
        "pes neurons": (pre.neurons, out, nengo.PES(1e-3), {"transform": square[:2]}),
        "rls": (pre, out, nengo.RLS(), {}),
        "voja": (pre, post, nengo.Voja(), {}),
        "bcm": (pre.neurons, other.neurons, nengo.BCM(1e-6), {"transform": square}),
        "oja": (pre.neurons, other.neurons, nengo.Oja(1e-4), {"transform": square}),
        "oja full": (pre, other, nengo.Oja(1e-4), {"solver": full}),
        "two": (pre, post, [nengo.PES(1e-2), nengo.Oja(1e-4)], {"solver": full}),
    }
    for name, (one, two, rule, kwargs) in rules.items():
        conn = nengo.Connection(one, two, learning_rule_type=rule, label=name, **kwargs)
        for taught in conn.learning_rule if isinstance(rule, list) else [conn.learning_rule]:
            if isinstance(taught.learning_rule_type, nengo.PES | nengo.RLS):
                size = taught.size_in
                nengo.Connection(source[:size], taught, function=lambda x: x, transform=0.5)
        yield name, nengo.Probe(conn, "weights" if name != "voja" else "output")
    yield "encoders", nengo.Probe(post.neurons)


GROUPS = [nodes, slices, neurons, direct, decoded, full, learned]


def build(group, dtype="float64"):
    """Return a network in which everything is there that `group` makes, and its probes."""
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype=dtype, trainable=None)
        probes = dict(group(net))
    for ens in net.all_ensembles:
        if isinstance(ens.neuron_type, nengo.Direct):
            net.config[ens].trainable = False
    return net, probes


@pytest.mark.parametrize(
    "group, batch",
    [*((group, None) for group in GROUPS), (neurons, 2), (learned, 2)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_frozen_networks_run_in_nengo(group, batch, uncompiled):
    uncompiled()
    net, probes = build(group)
    rng = np.random.RandomState(0)
    with nengo_dl.Simulator(net, minibatch_size=batch, progress_bar=False) as sim:
        for w in sim.keras_model.trainable_weights:  # as if trained
            w.assign(w.numpy() * rng.uniform(0.5, 1.5, w.shape) + rng.uniform(0, 1e-3, w.shape))
        sim.run_steps(STEPS)  # learns
        sim.reset(include_trainable=False)
        sim.freeze_params(net)
        sim.run_steps(STEPS)
        expected = {name: np.array(sim.data[probe]) for name, probe in probes.items()}
    with nengo.Simulator(net, progress_bar=False) as ref:
        ref.run_steps(STEPS)
        for name, probe in probes.items():
            found = expected[name] if batch is None else expected[name][0]
            assert np.any(found), name
            np.testing.assert_allclose(
                ref.data[probe], found, rtol=1e-9, atol=1e-10, err_msg=f"{group.__name__}: {name}"
            )


def test_direct_mode_has_no_encoders():
    with nengo.Network() as net:
        ens = nengo.Ensemble(1, 2, neuron_type=nengo.Direct(), label="direct")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.freeze_params(net)
        (encoders,) = sim.keras_model.trainable_weights
        encoders.assign(2 * np.eye(2))
        with pytest.raises(ValueError, match="'direct'> is in Direct mode.*encoders were trained"):
            sim.freeze_params(net)
        with pytest.raises(ValueError, match="has no parameters"):
            sim.freeze_params(ens)


def test_gains_of_zero():
    """A gain of 0 is kept while encoders are 0; trained encoders need another one."""

    def make(to_neurons):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype="float64")
            x = nengo.Node([0.5])
            net.ens = nengo.Ensemble(
                3, 1, gain=[0.0, 1, 2], bias=[1.5, 1, 1], neuron_type=nengo.RectifiedLinear()
            )
            nengo.Connection(x, net.ens)
            if to_neurons:
                nengo.Connection(x, net.ens.neurons[0])
            net.probe = nengo.Probe(net.ens.neurons)
        return net

    net = make(False)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        found = sim.get_nengo_params(net.ens)
        np.testing.assert_array_equal(found["gain"], [0, 1, 2])
        np.testing.assert_allclose(np.abs(found["encoders"]), 1)
        encoders = next(w for w in sim.keras_model.weights if w.name.endswith("encoders"))
        encoders.assign([[3.0], [4.0], [5.0]])
        sim.freeze_params(net)
        np.testing.assert_array_equal(net.ens.gain, [1, 1, 2])
        sim.run_steps(5)
        expected = sim.data[net.probe]
    with nengo.Simulator(net, progress_bar=False) as ref:
        ref.run_steps(5)
        np.testing.assert_allclose(ref.data[net.probe], expected)
    with nengo_dl.Simulator(make(True), progress_bar=False) as sim:
        encoders = next(w for w in sim.keras_model.weights if w.name.endswith("encoders"))
        encoders.assign([[3.0], [4.0], [5.0]])
        with pytest.raises(ValueError, match="gain of 0 whose encoders were trained"):
            sim.get_nengo_params(sim.model.toplevel.ens)
