"""Benchmark networks do here what they do in Nengo, and the command reports on them."""

import json
import subprocess
import sys
from dataclasses import asdict

import nengo
import numpy as np
import pytest
from click.testing import CliRunner

import nengo_dl
from nengo_dl.benchmarks import (
    BENCHMARKS,
    LARGE,
    Size,
    cli,
    environment,
    first_result,
    measure,
    networks,
    scale,
)
from nengo_dl.benchmarks.growth import per_doubling
from nengo_dl.benchmarks.limits import CHUNK, by_hand
from nengo_dl.benchmarks.measure import until_compiled
from nengo_dl.benchmarks.profile import run_profile
from nengo_dl.benchmarks.single_steps import measure_single_steps
from nengo_dl.config.settings import Settings

# each run that is timed is after a collection of garbage
pytestmark = pytest.mark.usefixtures("own_garbage")

measure_module = sys.modules["nengo_dl.benchmarks.measure"]

TOY = {
    "communication_channel": {"n_neurons": 10, "varying": True},
    "integrator": {"dimensions": 3, "neurons_per_d": 20},
    "cconv": {"dimensions": 2, "neurons_per_d": 20},
    "basal_ganglia": {"dimensions": 2, "neurons_per_d": 20},
    "pes": {"dimensions": 2, "neurons_per_d": 20},
    "pes_channel": {"n_neurons": 20, "dimensions": 2},
    "dense_spiking": {"sizes": (12, 8, 6, 3), "synapse": 0.005},
    "lif_population": {"n_neurons": 40},
    "closed_loop": {"n_neurons": 20},
    "large_channel": {"n_neurons": 20, "dimensions": 2},
    "random_network": {"neurons_per_d": 5, "n_ensembles": 4, "connections_per_ensemble": 2},
    "spaun_sized": {"n_ensembles": 4, "n_neurons": 81, "n_connections": 17},
    "conv_spiking": {"shape": (8, 8, 1), "filters": (2, 3)},
    "lmu": {"theta": 20, "order": 6, "units": 5},
}
STEPS = 5
BY_HAND = {
    "communication_channel": {"n_neurons": 20, "n_ensembles": 4},
    "cconv": {"dimensions": 3, "neurons_per_d": 20},
    "lif_population": {"n_neurons": 1030},
}


def invoke(*args):
    return CliRunner().invoke(cli.main, [str(a) for a in args], catch_exceptions=False)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_equal_to_nengo(name):
    net = BENCHMARKS[name](**TOY[name])
    with net:
        nengo_dl.configure_settings(dtype="float64")
    assert hasattr(net, "inp") or (hasattr(net, "inp_a") and hasattr(net, "inp_b"))
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(STEPS)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(STEPS)
    assert sim.data[net.p].shape == (STEPS, net.p.size_in)
    np.testing.assert_allclose(sim.data[net.p], reference.data[net.p], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_output_depends_on_what_is_simulated(name):
    """Nothing that is to be measured may be left out because nobody sees it."""
    net = BENCHMARKS[name](**TOY[name])
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(100)
    assert np.ptp(sim.data[net.p], axis=0).max() > 0


def test_same_network_each_time():
    posts = []
    for _ in range(2):
        net = networks.random_network(2, 5, n_ensembles=6)
        objects = [*net.all_nodes, *net.all_ensembles]
        posts.append([objects.index(c.post) for c in net.all_connections])
    assert posts[0] == posts[1]


def test_published_sizes():
    channel = BENCHMARKS["large_channel"]()
    assert [e.n_neurons for e in channel.all_ensembles] == [2000] * 3
    assert len(BENCHMARKS["basal_ganglia"]().networks) == 2
    assert sum(e.n_neurons for e in BENCHMARKS["random_network"]().all_ensembles) == 20_000
    assert set(LARGE) < set(BENCHMARKS) == set(TOY)


@pytest.mark.parametrize("factory", [networks.cconv, networks.integrator, networks.pes])
def test_fixed_gains(factory):
    """As in the original: building such networks takes less time."""
    net = factory(2, 10, nengo.RectifiedLinear())
    with nengo.Simulator(net, progress_bar=False) as sim:
        for ens in net.all_ensembles:
            assert set(np.abs(sim.data[ens].gain)) == {1}
            assert np.abs(sim.data[ens].bias).max() <= 1


def test_lmu_has_as_many_parameters_as_the_original():
    """102,017 with a memory of 256, and 212 units."""

    def n_parameters(order, units):
        return 1 + units + order + units * (1 + units + order) + 10 * units

    assert n_parameters(256, 212) == 102_017
    with nengo_dl.Simulator(BENCHMARKS["lmu"](20, order=6, units=5), progress_bar=False) as sim:
        trained = sim.keras_model.trainable_weights
        assert sum(np.size(w) for w in trained) == n_parameters(6, 5)


def test_lmu_of_the_original():
    """Its arguments, by position and by name."""
    net = BENCHMARKS["lmu"](1000, 1, True, "float64")
    assert Settings.of(net).dtype == "float64"
    with pytest.raises(ValueError, match="native_nengo=True"):
        BENCHMARKS["lmu"](theta=1000, input_d=1, native_nengo=False)


@pytest.mark.numpy_steps(500)
def test_single_steps():
    found = measure_single_steps(lambda: networks.integrator(1, 10), turns=3, calls=10)
    assert found.first_steps == 500
    assert all(value > 0 for value in asdict(found).values())


def test_first_result():
    """In processes of their own, where ours imports no TensorFlow."""
    found = first_result.measure_first_result(
        "communication_channel", repeats=1, seconds=0.01, times=1, n_neurons=5
    )
    assert not found.ours.tensorflow and found.ours.peak_mb > 0
    for script in (found.nengo, found.ours):
        assert script.imported > 0 and script.total > script.again > 0


@pytest.mark.parametrize("nengos, ours, wanted", [(1, 1.05, "ok"), (1, 1.2, "!!"), (3, 2.5, "!!")])
def test_first_result_table(monkeypatch, capsys, tmp_path, nengos, ours, wanted):
    """Ours is 0.1 s later at most, and a fifth sooner where Nengo takes more than two seconds."""

    def run(script):
        assert script["arguments"] in ({}, {"dimensions": 2})
        parts = {"network": 0.0, "build": ours if script["ours"] else nengos, "run": 0.0}
        return {"import": 0.0, "times": [parts], "tensorflow": False, "peak": 1000}

    monkeypatch.setattr(first_result, "_run", run)
    options = ["--cached", "--set", "dimensions=2", "--json", str(tmp_path / "found.json")]
    first_result.main(["pes", *options])
    assert wanted in capsys.readouterr().out
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert found["ours"]["first"]["build"] == ours


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["psa"], "no network psa; there are communication_channel"),
        (["pes", "--set", "dimensions"], "'dimensions' is not KEY=VALUE, such as n_neurons=100"),
    ],
)
def test_first_result_of_what_is_not_there(arguments, message, capsys):
    with pytest.raises(SystemExit):
        first_result.main(arguments)
    assert message in capsys.readouterr().err


def test_size_of_spaun():
    net = networks.spaun_sized(30, 1001, 100)
    assert [len(net.all_ensembles), len(net.all_connections)] == [30, 100]
    sizes = {ens.n_neurons for ens in net.all_ensembles}
    assert net.n_neurons == 1001 and sizes == {33, 34}


@pytest.mark.numpy_steps(200)
def test_scale(capsys):
    scale.main(["--ensembles", "3", "--neurons", "60", "--steps", "3", "--repeats", "2"])
    out = capsys.readouterr().out
    assert "n_ensembles=3, n_neurons=60, n_connections=13" in out and "ms a step" in out
    for phase in ("Nengo's objects", "import and build", "first steps and compile", "steps"):
        assert phase in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--ensembles", "0"], "--ensembles 0 is not at least 1"),
        (["--ensembles", "9", "--neurons", "8"], "--neurons is less than one for each ensemble"),
    ],
)
def test_scale_of_nothing(arguments, message, capsys):
    with pytest.raises(SystemExit):
        scale.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.numpy_steps(200)
def test_what_is_measured_is_compiled():
    """Steps of long runs; the first ones, in NumPy, are not among them."""
    with nengo_dl.Simulator(networks.integrator(1, 10), progress_bar=False) as sim:
        sim.run_steps(7)
        until_compiled(sim)
        assert sim.n_steps == 201 and sim.compile_count == 1
        until_compiled(sim)
        assert sim.n_steps == 201


@pytest.mark.parametrize("train", [False, True])
def test_run_profile(train, capsys):
    net = networks.cconv(2, 10, nengo.RectifiedLinear())
    seconds = run_profile(net, train=train, n_steps=3, reps=2, minibatch_size=4)
    assert 0 < seconds < 60
    out = capsys.readouterr().out
    assert "Warmup time:" in out and f"Execution time: {seconds}" in out


def test_profiles_are_callbacks():
    with pytest.raises(ValueError, match="callbacks.TensorBoard"):
        run_profile(networks.integrator(1, 5), do_profile=True)


@pytest.mark.parametrize("name", BY_HAND)
def test_network_by_hand(name):
    """It takes no short cut: Nengo's numbers, but for the rounding of some hundred terms."""
    net = BENCHMARKS[name](**BY_HAND[name])
    with nengo.Simulator(net, progress_bar=False) as reference:
        loop = by_hand(name, net, reference.model)
        reference.run_steps(80)
    expected = reference.data[net.p]
    result = np.concatenate([loop.run_steps(steps) for steps in (20, 60)])
    assert len(np.unique(expected)) > 20
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    if loop.unroll > 1:
        with pytest.raises(ValueError, match="no multiple"):
            loop.run_steps(1)


def test_long_run_by_hand():
    """In several chunks; spikes that rounding moves to the next step change the output a little."""
    net = networks.lif_population(10)
    with nengo.Simulator(net, progress_bar=False) as reference:
        loop = by_hand("lif_population", net, reference.model)
        reference.run_steps(CHUNK + 200)
    difference = loop.run_steps(CHUNK + 200) - reference.data[net.p]
    assert np.abs(np.cumsum(difference)).max() < 1.5 * reference.data[net.p].max()
    assert np.mean(difference != 0) < 0.1


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("pes", {"dimensions": 1, "neurons_per_d": 10}),
        ("communication_channel", {"n_neurons": 10, "varying": True}),
        ("communication_channel", {"n_neurons": 10, "dimensions": 2}),
        ("lif_population", {"n_neurons": 10, "neuron_type": nengo.LIFRate()}),
    ],
)
def test_not_written_by_hand(name, arguments):
    net = BENCHMARKS[name](**arguments)
    with nengo.Simulator(net, progress_bar=False) as reference:
        assert by_hand(name, net, reference.model) is None


def test_measurement():
    cache = nengo.rc["decoder_cache"]["enabled"]
    m = measure(
        BENCHMARKS["integrator"],
        steps=4,
        repeats=3,
        first_steps=2,
        min_seconds=0,
        minibatch=2,
        **TOY["integrator"],
    )
    assert (m.name, m.neurons, m.minibatch) == ("integrator", 60, 2)
    assert 0 < m.groups <= m.operators
    for timing in (m.nengo, m.nengo_dl):
        assert 0 < timing.step_us.min <= timing.step_us.median <= timing.step_us.max
        assert timing.build_s > 0 and timing.first_s > 0
    assert m.our_steps == m.steps == 4
    assert m.by_hand_us is m.times_by_hand is None
    assert m.ratio == m.nengo.step_us.median / m.nengo_dl.step_us.median
    assert m.peak_mb >= m.peak_before_mb > 1
    assert nengo.rc["decoder_cache"]["enabled"] == cache


def test_timed_runs_are_long_enough_and_warm(monkeypatch):
    """Whatever was compiled for the first run, later ones are timed after one of their length."""
    runs = []

    class Recording(nengo_dl.Simulator):
        def run_steps(self, n_steps, **kwargs):
            runs.append(n_steps)
            super().run_steps(n_steps, **kwargs)

    monkeypatch.setattr(measure_module, "our_simulator", lambda: Recording)
    measure_module.start_backend()
    runs.clear()
    m = measure(networks.lif_population, steps=99, repeats=2, min_seconds=0.3, n_neurons=10)
    assert m.our_steps > m.steps == 99
    assert runs[:2] == [100, 99] and runs[-2:] == [m.our_steps] * 2
    assert m.our_steps in runs[:-2]
    assert m.times_by_hand == m.nengo_dl.step_us.median / m.by_hand_us.median
    assert m.as_dict()["times_by_hand"] == m.times_by_hand > 0


@pytest.mark.parametrize("wrong", ["steps", "repeats", "minibatch", "first_steps"])
def test_counts_are_positive(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        measure(networks.pes, **{wrong: 0})


def test_environment():
    about = environment()
    assert about["cores"] >= 1
    assert {"nengo", "numpy"} < set(about["versions"])
    json.dumps(about)


def test_command(tmp_path):
    file = tmp_path / "result.json"
    counts = ["--steps", 5, "--first-steps", 2, "--repeats", 2, "--min-seconds", 0]
    toy = ["--set", "dimensions=2", "--set", "neurons_per_d=10", "--set", "neuron_type=LIFRate"]
    result = invoke("pes", "integrator", *counts, *toy, "--dtype", "float64", "--json", file)
    assert result.exit_code == 0, result.output
    assert "ratio" in result.output and "integrator" in result.output
    written = json.loads(file.read_text())
    assert [m["name"] for m in written["measurements"]] == ["pes", "integrator"]
    first = written["measurements"][0]
    assert (first["neurons"], first["steps"], first["dtype"]) == (20, 5, "float64")
    assert first["arguments"] == {
        "dimensions": 2,
        "neurons_per_d": 10,
        "neuron_type": "LIFRate()",
    }
    assert first["ratio"] > 0 and first["nengo_dl"]["step_us"]["median"] > 0
    assert "nengo" in written["environment"]["versions"]


def test_growth(tmp_path):
    file = tmp_path / "growth.json"
    counts = ["--first-steps", 2, "--repeats", 2]
    toy = ["--set", "neurons_per_d=3", "--set", "connections_per_ensemble=1", *counts]
    result = invoke("random_network", "--growth", "n_ensembles=2,4,8", *toy, "--json", file)
    assert result.exit_code == 0, result.output
    assert result.output.count("(× ") == 7  # three times of two sizes, and what it means
    sizes = json.loads(file.read_text())["growth"]["random_network"]
    assert [size["value"] for size in sizes] == [2, 4, 8]
    assert sizes[0]["operators"] < sizes[1]["operators"] < sizes[2]["operators"]
    assert all(min(size["nengo_s"], size["passes_s"]) > 0 for size in sizes)


def test_growth_per_doubling():
    sizes = [Size(10, 1, 1, 1.0, 2.0, 0.0), Size(40, 1, 1, 4.0, 18.0, 1.0)]
    assert per_doubling(*sizes, "nengo_s") == 2
    assert per_doubling(*sizes, "passes_s") == 3
    assert np.isnan(per_doubling(*sizes, "xla_s"))


@pytest.mark.parametrize(
    "args, message",
    [
        (["nonsense"], "nonsense"),
        (["pes", "--set", "n_neurons=3"], "pes has no argument n_neurons"),
        (["pes", "--set", "dimensions"], "not KEY=VALUE"),
        (["pes", "--set", "neuron_type=Nonsense"], "neither a Python literal nor a neuron type"),
        (["pes", "--repeats", "0"], "repeats"),
        (["pes", "--growth", "n=2,4"], "pes has no argument n"),
        (["pes", "--growth", "dimensions=2,0.5"], "not KEY=N,N"),
        (["pes", "--growth", "dimensions"], "not KEY=VALUE"),
    ],
)
def test_wrong_arguments(args, message):
    result = invoke(*args)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    "code, expected",
    [
        ("import nengo_dl.benchmarks; assert 'tensorflow' not in sys.modules", ""),
        ("import nengo_dl.benchmarks.__main__", "needs click"),
    ],
)
def test_without_click(code, expected):
    code = f"import sys; sys.modules['click'] = None; {code}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode != 0) == bool(expected), result.stderr
    assert expected in result.stderr
