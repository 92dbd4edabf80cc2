"""Converters of layers, a file for each family; importing this registers all.

A layer more goes into the file of its family, and a family more is imported below. `base` has what
they share, `products` what those with a matrix do, `choice` finds the converter of a layer, and
`refused` says why some have none.
"""

from . import (
    activation,
    convolution,
    dense,
    fallback,
    inputs,
    merging,
    nested,
    normalization,
    pooling,
    qcfs,
    reshaping,
    wrappers,
)
from .base import CONVERTERS, LayerConverter, register
from .choice import choose_converter

__all__ = [
    "CONVERTERS",
    "LayerConverter",
    "activation",
    "choose_converter",
    "convolution",
    "dense",
    "fallback",
    "inputs",
    "merging",
    "nested",
    "normalization",
    "pooling",
    "qcfs",
    "register",
    "reshaping",
    "wrappers",
]
