"""The first steps of `run` are stepped in NumPy: nobody can tell, but by the time that it takes."""

import gc
import signal
import weakref
from dataclasses import replace

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import costs
from nengo_dl.simulator import checks
from tests.networks import NETWORKS, wave
from tests.parity import test_parity
from tests.parity.test_parity import assert_same, reference, simulator

FEW = 16  # steps that NumPy takes in tests; see conftest.py
FURTHER = FEW + 14

#: One of each kind of state and input, all of which have a form in NumPy.
KINDS = [
    "lif",
    "lif_parameters",
    "adaptive_lif",
    "integrator",
    "circular_convolution",
    "alpha_synapses",
    "linear_filters",
    "triangle_synapses",
    "sparse_transforms",
    "convolutions",
    "ensemble_noise",
    "seeded_processes",
    "pes_on_ensembles",
    "voja",
    "rls",
    "probes_at_intervals",
]


def shown(sim, net):
    return [np.array(sim.data[probe]) for probe in net.probes_to_check]


def assert_identical(found, expected):
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def driven(**kwargs):
    """Ensembles that are fed by `net.inp`, and learn: a parameter, a filter and a decoder."""
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(**kwargs)
        net.inp = nengo.Node([0.5])
        pre, post = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        nengo.Connection(net.inp, pre)
        net.learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        nengo.Connection(post, net.learned.learning_rule)
        net.p = nengo.Probe(post, synapse=0.01)
        net.probes_to_check = [net.p, nengo.Probe(pre.neurons), nengo.Probe(net.learned, "weights")]
    return net


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", KINDS)
def test_kinds_that_need_not_be_compiled(name):
    """Their results, before the last of the first steps and after, are Nengo's: test_parity."""
    assert FEW < test_parity.N_STEPS
    with simulator(NETWORKS[name]()) as sim:
        sim.step()
        assert sim.session.first_steps.include(1) and sim.compile_count == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["lif", "circular_convolution", "pes_on_ensembles", "voja"])
def test_one_run_or_many(name):
    """Bit for bit, wherever runs begin and end, and again after `reset`."""
    net = NETWORKS[name]()
    with simulator(net, dtype="float32") as sim:
        sim.run_steps(FURTHER)
        whole = shown(sim, net)
        for runs in ((3, FEW + 4, FURTHER - FEW - 7), (FEW, FURTHER - FEW), [1] * FURTHER):
            sim.reset()
            for n_steps in runs:
                sim.run_steps(n_steps)
            assert_identical(shown(sim, net), whole)
        assert sim.compile_count == 1


def test_ten_steps_wait_for_nothing(monkeypatch):
    """TensorFlow compiles and traces nothing, until a step that is not one of the first."""

    def traced(*_, **__):
        raise AssertionError("something was traced")

    net = driven()
    with simulator(net) as sim:
        with monkeypatch.context() as patch:
            patch.setattr("tensorflow.function", traced)
            for _ in range(10):
                sim.step()
            sim.run_steps(FEW - 10)
        assert sim.compile_count == 0
        sim.step()
        assert sim.compile_count == 1
        sim.run_steps(50)
        assert sim.compile_count == 1


def test_only_the_number_of_a_step_counts():
    """Not what was compiled: predictions are from their first step on, and change nothing."""
    net = driven(dtype="float32")
    with simulator(net, dtype="float32") as sim:
        sim.run_steps(FEW)
        expected = shown(sim, net)
        sim.predict(n_steps=5)
        assert sim.compile_count == 1
        sim.reset()
        sim.run_steps(FEW)
        assert sim.compile_count == 1
        assert_identical(shown(sim, net), expected)


def test_unrolled_loops():
    """Chunks stay multiples of the steps in a loop's body."""
    net = NETWORKS["lif"]()
    with simulator(net, unroll_simulation=5) as sim:
        sim.run_steps(FEW - FEW % 5)
        assert sim.compile_count == 0
        sim.run_steps(15)
        assert sim.compile_count == 1
        for probe, expected in zip(net.probes_to_check, reference("lif"), strict=True):
            assert_same(probe, np.array(sim.data[probe]), expected[: sim.n_steps])


@pytest.mark.parametrize("unroll, expected", [(FEW, True), (FEW + 1, False)])
def test_long_bodies_of_loops_are_compiled(unroll, expected):
    with simulator(NETWORKS["lif"](), unroll_simulation=unroll) as sim:
        assert sim.session.first_steps.include(0) == expected
        assert not sim.session.first_steps.include(unroll)


def test_data_of_the_user():
    """Series are read from where the last chunk ended; a constant is the same in all chunks."""
    net = driven()
    x = np.sin(np.arange(FURTHER))[None, :, None]
    with simulator(net) as sim:
        sim.run_steps(FURTHER, data={net.inp: x})
        whole = shown(sim, net)
        predicted = []
        for data in (x, np.full_like(x, 0.5)):
            sim.reset()
            predicted.append(sim.predict({net.inp: data})[net.p][0])
        sim.reset()
        sim.run_steps(5, data={net.inp: x[:, :5]})
        sim.run_steps(FURTHER - 5, data={net.inp: x[:, 5:]})
        assert_identical(shown(sim, net), whole)
        np.testing.assert_allclose(sim.data[net.p], predicted[0], rtol=1e-9, atol=1e-12)
        sim.reset()
        sim.run_steps(FURTHER)
        np.testing.assert_allclose(sim.data[net.p], predicted[1], rtol=1e-9, atol=1e-12)


def test_state_that_is_not_kept():
    """Each call begins at step 0, with the first steps; what is learned stays, as ever."""
    net = driven()
    with simulator(net) as sim:
        before = sim.data[net.learned].weights.copy()
        sim.run_steps(FEW + 4, stateful=False)
        after = sim.data[net.learned].weights.copy()
        assert sim.n_steps == 0 and sim.session.first_steps.include(sim.n_steps)
        assert not np.array_equal(before, after)
        first = np.array(sim.data[net.p])
        sim.reset()
        for _ in range(2):
            sim.run_steps(FEW + 4, stateful=False)
        np.testing.assert_array_equal(sim.data[net.p][: FEW + 4], first)
        assert not np.array_equal(sim.data[net.p][FEW + 4 :], first)


def test_saved_state(tmp_path):
    """It goes on in another simulator as in its own, to the bit, on either side and across."""
    net, saved_at = driven(), (7, FEW, FEW + 5)
    with simulator(net, dtype="float32") as sim:
        for number in saved_at:
            sim.run_steps(number - sim.n_steps)
            sim.save_params(tmp_path / f"after_{number}", include_state=True)
        sim.run_steps(10)
        expected = shown(sim, net)
    with simulator(net, dtype="float32") as sim:
        for number in saved_at:
            sim.clear_probes()
            sim.load_params(tmp_path / f"after_{number}", include_state=True)
            assert sim.session.first_steps.include(sim.n_steps) == (number < FEW)
            sim.run_steps(FEW + 15 - number)
            assert_identical(shown(sim, net), [array[number:] for array in expected])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_soft_reset_begins_with_first_steps():
    net = driven()
    with simulator(net) as sim:
        sim.run_steps(FURTHER)
        whole = shown(sim, net)
        sim.soft_reset(include_trainable=True, include_probes=True)
        assert sim.session.first_steps.include(sim.n_steps)
        sim.run_steps(FURTHER)
        assert_identical(shown(sim, net), whole)


def test_parameters_are_those_of_the_moment():
    """What training, or the user, changes between two steps counts in the second."""
    net = driven()
    with simulator(net) as sim:
        sim.step()
        for variable in sim.keras_model.trainable_variables:
            variable.assign(0 * variable)
        sim.step()
        assert np.any(sim.data[net.probes_to_check[2]][0])
        sim.run_steps(FEW - 2)
        np.testing.assert_array_equal(sim.data[net.probes_to_check[1]][5:], 0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_what_is_not_a_number_passes(value, monkeypatch):
    """In silence, as through the compiled program, where nobody checked the data."""
    monkeypatch.setattr(checks, "check_finite", lambda *_: None)
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(inp, ens, synapse=None)
        probe = nengo.Probe(inp, synapse=0.01)
        neurons = nengo.Probe(ens.neurons)
    with simulator(net, dtype="float32") as sim:
        for _ in range(2):
            sim.run_steps(FEW, data={inp: np.full((1, FEW, 1), value)})
        for shown_by in (probe, neurons):
            early, late = sim.data[shown_by][1], sim.data[shown_by][-1]
            np.testing.assert_array_equal(np.isfinite(early), np.isfinite(late))
        assert not np.all(np.isfinite(sim.data[neurons][1]))


def test_probes_that_keep_little():
    """One row for the whole run, and samples by the numbers of steps."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(keep_history=True)  # or it is no option of single probes
        node = nengo.Node(wave)
        last, every, sampled = (nengo.Probe(node, sample_every=s) for s in (None, None, 0.003))
        net.config[last].keep_history = False
    with simulator(net) as sim:
        sim.run_steps(FURTHER)
        np.testing.assert_array_equal(sim.data[last], sim.data[every][-1:])
        np.testing.assert_array_equal(sim.data[sampled], sim.data[every][2::3])


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_between_the_first_steps_and_others():
    """What was simulated is kept, and the simulator goes on."""
    pressed = []

    def presses(t):
        if t > 0 and not pressed:
            pressed.append(t)
            signal.raise_signal(signal.SIGINT)
        return wave(t)

    with nengo.Network(seed=0) as net:
        net.probes_to_check = [nengo.Probe(nengo.Node(presses), synapse=0.01)]
    with simulator(net) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(FURTHER)
        assert sim.n_steps == FEW and sim.compile_count == 0
        sim.run_steps(FURTHER - FEW)
        interrupted = shown(sim, net)
        sim.reset()
        sim.run_steps(FURTHER)
        assert_identical(interrupted, shown(sim, net))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "net, kwargs",
    [
        (driven(dtype="float16"), {}),
        (driven(), {"minibatch_size": 2}),
        (driven(learning_phase=True), {}),
        (NETWORKS["stochastic_spiking"](), {}),  # has no form in NumPy
        (NETWORKS["convolutions_transposed"](), {}),
    ],
)
def test_what_is_compiled_at_once(net, kwargs):
    with nengo_dl.Simulator(net, progress_bar=False, **kwargs) as sim:
        assert not sim.session.first_steps.include(0)
        sim.step()
        assert sim.n_steps == 1


def test_small_networks_with_python_are_never_compiled():
    with simulator(NETWORKS["nodes_with_input"]()) as sim:
        assert sim.session.first_steps.include(10**9)
        sim.run_steps(FURTHER)
        assert sim.compile_count == 0


@pytest.mark.numpy_steps(None)
def test_how_many_follows_from_the_costs():
    """As many as cost half of what compiling does, but all of a short run if that is bearable."""
    ends = []
    current = costs.current()
    for size in (10, 1000, 100_000):
        with nengo.Network(seed=0) as net:
            nengo.Probe(nengo.Ensemble(size, 1, gain=np.ones(size), bias=np.ones(size)).neurons)
        with simulator(net) as sim:
            program, end = sim.program, sim.session.first_steps.end
        ends.append(end)
        half = int(current.compile_us(program) / 2 / current.numpy_step_us(program))
        assert end == max(half, current.short_run_steps)
        assert current.first_steps(program) == end
        assert replace(current, short_run_steps=0).first_steps(program) == half
        unbearable = replace(current, import_ms=0, short_run_steps=10 * half)
        assert unbearable.first_steps(program) == half
    assert ends == sorted(ends, reverse=True) and ends[0] > 5000 and ends[-1] == 1000


@pytest.mark.numpy_steps(None)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["lif", "pes_on_ensembles"])
def test_a_second_needs_no_compiler(name):
    """Bit for bit the same in one run, in many, and step by step; the later steps are compiled."""
    net = NETWORKS[name]()
    with simulator(net, dtype="float32") as sim:
        end = sim.session.first_steps.end
        sim.run_steps(1000)
        assert end > 1000 and sim.compile_count == 0
        whole = shown(sim, net)
        sim.reset()
        for n_steps in (*[1] * 50, 450, 500):
            sim.run_steps(n_steps)
        assert_identical(shown(sim, net), whole)
        sim.reset()
        sim.run_steps(end)
        assert sim.compile_count == 0
        sim.step()
        assert sim.compile_count == 1


def test_variables_count_once_they_were_shown():
    """What the engine alone knows nobody changes; learned weights are written to shown ones."""
    net = driven()
    with simulator(net) as sim:
        sim.run_steps(FURTHER)
        learned = sim.data[net.learned].weights.copy()
        assert sim.session.memory.fixed
        variables = {v.name: v for v in sim.keras_model.variables}
        assert not sim.session.memory.fixed
        found = [v.numpy() for name, v in variables.items() if "weights" in name]
        assert any(np.array_equal(np.squeeze(v), np.squeeze(learned)) for v in found)
        np.testing.assert_array_equal(sim.data[net.learned].weights, learned)
        sim.reset()
        sim.run_steps(FURTHER)
        np.testing.assert_array_equal(sim.data[net.learned].weights, learned)
        for variable in sim.keras_model.trainable_variables:
            variable.assign(0 * variable)
        sim.reset(include_trainable=False)
        sim.step()
        np.testing.assert_array_equal(sim.data[net.probes_to_check[1]][-1], 0)


def test_what_costs_too_much(uncompiled):
    """Large networks, and many populations of different constants, are compiled at once."""

    def taken(net):
        with simulator(net) as sim:
            return sim.session.first_steps.include(0)

    assert taken(driven()) and taken(NETWORKS["lif_parameters"]())
    with costs.assuming(numpy_populations=2):
        assert taken(driven()) and not taken(NETWORKS["lif_parameters"]())
    with costs.assuming(numpy_element_ns=1e6, fewest_steps=8):
        assert not taken(driven())
    uncompiled()
    assert not taken(driven())


def test_memory_is_freed(own_garbage):
    sim = simulator(driven())
    sim.step()
    loop = weakref.ref(sim.session.first_steps._loop)
    assert loop() is not None
    sim.close()
    gc.collect()
    assert loop() is None


def test_made_when_needed():
    """Not by the constructor, and not by predictions."""
    with simulator(driven()) as sim:
        sim.predict(n_steps=3, stateful=True)
        assert "_loop" not in vars(sim.session.first_steps)
        sim.run_steps(2)
        assert "_loop" in vars(sim.session.first_steps)
