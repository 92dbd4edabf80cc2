"""Progress bars, in a terminal and in Jupyter; nothing at all where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import nengo.utils.progress
from nengo.exceptions import ValidationError
from nengo.utils.progress import ProgressBar as NengoProgressBar
from nengo.utils.progress import ProgressTracker

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

Item = TypeVar("Item")

REFRESH_PER_SECOND = 10
PATIENCE = 2.0  # seconds after which a notebook shows that something takes long
SHOWN_TO_NENGO = ("Build", "Simulation")  # one stage a call: its bars are closed at the end


class Progress:
    """Shows how far the stages of a longer task have come.

    Parameters
    ----------
    progress_bar : bool, "always" or nengo.utils.progress.ProgressBar, default True
        True: show progress if standard output is a terminal; in a Jupyter notebook, by one line for
        all stages, if they take seconds. False: print nothing. ``"always"``: report the end of each
        stage, also when standard output is a file or a pipe. A progress bar of Nengo's is shown the
        building and the simulation.

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

    def __init__(self, progress_bar: bool | str | NengoProgressBar = True):
        self._bar = progress_bar if isinstance(progress_bar, NengoProgressBar) else None
        if self._bar is not None:
            progress_bar = False
        if progress_bar not in (True, False, "always"):
            raise ValidationError(
                f"got {progress_bar!r}, expected True, False, 'always' or a ProgressBar of Nengo's",
                attr="progress_bar",
                obj=self,
            )
        notebook = progress_bar is True and _in_notebook()
        self._line = NotebookLine() if notebook else None
        self._terminal = progress_bar is not False and _in_terminal()
        self.visible = notebook or self._terminal or progress_bar == "always"

    def stage(
        self, name: str, total: int | None = None
    ) -> Stage | NengoStage | NotebookStage | SilentStage:
        """Begin a stage.

        Parameters
        ----------
        name : str
            What is being done, as in "Build" or "Simulation".
        total : int, default None
            Number of steps. None: not known (yet).

        Returns
        -------
        Stage, NengoStage, NotebookStage or SilentStage
            To be used in a ``with`` statement. It is also what Nengo's builder accepts as
            ``progress=``.
        """
        if self._bar is not None and name in SHOWN_TO_NENGO:
            return NengoStage(self._bar, name, total)
        if not self.visible:
            return SilentStage(total)
        if self._line is not None:
            return NotebookStage(self._line, name, total)
        return Stage(name, total, animate=self._terminal)


class ProgressBar:
    """Progress of the user's own loops, shown as the simulator's; as the original had it.

    Parameters
    ----------
    present : str
        What is done, as in "Build".
    past : str, optional
        Taken as in the original, and not shown.
    max_value : int or None
        Number of steps; None if not known.

    Examples
    --------
    >>> with ProgressBar("Load", max_value=2) as bar:
    ...     for _ in bar([1, 2]):
    ...         pass
    """

    def __init__(self, present: str = "", past: str | None = None, max_value: int | None = 1):
        self._stage = Progress().stage(present, max_value)

    @property
    def max_steps(self) -> int | None:
        """Number of steps; None if not known. Also called `max_value`. Can be set."""
        return self._stage.max_steps

    @max_steps.setter
    def max_steps(self, value: int | None) -> None:
        self._stage.max_steps = value

    max_value = max_steps

    def __enter__(self) -> ProgressBar:
        self._stage.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stage.__exit__(exc_type, exc, traceback)

    def __call__(self, items: Iterable[Item]) -> Iterator[Item]:
        """Go through items, with a step after each."""
        for item in items:
            yield item
            self.step()

    def sub(
        self, msg: str | None = None, past: str | None = None, max_value: int | None = 1
    ) -> ProgressBar:
        """Begin a part of the task, shown by a bar of its own."""
        return ProgressBar(msg or "", past, max_value)

    def step(self, n: int = 1) -> None:
        """Say that ``n`` more steps were done."""
        self._stage.step(n)


def stage_of(
    progress_bar: bool | str | NengoProgressBar, name: str, total: int | None = None
) -> Stage | NengoStage | NotebookStage | SilentStage:
    """Begin a stage of a task that has only one; arguments as of `Progress` and its `stage`."""
    return (
        SilentStage(total) if progress_bar is False else Progress(progress_bar).stage(name, total)
    )


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

    def __exit__(self, *exc_info: object) -> None:
        pass

    def step(self, n: int = 1) -> None:
        """Do nothing."""


class NotebookLine:
    """One line below a cell of a Jupyter notebook, for stages that take long.

    It is written over and over, in one place, and says in the end how long all took. What takes
    less than `PATIENCE` shows nothing at all.
    """

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._begun: tuple[str, float] | None = None

    def begin(self, name: str, now: float) -> None:
        """Note the name and the time of the first stage."""
        self._begun = self._begun or (name, now)

    def show(self, text: str) -> None:
        """Write over what is there."""
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(text), display_id=True)
        else:
            self._handle.update(HTML(text))

    def end(self, now: float) -> None:
        """Say how long it took since the first stage began, if something was shown."""
        if self._handle is not None and self._begun is not None:
            name, start = self._begun
            self.show(f"{name} finished in {timedelta(seconds=int(now - start))}")


class NotebookStage:
    """A stage whose progress a line in a notebook shows; see `Stage`, which shows it elsewhere.

    Parameters
    ----------
    line : NotebookLine
    name : str
        What is being done.
    total : int, default None
        Number of steps; None if not known.
    """

    def __init__(self, line: NotebookLine, name: str, total: int | None = None):
        self.max_steps = total
        self._line, self._name = line, name
        self._done = self._depth = 0
        self._start = self._next = 0.0

    def __enter__(self) -> NotebookStage:
        if self._depth == 0:
            self._start = time.perf_counter()
            self._next = self._start + PATIENCE
            self._line.begin(self._name, self._start)
        self._depth += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._line.end(time.perf_counter())

    def step(self, n: int = 1) -> None:
        """Say that ``n`` more steps were done."""
        self._done += n
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + 1 / REFRESH_PER_SECOND
        elapsed = timedelta(seconds=int(now - self._start))
        share = f"{self._done / self.max_steps:.0%}, " if self.max_steps else ""
        self._line.show(f"{self._name}: {share}{elapsed}")


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

    def __init__(self, bar: NengoProgressBar, name: str, total: int | None = None):
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

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._show()
            self._tracker.__exit__(exc_type, exc, traceback)

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
        return self._bars.tasks[0].total  # type: ignore[return-value]  # the int it was given

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
