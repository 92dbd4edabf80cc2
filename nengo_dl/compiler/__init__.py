"""Passes from the graph of one step to a program of stages and groups, for any machine.

May import nothing of this package, and of others NumPy alone. A new pass is a function from a value
to a value, in a file of its own, and a line in `pipeline.py`; what it assumes of costs is a field
in `costs.py`.
"""
