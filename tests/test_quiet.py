"""What a script and a notebook show of importing, building and running: nothing of TensorFlow's."""

import os
import re
import subprocess
import sys

import pytest

from nengo_dl.runtimes import quiet

USE = """
import nengo, nengo_dl
with nengo.Network() as net:
    nengo.Probe(nengo.Ensemble(5, 1))
with nengo_dl.Simulator(net) as sim:
    sim.run(0.05)
"""
FINISHED = r"(Build|Simulation) finished in \d+:\d\d:\d\d"
INFORMATION = re.compile("^I[0-9]{4} |absl::InitializeLog|To enable the following", re.MULTILINE)


def run(code, **environment):
    """Return what a Python process prints, on standard output and error."""
    clean = {k: v for k, v in os.environ.items() if k != quiet.LEVEL}
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout, process.stderr


def test_a_script_prints_nothing_of_tensorflow():
    out, errors = run(USE)
    assert out == "" and not INFORMATION.search(errors)


def test_what_is_not_information_is_printed():
    """No warning or error of TensorFlow or Python gets lost, nor what comes later."""
    code = """
import os, sys
from nengo_dl.runtimes.quiet import without_information
del os.environ["TF_CPP_MIN_LOG_LEVEL"]
for name in [name for name in sys.modules if name.startswith("tensorflow")]:
    del sys.modules[name]
with without_information():
    for line in ("I0000 information", "W0000 warning", "E0000 error", "F0000 fatal"):
        os.write(2, (line + "\\n").encode())
    print("of Python", file=sys.stderr)
os.write(2, b"I0000 later\\n")
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""
    out, errors = run(code)
    lines = ["W0000 warning", "E0000 error", "F0000 fatal", "of Python", "I0000 later"]
    assert out == "1\n" and errors.splitlines()[-5:] == lines


def test_the_level_that_the_user_set_stands():
    code = "import os; from nengo_dl import losses; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    out, errors = run(code, **{quiet.LEVEL: "0"})
    assert out == "0\n" and INFORMATION.search(errors)


def test_a_notebook_shows_nothing_or_one_quiet_line():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(source) for source in USE.strip().split("\nwith ", 1)]
    cells[1].source = "with " + cells[1].source
    again = cells[1].source.rpartition("with nengo_dl")
    cells.append(nbformat.v4.new_code_cell("".join(again[1:]) + "\n    sim.run(0.05)"))
    notebook = nbformat.v4.new_notebook(cells=cells)
    clean = {k: v for k, v in os.environ.items() if k != quiet.LEVEL}
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300).execute(env=clean)
    for cell in notebook.cells:
        lines = [o.data["text/html"] for o in cell.outputs if o.output_type == "display_data"]
        # nothing, or what took seconds: building, and a run
        assert len(lines) <= 2 and all(re.fullmatch(FINISHED, line) for line in lines)
        streams = [o for o in cell.outputs if o.output_type != "display_data"]
        assert all(o.name == "stderr" and not INFORMATION.search(o.text) for o in streams)
