"""One open simulation: what was compiled, what feeds it, what it has recorded.

May import `lowering`, `compiler` and `runtimes`. What lasts from one call of a user's to the next
belongs here.
"""
