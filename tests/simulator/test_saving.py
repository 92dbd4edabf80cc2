"""Files of parameters: what is in them, into what they can be loaded, and what damage does."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import warnings
import zipfile

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError

import nengo_dl
from nengo_dl.graph_optimizer import noop_planner
from nengo_dl.simulator.saving import archive
from tests.networks import Leaky


def simulator(net, **kwargs):
    """Return a simulator that shows no progress."""
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def network(seed=0, size=5, labels=("a", "b"), learns=True, neuron_type=None, **settings):
    """Two ensembles and what connects them; one connection may learn."""
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(**settings)
        node = nengo.Node([0.5], label="in")
        with nengo.Network(label="sub"):
            net.ens = [
                nengo.Ensemble(size, 1, label=label, neuron_type=neuron_type or nengo.LIF())
                for label in labels
            ]
        net.out = nengo.Node(size_in=1, label="out")
        for ens in net.ens:
            nengo.Connection(node, ens)
        nengo.Connection(net.ens[0], net.out)
        rule = nengo.PES() if learns else None
        net.conn = nengo.Connection(net.ens[-1], net.out, learning_rule_type=rule, label="learns")
        if learns:
            nengo.Connection(node, net.conn.learning_rule)
        net.probe = nengo.Probe(net.out)
    return net


def values(sim):
    """All parameters, by name."""
    found = sim.session.graph.parameters.values()
    return {signal.name: np.array(value) for signal, value in found.items()}


def shuffle(sim, seed=1):
    """Give all weights other values."""
    rng = np.random.RandomState(seed)
    for w in sim.keras_model.weights:
        w.assign(rng.uniform(size=w.shape))


def assert_same(found, expected, **kwargs):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(
            found[name], expected[name], **{"rtol": 0, **kwargs}, err_msg=name
        )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a file of the parameters of `network()`, and these."""
    path = tmp_path_factory.mktemp("saved") / "params"
    with simulator(network()) as sim:
        shuffle(sim)
        sim.save_params(path)
        return path, values(sim)


# --- into what a file can be loaded --------------------------------------------------------------


@pytest.mark.parametrize(
    "options, batch, tolerance",
    [
        ({"seed": 7}, None, 0),
        ({"planner": noop_planner, "simplifications": []}, None, 0),
        ({"dtype": "float64"}, 1, 0),
        ({"dtype": "float16"}, None, 1e-3),
        ({"neuron_type": nengo.LIFRate(), "inference_only": True}, 3, 0),
        ({"trainable": False}, None, 0),
    ],
    ids=["seed", "ungrouped", "float64", "float16", "rates-batch", "frozen"],
)
def test_files_fit_networks_with_the_same_objects(saved, options, batch, tolerance):
    path, expected = saved
    with simulator(network(**options), minibatch_size=batch) as sim:
        sim.load_params(path)
        found = values(sim)
        items = found["learns.weights"]
        assert items.shape == (batch or 1, 1, 5)
        found["learns.weights"] = items[:1]
        assert_same(found, expected, atol=tolerance)
        assert np.all(items == items[:1])


def test_shared_variables_do_not_show_in_files(saved, tmp_path, assume):
    path, expected = saved
    assume(lone_parameters=0)
    with simulator(network()) as sim:
        assert len(sim.keras_model.weights) < len(expected)
        sim.load_params(path)
        assert_same(values(sim), expected)
        sim.save_params(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.with_suffix(".npz").read_bytes()


def test_files_are_those_of_numpy(saved):
    path, expected = saved
    with np.load(path.with_suffix(".npz")) as file:
        assert set(file.files) == {f"parameters/{name}" for name in expected} | {"manifest.json"}
        np.testing.assert_array_equal(file["parameters/sub.a.encoders"], expected["sub.a.encoders"])


def test_learned_by_several_items(tmp_path):
    path = tmp_path / "x.npz"
    net = network()
    with simulator(net, minibatch_size=2) as sim:
        sim.save_params(tmp_path / "alike.npz")
        sim.run_steps(20, data=np.array([0.1, 0.9]).reshape(2, 1, 1).repeat(20, axis=1))
        learned = sim.data[net.conn].weights
        sim.save_params(path)
        sim.reset()
        sim.load_params(path)
        np.testing.assert_array_equal(sim.data[net.conn].weights, learned)
    with simulator(net, minibatch_size=3) as sim:
        before = values(sim)
        with pytest.raises(
            SimulationError, match="learns.weights for 2 batch items, which differ; expected 3"
        ):
            sim.load_params(path)
        assert_same(values(sim), before)
        sim.load_params(tmp_path / "alike.npz")
    with simulator(network(learns=False)) as sim:
        with pytest.raises(SimulationError, match="expected one value for all items"):
            sim.load_params(path)
        shuffle(sim)
        sim.load_params(tmp_path / "alike.npz")
        np.testing.assert_array_equal(values(sim)["learns.weights"], before["learns.weights"][0])


def test_weights_of_keras_layers(tmp_path):
    def make():
        with nengo.Network(seed=0) as net:
            node = nengo.Node(np.ones(3))
            model = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])
            layer = nengo_dl.Layer(model)(node, label="net")
            net.probe = nengo.Probe(nengo_dl.Layer(keras.layers.Dense(1))(layer))
        return net

    with simulator(make(), seed=0) as sim, simulator(make(), seed=1) as other:
        shuffle(sim)
        sim.save_params(tmp_path / "x")
        expected = sim.predict(n_steps=2).popitem()[1]
        assert not np.allclose(other.predict(n_steps=2).popitem()[1], expected)
        other.load_params(tmp_path / "x")
        np.testing.assert_allclose(other.predict(n_steps=2).popitem()[1], expected, rtol=1e-6)
    with archive.open_archive(tmp_path / "x.npz") as file:
        names = list(file.entries)
        assert names == [f"layers/net[{i}]" for i in range(6)] + [
            f"layers/tensornode[{i}]" for i in range(2)
        ]


# --- into what it cannot -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"labels": ("a", "c")},
            "missing in the file: sub.c.bias, sub.c.encoders; "
            "not in the network: sub.b.bias, sub.b.encoders",
        ),
        (
            {"size": 6},
            r"of another shape or type: learns.weights is \(1, 5\), expected \(1, 6\), "
            r"sub.a->out.weights",
        ),
        ({"labels": ("b",)}, "has 6 arrays, this network 4; missing in the file: sub.b->out"),
    ],
    ids=["labels", "shapes", "number"],
)
def test_files_of_other_networks_change_nothing(saved, options, message):
    with simulator(network(**options)) as sim:
        before = values(sim)
        with pytest.raises(SimulationError, match=message + ".*Nothing was loaded"):
            sim.load_params(saved[0])
        assert_same(values(sim), before)


def test_long_lists_are_cut(tmp_path):
    with nengo.Network() as net:
        for i in range(20):
            nengo.Ensemble(1, 1, label=str(i))
    with simulator(nengo.Network()) as sim:
        sim.save_params(tmp_path / "empty")
        sim.load_params(tmp_path / "empty")
    with (
        simulator(net) as sim,
        pytest.raises(SimulationError, match="10.encoders, 11.bias, 11.encoders and 32 more"),
    ):
        sim.load_params(tmp_path / "empty")


def test_what_is_not_in_the_file(saved, tmp_path):
    path, _ = saved
    with simulator(network()) as sim:
        with pytest.raises(SimulationError, match="has no state; it was saved without"):
            sim.load_params(path, include_state=True)
        with pytest.raises(SimulationError, match="call Simulator.compile before"):
            sim.save_params(tmp_path / "x", include_optimizer=True)
        sim.compile(keras.optimizers.SGD(), loss="mse")
        with pytest.raises(SimulationError, match="no state of an optimizer"):
            sim.load_params(path, include_optimizer=True)
        with pytest.raises(FileNotFoundError, match="nowhere.npz"):
            sim.load_params(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError):
            sim.save_params(tmp_path / "no folder" / "x")
        for method in (sim.save_params, sim.load_params):
            with pytest.raises(ValidationError, match="got 5, expected a path"):
                method(5)
    assert list(tmp_path.iterdir()) == []
    for method in (sim.save_params, sim.load_params):
        with pytest.raises(SimulatorClosed):
            method(path)


def test_deprecated_name_of_state(tmp_path):
    with simulator(network()) as sim:
        with pytest.warns(DeprecationWarning, match="use include_state"):
            sim.save_params(tmp_path / "x", include_non_trainable=True)
        with pytest.warns(DeprecationWarning, match="use include_state"):
            sim.load_params(tmp_path / "x.npz", include_non_trainable=True)


# --- state ---------------------------------------------------------------------------------------


def noisy(seed=0):
    """A network with every source of random numbers, and with memory of all kinds."""
    with nengo.Network(seed=seed) as net:
        noise = nengo.Node(nengo.processes.FilteredNoise(nengo.Lowpass(0.01)), size_out=1)
        signal_ = nengo.Node(nengo.processes.WhiteSignal(0.05, high=100))
        leaky = nengo.Node(Leaky(), size_in=1, size_out=1)
        python = nengo.Node(lambda t, x: x * t, size_in=1)
        poisson = nengo.Ensemble(5, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        stochastic = nengo.Ensemble(5, 1, neuron_type=nengo.StochasticSpiking(nengo.LIFRate()))
        ens = nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise())
        slow = nengo.Ensemble(5, 1, neuron_type=nengo.Izhikevich())
        for pre, post in ((noise, leaky), (signal_, python), (leaky, poisson), (noise, stochastic)):
            nengo.Connection(pre, post)
        out = nengo.Node(size_in=1)
        for pre in (python, poisson, stochastic, slow):
            nengo.Connection(pre, ens)
        conn = nengo.Connection(ens, out, synapse=nengo.Alpha(0.01), learning_rule_type=nengo.PES())
        nengo.Connection(noise, conn.learning_rule, synapse=nengo.synapses.Triangle(0.01))
        nengo.Connection(ens, slow, synapse=0.005)
        net.probes_ = [nengo.Probe(obj) for obj in (out, ens.neurons, poisson.neurons)]
        net.probes_.append(nengo.Probe(stochastic.neurons, synapse=0.1))
    return net


@pytest.mark.parametrize("batch", [None, 2])
def test_state_continues_to_the_bit(batch, tmp_path):
    path = tmp_path / "x"
    net = noisy()
    with simulator(net, minibatch_size=batch, seed=3) as sim:
        sim.run_steps(20)
        sim.save_params(path, include_state=True)
        sim.run_steps(20)
        expected = [sim.data[p][..., -20:, :] for p in net.probes_]
        assert all(np.any(e) for e in expected)
        sim.load_params(path, include_state=True)
        assert sim.n_steps == 20
        sim.run_steps(20)
        for probe, data in zip(net.probes_, expected, strict=True):
            np.testing.assert_array_equal(sim.data[probe][..., -20:, :], data)
    again = noisy()
    with simulator(again, minibatch_size=batch, seed=8) as sim:
        sim.run_steps(5)
        sim.load_params(path, include_state=True)
        assert (sim.n_steps, sim.seed) == (20, 3)
        sim.clear_probes()
        sim.run_steps(20)
        for probe, data in zip(again.probes_, expected, strict=True):
            np.testing.assert_array_equal(sim.data[probe], data)


def test_state_stays_out_unless_asked_for(tmp_path):
    net = network()
    with simulator(net) as sim:
        sim.run_steps(10)
        sim.save_params(tmp_path / "x", include_state=True)
        sim.reset()
        sim.load_params(tmp_path / "x")
        assert sim.n_steps == 0
    with simulator(net, dt=0.002) as sim:
        sim.load_params(tmp_path / "x")
        with pytest.raises(SimulationError, match="dt=0.001, expected 0.002"):
            sim.load_params(tmp_path / "x", include_state=True)
    with simulator(network(learns=False)) as sim:
        with pytest.raises(SimulationError, match="not in the network: state/.*Nothing was loaded"):
            sim.load_params(tmp_path / "x", include_state=True)
        assert sim.n_steps == 0


def test_generators_cannot_be_broken(tmp_path):
    """NumPy reads beyond the keys of a generator that is told a wrong position."""
    with simulator(network()) as sim:
        sim.save_params(tmp_path / "x", include_state=True)
        with archive.open_archive(tmp_path / "x.npz") as file:
            arrays = {name: file.read(name) for name in file.entries}
            per_item = {name: entry.per_item for name, entry in file.entries.items()}
            info, names = file.info, {name: str(i) for i, name in enumerate(arrays)}
        key = "state/generators of all other operators"
        arrays[key][0, 624] = 10**6
        archive.write_archive(tmp_path / "x.npz", arrays, names, per_item, info)
        sim.run_steps(3)
        with pytest.raises(SimulationError, match="generators of all other operators cannot be so"):
            sim.load_params(tmp_path / "x", include_state=True)
        assert sim.n_steps == 3
        arrays[key][0, 624] = 624
        before, nan = arrays[key][0, -2:].copy(), np.array([np.nan]).view(np.uint32)
        arrays[key][0, -2:] = nan  # the number that it draws next
        archive.write_archive(tmp_path / "x.npz", arrays, names, per_item, info)
        with pytest.raises(SimulationError, match="generators of all other operators cannot be so"):
            sim.load_params(tmp_path / "x", include_state=True)
        arrays[key][0, -2:] = before
        archive.write_archive(tmp_path / "x.npz", arrays, names, per_item, info)
        sim.load_params(tmp_path / "x", include_state=True)
        assert sim.n_steps == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite(wrong, dtype, tmp_path):
    """They are loaded, and named; what is too large for the precision is one of them."""
    with simulator(network(dtype="float64")) as sim:
        sim.save_params(tmp_path / "good", include_state=True)
        signals = sim.session.graph.parameters.values()
        bias = next(s for s in signals if s.name == "sub.b.bias")
        sim.session.graph.parameters.assign_values(
            {s: np.where(s is bias, wrong, v) for s, v in signals.items()}
        )
        sim.save_params(tmp_path / "bad", include_state=True)
    with simulator(network(dtype=dtype)) as sim:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sim.load_params(tmp_path / "good", include_state=True)
            if wrong == 1e300 and dtype == "float64":
                sim.load_params(tmp_path / "bad")
                return
        with pytest.warns(UserWarning, match=r"bad.npz has values .* not finite.*: sub.b.bias\."):
            sim.load_params(tmp_path / "bad", include_state=True)
        assert not np.any(np.isfinite(values(sim)["sub.b.bias"]))
        assert np.all(np.isfinite(values(sim)["sub.a.bias"]))


# --- the optimizer -------------------------------------------------------------------------------


@pytest.mark.training
@pytest.mark.parametrize("alone", [True, False])
def test_optimizers_go_on(alone, tmp_path, assume):
    def fit(sim):
        sim.fit(np.ones((2, 3, 1)), np.zeros((2, 3, 1)), epochs=2, verbose=0, shuffle=False)

    def compiled(**kwargs):
        sim = simulator(network(learns=False), **kwargs)
        sim.compile(keras.optimizers.Adam(1e-2), loss="mse")
        return sim

    with compiled() as sim:
        fit(sim)
        sim.keras_model.optimizer.learning_rate = 1e-3
        sim.save_params(tmp_path / "x", include_optimizer=True)
        fit(sim)
        expected = values(sim)
    with archive.open_archive(tmp_path / "x.npz") as file:
        assert {"optimizer/iteration", "optimizer/sub.a.bias:momentum"} <= set(file.entries)
    if not alone:
        assume(lone_parameters=0)
    with compiled() as sim:
        sim.load_params(tmp_path / "x", include_optimizer=True)
        fit(sim)
        assert_same(values(sim), expected, atol=1e-6)
        sim.compile(keras.optimizers.SGD(1e-2, momentum=0.9), loss="mse")
        before = values(sim)
        with pytest.raises(SimulationError, match="not in the network: optimizer/.*:velocity"):
            sim.load_params(tmp_path / "x", include_optimizer=True)
        assert_same(values(sim), before)


# --- damage --------------------------------------------------------------------------------------


def test_a_thousand_damaged_files(saved, tmp_path):
    """Bits flipped, bytes lost, added, exchanged: a clear error each time, and nothing changes."""
    good = saved[0].with_suffix(".npz").read_bytes()
    rng = random.Random(0)
    path = tmp_path / "bad.npz"

    def damaged(kind):
        data = bytearray(good)
        at = rng.randrange(len(data))
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + rng.randrange(1, 100)]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 100))
        else:
            data = bytearray(rng.randbytes(rng.randrange(2000)))
        return bytes(data)

    with simulator(network()) as sim:
        before = values(sim)
        for number in range(1000):
            path.write_bytes(damaged(number % 5))
            with pytest.raises(SimulationError, match="bad.npz is damaged"):
                sim.load_params(path)
        assert_same(values(sim), before)
        sim.load_params(saved[0])
        assert_same(values(sim), saved[1])


@pytest.fixture(scope="module")
def tiny():
    """Return a simulator with one parameter of three numbers."""
    with nengo.Network() as net:
        one, two = nengo.Node(np.zeros(3)), nengo.Node(size_in=3)
        nengo.Connection(one, two, transform=[1, 2, 3], label="a")
    with simulator(net) as sim:
        yield sim


def forge(path, change):
    """Write an archive by hand, with a checksum that is right."""
    entry = {"file": "a.npy", "shape": [3], "dtype": "<f8", "per_item": False}
    info = {"n_steps": 0, "seed": 0, "dt": 0.001, "has_state": False, "has_optimizer": False}
    arrays = {"parameters/a.weights": entry}
    manifest = {"format": archive.FORMAT, "version": 1, "info": info, "arrays": arrays}
    members = [("a.npy", npy(np.zeros(3)))]
    change(manifest, entry, members)
    compression = zipfile.ZIP_DEFLATED if entry.pop("compressed", False) else zipfile.ZIP_STORED
    with open(path, "x+b") as file:
        with zipfile.ZipFile(file, "w", compression) as zipped:
            for name, data in (*members, ("manifest.json", json.dumps(manifest))):
                zipped.writestr(name, data)
            zipped.comment = archive.MARK + b"0" * archive.DIGEST
        archive._write_digest(file)


def npy(array, **kwargs):
    """Return the bytes of a file of NumPy's."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **kwargs)
    return file.getvalue()


PICKLED = npy(np.array([print] * 3, object), allow_pickle=True)
FORGED = {
    "list": (lambda m, e, f: m.update(arrays=[]), "is damaged"),
    "no array": (lambda m, e, f: f.clear(), "is damaged.*a.npy"),
    "twice": (lambda m, e, f: f.append(f[0]), "two files of the same name"),
    "format": (lambda m, e, f: m.update(format="x"), "its format is 'x'"),
    "version": (lambda m, e, f: m.update(version=2), "has version 2 .*reads version 1"),
    "seed": (lambda m, e, f: m["info"].update(seed="1"), "its seed is '1'"),
    "large seed": (lambda m, e, f: m["info"].update(seed=2**32), "its seed is 4294967296"),
    "no dt": (lambda m, e, f: m["info"].pop("dt"), "its dt is None"),
    "steps": (lambda m, e, f: m["info"].update(n_steps=-1), "its n_steps is -1"),
    "many steps": (lambda m, e, f: m["info"].update(n_steps=2**62), "its n_steps is 4611686018427"),
    "negative": (lambda m, e, f: e.update(shape=[-3]), "is not a shape"),
    "text": (lambda m, e, f: e.update(shape="abc"), "is not a shape"),
    "huge": (lambda m, e, f: e.update(shape=[2**60]), r"is \(1152921504606846976,\), expected"),
    "type": (lambda m, e, f: e.update(dtype="<f4"), "not as the manifest says"),
    "objects": (lambda m, e, f: e.update(dtype="|O"), "not a type of numbers"),
    "integers": (lambda m, e, f: e.update(dtype="<i8"), "a.weights is <i8, expected float32"),
    "path": (lambda m, e, f: e.update(file="../a.npy"), "is damaged.*a.npy"),
    "flag": (lambda m, e, f: e.update(per_item=1), "does not describe an array"),
    "no batch": (lambda m, e, f: e.update(per_item=True, shape=[]), "does not describe an array"),
    "compressed": (lambda m, e, f: e.update(compressed=True), "is compressed"),
    "pickled": (lambda m, e, f: f.insert(0, ("a.npy", PICKLED)) or f.pop(), "manifest says"),
    "header": (lambda m, e, f: f.insert(0, ("a.npy", b"x" * 200)) or f.pop(), "magic string"),
    "short": (lambda m, e, f: f.append(("a.npy", f.pop()[1][:-1])), "another size than its shape"),
    "long": (lambda m, e, f: f.append(("a.npy", f.pop()[1] + b"0")), "another size than its shape"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", FORGED)
def test_forged_files(name, tiny, tmp_path):
    """Their checksum is right, and something in them is not."""
    change, message = FORGED[name]
    before = values(tiny)
    forge(tmp_path / "x.npz", change)
    with pytest.raises(SimulationError, match=message):
        tiny.load_params(tmp_path / "x")
    assert_same(values(tiny), before)


def test_a_file_written_by_hand_is_loaded(tiny, tmp_path):
    before = values(tiny)
    forge(tmp_path / "x.npz", lambda *_: None)
    tiny.load_params(tmp_path / "x")
    np.testing.assert_array_equal(values(tiny)["a.weights"], 0)
    tiny.reset()
    assert_same(values(tiny), before)


@pytest.mark.training
@pytest.mark.parametrize("count", [-1, 2**62])
def test_optimizers_cannot_have_taken_as_many_steps(count, tmp_path):
    with simulator(network(learns=False)) as sim:
        sim.compile("sgd", loss="mse")
        optimizer = sim.keras_model.optimizer
        optimizer.build(sim.keras_model.trainable_variables)
        optimizer.iterations.assign(count)
        sim.save_params(tmp_path / "x", include_optimizer=True)
        optimizer.iterations.assign(3)
        with pytest.raises(SimulationError, match="damaged: iteration.* cannot be so"):
            sim.load_params(tmp_path / "x", include_optimizer=True)
        assert int(optimizer.iterations) == 3


def test_files_of_nengodl_3(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", np.zeros(3), np.zeros(2))
    with simulator(network()) as sim:
        with pytest.raises(SimulationError, match="written by NengoDL 3.*cannot be loaded"):
            sim.load_params(tmp_path / "x")


@pytest.mark.parametrize("where", ["np.lib.format.write_array", "os.fsync", "os.replace", None])
def test_a_process_that_is_killed_leaves_the_old_file_whole(where, saved, tmp_path):
    path = tmp_path / "x.npz"
    old = saved[0].with_suffix(".npz").read_bytes()
    path.write_bytes(old)
    code = f"""
        import importlib.util, os, signal, sys
        import numpy as np
        spec = importlib.util.spec_from_file_location("archive", {archive.__file__!r})
        archive = sys.modules["archive"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(archive)

        def kill(*args, **kwargs):
            os.kill(os.getpid(), signal.SIGKILL)

        {f"{where} = kill" if where else ""}
        arrays = {{"a": np.zeros(10_000)}}
        archive.write_archive({str(path)!r}, arrays, {{"a": "a"}}, {{"a": False}}, {{}})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == (-signal.SIGKILL if where else 0)
    assert (path.read_bytes() == old) is bool(where)
    with archive.open_archive(path) as file:
        assert ("a" in file.entries) is not bool(where)
        for name in file.entries:
            file.read(name)
    left = [file for file in tmp_path.iterdir() if file != path]
    assert len(left) == bool(where)
    kept = [".x.npz.tmp", "x.npz.0123abcd-1.0123abcd.tmp"]  # anybody's
    # of a process that lives, of another machine, and with a number that is none
    here = archive._here()
    kept += [f".x.npz.{here}-{os.getpid()}.0123abcd.tmp", ".x.npz.00000000-999999999.0123abcd.tmp"]
    kept += [f".x.npz.{here}-1.0123abcd.tmp", f".x.npz.{here}-{10**30}.0123abcd.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    with simulator(network()) as sim:
        sim.save_params(tmp_path / "other")
    assert {f.name for f in tmp_path.iterdir()} == {"x.npz", "other.npz", *kept}


def test_saving_where_folders_cannot_be_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(archive.Path, "iterdir", lambda _: (_ for _ in ()).throw(OSError("no")))
    archive.write_archive(tmp_path / "x.npz", {}, {}, {}, {})
    assert os.listdir(tmp_path) == ["x.npz"]


def test_the_old_file_stays_if_writing_fails(saved, tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    with simulator(network()) as sim:
        sim.save_params(path)
        path.chmod(0o640)
        before = path.read_bytes()
        shuffle(sim)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                sim.save_params(path)
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
        (tmp_path / "link.npz").symlink_to(path)
        sim.save_params(tmp_path / "link.npz")
        assert (tmp_path / "link.npz").is_symlink() and path.read_bytes() != before
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.h5"])
def test_files_of_keras_are_named_as_such(tmp_path, name):
    path = tmp_path / name
    with nengo.Network() as net:
        nengo.Ensemble(5, 1)
    with simulator(net) as sim:
        for _ in range(2):  # whether it is there or not
            message = f"{name} is the name of a file of Keras's.*keras_model.load_weights"
            with pytest.raises(SimulationError, match=message):
                sim.load_params(path)
            path.touch()
        sim.save_params(path)  # as any name, with .npz added
        sim.load_params(path)
