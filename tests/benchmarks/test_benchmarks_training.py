"""The comparison of training; snnTorch and SpikingJelly are not installed here."""

import numpy as np
import pytest

from nengo_dl.benchmarks import memory, training

pytestmark = pytest.mark.training


def test_autoencoders_of_both_kinds_learn_by_turns():
    sizes = {"n_batches": 3, "batch": 2, "n_hidden": 4}
    labels = training.labels_of("autoencoder")
    contenders = {label: training.trainer("autoencoder", label, **sizes) for label in labels}
    found = training.by_turns(contenders, turns=2)
    assert list(found) == ["nengo_dl", "Keras"]
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
    shown = training.table("autoencoder", found)
    assert shown.row_count == 2
    assert [c.header for c in shown.columns] == ["", "median", "least", "nengo_dl / this"]


def test_spiking_networks_train_with_rates_and_with_spikes(monkeypatch):
    def small():
        return training.deep.dense_spiking((784, 6, 10))

    monkeypatch.setitem(training.SPIKING, "dense", (small, 2, 3))
    assert training.labels_of("dense")[:2] == ["nengo_dl, rates", "nengo_dl, fast_sigmoid"]
    for label, name in zip(training.OURS, ("dense", "dense_held"), strict=True):
        seconds = training.trainer(name, label, n_batches=3)()
        assert len(seconds) == 2 and min(seconds) > 0


def test_processes_of_their_own():
    """They train when asked, and one that ends is missed."""
    with training.in_processes("autoencoder", ["Keras"], threads=1) as contenders:
        seconds = contenders["Keras"]()
        assert len(seconds) == 199 and min(seconds) > 0
    with training.in_processes("unknown", ["Keras"], threads=1) as contenders:
        with pytest.raises(ChildProcessError, match="the process of Keras has ended"):
            contenders["Keras"]()


def test_loss_is_that_of_the_mean_over_time():
    y = np.array([[[1]], [[0]]])
    outputs = np.random.RandomState(0).randn(2, 5, 3).astype(np.float32)
    logits = outputs.mean(axis=1)
    chosen = np.exp(logits[[0, 1], [1, 0]]) / np.exp(logits).sum(axis=1)
    found = training._crossentropy_of_mean(y, outputs)
    np.testing.assert_allclose(found, -np.log(chosen), rtol=1e-6)


def test_unknown_names(capsys):
    with pytest.raises(SystemExit):
        training.main(["dens"])
    assert "dens: expected some of dense, conv, dense_held, conv_held" in capsys.readouterr().err


def test_memory_is_that_of_the_largest_program(tmp_path):
    for name, size in (("a", 20), ("b", 3000), ("c", 100)):
        report = tmp_path / f"module_{name}-memory-usage-report.txt"
        report.write_text(f"Total bytes used: {size} ({size}B)\nAllocations sorted by size:\n")
    assert memory.largest_program(tmp_path) == 3000


def test_gradients_with_checkpoints():
    runs = [memory.train(s, "float64", 5, n_neurons=4, batch=2, repeats=1) for s in (None, 2)]
    assert all(run["ms"] > 0 for run in runs)
    for found, expected in zip(*(run["gradients"] for run in runs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert max(np.abs(g).max() for g in runs[0]["gradients"]) > 0
