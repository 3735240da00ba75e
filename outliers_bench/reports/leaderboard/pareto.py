"""Accuracy against cost: which methods nothing else beats in both."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outliers_bench.reports.leaderboard.axes import set_limits, set_ticks
from outliers_bench.reports.leaderboard.boards import Row, label, short_labels
from outliers_bench.reports.leaderboard.columns import heading, long_heading, number, range_text
from outliers_bench.reports.leaderboard.placing import write_names
from outliers_bench.reports.leaderboard.svg import embedded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = ("images_per_second", "search_ms_per_query", "index_bytes")
_MORE_IS_BETTER = ("images_per_second",)
_INCHES = (5.2, 3.9)
_FONT = 9
# Stand-ins that the page's style sheet gives its colours, so that dark mode reaches the plot.
_COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--faint)",
    "#030303": "var(--line)",
    "#040404": "var(--accent)",
    "#050505": "var(--dot)",
    "#060606": "var(--card)",
}
_INK, _FAINT, _LINE, _ACCENT, _DOT, _CARD = _COLOURS


@dataclass(frozen=True)
class Point:
    """A method in the plane of cost and accuracy."""

    label: str
    row: Row
    x: float
    y: float


def front(points: Sequence[Point], *, more_is_better: bool) -> list[Point]:
    """The points that no other beats in one and equals or beats in the other, cheapest first.

    Parameters
    ----------
    points : sequence of Point
    more_is_better : bool
        Whether a large x is good, as with a speed.
    """
    sign = -1 if more_is_better else 1
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (sign * point.x, -point.y)):
        twin = bool(kept) and (point.x, point.y) == (kept[-1].x, kept[-1].y)
        if not kept or point.y > kept[-1].y or twin:
            kept.append(point)
    return kept


def plot(rows: Sequence[Row], *, metric: str, cost: str, name: str) -> str | None:
    """Draw accuracy against a cost, the Pareto front as steps.

    Parameters
    ----------
    rows : sequence of Row
        Measured ones.
    metric, cost : str
        What goes up and what goes to the right (logarithmic).
    name : str
        What the picture's inner names begin with; they are unique on the page then.

    Returns
    -------
    str or None
        An `<svg>` element to stand in HTML; None where no row has both above zero.
    """
    import matplotlib as mpl

    points = [
        Point(_printable(text), row, row.metrics[cost], row.metrics[metric])
        for text, row in zip(short_labels(rows), rows, strict=True)
        if metric in row.metrics and row.metrics.get(cost, 0) > 0
    ]
    if not points:
        return None
    look: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": _FONT}
    with mpl.rc_context(look), warnings.catch_warnings():
        # The page's fonts may have what matplotlib's has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        file = io.StringIO()
        draw(points, metric, cost).savefig(file, format="svg", metadata={"Date": None})
    return embedded(
        file.getvalue(),
        name=name,
        colours=_COLOURS,
        titles={_gid(n): _told(point, metric, cost) for n, point in enumerate(points)},
        alt=f"{heading(metric)} against {long_heading(cost)}; the table above has every figure",
    )


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def draw(points: Sequence[Point], metric: str, cost: str) -> Figure:
    """The drawing itself."""
    # Not pyplot: it keeps its figures and chooses a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=72)  # as SVG counts, so that extents hold there
    figure.patch.set_visible(False)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    axes = figure.subplots()
    figure.subplots_adjust(left=0.115, right=0.985, top=0.975, bottom=0.13)
    _style(axes, metric, cost)
    ends = [end for point in points for end in (point.row.interval(metric) or (point.y,))]
    set_limits(axes, [point.x for point in points], [*ends, *(point.y for point in points)])
    set_ticks(figure, axes, cost)
    more_is_better = cost in _MORE_IS_BETTER
    best = front(points, more_is_better=more_is_better)
    _dots(axes, points, best, metric)
    # What is at least this good costs at least this much: level until the next better one.
    far = axes.get_xlim()[0 if more_is_better else 1]
    xs, ys = [point.x for point in best], [point.y for point in best]
    steps = list(
        zip(
            [x for x in (*xs, far) for _ in range(2)][1:],
            [y for y in ys for _ in range(2)] + [ys[-1]],
            strict=True,
        )
    )
    axes.plot(*zip(*steps, strict=True), color=_ACCENT, linewidth=1.4, zorder=3)
    write_names(
        axes,
        [(point.label, (point.x, point.y)) for point in reversed(best)],  # the most accurate first
        [(point.x, point.y) for point in points],
        steps,
        renderer,
        ink=_INK,
        lead=_FAINT,
    )
    return figure


def _style(axes: Axes, metric: str, cost: str) -> None:
    axes.set_facecolor("none")
    better = "more is better" if cost in _MORE_IS_BETTER else "less is better"
    axes.set_xlabel(f"{long_heading(cost)} (log; {better})", color=_FAINT)
    axes.set_ylabel(heading(metric), color=_FAINT)
    axes.grid(color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_FAINT, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_LINE)


def _dots(axes: Axes, points: Sequence[Point], best: Sequence[Point], metric: str) -> None:
    for position, point in enumerate(points):
        colour = _ACCENT if point in best else _DOT
        if (interval := point.row.interval(metric)) is not None:
            axes.plot([point.x] * 2, interval, color=colour, linewidth=1, alpha=0.5, zorder=2)
        dot = axes.plot([point.x], [point.y], "o", color=colour, markersize=6, zorder=4)[0]
        dot.set_markeredgecolor(_CARD)
        dot.set_gid(_gid(position))


def _gid(position: int) -> str:
    return f"dot-{position}-"


def _told(point: Point, metric: str, cost: str) -> str:
    interval = point.row.interval(metric)
    around = "" if interval is None else f" ({range_text(metric, interval)})"
    score = f"{heading(metric)} {number(metric, point.y)}{around}"
    name = _printable(label(point.row))
    return f"{point.row.rank}. {name}: {score}, {heading(cost)} {number(cost, point.x)}"
