"""Processes in the loop; synapses are most of them.

`lowers_process(ProcessType)` registers a function `(op, ctx) -> None`, looked up by the exact type
of the process. What is not registered runs on the host, unless it is a linear filter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from nengo.builder import operator as ops
from nengo.builder.processes import SimProcess
from nengo.synapses import LinearFilter, Lowpass, Triangle

from ..compiler.ir import View
from .memory import reshaped
from .operators import Context, Lowering, lowers, part_of, run_on_host
from .time_constants import LEAST_TAU

PROCESSES: dict[type, Lowering] = {}


def lowers_process(process_type: type) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the lowering of a type of processes with an input.

    Its operator has the signals `op.input` and `op.output`, and `op.state` by name. The function
    says with `ctx.update` what states become, and with `give_out` what comes out.

    Parameters
    ----------
    process_type : type
        Derived from `nengo.Process`, as synapses are. Types derived from it are others.

    Raises
    ------
    ValueError
        If the type has a lowering already.
    """

    def register(function: Lowering) -> Lowering:
        if process_type in PROCESSES:
            raise ValueError(f"{process_type.__name__} already has a lowering")
        PROCESSES[process_type] = function
        return function

    return register


@lowers(SimProcess)
def process(op: SimProcess, ctx: Context) -> None:
    """A filter that has a kernel, or whatever it is, on the host."""
    if op.input is None:
        run_on_host(op, ctx)
    elif op.output in ctx.time_constants:
        trained_filter(op, ctx)
    else:
        _lowering_of(type(op.process))(op, ctx)


def has_lowering(process_type: type) -> bool:
    """Whether processes of a type with an input do not run on the host."""
    return _lowering_of(process_type) is not run_on_host


def _lowering_of(process_type: type) -> Lowering:
    if process_type in PROCESSES:
        return PROCESSES[process_type]
    linear = issubclass(process_type, LinearFilter)
    own_step = getattr(process_type, "make_step", None) is not LinearFilter.make_step
    return linear_filter if linear and not own_step else run_on_host


def linear_filter(op: ops.Operator, ctx: Context) -> None:
    """A discrete linear system; which of Nengo's four forms decides what is kept as state."""
    known = ctx.systems.filter(op.process)
    A, B, C, D = known.system
    u, state = ctx.read(op.input), op.state["X"]
    if A.size == 0:
        gain = ctx.constant(np.array(D.item()), "D")
        (y,) = ctx.emit("multiply", [gain, u], [op.output.shape], "filter")
    elif known.one is not None:
        shape = op.output.shape
        x = reshaped(ctx.old(state), shape)
        (y,) = ctx.emit("lowpass", [x, u], [shape], known.text, **known.one)
        ctx.update(state, reshaped(y, state.shape))
    else:
        feeds_through = not (D == 0).all()
        system = {"A": A, "B": B.ravel(), "C": C.ravel(), "D": D.item()}
        x = reshaped(ctx.old(state), (len(A), op.output.size))
        y, x = ctx.emit(
            "linear_filter",
            [x, reshaped(u, (op.output.size,))],
            [(op.output.size,), x.shape],
            known.text,
            feeds_through=feeds_through,
            **system,
        )
        ctx.update(state, reshaped(x, state.shape))
    give_out(op, ctx, y)


def trained_filter(op: ops.Operator, ctx: Context) -> None:
    """A filter whose time constant is a parameter."""
    log_tau = ctx.read(ctx.time_constants[op.output].sig)
    least = LEAST_TAU * ctx.dt
    coefficients = ctx.emit("decay", [log_tau], [log_tau.shape] * 3, str(op.process), least=least)
    size, state = op.output.size, op.state["X"]
    a, b, r = (part_of(v, np.arange(size) % log_tau.size) for v in coefficients)
    u = reshaped(ctx.read(op.input), (size,))
    if type(op.process) is Lowpass:
        x = reshaped(ctx.old(state), (size,))
        (y,) = ctx.emit("trained_lowpass", [x, u, a, b], [(size,)], str(op.process))
        ctx.update(state, reshaped(y, state.shape))
    else:
        x = reshaped(ctx.old(state), (2, size))
        shapes = [(size,), x.shape]
        y, x = ctx.emit("trained_alpha", [x, u, a, b, r], shapes, str(op.process))
        ctx.update(state, reshaped(x, state.shape))
    give_out(op, ctx, y)


def give_out(op: ops.Operator, ctx: Context, y: View) -> None:
    """Let a process give out `y`: in the next step, or, as filters of learning rules, in this."""
    effect = {"update": ctx.update, "set": ctx.set, "inc": ctx.inc}[op.mode]
    effect(op.output, reshaped(y, op.output.shape))


@lowers_process(Triangle)
def triangle(op: ops.Operator, ctx: Context) -> None:
    """Filters with a finite impulse response, which falls linearly."""
    n_taps, n0, slope = op.process._get_coefficients(ctx.dt)
    names = list(op.state)
    if sorted(names) != ["X", "Xi", "Y"]:
        run_on_host(op, ctx)
        return
    size = op.output.size
    history, where, y = (op.state[name] for name in ("X", "Xi", "Y"))
    reads = [
        reshaped(ctx.old(y), (size,)),
        reshaped(ctx.old(history), (history.size // size, size)),
        ctx.old(where),
        reshaped(ctx.read(op.input), (size,)),
    ]
    attrs = {"n_taps": int(n_taps), "n0": float(n0), "slope": float(slope)}
    shapes = [v.shape for v in reads[:3]]
    values = ctx.emit("triangle", reads, shapes, str(op.process), **attrs)
    for sig, value in zip((y, history, where), values, strict=True):
        ctx.update(sig, reshaped(value, sig.shape))
    give_out(op, ctx, values[0])
