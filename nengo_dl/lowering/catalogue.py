"""What lowering asks about kernels; their registry answers."""

from __future__ import annotations

from typing import Protocol

from nengo.neurons import NeuronType


class Catalogue(Protocol):
    """Which of Nengo's objects have a kernel, and what that needs of them."""

    def compiles_neurons(self, nengo_type: type[NeuronType]) -> bool:
        """Whether there is a kernel of exactly this neuron type."""
        ...

    def draws_on_host(self, nengo_type: type[NeuronType]) -> bool:
        """Whether Nengo's own step draws the spikes of a neuron type that has a kernel."""
        ...

    def neuron_kind(self, nengo_type: type[NeuronType]) -> str:
        """The kind of operation that computes a neuron type."""
        ...

    def neuron_draws(self, nengo_type: type[NeuronType]) -> str | None:
        """The random generator of a neuron type that its kernel uses, by Nengo's name."""
        ...

    def neuron_states(self, nengo_type: type[NeuronType]) -> tuple[str, ...]:
        """State variables of a neuron type, by Nengo's names, in the order of its kernel."""
        ...

    def convolves(self, dimensions: int, groups: int, transposed: bool) -> bool:
        """Whether there is a kernel of such convolutions."""
        ...
