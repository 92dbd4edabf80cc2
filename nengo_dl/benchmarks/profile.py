"""The time of one call of `predict` or `fit`, as scripts for the original measure it."""

from __future__ import annotations

import time
from typing import Any

import nengo
import numpy as np

from ..config.settings import configure_settings
from .measure import our_simulator


def run_profile(
    net: nengo.Network,
    train: bool = False,
    n_steps: int = 150,
    do_profile: bool = False,
    reps: int = 1,
    dtype: str = "float32",
    **kwargs: Any,
) -> float:
    """Measure how long a minibatch takes; prints the times.

    Parameters
    ----------
    net : nengo.Network
        One of this package: has `inp`, or `inp_a` and `inp_b`, and `p`.
    train : bool
        Whether to measure `fit` instead of `predict`.
    n_steps : int
    do_profile : bool
        Not supported: give the callback `nengo_dl.callbacks.TensorBoard` to a simulator's methods.
    reps : int
        Timed calls, after one that compiles.
    dtype : str
        Precision of the simulation.
    **kwargs
        Of the `Simulator`.

    Returns
    -------
    float
        The shortest time [s].

    Raises
    ------
    ValueError
        If `do_profile` is set.
    """
    if do_profile:
        raise ValueError(
            "do_profile=True is not supported; give nengo_dl.callbacks.TensorBoard(log_dir) to "
            "predict or fit, which records a profile for TensorBoard"
        )
    with net:
        configure_settings(inference_only=not train, dtype=dtype)
    with our_simulator()(net, progress_bar=False, **kwargs) as sim:
        rng, batch = np.random.RandomState(0), sim.minibatch_size
        nodes = [net.inp] if hasattr(net, "inp") else [net.inp_a, net.inp_b]
        x = {node: rng.randn(batch, n_steps, node.size_out) for node in nodes}
        y = {net.p: rng.randn(batch, n_steps, net.p.size_in)}
        if train:
            sim.compile("sgd", loss="mse")

        def call() -> float:
            start = time.perf_counter()
            if train:
                sim.fit(x, y, epochs=1, verbose=0)
            else:
                sim.predict(x)
            return time.perf_counter() - start

        print("Warmup time:", call())
        best = min(call() for _ in range(reps))
        print("Execution time:", best)
    return best
