"""The examples run, at toy size."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.training
def test_spiking_digits(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    script = EXAMPLES / "spiking_digits.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--quick", "--output", str(tmp_path)])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("right after 30 steps") == 2
    assert (tmp_path / "spiking_digits.png").stat().st_size > 10_000
