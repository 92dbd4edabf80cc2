"""Programs as drawings."""

import os
import xml.etree.ElementTree as ElementTree

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import draw
from nengo_dl.kernels import CATALOGUE
from tests.networks import NETWORKS


def text_of(svg):
    """Return all text to be seen in a drawing; parsing it shows that it is well-formed."""
    words = []
    for element in ElementTree.fromstring(svg).iter():
        if element.tag.endswith(("text", "tspan")) and element.text:
            words.append(element.text)
    return " ".join(words)


@pytest.fixture(scope="module")
def program():
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.sin, label="x")
        a = nengo.Ensemble(20, 1, label="a")
        node = nengo.Node(lambda t, x: x, size_in=1, label="<feedback> & more")
        nengo.Connection(x, a, synapse=None)
        nengo.Connection(a, node)
        nengo.Connection(node, a)
        nengo.Probe(a.neurons, label="p")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        return sim.program


def test_it_shows_stages_groups_sizes_and_calls_of_python(program):
    svg = program._repr_svg_()
    text = text_of(svg)
    assert "Loop: in each step" in text
    assert f"{len(program.ops)} operators in {len(program.groups)} groups" in text
    assert "a.encoders (20)" in text
    assert "python ×1  (Python)" in text
    assert "of <Node '<feedback> & more'>" in text
    assert text.count("↺") == sum(len(stage.carried) for stage in program.stages)
    assert text.count("●") == 1
    assert svg.count("<path") > len(program.groups) // 2


def test_it_says_what_is_not_drawn(program, monkeypatch):
    monkeypatch.setattr(draw, "SHOWN", 2)
    monkeypatch.setattr(draw, "NAMES", 1)
    text = text_of(draw.draw(program))
    assert f"and {len(program.groups) - 2} more groups" in text
    assert "more states" in text


def test_it_is_written_whole_or_not_at_all(program, tmp_path, monkeypatch):
    written = program.save_drawing(tmp_path / "drawing")
    assert written == tmp_path / "drawing.svg"
    assert text_of(written.read_text(encoding="utf-8")) == text_of(program._repr_svg_())

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        program.save_drawing(tmp_path / "another.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["drawing.svg"]


@pytest.mark.parametrize("name", list(NETWORKS))
def test_all_networks_can_be_drawn(name):
    """And what is said to call Python is what the kernels say."""
    net = NETWORKS[name]()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for program in (sim.program, sim.strategy.program):
            text_of(draw.draw(program))
            for group in program.groups:
                assert draw.runs_on_host(group) == (not CATALOGUE.traits(group).compiled)
