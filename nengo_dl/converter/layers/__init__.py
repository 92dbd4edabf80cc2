"""Converters of layers, a file for each family; importing this registers all."""

from . import activation, dense, fallback, inputs, nested, qcfs, reshaping
from .base import CONVERTERS, LayerConverter, register

__all__ = [
    "CONVERTERS",
    "LayerConverter",
    "activation",
    "dense",
    "fallback",
    "inputs",
    "nested",
    "qcfs",
    "register",
    "reshaping",
]
