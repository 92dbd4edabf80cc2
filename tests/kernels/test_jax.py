"""Kernels speak `keras.ops` alone: under Keras on JAX they compute what they do on TensorFlow."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.kernels import every_kernel

without_jax = importlib.util.find_spec("jax") is None


@pytest.fixture(scope="module")
def on_tensorflow():
    return every_kernel.computed()


def test_no_kernel_is_left_out(on_tensorflow):
    assert every_kernel.missing(name.rpartition("/")[0] for name in on_tensorflow) == []
    assert all(np.isfinite(array).all() for array in on_tensorflow.values())


@pytest.mark.skipif(without_jax, reason="jax is not installed: it comes with the extra 'dev'")
def test_every_kernel_and_its_gradient_on_jax(on_tensorflow, tmp_path):
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    env["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    command = [sys.executable, "-m", "tests.kernels.every_kernel", str(tmp_path / "jax.npz")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "jax.npz") as on_jax:
        assert on_jax.keys() == on_tensorflow.keys()
        for name, expected in on_tensorflow.items():
            tolerance = 1e-5 * max(1, np.abs(expected).max(initial=0))
            np.testing.assert_allclose(on_jax[name], expected, 1e-5, tolerance, err_msg=name)
