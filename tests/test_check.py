"""`python -m nengo_dl.check`."""

import sys
from importlib.metadata import PackageNotFoundError

import nengo
import pytest

from nengo_dl import check
from nengo_dl.check import CHECKS, Check, CheckError, results
from nengo_dl.runtimes.tensorflow import backend


def test_all_is_well_here(capfd):
    assert check.main() == 0
    lines = capfd.readouterr().out.strip().splitlines()
    assert len(lines) == len(CHECKS) + 1
    assert all(line.startswith("ok  ") for line in lines[:-1])
    assert f"nengo {nengo.__version__}" in lines[1]
    assert "200 steps equal those of nengo.Simulator" in lines[5]
    assert lines[-1].startswith("All is well, in ")


def test_it_goes_on_after_a_failure_and_says_what_to_do(capfd, monkeypatch):
    def fails():
        raise CheckError("this is wrong", "Do that")

    def breaks():
        raise RuntimeError("unforeseen")

    checks = (
        Check("First", fails, "never told"),
        Check("Second", breaks, "Try this"),
        Check("Third", lambda: "fine", ""),
    )
    monkeypatch.setattr(results, "__defaults__", (checks,))
    assert check.main() == 2
    out = capfd.readouterr().out
    assert "FAIL First       this is wrong. Do that." in out
    assert "FAIL Second      RuntimeError: unforeseen. Try this." in out
    assert "ok   Third       fine" in out
    assert "2 failed, in" in out


def test_python_is_too_old(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    with pytest.raises(CheckError, match=r"at least 3\.11 is needed") as error:
        check.check_python()
    assert "newer Python" in error.value.remedy


def test_a_package_is_missing(monkeypatch):
    def version(name):
        if name in ("nengo-dl", "scipy"):
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(check, "version", version)
    with pytest.raises(CheckError, match="scipy not installed") as error:
        check.check_packages()
    assert error.value.remedy == "Run: pip install scipy"


def test_keras_on_another_back_end(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(CheckError, match="Keras is set to run on 'jax'") as error:
        check.check_imports()
    assert "KERAS_BACKEND=tensorflow" in error.value.remedy


def test_xla_computes_something_else(monkeypatch):
    monkeypatch.setattr(backend, "by_xla", lambda _: 1.0)
    with pytest.raises(CheckError, match=r"XLA sums 0 to 99 to 1\.0, not 4950") as error:
        check.check_xla()
    assert "pip install" in error.value.remedy


def test_numbers_are_not_those_of_nengo(monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    with pytest.raises(CheckError, match=r"outputs differ from nengo\.Simulator's by up to"):
        check.check_run()


def test_training_does_not_reach_the_solution(monkeypatch):
    monkeypatch.setattr("nengo_dl.Simulator.freeze_params", lambda *_: None)
    with pytest.raises(CheckError, match="training ended with a loss of"):
        check.check_training()
