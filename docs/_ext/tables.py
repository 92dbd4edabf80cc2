"""Parts of the reference that are made from what there is: settings, neuron types, the changelog.

```{nengo-dl-settings}
```
```{nengo-dl-neurons}
```
```{nengo-dl-changelog}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"


def _markdown(text: str) -> str:
    """Names as docstrings mark them, in Markdown."""
    text = re.sub(r"``(.+?)``", r"<<\1>>", text)
    text = re.sub(r"`\.?(.+?)`", r"<<\1>>", text)
    return text.replace("<<", "`").replace(">>", "`")


def settings_table() -> Iterator[str]:
    """One row for each option of `configure_settings`, from its declaration."""
    from nengo_dl.config.settings import OPTIONS

    yield _row("option", "accepts", "default", "what it does")
    yield _row("---", "---", "---", "---")
    trainable = (
        "Whether training may change the parameters in this network, and in those within it that "
        "say nothing else; then `net.config[nengo.Ensemble].trainable` and `net.config[ens]."
        "trainable` choose for types and objects. None: no opinion."
    )
    yield _row("`trainable`", "True, False or None", "no opinion: trainable", trainable)
    for name, option in OPTIONS.items():
        rule, doc = option.metadata["rule"], option.metadata["doc"]
        accepts = rule.expects.rstrip(",")
        yield _row(f"`{name}`", _markdown(accepts), f"`{option.default!r}`", _markdown(doc))


def neurons_table() -> Iterator[str]:
    """One row for each neuron type that has a kernel, from what the kernel declares."""
    from nengo_dl.kernels.registry import neuron_types

    yield _row("neuron type", "runs", "in simulation", "trains by default", "with a surrogate")
    yield _row("---", "---", "---", "---", "---")
    for nengo_type, kernel in neuron_types().items():
        module = "nengo_dl" if nengo_type.__module__.startswith("nengo_dl") else "nengo"
        yield _row(
            f"`{module}.{nengo_type.__name__}`",
            _where(kernel),
            _simulation(kernel),
            _rates(kernel),
            _surrogate(kernel),
        )
    own = "a type of your own", "on the host", "Nengo's own step, item by item", "the same step, "
    yield _row(*own[:3], own[3] + "without a gradient", "the same step, without a gradient")


def _where(kernel: type) -> str:
    if kernel.kind == "drawn_spikes":
        return "rates compiled; spikes drawn on the host"
    return "compiled, with numbers drawn ahead" if kernel.draws else "compiled"


def _simulation(kernel: type) -> str:
    what = "spikes" if kernel.spiking else "rates"
    return what + (f"; state: {', '.join(kernel.states)}" if kernel.states else "")


def _rates(kernel: type) -> str:
    if not kernel.spiking:
        return "as in simulation, differentiable"
    if not kernel.rated:
        return "spikes, without a gradient: its rate has no closed form"
    if kernel.rate_states:
        return f"rates; {', '.join(kernel.rate_states)} goes on, by rates"
    return "rates" + ("; state stands still" if kernel.states else "")


def _surrogate(kernel: type) -> str:
    if not kernel.spiking:
        return "no difference"
    if kernel.kind == "drawn_spikes":
        return "spikes, with the gradient of the rate"
    if kernel.draws:
        return "spikes, with a surrogate through what the dice decide"
    differentiable = [name for name in kernel.states if name != "refractory_time"]
    return f"spikes, with a surrogate through {' and '.join(differentiable)}"


class _Table(SphinxDirective):
    rows = staticmethod(settings_table)

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.rows()))


class Changelog(SphinxDirective):
    """The changelog, whose links lead from the root of the repository."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(CHANGELOG))
        text = CHANGELOG.read_text(encoding="utf-8").removeprefix("# Changelog")
        text = re.sub(r"\(docs/(?:howto/)?(\w+)\.md", r"(/howto/\1.md", text)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Settings(_Table):
    rows = staticmethod(settings_table)


class NeuronTypes(_Table):
    rows = staticmethod(neurons_table)


def setup(app: Sphinx) -> dict:
    app.add_directive("nengo-dl-settings", Settings)
    app.add_directive("nengo-dl-neurons", NeuronTypes)
    app.add_directive("nengo-dl-changelog", Changelog)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
