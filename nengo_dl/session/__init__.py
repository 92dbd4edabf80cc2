"""One open simulation: what was compiled, what feeds it, how its results are recorded.

May import `lowering`, `compiler`, `kernels`, `runtimes`, `config`, `graph_optimizer` and `utils`.
What lasts from one call of a user's to the next belongs here.
"""
