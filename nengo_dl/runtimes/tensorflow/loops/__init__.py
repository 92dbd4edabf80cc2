"""Loops over time, and their gradients.

May import the kernels and `backend.py`: what a step computes is an argument of a loop.
"""
