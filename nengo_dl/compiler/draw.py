"""A program as a drawing: what runs once a chunk of time, what in each step, what depends on what.

Time flows down, stage by stage. A row is a group: its kind, how many operators it stands for, what
it reads (coloured by role) and what it writes. Lines at the right lead from what is written to what
reads it; those at the left, from the end of a step to the beginning of the next.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a program draws itself by what is here
    from .ir import Block, Group, Program, Read, Stage

WIDTH, MARGIN, LEFT, RIGHT = 840, 14, 46, 70  # [px]; beside the rows there is room for lines
ROW, LINE, HEAD, GAP = 42, 20, 34, 18
CHARACTER = 6.63  # width of one at a size of 11 px, in any monospaced font
SHOWN = 40  # groups of a stage; of others, the number is told
NAMES = 4  # of sources of one role, and of states that go on
ARCS = 9  # px between the lines at the right

COLOURS = {
    "parameter": "#1d5fa8",
    "adapted": "#7b3fa0",
    "state": "#b4560c",
    "constant": "#5c6670",
    "input": "#1b7a4b",
    "time": "#1b7a4b",
    "temporary": "#2b3137",
}
WORDS = {
    "parameter": "parameters",
    "adapted": "learned online",
    "state": "state",
    "constant": "constants",
    "input": "inputs",
    "time": "time",
}
COMPILED, USER, HOST = "#e4edf7", "#efe6f5", "#fbe3d3"
STYLE = (
    ".nd text{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11px;"
    "fill:#2b3137}.nd .h{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:13px;"
    "font-weight:600}.nd .k{font-weight:700}.nd path{fill:none;stroke:#8a949e;stroke-width:1.2}"
)


def save(program: Program, path: str | os.PathLike[str]) -> Path:
    """Write a drawing into a file; see `Program.save_drawing`."""
    path = Path(path)
    if path.suffix != ".svg":
        path = path.with_name(path.name + ".svg")
    # beside its place, so that the last step only renames: no reader finds half a file
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(draw(program))
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    return path


def runs_on_host(group: Group) -> bool:
    """Whether a group calls Python."""
    return not group.traits.compiled


def draw(program: Program) -> str:
    """The drawing of a program, as the source of an SVG.

    Parameters
    ----------
    program : Program

    Returns
    -------
    str
        An ``<svg>`` element, 840 pixels wide.
    """
    return _Drawing(program).source()


class _Drawing:
    """Puts one thing under the other, and remembers where groups are."""

    def __init__(self, program: Program) -> None:
        self.parts: list[str] = []
        self.y = float(MARGIN)
        self.made: dict[Block, float] = {}  # where a block is written
        self.links: list[tuple[float, float]] = []
        self.sources(program)
        for number, stage in enumerate(program.stages, 1):
            self.stage(stage, number)
        self.arcs()

    def source(self) -> str:
        """All of it."""
        height = self.y + MARGIN
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="nd" width="{WIDTH}" '
            f'height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
            f"<title>Compiled program</title><style>{STYLE}</style>"
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="6" fill="#fff"/>'
            f"{''.join(self.parts)}</svg>"
        )

    # ------------------------------------------------------------------ elements

    def text(self, x: float, y: float, text: str, kind: str = "", fill: str = "") -> None:
        """A line of text; y is that of its foot."""
        attributes = f' class="{kind}"' if kind else ""
        attributes += f' style="fill:{fill}"' if fill else ""
        self.parts.append(f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{escape(text)}</text>')

    def box(self, x: float, y: float, width: float, height: float, fill: str, line: str) -> None:
        """A rectangle."""
        self.parts.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="4" '
            f'fill="{fill}" stroke="{line}"/>'
        )

    def coloured(self, x: float, y: float, terms: Sequence[tuple[str, str]], room: float) -> None:
        """Terms in colours, as many as there is room for."""
        spans, left, whole = [], int(room / CHARACTER), ", ".join(word for word, _ in terms)
        for number, (word, colour) in enumerate(terms):
            word = word if number == 0 else f", {word}"
            if len(word) > left:
                spans.append("<tspan> …</tspan>")
                break
            left -= len(word)
            spans.append(f'<tspan style="fill:{colour}">{escape(word)}</tspan>')
        self.parts.append(
            f'<text x="{x:.0f}" y="{y:.0f}"><title>{escape(whole)}</title>{"".join(spans)}</text>'
        )

    def legend(self, *entries: tuple[str, str]) -> None:
        """What the colours of rows mean, at the right."""
        x = float(WIDTH - MARGIN)
        for word, fill in reversed(entries):
            x -= CHARACTER * len(word) + 4
            self.text(x, self.y + 13, word)
            x -= 18
            self.box(x, self.y + 3, 12, 12, fill, "#8a949e")
            x -= 14

    # ------------------------------------------------------------------ what there is

    def sources(self, program: Program) -> None:
        """A line for each role of what exists before a step."""
        title = "Arrays that exist before a step"
        self.text(MARGIN, self.y + 14, title, "h")
        self.legend(("compiled", COMPILED), ("your TensorFlow", USER), ("Python", HOST))
        self.y += HEAD - 6
        for role, word in WORDS.items():
            blocks = [b for b in program.layout.blocks if b.role.value == role]
            if not blocks:
                continue
            size = sum(b.size for b in blocks)
            self.text(LEFT, self.y + 11, word, "k", COLOURS[role])
            self.text(LEFT + 110, self.y + 11, f"{size:>11,}")
            terms = [(f"{short(b.name)} ({b.size:,})", COLOURS[role]) for b in blocks[:NAMES]]
            if len(blocks) > NAMES:
                terms.append((f"and {len(blocks) - NAMES} more", COLOURS[role]))
            self.coloured(LEFT + 205, self.y + 11, terms, WIDTH - LEFT - 205 - MARGIN)
            self.y += LINE
        self.y += GAP

    def stage(self, stage: Stage, number: int) -> None:
        """A frame around groups, what goes on to the next step, and what is recorded."""
        shown = stage.groups[:SHOWN]
        hidden = len(stage.groups) - len(shown)
        height = HEAD + ROW * len(shown) + LINE * (bool(hidden) + _notes(stage)) + 6
        line = "#b4560c" if stage.looped else "#1d5fa8"
        self.box(MARGIN, self.y, WIDTH - 2 * MARGIN, height, "#fafbfc", line)
        self.text(MARGIN + 12, self.y + 21, f"{number}. {_title(stage)}", "h", line)
        top = self.y + HEAD
        self.y = top
        for group in shown:
            self.group(group)
        if hidden:
            self.text(LEFT, self.y + 13, f"and {_counted(hidden, 'more group')}")
            self.y += LINE
        self.states(stage)
        if stage.looped and stage.carried:
            self.turn(top, self.y)
        self.probes(stage)
        self.y += 6 + GAP

    def group(self, group: Group) -> None:
        """A row."""
        host, right = runs_on_host(group), WIDTH - MARGIN - RIGHT
        fill = HOST if host else USER if group.traits.user_code else COMPILED
        self.box(LEFT, self.y, right - LEFT, ROW - 6, fill, "none")
        marks = ["Python"] if host else []
        marks += ["packed"] if group.packed else []
        marks += ["interleaved"] if group.interleaving is not None else []
        head = f"{group.kind} ×{len(group.ops):,}" + (f"  ({', '.join(marks)})" if marks else "")
        self.text(LEFT + 8, self.y + 14, head, "k")
        x = LEFT + 8 + 7.6 * max(len(head) + 2, 34)
        terms = [(f"→ {b.name} ({b.size:,})", COLOURS["temporary"]) for b in group.writes]
        if host:
            terms = [*terms, (group.ops[0].tag, COLOURS["state"])]
        self.coloured(x, self.y + 14, terms, right - x)
        reads = [term for read in group.reads for term in _terms(read)]
        self.coloured(LEFT + 8, self.y + 29, reads, right - LEFT - 16)
        middle = self.y + (ROW - 6) / 2
        self.link(group.reads, middle)
        self.made.update((block, middle) for block in group.writes)
        self.y += ROW

    def states(self, stage: Stage) -> None:
        """What becomes of state."""
        for block, read in stage.carried[:NAMES]:
            self.coloured(
                LEFT,
                self.y + 13,
                [(f"↺ {short(block.name)} ({block.size:,}) = {short(repr(read))}", "#b4560c")],
                WIDTH - LEFT - RIGHT,
            )
            self.link([read], self.y + 9)
            self.y += LINE

    def probes(self, stage: Stage) -> None:
        """What probes record, and what is not shown."""
        for output, read in stage.outputs[:NAMES]:
            name = f"● {short(str(output.key), 60)} = {short(repr(read))} ({read.size:,})"
            self.coloured(LEFT, self.y + 13, [(name, "#1b7a4b")], WIDTH - LEFT - RIGHT)
            self.link([read], self.y + 9)
            self.y += LINE
        more = _more(stage)
        if more:
            self.text(LEFT, self.y + 13, more)
            self.y += LINE

    # ------------------------------------------------------------------ lines

    def link(self, reads: Iterable[Read], y: float) -> None:
        """Remember from where to where a line leads."""
        blocks = dict.fromkeys(b for read in reads for b in read.blocks)
        self.links += [(self.made[b], y) for b in blocks if b in self.made]

    def arcs(self) -> None:
        """Lines at the right; the shorter, the closer to the rows, until there is no room."""
        x, lanes = WIDTH - MARGIN - RIGHT, int(RIGHT / ARCS) - 2
        for start, stop in self.links:
            lane = min(int((stop - start) / ROW), lanes)
            out = x + ARCS * (1 + lane)
            self.parts.append(
                f'<path d="M{x} {start:.0f}H{out - 5}q5 0 5 5V{stop - 5:.0f}q0 5 -5 5H{x}'
                f'm5 -3l-5 3l5 3"/>'
            )

    def turn(self, top: float, bottom: float) -> None:
        """The line from the end of a step back to its beginning."""
        x = MARGIN + 14
        self.parts.append(
            f'<path style="stroke:#b4560c" d="M{LEFT - 4} {bottom - 9:.0f}H{x + 6}q-6 0 -6 -6'
            f'V{top + 14:.0f}q0 -6 6 -6H{LEFT - 4}m-5 -3l5 3l-5 3"/>'
        )


def _title(stage: Stage) -> str:
    operators = sum(len(g.ops) for g in stage.groups)
    when = "in each step" if stage.looped else "once for all steps of a chunk of time"
    when = "once, as all steps are alike" if stage.still else when
    when = "once, for the last step alone" if stage.last else when
    how = ", as a single kernel" if stage.inline else ""
    what = f"{_counted(operators, 'operator')} in {_counted(len(stage.groups), 'group')}"
    return f"{'Loop: ' if stage.looped else ''}{when}{how}: {what}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _notes(stage: Stage) -> int:
    """Lines that `notes` takes."""
    shown = min(len(stage.carried), NAMES) + min(len(stage.outputs), NAMES)
    return shown + bool(_more(stage))


def _more(stage: Stage) -> str:
    hidden = {
        "states": len(stage.carried) - NAMES,
        "probes": len(stage.outputs) - NAMES,
    }
    parts = [f"{number} more {what}" for what, number in hidden.items() if number > 0]
    return f"and {', '.join(parts)}" if parts else ""


def _terms(read: Read) -> list[tuple[str, str]]:
    """What an argument is put together of, with the colour of its role."""
    terms = []
    for piece in read.pieces:
        role = "constant" if piece.block is None else piece.block.role.value
        terms.append((short(repr(piece)), COLOURS[role]))
    return terms


def short(name: str, most: int = 44) -> str:
    """A name of at most so many characters, without its middle if it has more."""
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
