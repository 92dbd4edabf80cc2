"""Runs programs with TensorFlow.  The only part that imports it.

`strategy.py` decides what XLA compiles; `tune` holds arrays as is fastest on a machine;
`execute.py` runs stages, with the loops of `loops`; `keras` is what Keras sees of a simulation.
"""
