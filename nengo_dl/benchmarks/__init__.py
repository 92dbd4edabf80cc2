"""Networks to measure with, and what measures them; ``python -m nengo_dl.benchmarks`` runs it.

May import `simulator`, `converter`, `compiler`, `config`, `dists` and `neurons`. A new measurement
is a module that can be run, ``python -m nengo_dl.benchmarks.NAME``.
"""

from .deep import conv_spiking, dense_spiking, lmu
from .growth import Size, measure_growth
from .measure import Measurement, environment, measure
from .networks import (
    BENCHMARKS,
    LARGE,
    basal_ganglia,
    cconv,
    closed_loop,
    communication_channel,
    integrator,
    lif_population,
    pes,
    pes_channel,
    random_network,
    spaun_sized,
)
from .profile import run_profile

__all__ = [
    "BENCHMARKS",
    "LARGE",
    "Measurement",
    "Size",
    "basal_ganglia",
    "cconv",
    "closed_loop",
    "communication_channel",
    "conv_spiking",
    "dense_spiking",
    "environment",
    "integrator",
    "lif_population",
    "lmu",
    "measure",
    "measure_growth",
    "pes",
    "pes_channel",
    "random_network",
    "run_profile",
    "spaun_sized",
]
