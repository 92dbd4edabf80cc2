"""Settings that must be in place before TensorFlow starts, and what many tests use."""

import contextlib
import gc
import os
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from dataclasses import replace

import hypothesis
import nengo
import numpy as np
import pytest

from nengo_dl.compiler import costs

# Decoders solved in one test must not be read by another, nor be left in the user's cache.
nengo.rc["decoder_cache"]["enabled"] = "False"
nengo.rc["nengo.Simulator"]["fail_fast"] = "True"

# A machine that is busy with something else is no fault of what is tested.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def rng():
    """Return a random generator that is the same for each test."""
    return np.random.RandomState(0)


@pytest.fixture(autouse=True)
def numpy_steps(request, monkeypatch):
    """Return a function that sets how many steps of compilable programs NumPy takes at most.

    It takes 16 unless a test says otherwise, by this function or by the marker of this name (None:
    as many as costs tell). So a run of some more steps is one of both runtimes.
    """

    def at_most(steps):
        fewest = costs.Costs.fewest_steps if steps is None else 0
        limited = replace(costs.CPU, most_steps=steps, fewest_steps=fewest)
        monkeypatch.setattr(costs, "CPU", limited)

    marker = request.node.get_closest_marker("numpy_steps")
    at_most(16 if marker is None else marker.args[0])
    return at_most


@pytest.fixture(autouse=True)
def nothing_shared():
    """Let no test find functions that an earlier one compiled."""
    module = sys.modules.get("nengo_dl.runtimes.tensorflow.shared_functions")
    if module is not None:
        module.SHARED.clear()


@pytest.fixture(autouse=True, scope="module")
def forget_gradients():
    """Drop what TensorFlow never does: gradients of `custom_gradient` in functions it traced.

    The package does so where it trains, but not where tests trace something themselves. A worker
    would have gigabytes of them at last, and take seconds to look for garbage.
    """
    yield
    if ops := sys.modules.get("tensorflow.python.framework.ops"):
        registry = ops.gradient_registry._registry
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]


@pytest.fixture
def own_garbage():
    """Let `gc.collect` look at what a test makes: what hundreds before it left takes seconds."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C be heard in a test: it is not where a shell runs tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def assume():
    """Return a function that lets what is made afterwards assume other costs: `assume(field=n)`."""
    with contextlib.ExitStack() as stack:
        yield lambda **changes: stack.enter_context(costs.assuming(**changes))


@pytest.fixture
def uncompiled(monkeypatch):
    """Return a function that makes each Simulator built afterwards run without XLA."""

    def switch_off():
        monkeypatch.setattr("nengo_dl.runtimes.switches.XLA", False)

    return switch_off
