"""What each kind of operation computes, for a whole group at once, in `keras.ops`.

May import `compiler`, `neurons`, `surrogate` and `utils`. A neuron type or a kind of operation is
one decorated class, in the file of its family, which opens with its equations and their source.
"""

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
from .registry import CATALOGUE, Kernel, NeuronKernel, kernel, neuron, neuron_kernel

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
    "neuron_kernel",
    "neurons",
    "poisson",
    "rates",
    "source",
    "sparse",
    "spiking",
    "synapses",
    "tensor_node",
]
