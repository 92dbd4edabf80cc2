"""Runs programs with TensorFlow, which takes seconds to import: of the pipeline, here alone.

`strategy.py` decides what XLA compiles; `tune` holds arrays as is fastest on a machine;
`execute.py` runs stages, with the loops of `loops`; `keras` is what Keras sees of a simulation.
Who imports any of it imports TensorFlow: others do that in functions, when it is needed.
"""

from ...compiler.costs import CPU
from ..later import load
from .heap import keep_freed_memory

load()
keep_freed_memory(CPU)
