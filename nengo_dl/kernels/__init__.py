"""What each kind of operation computes, for a whole group at once, in `keras.ops`.

May import `compiler`, `neurons`, `surrogate` and `utils`. A neuron type or a kind of operation is
one decorated class, in the file of its family, which opens with its equations and their source.
`base` has what each kernel says, `abilities` what some can do besides, `registry` finds them all.
"""

from . import (
    abilities,
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
from .base import Kernel, NeuronKernel
from .registry import CATALOGUE, kernel, neuron, neuron_kernel

__all__ = [
    "CATALOGUE",
    "Kernel",
    "NeuronKernel",
    "abilities",
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
