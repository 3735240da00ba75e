"""The tables of docs/speed.md and of the README, from what `python -m benchmarks` has written."""

from benchmarks.report.pages import fill, lacking
from benchmarks.report.tables import markdown
from benchmarks.report.telling import telling
from benchmarks.report.terminal import terminal

__all__ = ["fill", "lacking", "markdown", "telling", "terminal"]
