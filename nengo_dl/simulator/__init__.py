"""What users ask of a simulator: the class, and a file for each thing it does.

May import `session`, `runtimes`, `lowering`, `compiler`, `config`, `surrogate` and `utils`. A new
method of `Simulator` is a line in `simulator.py`, and a file here that does the work.
"""

from .recorded import SimulationData
from .simulator import Simulator

__all__ = ["SimulationData", "Simulator"]
