"""What each kind of operation computes, for a whole group at once, in `keras.ops`."""

from . import (
    adaptive,
    basic,
    convolution,
    host,
    integrators,
    learning,
    neurons,
    poisson,
    rates,
    source,
    sparse,
    spiking,
    synapses,
    tensor_node,
)
from .registry import CATALOGUE, Kernel, NeuronKernel, kernel, neuron

__all__ = [
    "CATALOGUE",
    "Kernel",
    "NeuronKernel",
    "adaptive",
    "basic",
    "convolution",
    "host",
    "integrators",
    "kernel",
    "learning",
    "neuron",
    "neurons",
    "poisson",
    "rates",
    "source",
    "sparse",
    "spiking",
    "synapses",
    "tensor_node",
]
