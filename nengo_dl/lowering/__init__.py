"""Nengo's operators become the compiler's own graph; what each signal is to a simulation.

May import `compiler` and `tensor_node`. An operator of Nengo's is one decorated function in
`operators.py`, a process or a synapse one in `filters.py`.
"""

from . import filters
from .build import build_model
from .build_functions import NengoBuilder
from .filters import give_out, lowers_process
from .lower import Choices, Lowered, lower
from .operators import lowers

__all__ = [
    "Choices",
    "Lowered",
    "NengoBuilder",
    "build_model",
    "filters",
    "give_out",
    "lower",
    "lowers",
    "lowers_process",
]
