"""Runs programs with TensorFlow.  The only part that imports it."""
