"""What XLA compiled is there for the next process."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
from nengo.exceptions import ValidationError

from nengo_dl.runtimes import compilation_cache

SCRIPT = """
import sys
import nengo, numpy as np, nengo_dl
from nengo_dl.compiler import costs
with nengo.Network(seed=0) as net:
    ens = nengo.Ensemble(20, 1)
    nengo.Connection(ens, ens, synapse=0.1)
    probe = nengo.Probe(ens.neurons)
with costs.assuming(most_steps=0), nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(200)
np.save(sys.argv[1], sim.data[probe])
"""


@pytest.fixture
def not_begun(monkeypatch):
    """Let TensorFlow seem not to be used yet, and forget what it is told."""
    monkeypatch.delitem(sys.modules, "tensorflow.python.eager.context")
    monkeypatch.setenv(compilation_cache.FLAGS, "--tf_xla_auto_jit=0")


def test_the_next_process_compiles_nothing(tmp_path):
    """Nor does it matter that a script imports Keras before this package."""
    folder, results = tmp_path / "a folder", []
    env = {**os.environ, compilation_cache.FOLDER: str(folder)}
    for before in ("", "import keras"):
        path = tmp_path / f"{before}.npy"
        subprocess.run([sys.executable, "-c", before + SCRIPT, str(path)], env=env, check=True)
        written = {p.relative_to(folder): p.stat().st_mtime_ns for p in folder.rglob("*.pb")}
        results.append((written, path.read_bytes()))
    assert results[0][0]
    assert results[0] == results[1]


def test_flags_of_the_user_stay(not_begun, monkeypatch, tmp_path):
    monkeypatch.setenv(compilation_cache.FOLDER, str(tmp_path / "new"))
    compilation_cache.use_cache()
    (folder,) = (tmp_path / "new").iterdir()
    first, *_, last = os.environ[compilation_cache.FLAGS].split(" --")
    assert first == f"--tf_xla_persistent_cache_directory='{folder}'"
    assert last == "tf_xla_auto_jit=0"


def test_other_machines_have_another_folder(not_begun, monkeypatch, tmp_path):
    monkeypatch.setenv(compilation_cache.FOLDER, str(tmp_path))
    for flags in ("", "--xla_cpu_enable_fast_math=true"):
        monkeypatch.setenv("XLA_FLAGS", flags)
        compilation_cache.use_cache()
    monkeypatch.setattr(compilation_cache, "_processor", lambda: "another one")
    compilation_cache.use_cache()
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_happens_unasked(not_begun, monkeypatch):
    monkeypatch.delenv(compilation_cache.FOLDER, raising=False)
    compilation_cache.use_cache()
    assert os.environ[compilation_cache.FLAGS] == "--tf_xla_auto_jit=0"


def test_no_folder(not_begun, monkeypatch, tmp_path):
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setenv(compilation_cache.FOLDER, str(path))
    with pytest.raises(ValidationError, match=r"NENGO_DL_COMPILATION_CACHE: .*cannot be a folder"):
        compilation_cache.use_cache()


def test_too_late(monkeypatch, tmp_path):
    tf.constant(1.0)
    monkeypatch.setenv(compilation_cache.FOLDER, str(tmp_path))
    with pytest.warns(UserWarning, match="TensorFlow was used before"):
        compilation_cache.use_cache()
    assert not list(tmp_path.iterdir())
