"""Tables as text, and numbers as people read them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 120
PREFIXES = ((1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def as_text(*parts: RenderableType, width: int = WIDTH) -> str:
    """What `rich` prints of some parts, without colours."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False)
    for part in parts:
        console.print(part)
    return text.getvalue().rstrip("\n")


def si(value: float, unit: str) -> str:
    """A number with three digits, and a prefix of the unit."""
    if value == 0 or value >= 1:
        return f"{value:.3g} {unit}"
    for factor, prefix in PREFIXES:
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value / 1e-12:.3g} p{unit}"
