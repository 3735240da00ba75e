"""Progress bars on standard error, or in a notebook; silent if there is neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")
_visible = ContextVar("visible", default=True)
_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)


@contextmanager
def progress_shown(visible: bool) -> Iterator[None]:
    """Show progress within a `with` block, or not."""
    token = _visible.set(visible)
    try:
        yield
    finally:
        _visible.reset(token)


def _console() -> Console | None:
    """Return where to show progress, if anywhere."""
    if not _visible.get():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal or console.is_jupyter else None


def track(items: Iterable[T], *, stage: str, total: int, unit: str = "images") -> Iterator[T]:
    """Yield items and show a bar named `stage`; see `progress_bar`."""
    if total <= 1:  # nothing to show, and rich takes a tenth of a second to import
        yield from items
        return
    with progress_bar(total, unit=unit) as show:
        show(0, stage)
        for done, item in enumerate(items, 1):
            yield item
            show(done, stage)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a spinner next to a text, for work of unknown duration."""
    if (console := _console()) is None:
        yield
        return
    with console.status(text):
        yield


@contextmanager
def progress_bar(total: int | None, *, unit: str = "steps") -> Iterator[Callable[[int, str], None]]:
    """Show a bar with the rate and the remaining time; yield the function that updates it.

    The function takes the number of finished steps and a description of the current one. The bar of
    a step, such as a block of queries, is below that of all steps until the step is finished.

    Parameters
    ----------
    total : int or None
        Number of steps; None if unknown.
    unit : str
        Unit of the count.
    """
    if (console := _console()) is None:  # the thread of a bar takes milliseconds to start
        yield lambda *_: None
        return
    if (around := _shown.get()) is not None:
        step = around.add_task("", total=total, unit=unit)
        try:
            yield lambda done, text: around.update(step, completed=done, description=text)
        finally:
            around.remove_task(step)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            shown = task.fields["unit"]
            return Text(shown if speed is None else f"{shown}, {speed:,.0f}/s")

    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, unit=unit)
        _shown.set(progress)
        try:
            yield lambda done, text: progress.update(task, completed=done, description=text)
        finally:
            _shown.set(None)
