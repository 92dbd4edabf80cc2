"""Loops over time, and their gradients.

May import the kernels and `backend.py`.
"""
