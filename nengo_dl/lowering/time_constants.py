"""Synapses whose time constants are trained: which, and with what parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder.signal import Signal as NengoSignal
from nengo.exceptions import BuildError
from nengo.synapses import Alpha, Lowpass, Synapse

from .roles import Parameter

LEAST_TAU = 0.03  # steps: any less, and what is left of a step's input is less than rounding


class ChosenSynapses(Protocol):
    """Of which connections the user wants time constants trained."""

    def setting(self, obj: nengo.Connection) -> bool | str | None:
        """True, False, "per_dimension", or None where the user says nothing."""
        ...

    def explicit(self, obj: nengo.Connection) -> bool:
        """Whether the user named the connection itself."""
        ...


def find_time_constants(
    model: Model, choices: ChosenSynapses, names: Mapping[object, str]
) -> dict[NengoSignal, TimeConstant]:
    """The trained time constants, by the signal that the filter of a connection gives out.

    Raises
    ------
    BuildError
        If the user named a connection whose synapse has no time constant to train.
    """
    found: dict[NengoSignal, TimeConstant] = {}
    network = model.toplevel
    for conn in () if network is None else network.all_connections:
        choice = choices.setting(conn)
        if not choice or conn not in model.sig:
            continue
        if _has_time_constant(conn.synapse, model.dt):
            output = model.sig[conn]["weighted"]
            size = output.size if choice == "per_dimension" else 1
            found[output] = TimeConstant(conn, size, names[conn])
        elif choices.explicit(conn):
            raise BuildError(
                f"{conn}: trainable_synapses is {choice!r}, and the synapse is {conn.synapse}; "
                f"expected nengo.Lowpass or nengo.Alpha, analog, discretised by 'zoh', with a time "
                f"constant greater than {LEAST_TAU:g} dt = {LEAST_TAU * model.dt:g} s"
            )
    return found


def _has_time_constant(synapse: Synapse | None, dt: float) -> bool:
    if not isinstance(synapse, Lowpass | Alpha) or type(synapse) not in (Lowpass, Alpha):
        return False
    analog = synapse.analog and synapse.method == "zoh"
    return bool(analog and synapse.tau > LEAST_TAU * dt)


class TimeConstant:
    """The parameter of a synapse: logarithms of time constants.

    Parameters
    ----------
    conn : nengo.Connection
    size : int
        1, or the dimensions of the connection.
    name : str
        Of the connection.

    Attributes
    ----------
    synapse : nengo.Lowpass or nengo.Alpha
        That of the connection when the network was built, whatever the connection is given later.
    sig : nengo.builder.Signal
        ln(τ / s); no operator of the model knows it.
    parameter : Parameter
    """

    def __init__(self, conn: nengo.Connection, size: int, name: str) -> None:
        self.synapse: Lowpass | Alpha = conn.synapse
        values = np.full(size, np.log(self.synapse.tau))
        self.sig = NengoSignal(values, name=f"{conn}.log_tau", readonly=True)
        self.parameter = Parameter(conn, "log_tau", True, f"{name}.log_tau")
