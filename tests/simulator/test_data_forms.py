"""All forms that data for inputs and targets may have, what fills gaps, and what is refused."""

import warnings

import nengo
import numpy as np
import pytest
import tensorflow as tf
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


@pytest.fixture(scope="module")
def net():
    with nengo.Network(seed=0) as net:
        net.one = nengo.Node([0.5], label="one")
        net.two = nengo.Node(lambda t: [t, 2 * t], label="two")
        net.passing = nengo.Node(size_in=1, label="passing")
        net.tensor = nengo_dl.TensorNode(lambda t: tf.reshape(t, (1, 1)), shape_out=(1,))
        net.a, net.b = nengo.Probe(net.one, label="a"), nengo.Probe(net.two, label="b")
        net.tensor_probe = None
    return net


@pytest.fixture(scope="module")
def sim(net):
    with simulator(net) as sim:
        yield sim


@pytest.fixture(scope="module")
def batched():
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.5], label="node")
        net.probe = nengo.Probe(node, label="probe")
    with simulator(net, minibatch_size=2) as sim:
        sim.net = net
        yield sim


X1 = np.arange(12.0).reshape(4, 3, 1)
X2 = np.arange(24.0).reshape(4, 3, 2)
TIMES = np.array([[0.001, 0.002], [0.002, 0.004], [0.003, 0.006]])
BOTH = {
    "nodes": lambda net: {net.one: X1, net.two: X2},
    "names": lambda net: {"one": X1, "two": X2},
    "mixed": lambda net: {net.one: X1, "two": X2},
    "tensors": lambda net: {"one": tf.constant(X1), net.two: tf.constant(X2)},
    "integers": lambda net: {"one": X1.astype(int), net.two: X2.astype("int8")},
    "nested lists": lambda net: {"one": X1.tolist(), "two": X2.tolist()},
    "list": lambda net: [X1, X2],
    "tuple": lambda net: (X1, X2),
}


@pytest.mark.parametrize("form", BOTH)
def test_forms_of_complete_data(sim, net, form):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = BOTH[form](net)
        out = sim.predict(data)
        steps = sim.predict(data, n_steps=3)
    np.testing.assert_array_equal(out[net.a], X1)
    np.testing.assert_array_equal(out[net.b], X2)
    np.testing.assert_array_equal(steps[net.b], X2)
    assert list(out) == [net.a, net.b] and out[net.a].dtype == np.float32
    assert sim.n_steps == 0 and sim.data[net.a] == []


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "run_steps"])
def test_every_method_takes_data(sim, net, method):
    data = {net.one: X1[:1], "two": X2[:1]}
    if method == "run_steps":
        sim.run_steps(3, data=data)
        found = {p: sim.data[p][None] for p in (net.a, net.b)}
    else:
        found = getattr(sim, method)(data)
    sim.reset()
    np.testing.assert_array_equal(found[net.a], X1[:1])
    np.testing.assert_array_equal(found[net.b], X2[:1])


def test_no_data_is_filled(sim, net):
    out = sim.predict(n_steps=3)
    np.testing.assert_array_equal(out[net.a], np.full((1, 3, 1), 0.5))
    np.testing.assert_allclose(out[net.b], TIMES[None], rtol=1e-6)
    sim.run_steps(2)  # time goes on where the simulation is
    np.testing.assert_allclose(sim.predict(n_steps=1)[net.b], TIMES[None, 2:], rtol=1e-6)
    sim.reset()


@pytest.mark.parametrize("form", [{"one": X1}, {"two": X2}, {}], ids=str)
def test_missing_nodes_are_filled(sim, net, form):
    steps = None if form else 3
    batch = 4 if form else 1
    out = sim.predict(form, n_steps=steps)
    ones = X1 if "one" in form else np.full((batch, 3, 1), 0.5)
    twos = X2 if "two" in form else np.broadcast_to(TIMES, (batch, 3, 2))
    np.testing.assert_allclose(out[net.a], ones, rtol=1e-6)
    np.testing.assert_allclose(out[net.b], twos, rtol=1e-6)


def test_length_of_lists(sim, net):
    for data in ([X1], X1, tf.constant(X1)):
        with pytest.warns(UserWarning, match=r"input data \(1\) does not match.*Nodes \(2\)"):
            out = sim.predict(data)
        np.testing.assert_array_equal(out[net.a], X1)
        np.testing.assert_allclose(out[net.b][3], TIMES, rtol=1e-6)
    with pytest.warns(UserWarning, match=r"\(3\) does not match"):
        out = sim.predict([X1, X2, X1])
    np.testing.assert_array_equal(out[net.b], X2)


# --- what fills gaps -----------------------------------------------------------------------------


def test_function_is_called_once_a_step():
    times = []

    def function(t):
        assert type(t) is float
        times.append(t)
        return np.random.uniform()

    with nengo.Network() as net:
        data = nengo.Node([0], label="data")
        node = nengo.Node(function)
        effect = nengo.Node(lambda t: times.append(-t), size_out=0)
        probe = nengo.Probe(node)
    with simulator(net) as sim:
        assert len(times) == 1  # by Nengo's builder, for the size
        sim.run_steps(10)
        assert len(times) == 1 + 20
        times.clear()
        out = sim.predict({data: np.zeros((4, 3, 1))})[probe]
        assert sorted(times) == pytest.approx([-0.013, -0.012, -0.011, 0.011, 0.012, 0.013]), effect
        assert np.all(out == out[0]) and len(np.unique(out)) == 3
        times.clear()
        sim.compile(loss="mse")
        sim.evaluate({data: np.zeros((4, 3, 1))}, {probe: np.zeros((4, 3, 1))}, verbose=0)
        assert len(times) == 6


def test_stateful_call_times_inputs_from_its_beginning():
    with nengo.Network() as net:
        data = nengo.Node([0])
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with simulator(net) as sim:
        sim.run_steps(5)
        out = sim.predict({data: np.zeros((3, 2, 1))}, stateful=True)[probe]
        assert sim.n_steps == 11
        np.testing.assert_allclose(out[..., 0], 3 * [[0.006, 0.007]], rtol=1e-6)
        out = sim.predict(n_steps=2)[probe]
        np.testing.assert_allclose(out[0, :, 0], [0.012, 0.013], rtol=1e-6)


@pytest.mark.parametrize("minibatch_size", [None, 2, 4])
@pytest.mark.parametrize("method", ["predict", "evaluate"])
def test_processes_are_generated_item_by_item(minibatch_size, method):
    filtered = nengo.processes.FilteredNoise(synapse=nengo.Lowpass(0.01), seed=3)
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        data = nengo.Node([0])
        seeded = nengo.Probe(nengo.Node(filtered, label="seeded"), label="seeded")
        free = nengo.Probe(nengo.Node(nengo.processes.WhiteNoise()), label="free")
    expected = filtered.run_steps(5)
    x = {data: np.zeros((4, 5, 1))}
    with simulator(net, minibatch_size=minibatch_size) as sim:
        if method == "evaluate":  # what the model sees, seen by a loss
            sim.compile(loss={seeded: "mse"})
            y = {seeded: np.broadcast_to(expected, (4, 5, 1))}
            assert sim.evaluate(x, y, verbose=0)["loss"] == pytest.approx(0, abs=1e-20)
            return
        out = sim.predict(x)
        np.testing.assert_allclose(out[seeded], np.broadcast_to(expected, (4, 5, 1)))
        assert len(np.unique(out[free])) == 20
        # the first item of a whole minibatch is what a single one is
        again = simulator(net)
        with again:
            np.testing.assert_array_equal(out[free][0], again.predict(n_steps=5)[free][0])


def test_empty_node():
    with nengo.Network() as net:
        nengo.Node()
        probe = nengo.Probe(nengo.Node([1]))
    with simulator(net) as sim:
        assert sim.predict(n_steps=2)[probe].shape == (1, 2, 1)


def test_sliced_input_takes_data():
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(4))
        out = nengo.Node(size_in=2)
        nengo.Connection(node[:2], out, synapse=None)
        probe = nengo.Probe(out)
    x = np.arange(24.0).reshape(2, 3, 4)
    with simulator(net) as sim:
        np.testing.assert_array_equal(sim.predict(x)[probe], x[..., :2])


# --- generators and datasets ---------------------------------------------------------------------


def items(n, positional=False):
    """Give minibatches of one item and three steps, in the form in which Keras takes them."""
    for i in range(n):
        values = (X1[i : i + 1], X2[i : i + 1], np.full((1, 1), 3, dtype="int32"))
        yield (values,) if positional else dict(zip(("one", "two", "n_steps"), values, strict=True))


SIGNATURE = {
    "one": tf.TensorSpec((1, 3, 1)),
    "two": tf.TensorSpec((1, 3, 2)),
    "n_steps": tf.TensorSpec((1, 1), "int32"),
}
ITERABLES = {
    "generator": lambda: items(4),
    "positional": lambda: items(4, positional=True),
    "dataset": lambda: tf.data.Dataset.from_generator(lambda: items(4), output_signature=SIGNATURE),
    "dataset with targets": lambda: tf.data.Dataset.from_generator(
        lambda: items(4), output_signature=SIGNATURE
    ).map(lambda x: (x, {"a": x["one"]})),
    "slices": lambda: tf.data.Dataset.from_tensor_slices(
        {"one": X1.astype("f4"), "two": X2.astype("f4"), "n_steps": np.full((4, 1), 3)}
    ).batch(1),
}


@pytest.mark.parametrize("form", ITERABLES)
def test_predict_from_iterables(sim, net, form):
    out = sim.predict(ITERABLES[form]())
    np.testing.assert_array_equal(out[net.a], X1)
    np.testing.assert_array_equal(out[net.b], X2)
    assert sim.predict(ITERABLES[form](), steps=2)[net.a].shape == (2, 3, 1)
    with pytest.raises(SimulationError, match="n_steps cannot be given with a generator"):
        sim.predict(ITERABLES[form](), n_steps=3)


def test_incomplete_item_of_a_generator(sim):
    with pytest.raises(ValidationError, match="has 'one'; each needs all.*also 'two'"):
        sim.predict({"one": X1[:1]} for _ in range(2))


# --- what is refused -----------------------------------------------------------------------------

BAD_INPUTS = {
    "no steps": (lambda net: {}, {}, "n_steps is needed"),
    "steps among data": (lambda net: {"one": X1, "n_steps": 3}, {}, "'n_steps' is among the data"),
    "unknown name": (lambda net: {"three": X1}, {}, "'three' is not one.*'one', 'two'"),
    "foreign node": (
        lambda net: {nengo.Node([0], add_to_container=False): X1},
        {},
        "not one of the network's inputs.*'one', 'two'",
    ),
    "foreign type": (lambda net: {net: X1}, {}, "not one of the network's inputs"),
    "probe": (lambda net: {net.a: X1}, {}, "not one of the network's inputs"),
    "node with input": (lambda net: {net.passing: X1}, {}, "passing.*only Nodes without input"),
    "TensorNode": (lambda net: {net.tensor: X1}, {}, "TensorNode.*only Nodes without input"),
    "twice": (lambda net: {net.one: X1, "one": X1}, {}, "given input data twice"),
    "scalar": (lambda net: {"one": 1.0}, {}, r"'one' should have rank 3.*found rank 0"),
    "vector": (lambda net: {"one": X1[0, :, 0]}, {}, r"'one'.*rank 3.*found rank 1 \(3,\)"),
    "matrix": (lambda net: {"one": X1[:, 0]}, {}, r"rank 3 \(batch, steps, 1\), found rank 2"),
    "rank 4": (lambda net: {"one": X1[..., None]}, {}, "rank 3.*found rank 4"),
    "ragged": (lambda net: {"one": [[[1], [2]], [[1]]]}, {}, "'one' are list, expected numbers"),
    "text": (lambda net: {"one": np.array([[["a"]]])}, {}, "'one'.*expected numbers"),
    "size": (lambda net: {"two": X1}, {}, r"'two' have shape \(4, 3, 1\), expected.*steps, 2\)"),
    "batches": (lambda net: {"one": X1, "two": X2[:2]}, {}, "number of items.*one: 4, two: 2"),
    "lengths": (lambda net: {"one": X1, "two": X2[:, :2]}, {}, "of steps.*one: 3, two: 2"),
    "n_steps": (lambda net: {"one": X1}, {"n_steps": 4}, "data have 3 steps, but n_steps is 4"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
@pytest.mark.parametrize("method", ["predict", "fit", "evaluate"])
def test_bad_inputs(sim, net, case, method):
    data, kwargs, message = BAD_INPUTS[case]
    with pytest.raises(ValidationError, match=message):
        getattr(sim, method)(data(net), **kwargs)


def test_an_empty_list(sim):
    """It says nothing about the network, which has inputs."""
    message = r"elements in input data \(0\) does not match number of input Nodes \(2\)"
    with (
        pytest.warns(UserWarning, match=message),
        pytest.raises(ValidationError, match="n_steps is needed"),
    ):
        sim.predict([])


def test_inputs_of_one_minibatch(batched):
    x = np.ones((4, 3, 1))
    for call in (batched.predict_on_batch, lambda x: batched.run_steps(3, data=x)):
        with pytest.raises(ValidationError, match="have 4 items, expected (exactly|at most).*2"):
            call(x)
    with pytest.raises(ValidationError, match="'node' have 1 items, expected exactly.*2"):
        batched.run_steps(3, data=x[:1])
    with pytest.raises(ValidationError, match="data have 3 steps, but n_steps is 4"):
        batched.run_steps(4, data=x[:2])
    for n in (1, 2):
        assert batched.predict_on_batch(x[:n])[batched.net.probe].shape == (n, 3, 1)


def test_data_of_a_run_have_whole_loops(net):
    with simulator(net, unroll_simulation=5) as sim:
        with pytest.raises(ValidationError, match=r"\(3\) must be a multiple.*\(5\)"):
            sim.predict({"one": X1})
        with (
            pytest.warns(RuntimeWarning, match="multiple"),
            pytest.raises(ValidationError, match="data have 3 steps, but n_steps is 5"),
        ):
            sim.run_steps(3, data={"one": X1[:1]})


@pytest.mark.parametrize("items", [1, 3, 4, 5])
def test_all_items_of_a_prediction(batched, items):
    x = np.arange(3.0 * items).reshape(items, 3, 1)
    node, probe = batched.net.nodes[0], batched.net.probe
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(batched.predict({node: x})[probe], x)
        parts = [x[start : start + 2] for start in range(0, items, 2)]
        np.testing.assert_array_equal(batched.predict(iter(parts))[probe], x)
    with pytest.raises(ValidationError, match="a minibatch of 3, expected at most.*2"):
        batched.predict(iter([np.ones((3, 3, 1))]))


def test_network_without_inputs():
    with nengo.Network() as net:
        nengo.Probe(nengo.Node(size_in=1))
    with simulator(net) as sim, pytest.raises(ValidationError, match="no input Nodes"):
        sim.predict(X1)


BAD_TARGETS = {
    "unknown name": (lambda net: {"c": X1}, "'c' is not one of the network's targets.*'a', 'b'"),
    "node": (lambda net: {net.one: X1}, "not one of the network's targets"),
    "rank": (lambda net: {"a": X1[:, 0]}, "'a' should have rank 3.*found rank 2"),
    "batch": (lambda net: {"a": X1[:2]}, "targets for 'a' have 2 items, expected 4"),
    "none": (lambda net: None, "no targets.*expected some for 'a'"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_bad_targets(sim, net, case, method):
    data, message = BAD_TARGETS[case]
    sim.compile(loss={net.a: "mse"})
    with pytest.raises(ValidationError, match=message):
        getattr(sim, method)({"one": X1}, data(net), verbose=0)


TARGETS = {
    "probes": lambda net: {net.a: X1 + 1, net.b: X2 + 2},
    "names": lambda net: {"a": X1 + 1, "b": X2 + 2},
    "list": lambda net: [X1 + 1, X2 + 2],
    "tuple of tensors": lambda net: (tf.constant(X1 + 1), tf.constant(X2 + 2)),
}


@pytest.mark.parametrize("form", TARGETS)
def test_forms_of_targets(sim, net, form):
    sim.compile(loss="mse")
    found = sim.evaluate({"one": X1, "two": X2}, TARGETS[form](net), verbose=0)
    assert found == pytest.approx({"loss": 5, "a_loss": 1, "b_loss": 4}, rel=1e-5)


def test_targets_for_some_probes(sim, net):
    sim.compile(loss="mse")
    with pytest.warns(UserWarning, match=r"target data \(1\) does not match.*Probes \(2\)"):
        found = sim.evaluate({"one": X1}, X1 + 1, verbose=0)
    assert found == pytest.approx({"loss": 1, "a_loss": 1, "b_loss": 0})
    sim.compile(loss={net.a: "mse"})
    found = sim.evaluate({"one": X1}, {net.a: X1 + 1, net.b: X2}, verbose=0)
    assert found == pytest.approx({"loss": 1, "a_loss": 1})


def test_targets_may_have_other_lengths(sim, net):
    sim.compile(loss={net.a: lambda y_true, y_pred: tf.abs(y_true[:, 0] - y_pred[:, -1])})
    found = sim.evaluate({"one": X1}, {net.a: X1[:, -1:] + 3}, verbose=0)
    assert found["loss"] == pytest.approx(3)


# --- other arguments -----------------------------------------------------------------------------


def test_batch_size_is_ignored(sim):
    sim.compile(loss={"a": "mse"})
    for call in (
        lambda: sim.predict({"one": X1}, batch_size=3),
        lambda: sim.evaluate({"one": X1}, {"a": X1}, batch_size=3, verbose=0),
        lambda: sim.fit({"one": X1}, {"a": X1}, batch_size=3, verbose=0),
    ):
        with pytest.warns(UserWarning, match="batch_size is ignored.*simulator, 1"):
            call()


@pytest.mark.parametrize("where", ["connection", "probe", "other probe", None])
def test_one_step_through_a_synapse(where):
    with nengo.Network() as net:
        node = nengo.Node([0], label="node")
        out = nengo.Node(size_in=1)
        nengo.Connection(node, out, synapse=0.01 if where == "connection" else None)
        probe = nengo.Probe(out, synapse=0.01 if where == "probe" else None)
        other = nengo.Probe(out, synapse=0.01 if where == "other probe" else None)
    x = np.ones((2, 1, 1))

    def warned(call):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        return any("Running for one step" in str(w.message) for w in caught)

    with simulator(net) as sim:
        assert warned(lambda: sim.predict(x)) == (where is not None)
        sim.compile(loss={probe: "mse"})
        expected = where in ("connection", "probe")
        assert warned(lambda: sim.predict(x)) == expected
        assert warned(lambda: sim.evaluate(x, {probe: x, other: x}, verbose=0)) == expected
        assert not warned(lambda: sim.predict(np.ones((2, 2, 1))))
        assert not warned(lambda: sim.predict(x, stateful=True))
        assert not warned(lambda: sim.run_steps(1))


def test_a_synapse_that_came_after_the_simulator():
    with nengo.Network() as net:
        node = nengo.Node([0])
        connection = nengo.Connection(node, nengo.Node(size_in=1), synapse=None)
        probe = nengo.Probe(connection.post)
    with simulator(net) as sim:
        connection.synapse = probe.synapse = nengo.Lowpass(0.01)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = sim.predict(np.ones((2, 1)))  # items of one step: nothing is filtered here
    np.testing.assert_array_equal(found[probe], np.ones((2, 1, 1)))


def test_warnings_point_at_the_users_line(sim):
    with pytest.warns(UserWarning) as caught:
        sim.predict([X1])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3, 1), (1, 3)])
def test_weights_that_do_not_fit(batched, shape):
    batched.compile("sgd", loss="mse")
    with pytest.raises(ValidationError, match=r"one for each step \(4, 3\)"):
        batched.evaluate(X1, X1, sample_weight=np.ones(shape), verbose=0)


@pytest.mark.parametrize("what", ["loss", "metrics", "loss_weights"])
def test_a_probe_given_twice(batched, what):
    twice = {batched.net.probe: 1.0, "probe": 1.0}
    with pytest.raises(ValidationError, match="is there twice"):
        batched.compile("sgd", **{"loss": "mse", what: twice})


@pytest.mark.parametrize("dtype", ["complex128", "<U3", "object"])
def test_data_that_are_no_numbers_are_named_by_type(batched, dtype):
    with pytest.raises(ValidationError, match=f"are ndarray of type {dtype}"):
        batched.predict(np.full((4, 3, 1), 1).astype(dtype))


@pytest.mark.parametrize("data", [X1, {"node": X1}])
def test_validation_data_without_targets(batched, data):
    batched.compile("sgd", loss="mse")
    with pytest.raises(ValidationError, match=r"expected \(x, y\) or .* got a"):
        batched.fit(X1, X1, validation_data=data, verbose=0)
