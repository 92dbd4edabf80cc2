"""The simulator that Nengo's test-suite is given."""

import os
from dataclasses import replace

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def in_float64(request):
    """Return the Simulator, with Nengo's own precision where a network says nothing else."""
    import nengo_dl
    from nengo_dl import config

    original = config.Settings.of.__func__

    def of(cls, network):
        settings = original(cls, network)
        return replace(settings, dtype="float64")

    config.Settings.of = classmethod(of)
    return nengo_dl.Simulator
