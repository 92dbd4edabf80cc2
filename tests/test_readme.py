"""The example of the README."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_the_example_learns_what_it_says(capsys):
    """It prints the smoothed output of spiking neurons, which is to be the square of 0.5."""
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    state = np.random.get_state()
    np.random.seed(0)
    try:
        namespace = {}
        exec(compile(source, str(README), "exec"), namespace)
    finally:
        np.random.set_state(state)
    printed = capsys.readouterr().out.strip().splitlines()[-1]
    output = namespace["sim"].data[namespace["smooth"]]
    assert output.shape == (50, 1000, 1)
    assert printed == str(output[0, -1])
    assert abs(output[:, 800:].mean() - 0.25) < 0.03
