"""Benchmark networks do here what they do in Nengo, and the command reports on them."""

import json
import subprocess
import sys

import nengo
import numpy as np
import pytest
from click.testing import CliRunner

import nengo_dl
from nengo_dl.benchmarks import BENCHMARKS, LARGE, cli, environment, measure, networks

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
    "conv_spiking": {"shape": (8, 8, 1), "filters": (2, 3)},
    "lmu": {"theta": 20, "order": 6, "units": 5},
}
STEPS = 5


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
    net = BENCHMARKS["lmu"]()
    fixed = [c for c in net.all_connections if net.config[c].trainable is False]
    sizes = [np.size(c.transform.init) for c in net.all_connections if c not in fixed]
    assert len(fixed) == 2
    assert sum(sizes) == 102_017


def test_measurement():
    cache = nengo.rc["decoder_cache"]["enabled"]
    m = measure(
        BENCHMARKS["integrator"],
        steps=4,
        repeats=3,
        first_steps=2,
        minibatch=2,
        **TOY["integrator"],
    )
    assert (m.name, m.neurons, m.minibatch) == ("integrator", 60, 2)
    assert 0 < m.groups <= m.operators
    for timing in (m.nengo, m.nengo_dl):
        assert 0 < timing.step_us.min <= timing.step_us.median <= timing.step_us.max
        assert timing.build_s > 0 and timing.first_s > 0
    assert m.ratio == m.nengo.step_us.median / m.nengo_dl.step_us.median
    assert m.peak_mb >= m.peak_before_mb > 1
    assert nengo.rc["decoder_cache"]["enabled"] == cache


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
    counts = ["--steps", 5, "--first-steps", 2, "--repeats", 2]
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


@pytest.mark.parametrize(
    "args, message",
    [
        (["nonsense"], "nonsense"),
        (["pes", "--set", "n_neurons=3"], "pes has no argument n_neurons"),
        (["pes", "--set", "dimensions"], "not KEY=VALUE"),
        (["pes", "--set", "neuron_type=Nonsense"], "neither a Python literal nor a neuron type"),
        (["pes", "--repeats", "0"], "repeats"),
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
