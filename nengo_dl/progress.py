"""Progress bars, in a terminal and in Jupyter; nothing at all where nobody looks."""

from __future__ import annotations

import importlib.util
import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import Any

import nengo.utils.progress
from nengo.exceptions import ValidationError
from nengo.utils.progress import ProgressBar, ProgressTracker

REFRESH_PER_SECOND = 10
SHOWN_TO_NENGO = ("Build", "Simulation")  # one stage a call: its bars are closed at the end


class Progress:
    """Shows how far the stages of a longer task have come.

    Parameters
    ----------
    progress_bar : bool, "always" or nengo.utils.progress.ProgressBar, default True
        True: show progress if standard output is a terminal or a Jupyter notebook. False: print
        nothing. ``"always"``: also report the end of each stage when standard output is a file or
        a pipe. A progress bar of Nengo's is shown the building and the simulation.

    Raises
    ------
    ValidationError
        If ``progress_bar`` is another value.

    Examples
    --------
    >>> progress = Progress("always")
    >>> with progress.stage("Build", total=100) as stage:
    ...     for _ in range(100):
    ...         stage.step()
    Build finished in 0:00:00
    """

    def __init__(self, progress_bar: bool | str | ProgressBar = True):
        self._bar = progress_bar if isinstance(progress_bar, ProgressBar) else None
        if self._bar is not None:
            progress_bar = False
        if progress_bar not in (True, False, "always"):
            raise ValidationError(
                f"got {progress_bar!r}, expected True, False, 'always' or a ProgressBar of Nengo's",
                attr="progress_bar",
                obj=self,
            )
        self._notebook = progress_bar is not False and _in_notebook()
        self._terminal = progress_bar is not False and _in_terminal()
        self.visible = self._notebook or self._terminal or progress_bar == "always"

    def stage(self, name: str, total: int | None = None) -> Stage | NengoStage | SilentStage:
        """Begin a stage.

        Parameters
        ----------
        name : str
            What is being done, as in "Build" or "Simulation".
        total : int, default None
            Number of steps. None: not known (yet).

        Returns
        -------
        Stage, NengoStage or SilentStage
            To be used in a ``with`` statement. It is also what Nengo's builder accepts as
            ``progress=``.
        """
        if self._bar is not None and name in SHOWN_TO_NENGO:
            return NengoStage(self._bar, name, total)
        if not self.visible:
            return SilentStage(total)
        # Jupyter can only animate with ipywidgets; without them, rich prints a warning.
        widgets = self._notebook and importlib.util.find_spec("ipywidgets") is not None
        return Stage(name, total, animate=self._terminal or widgets)


class SilentStage:
    """A stage that shows nothing, and costs nothing.

    Parameters
    ----------
    max_steps : int, default None
        Number of steps; None if not known.
    """

    __slots__ = ("max_steps",)

    def __init__(self, max_steps: int | None = None):
        self.max_steps = max_steps

    def __enter__(self) -> SilentStage:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        pass

    def step(self, n: int = 1) -> None:
        """Do nothing."""


class NengoStage:
    """A stage that a progress bar of Nengo's shows.

    Parameters
    ----------
    bar : nengo.utils.progress.ProgressBar
        What shows it; closed at the end.
    name : str
        What is being done.
    total : int, default None
        Number of steps; None if not known.
    """

    def __init__(self, bar: ProgressBar, name: str, total: int | None = None):
        self._steps = nengo.utils.progress.Progress(name, max_steps=total)
        self._tracker = ProgressTracker(bar, self._steps)
        self._depth = 0
        self._shown = False

    @property
    def max_steps(self) -> int | None:
        """Number of steps (int); None if not known. Can be set at any time."""
        return self._steps.max_steps

    @max_steps.setter
    def max_steps(self, value: int | None) -> None:
        self._steps.max_steps = value

    def __enter__(self) -> NengoStage:
        self._depth += 1
        # Nengo's builder says how many steps there are, then enters the stage itself
        if self._depth == 2 or self._steps.max_steps is not None:
            self._show()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._show()
            self._tracker.__exit__(*exc_info)

    def _show(self) -> None:
        if not self._shown:
            self._shown = True
            self._tracker.__enter__()

    def step(self, n: int = 1) -> None:
        """Say that ``n`` more steps were done."""
        self._steps.step(n)


class Stage:
    """A stage that is shown as a bar, then as one line with the time that it took.

    It can be entered while it is: Nengo's builder enters the object that it is given. The stage
    ends when the outermost ``with`` does. If that is by an exception, no line is printed.

    Parameters
    ----------
    name : str
        What is being done.
    total : int, default None
        Number of steps; None if not known.
    animate : bool, default True
        Whether to show the bar.
    """

    def __init__(self, name: str, total: int | None = None, animate: bool = True):
        # rich takes a while to import, and silent runs do without.
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._name = name
        self._depth = 0
        self._start = 0.0
        self._console = Console()
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
            disable=not animate,
        )
        self._task = self._bars.add_task(name, start=False, total=total)

    @property
    def max_steps(self) -> int | None:
        """Number of steps (int); None if not known. Can be set at any time."""
        return self._bars.tasks[0].total

    @max_steps.setter
    def max_steps(self, value: int | None) -> None:
        self._bars.update(self._task, total=value)

    def __enter__(self) -> Stage:
        if self._depth == 0:
            self._start = time.perf_counter()
            self._bars.start()
            self._bars.start_task(self._task)
        self._depth += 1
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._bars.stop()
        if exc_type is None:
            elapsed = timedelta(seconds=int(time.perf_counter() - self._start))
            self._console.print(f"{self._name} finished in {elapsed}", highlight=False)

    def step(self, n: int = 1) -> None:
        """Say that ``n`` more steps were done."""
        self._bars.advance(self._task, n)


def _in_terminal() -> bool:
    # There is no standard output in a program without a console on Windows.
    return sys.stdout is not None and sys.stdout.isatty()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")
