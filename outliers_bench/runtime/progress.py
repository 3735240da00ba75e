"""Progress bars on standard error; silent where that is not a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], *, stage: str, total: int, unit: str = "images") -> Iterator[T]:
    """Pass items through and show how many have gone by, how fast, and how long it will take.

    Parameters
    ----------
    items : iterable
        What to pass through.
    stage : str
        The bar's name.
    total : int
        How many items are expected.
    unit : str
        What is counted, for the rate.
    """
    if total <= 1:  # one step is no progress, and rich takes a tenth of a second to import
        yield from items
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:  # nobody to see a bar, and its thread takes milliseconds to start
        yield from items
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
            return Text("" if speed is None else f"{speed:,.0f} {unit}/s")

    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as progress:
        yield from progress.track(items, total=total, description=stage)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show that something is going on whose length nobody knows."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


@contextmanager
def counted(total: int | None, *, unit: str = "steps") -> Iterator[Callable[[int, str], None]]:
    """A bar that is moved by hand: yields a function of how many are done and what is going on.

    Parameters
    ----------
    total : int or None
        How many there are; None where nobody knows.
    unit : str
        What is counted, for the rate.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)
        yield lambda done, text: progress.update(task, completed=done, description=text)
