"""The examples of the README and of the documentation."""

import re
from pathlib import Path

import numpy as np

from nengo_dl.config.per_object import resolve_trainable_synapses
from nengo_dl.config.training_spikes import resolve_training_spikes
from nengo_dl.surrogate import Arctangent, Rates

README = Path(__file__).parents[2] / "README.md"
TRAINING = README.parent / "docs" / "howto" / "training.md"


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


def test_what_the_page_on_training_shows(recwarn):
    """Settings are accepted, and a surrogate of the user's own is a surrogate."""
    cell = r"```\{code-cell\} ipython3\n(?::tags:[^\n]*\n)?(.*?)```"
    blocks = re.findall(cell, TRAINING.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 8
    namespace = {}
    for source in blocks:
        exec(compile(source, str(TRAINING), "exec"), namespace)
    assert not recwarn.list
    net, bell = namespace["net"], namespace["Bell"]()
    chosen = resolve_training_spikes(net)
    assert chosen(namespace["a"]) == Arctangent(slope=5)
    assert chosen(namespace["b"]) == Rates()
    np.testing.assert_allclose(bell.derivative(np.array([0, 0.2, -0.4])), [1, 0.5, 1 / 16])
    assert resolve_trainable_synapses(net).setting(namespace["conn"]) == "per_dimension"
