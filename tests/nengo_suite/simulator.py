"""The simulator that Nengo's test-suite is given."""

import os
from dataclasses import replace

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def in_float64(request):
    """Return the Simulator, with Nengo's own precision whatever a network says."""
    return _with_precision("float64")


def in_float32(request):
    """Return the Simulator as it comes."""
    return _with_precision("float32")


def _with_precision(dtype):
    import nengo_dl
    from nengo_dl import config

    original = config.Settings.of.__func__

    def of(cls, network):
        return replace(original(cls, network), dtype=dtype)

    config.Settings.of = classmethod(of)
    return nengo_dl.Simulator
