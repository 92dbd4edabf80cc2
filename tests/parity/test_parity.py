"""Every network of the zoo, in every mode, against Nengo's own simulator.

In ``float64`` all numbers are equal to rounding, and every spike is in the same step. The
first 16 are stepped in NumPy where that is possible; in the mode ``numpy`` all are. In ``float32``
all are compiled, and numbers
agree to ``1e-4`` of the largest value that a probe shows, over a run too short for rounding to
move a spike. The other modes are ``float64`` with one thing changed, on a subset that has each
kind of operator.
"""

import contextlib
import functools
import warnings

import nengo
import numpy as np
import pytest
import tensorflow as tf

import nengo_dl
import nengo_dl.runtimes.numpy.loop
from nengo_dl.compiler import costs
from tests.networks import NETWORKS, sink, wave, wave2

N_STEPS = 60

#: For the modes that do not run on all: each kind of operator and of host code is in one.
SUBSET = [
    "adaptive_lif",
    "basal_ganglia_and_thalamus",
    "circular_convolution",
    "convolutions",
    "integrator",
    "lif_parameters",
    "linear_filters",
    "nodes_in_a_loop",
    "pes_on_ensembles",
    "processes_with_input",
    "seeded_processes",
    "slices_of_nodes",
    "sparse_transforms",
    "user_neuron_types",
    "voja",
]

#: Networks with Python in the loop; small as they are, they are stepped in NumPy.
ON_HOST = [
    "direct_mode",
    "functions_on_nodes",
    "nodes_in_a_loop",
    "nodes_with_input",
    "nodes_without_output",
    "processes_with_input",
    "user_neuron_types",
    "user_operator",
    "user_operator_with_noise",
]

#: What each mode changes: arguments of the simulator, settings, length of run, tolerances.
MODES = {
    "float64": {"networks": list(NETWORKS)},
    "numpy": {"networks": list(NETWORKS)},
    "float32": {"dtype": "float32", "n_steps": 20, "rtol": 1e-4, "atol": 1e-4, "networks": SUBSET},
    "minibatch": {"minibatch_size": 3, "networks": SUBSET},
    "unroll": {"unroll_simulation": 5, "networks": SUBSET},
    "uncompiled": {"networks": SUBSET},
    "segments": {"networks": ON_HOST},
    "interleaved": {"networks": SUBSET},
}
CASES = [(name, mode) for mode, changes in MODES.items() for name in changes["networks"]]


@functools.cache
def reference(name, n_steps=N_STEPS):
    """Return what Nengo's simulator gives for each probe of a network."""
    net = NETWORKS[name]()
    with quiet(), nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(n_steps)
    return [np.array(sim.data[probe]) for probe in net.probes_to_check]


@contextlib.contextmanager
def quiet():
    """Silence Nengo's simulator: what it warns of is not what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def simulator(net, dtype="float64", **kwargs):
    """Return our simulator of a network, in double precision unless told otherwise."""
    with net:
        nengo_dl.configure_settings(dtype=dtype)
    return nengo_dl.Simulator(net, progress_bar=False, **kwargs)


def run(net, n_steps=N_STEPS, **kwargs):
    """Return what our simulator gives for each probe of a network."""
    with simulator(net, **kwargs) as sim:
        sim.run_steps(n_steps)
        return [np.array(sim.data[probe]) for probe in net.probes_to_check]


def is_spiking(probe):
    """Return whether a probe shows spikes."""
    neurons = probe.obj
    if not isinstance(neurons, nengo.ensemble.Neurons) or probe.attr != "output":
        return False
    return neurons.ensemble.neuron_type.spiking and probe.synapse is None


def assert_same(probe, got, expected, rtol=1e-9, atol=1e-9):
    """Check the data of one probe, saying where it first differs."""
    assert got.shape == expected.shape, probe
    if is_spiking(probe):
        wrong = np.argwhere((got != 0) != (expected != 0))
        assert len(wrong) == 0, (
            f"{probe}: (step, neuron) {wrong[0]} is the first of {len(wrong)} spikes that differ"
        )
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol * scale, err_msg=str(probe))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("name", "mode"), CASES, ids=["-".join(case) for case in CASES])
def test_same_as_nengo(name, mode, uncompiled, numpy_steps, assume):
    settings = {key: value for key, value in MODES[mode].items() if key != "networks"}
    tolerance = {key: settings.pop(key) for key in ("rtol", "atol") if key in settings}
    if mode == "uncompiled":
        uncompiled()
    if mode == "segments":  # as if the network were too large to be stepped in NumPy
        assume(numpy_loop_elements=0)
    if mode == "numpy":
        numpy_steps(None)
    if mode in ("float32", "interleaved"):  # from the first step on
        numpy_steps(0)
    assumed = {}
    if mode == "interleaved":  # whatever the number of members, and of elements in each
        assumed = {"row_elements": 10**6, "interleaved_members": 1}

    net = NETWORKS[name]()
    with costs.assuming(**assumed):
        results = run(net, **settings)

    for probe, got, expected in zip(
        net.probes_to_check, results, reference(name, settings.get("n_steps", N_STEPS)), strict=True
    ):
        items = got if mode == "minibatch" else [got]
        assert len(items) == settings.get("minibatch_size", 1)
        for item in items:
            assert_same(probe, item, expected, **tolerance)


# --- one long run, many short ones, and again -----------------------------------------------------

CONTINUED = [
    "lif_parameters",
    "linear_filters",
    "nodes_in_a_loop",
    "pes_on_ensembles",
    "seeded_processes",
]
CONTINUED += [
    "probes_at_intervals",
    "processes_with_input",
    "triangle_synapses",
    "user_neuron_types",
    "voja",
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CONTINUED)
def test_runs_continue_and_reset_begins_again(name):
    net = NETWORKS[name]()
    with simulator(net) as sim:
        sim.run_steps(60)
        whole = [np.array(sim.data[probe]) for probe in net.probes_to_check]

        sim.reset()
        assert sim.n_steps == 0
        assert all(len(sim.data[probe]) == 0 for probe in net.probes_to_check)
        sim.run_steps(60)
        again = [np.array(sim.data[probe]) for probe in net.probes_to_check]

        sim.reset()
        for _ in range(6):
            sim.run_steps(10)
        pieces = [np.array(sim.data[probe]) for probe in net.probes_to_check]

    for probe, first, second, third in zip(net.probes_to_check, whole, again, pieces, strict=True):
        np.testing.assert_array_equal(second, first, err_msg=f"after reset: {probe}")
        np.testing.assert_array_equal(third, first, err_msg=f"in six runs: {probe}")


@pytest.mark.parametrize(
    "kind",
    [
        "stochastic_spiking",
        "poisson_spiking",
        "unseeded_process",
        "ensemble_noise",
        "user_operator_with_noise",
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_reset_rewinds_randomness(kind):
    """Nengo does not rewind the generators of its random neuron types; we do better."""
    net = NETWORKS[kind]()
    with simulator(net) as sim:
        runs = []
        for _ in range(3):  # a second reset has shown what a first one did not
            sim.run_steps(20)
            runs.append([np.array(sim.data[probe]) for probe in net.probes_to_check])
            sim.reset()
    for other in runs[1:]:
        for got, expected in zip(other, runs[0], strict=True):
            np.testing.assert_array_equal(got, expected)


def test_one_step_at_a_time():
    net = NETWORKS["lif"]()
    with simulator(net) as sim:
        for i in range(20):  # not only the first steps, which are not compiled
            sim.step()
            assert sim.n_steps == i + 1
        for probe, expected in zip(net.probes_to_check, reference("lif"), strict=True):
            assert_same(probe, sim.data[probe], expected[:20])


def test_simulators_do_not_disturb_each_other():
    net = NETWORKS["pes_on_ensembles"]()
    with simulator(net) as first, simulator(net) as second:
        for _ in range(3):
            first.run_steps(20)
            second.run_steps(20)
        for probe, expected in zip(net.probes_to_check, reference("pes_on_ensembles"), strict=True):
            assert_same(probe, first.data[probe], expected)
            assert_same(probe, second.data[probe], expected)


def test_built_model_can_be_simulated_again_elsewhere():
    net = NETWORKS["pes_on_ensembles"]()
    model = nengo.builder.Model(dt=0.001)
    model.build(net)
    operators = list(model.operators)
    with net:
        nengo_dl.configure_settings(dtype="float64")
    for _ in range(2):
        with nengo_dl.Simulator(None, model=model, seed=net.seed + 1, progress_bar=False) as sim:
            sim.run_steps(N_STEPS)
        assert model.operators == operators
        for probe, expected in zip(net.probes_to_check, reference("pes_on_ensembles"), strict=True):
            assert_same(probe, sim.data[probe], expected)
    with nengo.Simulator(None, model=model, seed=net.seed + 1, progress_bar=False) as sim:
        sim.run_steps(N_STEPS)
        for probe, expected in zip(net.probes_to_check, reference("pes_on_ensembles"), strict=True):
            assert_same(probe, sim.data[probe], expected)


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.001, 0.0005, 0.0037])
def test_time(dt):
    def build():
        with nengo.Network(seed=2) as net:
            ens = nengo.Ensemble(10, 1)
            nengo.Connection(nengo.Node(wave), ens, synapse=nengo.Alpha(0.01))
            net.probes_to_check = [nengo.Probe(nengo.Node(lambda t: t)), nengo.Probe(ens.neurons)]
            net.probes_to_check.append(nengo.Probe(ens, synapse=0.01, sample_every=2 * dt))
        return net

    net, same = build(), build()
    with simulator(net, dt=dt) as sim, nengo.Simulator(same, dt=dt, progress_bar=False) as core:
        for n_steps in (7, 13):
            sim.run_steps(n_steps)
            core.run_steps(n_steps)
            assert sim.dt == core.dt
            assert sim.n_steps == core.n_steps
            assert sim.time == pytest.approx(core.time, rel=1e-12)
            for every in (None, 2 * dt, 5 * dt):
                np.testing.assert_allclose(
                    sim.trange(sample_every=every), core.trange(sample_every=every), rtol=1e-12
                )
        for probe, other in zip(net.probes_to_check, same.probes_to_check, strict=True):
            assert_same(probe, sim.data[probe], core.data[other])


def test_run_in_seconds():
    with simulator(NETWORKS["lif"]()) as sim:
        sim.run(0.0125)  # rounds as NumPy does, to even
        sim.run(0.0006)
        assert sim.n_steps == 13
        assert sim.time == pytest.approx(0.013)


def test_functions_of_nodes_see_what_nengo_shows_them():
    """The times, the inputs and the number of calls of Python functions."""

    def build(log):
        def note(name, result):
            def function(t, *args):
                log.append((name, float(t), *(np.array(arg).tolist() for arg in args)))
                return result

            return function

        with nengo.Network(seed=0) as net:
            stimulus = nengo.Node(wave2)
            nengo.Node(note("time", None), size_in=0, size_out=0)
            inner = nengo.Node(note("inner", [1.0]), size_in=2, size_out=1)
            quiet = nengo.Node(note("quiet", None), size_in=1, size_out=0)
            nengo.Connection(stimulus, inner, synapse=None)
            nengo.Connection(inner, quiet, synapse=0.01)
        return net

    logs = [], []
    with (
        simulator(build(logs[0])) as sim,
        nengo.Simulator(build(logs[1]), progress_bar=False) as core,
    ):
        for log in logs:
            log.clear()
        for one in (sim, core):
            one.run_steps(7)
            one.run_steps(5)
    for name in ("time", "inner", "quiet"):
        ours, theirs = ([entry[1:] for entry in log if entry[0] == name] for log in logs)
        assert len(ours) == len(theirs) == 12, name
        for got, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                np.hstack(got), np.hstack(expected), rtol=1e-12, err_msg=name
            )


def test_what_a_function_keeps_is_its_own():
    """A function may keep or change its argument without changing the simulation."""
    kept = []

    def spoil(t, x):
        kept.append(x)
        result = x.copy()
        x[...] = 100
        return result

    with nengo.Network(seed=0) as net:
        stimulus, node = nengo.Node(wave2), nengo.Node(spoil, size_in=2, size_out=2)
        nengo.Connection(stimulus, node, synapse=None)
        net.probes_to_check = [nengo.Probe(stimulus), nengo.Probe(node)]
    before, after = run(net, n_steps=10)
    np.testing.assert_array_equal(after, before)
    assert len({id(x) for x in kept}) == len(kept)


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["unseeded_process", "user_operator_with_noise"])
def test_items_of_a_batch_have_their_own_noise(name):
    """The first hears what it hears alone."""
    net = NETWORKS[name]()
    for got, alone in zip(run(net, minibatch_size=3), reference(name), strict=True):
        np.testing.assert_allclose(got[0], alone, rtol=1e-12)
        assert not np.any(got[0] == got[1])
        assert not np.any(got[1] == got[2])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name", ["pes_on_ensembles", "user_neuron_types", "processes_with_input", "triangle_synapses"]
)
def test_items_of_a_batch_are_independent(name):
    """Items with different inputs each give what they give alone: all state is their own."""

    scales, net = np.array([1.0, 0.3, -0.7])[:, None, None], NETWORKS[name]()
    waves = [node for node in net.all_nodes if node.output is wave or node.output is wave2]
    times = np.arange(1, 31) * 0.001
    rows = {node: np.array([np.atleast_1d(node.output(t)) for t in times]) for node in waves}
    data = {node: scales * values for node, values in rows.items()}
    assert data
    with simulator(net, minibatch_size=3) as sim:
        sim.run_steps(30, data=data)
        together = [np.array(sim.data[probe]) for probe in net.probes_to_check]
    with simulator(net) as sim:
        for i in range(3):
            sim.reset()
            sim.run_steps(30, data={node: values[i : i + 1] for node, values in data.items()})
            for probe, got in zip(net.probes_to_check, together, strict=True):
                assert_same(probe, got[i], np.array(sim.data[probe]))


# --- compilation ----------------------------------------------------------------------------------


def test_runs_of_any_length_compile_once():
    with simulator(NETWORKS["lif"]()) as sim:
        for n_steps in (10, 1, 3, 17, 100, 25, 64, 5, 2, 40):
            sim.run_steps(n_steps)
        assert sim.n_steps == 267
        assert sim.compile_count == 1


def test_calls_look_for_no_other_arguments(monkeypatch):
    """TensorFlow writes down all arguments where they may be meant otherwise: a millisecond."""

    def written_down(_):
        raise AssertionError("arguments were written down")

    with simulator(NETWORKS["lif"]()) as sim:
        sim.run_steps(20)
        assert sim.compile_count == 1
        monkeypatch.setattr(type(tf.constant(0)), "__repr__", written_down)
        sim.run_steps(5)


def test_reset_does_not_compile_again():
    with simulator(NETWORKS["pes_on_ensembles"]()) as sim:
        sim.run_steps(20)
        sim.reset()
        sim.run_steps(20)
        assert sim.compile_count == 1


def test_empty_network_counts_its_steps():
    with simulator(nengo.Network()) as sim:
        sim.run_steps(10)
        assert sim.n_steps == 10
        assert sim.time == pytest.approx(0.01)


def test_state_that_moves_on_step_by_step():
    """Delays in a chain, next to Python: each passes on what it held, not what it gets."""
    with nengo.Network(seed=0) as net:
        stages = [nengo.Node(lambda t: np.sin(200 * t))]
        for synapse in (0.005, 0, 0.01, 0):
            stages.append(nengo.Node(size_in=1))
            nengo.Connection(stages[-2], stages[-1], synapse=synapse)
        last = nengo.Node(lambda t, x: 2 * x, size_in=1)
        nengo.Connection(stages[-1], last, synapse=0)
        net.probes_to_check = [nengo.Probe(node) for node in (*stages, last)]
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(12)
        expected = [np.array(sim.data[probe]) for probe in net.probes_to_check]
    for got, wanted in zip(run(net, n_steps=12), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_rows_of_many_probes_do_not_mix(minibatch_size):
    """Short rows are recorded as one; long ones, and what items share, apart."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(keep_history=True)
        ens = nengo.Ensemble(9, 2)
        conn = nengo.Connection(nengo.Node(wave2), ens, transform=[[1, 0.5], [0, 1]])
        learned = nengo.Connection(
            ens, sink(1), function=lambda x: 0, learning_rule_type=nengo.PES()
        )
        nengo.Connection(ens[0], learned.learning_rule)
        net.probes_to_check = [nengo.Probe(ens[i % 2], synapse=0.001 * i) for i in range(1, 7)]
        net.probes_to_check += [nengo.Probe(ens.neurons), nengo.Probe(learned, "weights")]
        net.probes_to_check += [nengo.Probe(conn, "weights"), nengo.Probe(ens, synapse=0.01)]
        net.config[net.probes_to_check[1]].keep_history = False
    with quiet(), nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(20)
    with (
        costs.assuming(joined_row_elements=8),
        simulator(net, minibatch_size=minibatch_size) as sim,
    ):
        sim.run_steps(20)
        for i, probe in enumerate(net.probes_to_check):
            expected = reference.data[probe][-1:] if i == 1 else reference.data[probe]
            for item in sim.data[probe] if minibatch_size else [sim.data[probe]]:
                assert_same(probe, item, expected)
