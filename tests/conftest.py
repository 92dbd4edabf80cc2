"""Settings that must be in place before TensorFlow starts, and what many tests use."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import nengo
import numpy as np
import pytest

# Decoders solved in one test must not be read by another, nor be left in the user's cache.
nengo.rc["decoder_cache"]["enabled"] = "False"
nengo.rc["nengo.Simulator"]["fail_fast"] = "True"


@pytest.fixture
def rng():
    """Return a random generator that is the same for each test."""
    return np.random.RandomState(0)


@pytest.fixture
def uncompiled(monkeypatch):
    """Return a function that makes each Simulator built afterwards run without XLA."""

    def switch_off():
        monkeypatch.setattr("nengo_dl.engine.backend.XLA", False)

    return switch_off
