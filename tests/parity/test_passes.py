"""Whatever passes of the compiler and of the runtime are left out, results are the same.

Hypothesis draws graphs and networks, and which passes to leave out. `NENGO_DL_FUZZ` and
`RANDOM_GRAPHS` look further than CI does.
"""

import contextlib
import functools
import os
import re
import warnings

import nengo
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.compiler import costs, pipeline
from nengo_dl.runtimes.tensorflow import backend, tune
from nengo_dl.runtimes.tensorflow.chunk import Span
from nengo_dl.runtimes.tensorflow.strategy import Facts, choose
from tests.networks import NETWORKS
from tests.parity.test_fuzz import BOUNDED, networks, searched
from tests.random_graphs import (
    BATCH,
    build,
    check_answer,
    draw_inputs,
    graphs,
    interpret,
    run_program,
    tried,
)

PASSES = (*pipeline.PASSES, *tune.PASSES)
N_NETWORKS = int(os.environ.get("NENGO_DL_FUZZ", "50")) // 10
N_STEPS = 25

#: Small as the graphs and networks are, every pass is to find something to do.
EAGER = {
    "matrix_elements_between_loops": 0,
    "shared_vector_elements": 0,
    "interleaved_members": 1,
    "row_elements": 10**6,
    "lone_outputs": 1,
    "part_elements": 1,
    "most_steps": 0,
    "fewest_steps": 0,
}


def subsets():
    return st.frozensets(st.sampled_from(PASSES))


@tried(40)
@given(graph=graphs(), skipped=subsets(), length=st.sampled_from([1, 3]))
def test_graphs_without_any_passes_compute_the_same(graph, skipped, length):
    """The program is compared with an interpreter that shares no code with the compiler."""
    with costs.assuming(**EAGER) as assumed:
        program = build(graph, skipped=skipped)
    target = tune.Target(batch=BATCH, skipped=skipped, costs=assumed)
    how = choose(Facts(purpose="test", program=program, trains=False, target=target))
    inputs = draw_inputs(graph, length)
    span = Span(tf.constant(0, tf.int64), length, length)
    outputs, states = run_program(how.program, inputs, span)
    check_answer(graph, outputs, states, interpret(graph, inputs, length), length)


@contextlib.contextmanager
def simulator(net, skipped, **kwargs):
    """Open our simulator; all steps of a run are compiled."""
    with net:
        nengo_dl.configure_settings(dtype="float64", skip_passes=sorted(skipped))
    with costs.assuming(**EAGER), nengo_dl.Simulator(net, progress_bar=False, **kwargs) as sim:
        yield sim


@searched(N_NETWORKS)
@given(net=networks(), skipped=subsets())
def test_networks_without_any_passes_give_the_same(net, skipped):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reference = nengo.Simulator(net, progress_bar=False, optimize=False)
        except nengo.exceptions.BuildError:
            return  # neurons that never fire have no decoders
        with reference:
            reference.run_steps(N_STEPS)
            expected = {p: np.array(reference.data[p]) for p in net.probes_to_check}
        # where activity explodes, RLS subtracts numbers of which no digit is certain
        assume(all(np.abs(x).max(initial=0) < BOUNDED for x in expected.values()))
        with simulator(net, skipped) as sim:
            sim.run_steps(N_STEPS)
            found = {p: np.array(sim.data[p]) for p in expected}
    for probe, values in expected.items():
        scale = max(1.0, np.abs(values).max(initial=0))
        np.testing.assert_allclose(
            found[probe], values, rtol=0, atol=1e-9 * scale, err_msg=str(probe)
        )


#: A network for each pass, on which it has an effect.
AFFECTED = {
    "remove_zeros": "sparse_transforms",
    "remove_identity_products": "nodes_in_a_loop",
    "remove_common_subexpressions": "slices_of_nodes",
    "remove_dead_code": "basal_ganglia_and_thalamus",
    "divide_loops": "basal_ganglia_and_thalamus",
    "order_members": "basal_ganglia_and_thalamus",
    "interleave": "integrator",
    "pack": "basal_ganglia_and_thalamus",
    "split_by_sharing": "product",
}


@functools.cache
def strategy(network, held, history, *skipped):
    """Print how TensorFlow would run a network, perhaps with inputs `held` for all steps."""
    net = NETWORKS[network]()
    with net:
        nengo_dl.configure_settings(keep_history=history)
    with simulator(net, skipped, minibatch_size=2) as sim:
        inputs = sim.session.plan.inputs.values() if held else ()
        how = sim.session.graph.strategy("simulate", still=frozenset(inputs))
        return re.sub("0x[0-9a-f]+", "", str(how))


def test_each_pass_changes_what_runs(monkeypatch):
    """So none of those that the fuzz leaves out is left out in vain."""
    monkeypatch.setattr(backend, "cores", lambda: 2)
    for name in PASSES:
        network = AFFECTED.get(name, "lif_parameters")
        how = network, name == "hold_still", name != "take_last"
        assert strategy(*how, name) != strategy(*how), name


def test_an_unknown_pass_is_named():
    expected = "Network.skip_passes: got 'inline', expected names of passes, .* pack, .*join"
    with pytest.raises(ValidationError, match=expected):
        with simulator(nengo.Network(), ["pack", "inline"]):
            pass
