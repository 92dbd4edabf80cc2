"""Decoders: what Nengo's builder solves for, bit for bit, with work shared within ensembles."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder import connection as builders
from nengo.exceptions import BuildError
from nengo.neurons import LIF, NeuronType
from nengo.rc import rc
from nengo.solvers import LstsqL2, Solver
from nengo.utils.least_squares_solvers import Cholesky, rmses
from numpy.typing import ArrayLike

# Exact types: their rates follow from their arguments, and all parameters are frozen.
SHARED = (
    nengo.LIF,
    nengo.LIFRate,
    nengo.AdaptiveLIF,
    nengo.AdaptiveLIFRate,
    nengo.RectifiedLinear,
    nengo.SpikingRectifiedLinear,
    nengo.Sigmoid,
    nengo.Tanh,
)
CALLS = LstsqL2.__call__, Cholesky.__call__  # who replaces these wants them called
Factor = tuple[np.ndarray, bool]  # as of `scipy.linalg.cho_factor`
KEPT_BYTES = 2**27  # of activities


@dataclass(eq=False)
class Solved:
    """What was solved for the evaluation points of one ensemble.

    Attributes
    ----------
    activities : ndarray (points, neurons) or None
        None if they were not needed for long.
    factors : dict
        Of the regularized Gram matrix, by the noise that regularizes it.
    decoders : dict
        And their errors, by a digest of the regularization and the targets.
    """

    activities: np.ndarray | None = None
    factors: dict[float, Factor] = field(default_factory=dict)
    decoders: dict[bytes, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def forget(self) -> int:
        """Drop all but the decoders, which are small; the bytes of the activities."""
        freed = 0 if self.activities is None else self.activities.nbytes
        self.activities = None
        self.factors.clear()
        return freed


class Decoders:
    """Solves for all decoders of one build.

    Connections out of an ensemble that have its evaluation points share its activities, and, if
    they are solved as by default, the factor of its Gram matrix; those with the same targets share
    their decoders too.  Each number comes from the same operation on the same operands as Nengo's.
    """

    def __init__(self) -> None:
        self._solved: dict[nengo.Ensemble, Solved] = {}
        self._kept: OrderedDict[nengo.Ensemble, Solved] = OrderedDict()  # what was used last, last
        self._bytes = 0

    def build(
        self, model: Model, solver: Solver, conn: nengo.Connection, rng: np.random.RandomState
    ) -> Any:
        """Evaluation points, weights, and what the solver says: what Nengo's function returns.

        Nengo looks the function of a connection up twice for each of its points, through
        parameters of two objects, which takes longer than most functions do.
        """
        function = conn.function
        given = function is not None and not callable(function)
        if given or (solver.weights and not solver.compositional):
            return builders.build_solver(model, solver, conn, rng)
        ens = conn.pre_obj
        built = model.params[ens]
        points = builders.get_eval_points(model, conn, rng)
        if function is None:
            targets = builders.get_targets(conn, points, dtype=rc.float_dtype)
        else:
            targets = _targets(conn, function, points[:, conn.pre_slice])
        x = np.dot(points, built.encoders.T / ens.radius)
        solve = builders.solve_for_decoders
        if conn.eval_points is None and _is_shared(solver, ens, len(points)):
            solve = partial(self._solve, self._solved.setdefault(ens, Solved()))
        if model.seeded[conn]:
            solve = model.decoder_cache.wrap_solver(solve)
        decoders, info = solve(conn, built.gain, built.bias, x, targets, rng=rng)
        return points, decoders.T, info

    def _solve(
        self,
        solved: Solved,
        conn: nengo.Connection,
        gain: np.ndarray,
        bias: np.ndarray,
        x: np.ndarray,
        targets: np.ndarray,
        rng: np.random.RandomState,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """In the place of Nengo's `solve_for_decoders`."""
        start = time.time()
        reg = conn.solver.reg
        # by values: equal functions are seldom the same object
        key = hashlib.blake2b(f"{reg!r} {targets.shape}".encode())
        key.update(np.ascontiguousarray(targets).data)
        found = solved.decoders.get(key.digest())
        if found is None:
            activities = self._activities(solved, conn, gain, bias, x)
            found = _regularized(activities, targets, reg, solved.factors)
            solved.decoders[key.digest()] = found
        decoders, errors = found
        # copies: each connection may go on to change its own
        return decoders.copy(), {"rmses": errors.copy(), "time": time.time() - start}

    def _activities(
        self,
        solved: Solved,
        conn: nengo.Connection,
        gain: np.ndarray,
        bias: np.ndarray,
        x: np.ndarray,
    ) -> np.ndarray:
        """Those of an ensemble, kept while there is room."""
        ens = conn.pre_obj
        activities = solved.activities
        if activities is None:
            activities = solved.activities = _rates(ens.neuron_type, x, gain, bias)
            if not activities.any():
                raise BuildError(
                    f"Building {conn}: 'activities' matrix is all zero for {ens}. This is because "
                    f"no evaluation points fall in the firing ranges of any neurons."
                )
            self._kept[ens] = solved
            self._bytes += activities.nbytes
        self._kept.move_to_end(ens)
        # the last are in use, however many they are
        while len(self._kept) > 1 and self._bytes > KEPT_BYTES:
            self._bytes -= self._kept.popitem(last=False)[1].forget()
        return activities


def _is_shared(solver: Solver, ens: nengo.Ensemble, n_points: int) -> bool:
    """Whether this is solved as by default, where the Gram matrix has a row for each neuron."""
    if type(solver) is not LstsqL2 or type(solver.solver) is not Cholesky:
        return False
    if CALLS != (LstsqL2.__call__, Cholesky.__call__):
        return False
    transpose = solver.solver.transpose
    transposed = n_points < ens.n_neurons if transpose is None else transpose
    return type(ens.neuron_type) in SHARED and not transposed


def _rates(
    neuron_type: NeuronType, x: np.ndarray, gain: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """What `neuron_type.rates` returns; for LIF neurons, which of them fire is looked up once."""
    if type(neuron_type) is not LIF:
        own: np.ndarray = neuron_type.rates(x, gain, bias)
        return own
    current = neuron_type.current(x, gain, bias)
    above = current.ravel() - 1
    firing = np.flatnonzero(above > 0)
    rates = np.zeros_like(above)
    rates[firing] = neuron_type.amplitude / (
        neuron_type.tau_ref + neuron_type.tau_rc * np.log1p(1.0 / above[firing])
    )
    found: np.ndarray = rates.reshape(current.shape)
    return found


def _regularized(
    activities: np.ndarray, targets: np.ndarray, reg: float, factors: dict[float, Factor]
) -> tuple[np.ndarray, np.ndarray]:
    """Decoders of least squares with L2 regularization, and their errors.

    Solves ``(A' A + m (reg max(A))^2 I) x = A' y`` for m points, by Cholesky's decomposition.
    """
    import scipy.linalg  # when there is something to solve, as Nengo does

    if reg not in factors:
        gram = np.dot(activities.T, activities)
        noise = reg * activities.max()
        np.fill_diagonal(gram, gram.diagonal() + len(activities) * noise**2)
        factors[reg] = scipy.linalg.cho_factor(gram, overwrite_a=True)
    decoders = scipy.linalg.cho_solve(factors[reg], np.dot(activities.T, targets))
    return decoders, rmses(activities, decoders, targets)


def _targets(
    conn: nengo.Connection, function: Callable[[np.ndarray], ArrayLike], points: np.ndarray
) -> np.ndarray:
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
