"""The examples run, at toy size."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def own_style():
    """Keep the style of the examples' figures from tests that follow in the same process."""
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context():
        yield


@pytest.mark.training
def test_spiking_digits(tmp_path, monkeypatch, capsys):
    script = EXAMPLES / "spiking_digits.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--quick", "--output", str(tmp_path)])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("right after 30 steps") == 2
    assert (tmp_path / "spiking_digits.png").stat().st_size > 10_000


@pytest.mark.training
def test_convert_digits(tmp_path, monkeypatch, capsys):
    script = EXAMPLES / "convert_digits.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--quick", "--output", str(tmp_path)])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("seed 0, ") == 3
    assert "The layer that loses most: conv2d" in printed
    for name in ("convert_digits", "convert_digits_costs", "convert_digits_broken"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.training
def test_keras_to_spikes(monkeypatch, capsys):
    script = EXAMPLES / "keras_to_spikes.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--quick"])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    for row in ("rates, without spikes", "rates × 1000", "regularized to 250 Hz: synapse of 10 ms"):
        assert row in printed
