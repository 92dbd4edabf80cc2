"""The comparison of training; snnTorch and SpikingJelly are not installed here."""

import numpy as np
import pytest

from nengo_dl.benchmarks import training

pytestmark = pytest.mark.training


def test_autoencoders_of_both_kinds_learn_by_turns(capsys):
    contenders = training.autoencoder(n_batches=3, batch=2, n_hidden=4)
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
    contenders = training.spiking("dense", n_batches=3, compiled=False)
    assert list(contenders)[:2] == ["nengo_dl, rates", "nengo_dl, fast_sigmoid"]
    for label in list(contenders)[:2]:
        seconds = contenders[label]()
        assert len(seconds) == 2 and min(seconds) > 0


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
    assert "dens: expected some of dense, conv, autoencoder" in capsys.readouterr().err
