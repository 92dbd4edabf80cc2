"""Progress bars: when they show, what they leave behind, and that silence is cheap."""

import io
import re
import sys
import time
import types

import nengo
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.session.progress import Progress, SilentStage


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Replaces standard output; called in the test, since pytest captures anew after fixtures."""

    def open_terminal():
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stdout", Terminal())
        return sys.stdout

    return open_terminal


def plain(text):
    """The text without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_false_prints_nothing(capfd, open_terminal):
    terminal = open_terminal()
    with Progress(False).stage("Build", total=3) as stage:
        stage.step()
        stage.max_steps = 10
        stage.step(2)
    assert terminal.getvalue() == ""
    assert capfd.readouterr() == ("", "")


def test_silent_where_nobody_looks(capfd):
    progress = Progress()
    with progress.stage("Build") as stage:
        stage.step()
    assert isinstance(stage, SilentStage) and not progress.visible
    assert capfd.readouterr() == ("", "")


def test_always_leaves_one_line(capsys):
    with Progress("always").stage("Build", total=2) as stage:
        stage.step()
    assert capsys.readouterr().out == "Build finished in 0:00:00\n"


@pytest.mark.parametrize("name", ["Build", "Optimization", "Construction", "Simulation"])
def test_terminal_shows_a_bar_and_then_a_line(open_terminal, name):
    terminal = open_terminal()
    with Progress().stage(name, total=4) as stage:
        stage.step()
        stage.step(3)
    text = plain(terminal.getvalue())
    assert "100%" in text
    assert text.endswith(f"{name} finished in 0:00:00\n")
    assert text.count("finished") == 1


def test_line_tells_the_time(monkeypatch, capsys):
    now = iter([0.0, 3725.9])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    with Progress("always").stage("Simulation"):
        pass
    assert capsys.readouterr().out == "Simulation finished in 1:02:05\n"


def test_no_line_after_an_exception(open_terminal):
    terminal = open_terminal()
    with pytest.raises(KeyboardInterrupt):
        with Progress().stage("Simulation", total=4) as stage:
            stage.step()
            raise KeyboardInterrupt
    assert "finished" not in terminal.getvalue()


def test_stages_follow_each_other(capsys):
    progress = Progress("always")
    for name in ("Build", "Construction"):
        with progress.stage(name):
            pass
    assert capsys.readouterr().out.splitlines() == [
        "Build finished in 0:00:00",
        "Construction finished in 0:00:00",
    ]


@pytest.mark.parametrize("progress_bar", [False, True, "always"])
def test_drives_the_builder_of_nengo(progress_bar, open_terminal):
    terminal = open_terminal()
    with nengo.Network() as net:
        with nengo.Network():
            nengo.Ensemble(5, 1)
        nengo.Connection(nengo.Node([0]), net.all_ensembles[0])
    with Progress(progress_bar).stage("Build") as stage:
        nengo.builder.Model().build(net, progress=stage)
        assert stage.max_steps == len(net.all_objects) + 1
    assert plain(terminal.getvalue()).count("Build finished in 0:00:00\n") == bool(progress_bar)


def test_max_steps_can_become_known(open_terminal):
    open_terminal()
    with Progress().stage("Build") as stage:
        assert stage.max_steps is None
        stage.max_steps = 5
        assert stage.max_steps == 5


def test_refreshes_seldom(open_terminal):
    terminal = open_terminal()
    with Progress().stage("Simulation", total=20_000) as stage:
        for _ in range(20_000):
            stage.step()
    assert terminal.getvalue().count("Simulation") < 100


class Notebook:
    """Stands for IPython in a notebook: remembers what is below a cell, output by output."""

    def __init__(self, monkeypatch):
        self.outputs, self.updates = [], 0
        shell = types.SimpleNamespace(kernel=None)
        ipython = types.SimpleNamespace(get_ipython=lambda: shell)
        module = types.SimpleNamespace(HTML=str, display=self.display)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", module)

    def display(self, text, display_id):
        assert display_id
        number = len(self.outputs)
        self.outputs.append(text)
        return types.SimpleNamespace(update=lambda new: self.update(number, new))

    def update(self, number, text):
        self.outputs[number] = text
        self.updates += 1


def test_notebooks_show_nothing_of_what_is_quick(monkeypatch, capfd):
    notebook = Notebook(monkeypatch)
    progress = Progress()
    assert progress.visible
    for name in ("Build", "Optimization", "Construction"):
        with progress.stage(name, total=2) as stage:
            with stage:  # as Nengo's builder does
                stage.step()
                stage.max_steps = 3
    assert notebook.outputs == [] and capfd.readouterr() == ("", "")


def test_notebooks_have_one_line_for_all_stages(monkeypatch, capfd):
    notebook, now = Notebook(monkeypatch), [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    progress = Progress()
    stages = [("Build", 4, "Build: 50%, 0:00:02"), ("Construction", None, "Construction: 0:00:02")]
    for number, (name, total, shown) in enumerate(stages):
        with progress.stage(name, total) as stage:
            stage.step()
            now[0] += 2.4
            stage.step()
            assert notebook.outputs == [shown]
            stage.step()  # at once: not shown
            assert notebook.outputs == [shown]
        assert notebook.outputs == [f"Build finished in 0:00:0{(2, 4)[number]}"]
    assert notebook.updates == 3 and capfd.readouterr() == ("", "")


def test_always_prints_lines_in_notebooks_too(monkeypatch, capsys):
    notebook = Notebook(monkeypatch)
    with Progress("always").stage("Build"):
        pass
    assert notebook.outputs == [] and capsys.readouterr().out == "Build finished in 0:00:00\n"


def test_without_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with Progress().stage("Build") as stage:
        stage.step()


def test_silent_step_takes_microseconds():
    stage = Progress(False).stage("Simulation")
    start = time.perf_counter()
    for _ in range(10_000):
        stage.step()
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("value", ["sometimes", None, 2])
def test_other_values_are_rejected(value):
    with pytest.raises(ValidationError, match="expected True, False, 'always'"):
        Progress(value)


def test_progress_bars_of_nengo_are_shown_building_and_simulation():
    class Bar(nengo.utils.progress.ProgressBar):
        def __init__(self):
            self.seen, self.closed = None, False

        def update(self, progress):
            assert not self.closed
            self.seen = (progress.n_steps, progress.max_steps)

        def close(self):
            self.closed = True

    bar = Bar()
    progress = Progress(bar)
    with progress.stage("Build", 3) as stage:
        with stage:  # as Nengo's builder does
            stage.max_steps = 4
            stage.step(4)
    with progress.stage("Optimization"):
        pass
    assert bar.closed and bar.seen == (4, 4)
