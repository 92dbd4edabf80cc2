"""Decoders: what Nengo's builder solves for, bit for bit, with work shared within ensembles."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder import connection as builders
from nengo.builder.ensemble import BuiltEnsemble
from nengo.cache import NoDecoderCache
from nengo.exceptions import BuildError
from nengo.neurons import LIF, NeuronType
from nengo.rc import rc
from nengo.solvers import LstsqL2, Solver
from nengo.utils.least_squares_solvers import Cholesky, rmses
from numpy.typing import ArrayLike

from ..compiler import costs
from .decoder_cache import Inputs, SharedKeys

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
SAMPLE = 16  # points at which a call for all is compared with single calls


@dataclass(eq=False)
class Solved:
    """What was solved for the evaluation points of one ensemble.

    Attributes
    ----------
    points : ndarray (points, dimensions)
        These points, read-only.
    inputs : Inputs
        What the neurons get there.
    activities : ndarray (points, neurons) or None
        None if they were not needed for long.
    factors : dict
        Of the regularized Gram matrix, by the noise that regularizes it.
    decoders : dict
        And their errors, by a digest of the regularization and the targets.
    of_points : dict
        That digest where the targets are dimensions of the points, by the regularization, which
        dimensions, and how many.
    """

    points: np.ndarray
    inputs: Inputs
    activities: np.ndarray | None = None
    factors: dict[float, Factor] = field(default_factory=dict)
    decoders: dict[bytes, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    of_points: dict[Hashable, bytes] = field(default_factory=dict)

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
        self._bytes, self._most_bytes = 0, costs.current().kept_activities_bytes

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
        n_points = len(built.eval_points)
        if conn.eval_points is None and _is_shared(solver, ens, n_points):
            return self._build_shared(model, conn, rng)
        points = builders.get_eval_points(model, conn, rng)
        targets = _targets(conn, function, points)
        x = Inputs(points, built.encoders, ens.radius).values()
        solve = builders.solve_for_decoders
        if model.seeded[conn]:
            solve = model.decoder_cache.wrap_solver(solve)
        decoders, info = solve(conn, built.gain, built.bias, x, targets, rng=rng)
        return points, decoders.T, info

    def _build_shared(
        self, model: Model, conn: nengo.Connection, rng: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """The same, with what is known of the ensemble."""
        ens, function = conn.pre_obj, conn.function
        built = model.params[ens]
        solved = self._solved.get(ens)
        if solved is None:
            points = builders.get_eval_points(model, conn, rng)
            inputs = Inputs(points, built.encoders, ens.radius)
            solved = self._solved[ens] = Solved(points, inputs)
        cache = model.decoder_cache
        cached = model.seeded[conn] and not isinstance(cache, NoDecoderCache)
        if not cached and function is None and type(conn.pre_slice) is slice:
            decoders, info = self._solve_points(solved, conn, built)
            return solved.points, decoders.T, info
        solve = partial(self._solve, solved)
        x: np.ndarray | Inputs = solved.inputs
        if cached:
            solve = cache.wrap_solver(solve)
            if not isinstance(cache, SharedKeys):
                x = solved.inputs.values()
        targets = _targets(conn, function, solved.points)
        decoders, info = solve(conn, built.gain, built.bias, x, targets, rng=rng)
        return solved.points, decoders.T, info

    def _solve_points(
        self, solved: Solved, conn: nengo.Connection, built: BuiltEnsemble
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Solve for dimensions of the points; that needs no array where they are known."""
        start, reg, part = time.time(), conn.solver.reg, conn.pre_slice
        key = reg, part.start, part.stop, part.step
        if key in solved.of_points:
            return _copied(solved.decoders[solved.of_points[key]], start)
        targets = _targets(conn, None, solved.points)
        solved.of_points[key] = _digest(reg, targets)
        return self._solve(solved, conn, built.gain, built.bias, solved.inputs, targets)

    def _solve(
        self,
        solved: Solved,
        conn: nengo.Connection,
        gain: np.ndarray,
        bias: np.ndarray,
        x: np.ndarray | Inputs,
        targets: np.ndarray,
        rng: np.random.RandomState | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """In the place of Nengo's `solve_for_decoders`."""
        start, reg = time.time(), conn.solver.reg
        key = _digest(reg, targets)  # by values: equal functions are seldom the same object
        if key not in solved.decoders:
            activities = self._activities(solved, conn, gain, bias)
            solved.decoders[key] = _regularized(activities, targets, reg, solved.factors)
        return _copied(solved.decoders[key], start)

    def _activities(
        self,
        solved: Solved,
        conn: nengo.Connection,
        gain: np.ndarray,
        bias: np.ndarray,
    ) -> np.ndarray:
        """Those of an ensemble, kept while there is room."""
        ens = conn.pre_obj
        activities = solved.activities
        if activities is None:
            activities = solved.activities = _rates(
                ens.neuron_type, solved.inputs.values(), gain, bias
            )
            # all are zero; `any` would take ten times as long
            if activities.min(initial=0) == activities.max(initial=0):
                raise BuildError(
                    f"Building {conn}: 'activities' matrix is all zero for {ens}. This is because "
                    f"no evaluation points fall in the firing ranges of any neurons."
                )
            self._kept[ens] = solved
            self._bytes += activities.nbytes
        self._kept.move_to_end(ens)
        # the last are in use, however many they are
        while len(self._kept) > 1 and self._bytes > self._most_bytes:
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
    """What `neuron_type.rates` returns; of LIF neurons, also of those at rest by their formula."""
    if type(neuron_type) is not LIF:
        own: np.ndarray = neuron_type.rates(x, gain, bias)
        return own
    # in place, as arrays of all neurons at all points take long to allocate
    rates: np.ndarray = neuron_type.current(x, gain, bias)
    rates -= 1
    np.fmax(rates, 0, out=rates)
    with np.errstate(divide="ignore"):  # who never reaches the threshold takes forever
        np.divide(1.0, rates, out=rates)
    np.log1p(rates, out=rates)
    rates *= neuron_type.tau_rc
    rates += neuron_type.tau_ref
    np.divide(neuron_type.amplitude, rates, out=rates)
    return rates


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
        factors[reg] = _factor(gram)
    decoders = scipy.linalg.cho_solve(factors[reg], np.dot(activities.T, targets))
    return decoders, rmses(activities, decoders, targets)


def _factor(gram: np.ndarray) -> Factor:
    """What `scipy.linalg.cho_factor` returns; it takes longer than the LAPACK that it calls."""
    import scipy.linalg.lapack

    if gram.dtype == np.float64 and np.isfinite(gram).all():
        factor, failed = scipy.linalg.lapack.dpotrf(gram, lower=False, clean=False)
        if not failed:
            return factor, False
    found: Factor = scipy.linalg.cho_factor(gram, overwrite_a=True)
    return found


def _digest(reg: float, targets: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{reg!r} {targets.shape}".encode())
    digest.update(np.ascontiguousarray(targets).data)
    return digest.digest()


def _copied(
    found: tuple[np.ndarray, np.ndarray], start: float
) -> tuple[np.ndarray, dict[str, Any]]:
    """Decoders, and what a solver says: copies, as each connection may change its own.

    They lie as the solver left them, which products with them are rounded by.
    """
    decoders, errors = found
    return decoders.copy(order="K"), {"rmses": errors.copy(), "time": time.time() - start}


def _targets(
    conn: nengo.Connection,
    function: Callable[[np.ndarray], ArrayLike] | None,
    points: np.ndarray,
) -> np.ndarray:
    """What the function gives for each point, called in order: array (points, size)."""
    points = points[:, conn.pre_slice]
    if function is None:
        return points.astype(rc.float_dtype)
    if _is_numpys(function):
        found = _at_once(function, points)
        if found is not None:
            return found
    targets = np.zeros((len(points), conn.size_mid), dtype=rc.float_dtype)
    for target, point in zip(targets, points, strict=True):
        value = function(point)
        if value is None:
            raise BuildError(
                f"Building {conn}: Connection function returned None. Cannot solve for decoders."
            )
        target[...] = np.hstack(value) if isinstance(value, tuple | list) else value
    return targets


def _is_numpys(function: object) -> bool:
    """Whether it is a function of NumPy's, which remembers nothing, of each element alone."""
    if not isinstance(function, np.ufunc) or (function.nin, function.nout) != (1, 1):
        return False
    return getattr(np, function.__name__, None) is function


def _at_once(function: Callable[[np.ndarray], ArrayLike], points: np.ndarray) -> np.ndarray | None:
    """What the function gives for all points in one call; None if single calls round otherwise.

    Other functions are called for one point after the other: they may count, or keep, their calls.
    """
    points = np.ascontiguousarray(points)
    values = np.asarray(function(points))
    for i in range(0, len(points), max(len(points) // SAMPLE, 1)):
        if np.asarray(function(points[i])).tobytes() != values[i].tobytes():
            return None
    return values.astype(rc.float_dtype)
