"""Live parameters, Nengo's own arguments for them, and freezing them for Nengo's simulator."""

import warnings

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from tests.networks import wave4

KINDS = {}


def kind(build):
    """Register a function that connects a node of four values to one that a probe reads."""

    def make(seed=0):
        with nengo.Network(seed=seed) as net:
            nengo_dl.configure_settings(dtype="float64", trainable=None)
            net.node, net.out = nengo.Node(wave4, label="node"), nengo.Node(size_in=2)
            build(net.node, net.out)
            net.probe = nengo.Probe(net.out)
        return net

    KINDS[build.__name__] = make
    return build


def ensemble(**kwargs):
    """Return an ensemble whose neurons begin at rest, so that a network of another seed agrees."""
    neuron_type = kwargs.pop(
        "neuron_type", nengo.LIF(initial_state={"voltage": nengo.dists.Choice([0])})
    )
    return nengo.Ensemble(10, 2, neuron_type=neuron_type, **kwargs)


@kind
def ensembles(node, out):
    one, two = ensemble(radius=3), ensemble(encoders=[[2.0, 0]] * 10, normalize_encoders=False)
    nengo.Connection(node[:2], one)
    nengo.Connection(one, two, function=np.square)
    nengo.Connection(two, out, transform=[[1, 2], [3, 4]])


@kind
def rates(node, out):
    ens = ensemble(neuron_type=nengo.Tanh(tau_ref=0.001))
    nengo.Connection(node[:2], ens)
    nengo.Connection(ens[0], out[1], synapse=None)


@kind
def negative_gains(node, out):
    rng = np.random.RandomState(0)
    ens = ensemble(
        neuron_type=nengo.RectifiedLinear(), gain=rng.uniform(-2, 2, 10), bias=np.ones(10)
    )
    nengo.Connection(node[:2], ens)
    nengo.Connection(ens, out, solver=nengo.solvers.NoSolver(rng.uniform(-1, 1, (10, 2))))


@kind
def neurons(node, out):
    one, two = ensemble(), ensemble()
    nengo.Connection(node, one.neurons, transform=nengo_dl.dists.Glorot())
    nengo.Connection(one.neurons[:4], two.neurons[[1, 3]], transform=nengo_dl.dists.Glorot())
    nengo.Connection(one, two.neurons, transform=np.ones((10, 2)))
    nengo.Connection(two.neurons, out, transform=1e-2 * np.ones((2, 10)))


@kind
def nodes(node, out):
    relay = nengo.Node(size_in=4)
    nengo.Connection(node, relay, transform=2.0)
    nengo.Connection(node, relay, transform=[1, 2, 3, 4])
    nengo.Connection(node, relay)
    nengo.Connection(relay[::2], out, transform=nengo_dl.dists.Glorot(), synapse=None)


@kind
def sparse(node, out):
    matrix = nengo.Sparse((2, 4), [(0, 1), (1, 3), (1, 0)], init=[1.0, 2.0, 3.0])
    nengo.Connection(node, out, transform=matrix, synapse=None)


@kind
def scipy_sparse(node, out):
    import scipy.sparse

    matrix = nengo.Sparse((2, 4), init=scipy.sparse.coo_matrix([[0, 1.0, 0, 2], [3, 0, 0, 0]]))
    nengo.Connection(node, out, transform=matrix, synapse=None)


@kind
def convolution(node, out):
    image = nengo.Convolution(1, (2, 2, 1), kernel_size=(1, 2))
    nengo.Connection(node, out, transform=image, synapse=None)


@kind
def transposed_convolution(node, out):
    small, ahead = nengo.Node(size_in=2), nengo.Node(size_in=4)
    nengo.Connection(node[:2], small, synapse=None)
    back = nengo.ConvolutionTranspose(1, (2, 1), kernel_size=(3,), strides=(1,))
    nengo.Connection(small, ahead, transform=back, synapse=None)
    nengo.Connection(ahead[1:3], out, synapse=None)


@kind
def weight_solver(node, out):
    one, two = ensemble(), ensemble()
    nengo.Connection(node[:2], one)
    nengo.Connection(one, two, solver=nengo.solvers.LstsqL2(weights=True))
    nengo.Connection(two, out)


@kind
def learned(node, out):
    one = ensemble()
    nengo.Connection(node[:2], one)
    conn = nengo.Connection(one, out, learning_rule_type=nengo.PES(1e-3))
    nengo.Connection(node[2:], conn.learning_rule)


@kind
def subnetworks(node, out):
    conv = nengo.networks.CircularConvolution(20, 2)
    nengo.Connection(node[:2], conv.input_a)
    nengo.Connection(node[2:], conv.input_b)
    nengo.Connection(conv.output, out)
    with nengo.Network():
        nengo.Connection(node[:2], nengo.Ensemble(1, 2, neuron_type=nengo.Direct()))


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def train(sim, net):
    """Change all parameters that can be trained."""
    x = np.random.RandomState(0).uniform(-1, 1, (4, 10, 4))
    sim.compile(keras.optimizers.Adam(1e-2), loss={net.probe: "mse"})
    before = [w.numpy() for w in sim.keras_model.trainable_weights]
    sim.fit(x, {net.probe: np.ones((4, 10, 2))}, epochs=3, verbose=0)
    after = [w.numpy() for w in sim.keras_model.trainable_weights]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.training
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_frozen_network_runs_in_nengo(name, minibatch_size):
    if name == "learned" and minibatch_size:
        pytest.skip("each item has learned weights of its own")
    net = KINDS[name]()
    with simulator(net, minibatch_size=minibatch_size) as sim:
        train(sim, net)
        sim.freeze_params(net)
        sim.run_steps(50)
        expected = np.array(sim.data[net.probe])
        expected = expected if minibatch_size is None else expected[0]
    for again in (nengo.Simulator, nengo_dl.Simulator):
        with again(net, progress_bar=False) as ref:
            ref.run_steps(50)
            np.testing.assert_allclose(ref.data[net.probe], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.training
@pytest.mark.parametrize("name", [k for k in KINDS if k not in ("learned", "subnetworks")])
def test_parameters_make_the_same_network_of_another_seed(name):
    net, other = KINDS[name](), KINDS[name](seed=1)
    with simulator(net) as sim:
        train(sim, net)
        objects = [*net.all_ensembles, *net.all_connections]
        for obj, params in zip(
            [*other.all_ensembles, *other.all_connections],
            sim.get_nengo_params(objects),
            strict=True,
        ):
            for attr, value in params.items():
                setattr(obj, attr, value)
        sim.run_steps(50)
        expected = np.array(sim.data[net.probe])
    with simulator(other) as sim:
        sim.run_steps(50)
        np.testing.assert_allclose(sim.data[other.probe], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_live_parameters_of_an_untrained_network_are_those_of_nengo(name):
    net = KINDS[name]()
    with simulator(net) as sim, nengo.Simulator(net, progress_bar=False) as ref:
        assert list(sim.data) == list(sim.data.keys()) == list(ref.model.params)
        for ens in net.all_ensembles:
            if isinstance(ens.neuron_type, nengo.Direct):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = sim.data[ens]
            for attr in found._fields:
                np.testing.assert_allclose(
                    getattr(found, attr), getattr(ref.data[ens], attr), rtol=1e-9, err_msg=attr
                )
        for conn in net.all_connections:
            found, wanted = sim.data[conn].weights, ref.data[conn].weights
            if isinstance(conn.transform, nengo.Sparse):
                assert found.shape == (3,)
            elif wanted is None:
                assert found is None
            else:
                np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_contents_of_parameters():
    with nengo.Network(seed=0) as net:
        node, ens = nengo.Node(np.zeros(2)), nengo.Ensemble(5, 2, label="ens")
        scalar = nengo.Connection(node, ens, transform=2.0, label="scalar")
        plain = nengo.Connection(node, nengo.Node(size_in=2))
        decoded = nengo.Connection(ens, nengo.Node(size_in=2), label="decoded")
        direct = nengo.Ensemble(1, 1, neuron_type=nengo.Direct())
        twins = [nengo.Ensemble(1, 1, label="twin") for _ in range(2)]
    with simulator(net) as sim:
        params = sim.get_nengo_params(ens)
        assert set(params) == {
            *("encoders", "normalize_encoders", "gain", "bias", "max_rates", "intercepts")
        }
        assert params["normalize_encoders"] is False
        assert sim.get_nengo_params(ens.neurons).keys() == params.keys()
        assert sim.get_nengo_params(plain) == {"transform": None}
        assert np.shape(sim.get_nengo_params(scalar)["transform"]) == ()
        found = sim.get_nengo_params([ens, scalar], as_dict=True)
        assert list(found) == ["ens", "scalar"] and found["scalar"]["transform"] == 2
        solver = sim.get_nengo_params(decoded)["solver"]
        np.testing.assert_array_equal(solver.values.T, sim.data[decoded].weights)
        with pytest.raises(ValueError, match="label 'twin'"):
            sim.get_nengo_params(twins, as_dict=True)
        with pytest.raises(ValueError, match="Direct mode"):
            sim.get_nengo_params(direct)
        for obj in (node, net, 5):
            with pytest.raises(ValueError, match="only Ensembles and Connections"):
                sim.get_nengo_params(obj)


def test_what_cannot_be_frozen():
    with nengo.Network() as net:
        node = nengo.Node([0])
        probe = nengo.Probe(node)
    with nengo.Network() as other:
        foreign = nengo.Ensemble(1, 1)
        conn = nengo.Connection(foreign, foreign)
    with simulator(net) as sim:
        for obj in (node, probe, "ens"):
            with pytest.raises(TypeError, match="only Networks, Ensembles and Connections"):
                sim.freeze_params(obj)
        for obj in (other, foreign, conn):
            with pytest.raises(ValueError, match="not in the Simulator's network"):
                sim.freeze_params([net, obj])


@pytest.mark.training
def test_training_shows_in_data():
    net = KINDS["ensembles"]()
    ens, conn = net.all_ensembles[0], net.all_connections[1]
    with simulator(net) as sim:
        before = sim.data[ens]
        train(sim, net)
        after = sim.data[ens]
        assert not np.array_equal(after.bias, before.bias)
        assert not np.array_equal(after.gain, before.gain)
        np.testing.assert_allclose(np.linalg.norm(after.encoders, axis=1), 1)
        np.testing.assert_allclose(
            after.scaled_encoders, after.encoders * after.gain[:, None] / ens.radius
        )
        rates, intercepts = ens.neuron_type.max_rates_intercepts(after.gain, after.bias)
        np.testing.assert_array_equal(after.max_rates, rates)
        np.testing.assert_array_equal(after.intercepts, intercepts)
        encoders, scaled, bias, same, weights = sim.data.get_params(
            *((ens, "encoders"), (ens, "scaled_encoders"), (ens, "bias")),
            *((ens.neurons, "bias"), (conn, "weights")),
        )
        np.testing.assert_array_equal(encoders, after.scaled_encoders)
        np.testing.assert_array_equal(scaled, encoders)
        np.testing.assert_array_equal(bias, same)
        np.testing.assert_array_equal(weights, sim.data[conn].weights)
        for w in sim.keras_model.weights:  # overwritten by hand
            w.assign(np.ones(w.shape))
        assert np.all(sim.data[ens].bias == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(sim.data[ens].bias, before.bias)


def test_mapping_of_data():
    with nengo.Network() as net:
        ens = nengo.Ensemble(5, 1)
        direct = nengo.Ensemble(5, 2, neuron_type=nengo.Direct())
        node = nengo.Node([0])
        scalar = nengo.Connection(node, ens, transform=2.0)
        probe = nengo.Probe(ens)
    foreign = nengo.Ensemble(1, 1, add_to_container=False)
    with simulator(net) as sim:
        assert sim.data[net] is None and sim.data[node] is None
        assert len(sim.data) == len(list(sim.data))
        assert ens in sim.data and foreign not in sim.data and ens.neurons not in sim.data
        for obj in (foreign, ens.neurons):
            with pytest.raises(ValidationError, match="not part of the simulated network"):
                sim.data[obj]
        built = sim.data[direct]
        assert built.gain is None and built.bias is None and built.max_rates is None
        np.testing.assert_array_equal(built.encoders, np.eye(2))
        assert sim.data[scalar].weights.shape == (1,)
        sim.run_steps(3)
        with pytest.raises(ValueError, match="read-only"):
            sim.data[probe][0] = 1
        with pytest.raises(TypeError):
            sim.data[probe] = 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_precision_of_data(dtype):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype)
        node = nengo.Node([0.5])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(node, ens)
        probe, spikes = nengo.Probe(ens, synapse=0.01), nengo.Probe(ens.neurons)
    with simulator(net) as sim:
        sim.run_steps(10)
        assert sim.data[probe].dtype == sim.data[spikes].dtype == dtype
        assert sim.predict(n_steps=2)[probe].dtype == dtype
        assert np.all(np.isfinite(sim.data[probe]))


def test_learned_weights_of_each_item():
    net = KINDS["learned"]()
    conn = next(c for c in net.all_connections if c.learning_rule is not None)
    x = np.random.RandomState(0).uniform(-1, 1, (3, 20, 4))
    with simulator(net, minibatch_size=3) as sim:
        sim.run_steps(20, data=x)
        weights = sim.data[conn].weights
        assert weights.shape == (3, 2, 10) and np.all(np.ptp(weights, axis=0).any(axis=1))
        with pytest.warns(UserWarning, match="each batch item; those of the first"):
            solver = sim.get_nengo_params(conn)["solver"]
        np.testing.assert_array_equal(solver.values.T, weights[0])
