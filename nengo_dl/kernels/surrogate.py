"""Gradients that take the place of those of spikes; the values stay as they are.

surrogate     dn/dv = h φ(k (v - ϑ)), as `nengo_dl.surrogate` says   [Neftci, Mostafa & Zenke 2019]
own rate      d(output)/dJ = d(rate)/dJ                              [Hunsberger & Eliasmith 2015]
"""

from __future__ import annotations

from typing import Any

from ..surrogate import Surrogate
from .later import ops


def counted(surrogate: Surrogate, spikes: Any, voltage: Any, threshold: Any) -> Any:
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

    @ops.custom_gradient
    def grafted(voltage: Any) -> tuple:
        def grad(upstream: Any) -> Any:
            return upstream * surrogate.derivative(voltage - threshold)

        return spikes, grad

    spikes = ops.stop_gradient(spikes)
    return grafted(voltage)


def with_gradient_of(value: Any, other: Any) -> Any:
    """One value with the gradient of another: the difference added is zero."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))
