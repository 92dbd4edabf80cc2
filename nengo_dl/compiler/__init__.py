"""Passes from the graph of one step to a program of stages and groups.  NumPy and SciPy only."""
