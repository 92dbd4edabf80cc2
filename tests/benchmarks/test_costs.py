"""The cost model, measured: every field has a way to be, and what is found is of use."""

from dataclasses import fields

import pytest

from nengo_dl.benchmarks import costs, networks
from nengo_dl.compiler.costs import Costs


def test_every_field_says_how_it_is_measured():
    known = [*costs.TIMES, *costs.CHOSEN, *costs.STARTING, *costs.TRAINING, *costs.BOUNDS]
    assert sorted(known) == sorted(f.name for f in fields(Costs))


@pytest.mark.numpy_steps(30)
def test_times_are_fitted():
    sizes = [(1, 10), (4, 50)]
    made = [lambda size=size: networks.integrator(*size) for size in sizes]
    found = costs.measure_times(made, turns=2)
    assert list(found) == list(costs.TIMES)
    assert all(value >= 0 for value in found.values())
    assert sum(found.values()) > 0


def test_both_ways_of_a_bound_run():
    trial = costs.Trial(costs.BOUNDS["single_kernel_elements"].make, (20,))
    (found,) = costs.measure_bound("single_kernel_elements", trial, turns=2, steps=20)
    assert min(found.low_us, found.high_us, found.chosen_us) > 0
    assert found.excess >= 0


def test_an_unknown_field_is_named():
    with pytest.raises(SystemExit, match="'gather' is not a field of Costs: numpy_group_us, "):
        costs.main(["gather"])
