"""Gradients that take the place of those of spikes; the values stay as they are.

surrogate     dn/dv = h φ(k (v - ϑ)), as `nengo_dl.surrogate` says   [Neftci, Mostafa & Zenke 2019]
own rate      d(output)/dJ = d(rate)/dJ                              [Hunsberger & Eliasmith 2015]

Which of them an ensemble trains with is decided in `nengo_dl.config.training_spikes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..surrogate import Surrogate
from .arrays import Gradient, Number, Tensor, Tensors
from .later import ops


def counted(surrogate: Surrogate, spikes: Tensor, voltage: Tensor, threshold: Number) -> Tensor:
    """Numbers of spikes, with the surrogate's derivative by the voltage.

    Parameters
    ----------
    surrogate : Surrogate
    spikes : tensor (L, N)
        Spikes of this step.
    voltage : tensor (L, N)
        Before they were taken off.
    threshold : tensor (L, N) or float
        The one that counts for each neuron.
    """

    def gradient(upstream: Tensor, distance: Tensor) -> tuple[Tensor, ...]:
        return (upstream * surrogate.derivative(distance),)

    return with_gradient([spikes], [voltage], [voltage - threshold], gradient)[0]


def with_gradient(
    values: Tensors,
    arguments: Tensors,
    needed: Tensors,
    gradient: Callable[..., tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """Values with a gradient of our own, which flows to the arguments alone.

    Parameters
    ----------
    values : sequence of tensor
    arguments : sequence of tensor
        What they are said to depend on.
    needed : sequence of tensor
        What the gradient is computed from. JAX takes nothing from outside of the function, unless
        it is an argument of it.
    gradient : callable
        ``gradient(*upstream, *needed)`` gives the gradients by the arguments.

    Returns
    -------
    tuple of tensor
        The values.
    """
    first, last = len(arguments), len(arguments) + len(values)

    @ops.custom_gradient
    def grafted(*inputs: Tensor) -> tuple[tuple[Tensor, ...], Gradient]:
        def grad(*upstream: Any) -> tuple[Tensor, ...]:
            if isinstance(upstream[0], tuple | list):  # JAX has one argument for all values
                (upstream,) = upstream
            # these inputs were cut off below, but each input is to have a gradient
            without = [ops.zeros_like(x) for x in inputs[first:]]
            found = gradient(*upstream, *inputs[last:])
            return (*map(_of_shape, found, inputs[:first]), *without)

        return tuple(inputs[first:last]), grad

    return grafted(*arguments, *[ops.stop_gradient(x) for x in (*values, *needed)])


def with_gradient_of(value: Tensor, other: Tensor) -> Tensor:
    """One value with the gradient of another: the difference added is zero."""
    # x - x is 0 to the bit as long as x is finite, so that the value is exact
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))


def _of_shape(gradient: Tensor, argument: Tensor) -> Tensor:
    """The gradient by an argument, whose one row may have been that of all items."""
    shared = argument.shape[0] == 1 and gradient.shape[0] != 1
    return ops.sum(gradient, axis=0, keepdims=True) if shared else gradient
