"""Decoders: what Nengo's builder solves for, bit for bit, with less Python for each point."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from nengo.builder import Builder, Model
from nengo.builder import connection as builders
from nengo.exceptions import BuildError
from nengo.rc import rc
from nengo.solvers import Solver


def is_solved_by_nengo(solver: Any) -> bool:
    """Whether this is a solver that Nengo's own function builds, and nobody has replaced that."""
    if not isinstance(solver, Solver):
        return False
    found = (Builder.builders[c] for c in type(solver).__mro__ if c in Builder.builders)
    return next(found, None) is builders.build_solver


def build_solver(
    model: Model, solver: Solver, conn: nengo.Connection, rng: np.random.RandomState
) -> Any:
    """Evaluation points, weights, and what the solver says: what Nengo's function returns.

    Nengo looks the function of a connection up twice for each of its points, through parameters
    of two objects, which takes longer than most functions do.
    """
    function = conn.function
    if not callable(function) or (solver.weights and not solver.compositional):
        return builders.build_solver(model, solver, conn, rng)
    ens = conn.pre_obj
    built = model.params[ens]
    points = builders.get_eval_points(model, conn, rng)
    targets = _targets(conn, function, points[:, conn.pre_slice])
    x = np.dot(points, built.encoders.T / ens.radius)
    solve = builders.solve_for_decoders
    if model.seeded[conn]:
        solve = model.decoder_cache.wrap_solver(solve)
    decoders, info = solve(conn, built.gain, built.bias, x, targets, rng=rng)
    return points, decoders.T, info


def _targets(conn: nengo.Connection, function: Any, points: np.ndarray) -> np.ndarray:
    """What the function gives for each point, called in order: array (points, size)."""
    targets = np.zeros((len(points), conn.size_mid), dtype=rc.float_dtype)
    for target, point in zip(targets, points, strict=True):
        value = function(point)
        if value is None:
            raise BuildError(
                f"Building {conn}: Connection function returned None. Cannot solve for decoders."
            )
        target[...] = np.hstack(value) if isinstance(value, tuple | list) else value
    return targets
