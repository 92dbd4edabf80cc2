"""Converters of layers, a file for each family; importing this registers all."""

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
