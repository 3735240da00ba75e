"""Tables of docs/speed.md and the README, from the results of `python -m benchmarks`."""

from benchmarks.report.pages import find_problem, replace_between_markers
from benchmarks.report.readme_rows import readme_rows
from benchmarks.report.tables import markdown
from benchmarks.report.terminal import terminal

__all__ = ["find_problem", "markdown", "readme_rows", "replace_between_markers", "terminal"]
