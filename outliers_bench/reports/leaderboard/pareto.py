"""Accuracy against cost: which methods nothing else beats in both."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from outliers_bench.reports.leaderboard.boards import Row, short_labels
from outliers_bench.reports.leaderboard.columns import heading, long_heading, number, range_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

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
_AWAY = (6, 16, 28, 42, 58)  # points between a dot and its label, nearest first
_DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (0, -1))


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
    # Not pyplot: it keeps its figures and chooses a window system.
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = short_labels(rows)
    points = [
        Point(label, row, row.metrics[cost], row.metrics[metric])
        for label, row in zip(labels, rows, strict=True)
        if metric in row.metrics and row.metrics.get(cost, 0) > 0
    ]
    if not points:
        return None
    best = front(points, more_is_better=cost in _MORE_IS_BETTER)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": _FONT}):
        figure = Figure(figsize=_INCHES, dpi=72)  # as SVG counts, so that extents hold there
        figure.patch.set_visible(False)
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        axes = figure.subplots()
        figure.subplots_adjust(left=0.115, right=0.985, top=0.975, bottom=0.13)
        _style(axes, metric, cost, points)
        _draw(axes, points, best, metric, more_is_better=cost in _MORE_IS_BETTER)
        _name(axes, points, best, renderer)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _embedded(file.getvalue(), points, metric, cost, name)


def _style(axes: Axes, metric: str, cost: str, points: Sequence[Point]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_facecolor("none")
    axes.set_xscale("log")
    low, high = min(point.x for point in points), max(point.x for point in points)
    room = max(high / low, 4.0) ** 0.16
    axes.set_xlim(low / room, high * room)
    ends = [end for point in points for end in (point.row.interval(metric) or (point.y,))]
    ends += [point.y for point in points]
    margin = max(0.12 * (max(ends) - min(ends)), 0.01 * abs(max(ends)), 1e-3)
    axes.set_ylim(min(ends) - margin, max(ends) + margin)
    if cost.endswith("_bytes"):
        axes.xaxis.set_major_locator(LogLocator(base=2, numticks=7))
    else:  # two or three numbers in each decade: one alone would leave the axis nearly bare
        subs = (1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    ticks = FuncFormatter(lambda value, _: number(cost, value).replace(".0 ", " "))
    axes.xaxis.set_major_formatter(ticks)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    better = "more is better" if cost in _MORE_IS_BETTER else "less is better"
    axes.set_xlabel(f"{long_heading(cost)} (log; {better})", color=_FAINT)
    axes.set_ylabel(heading(metric), color=_FAINT)
    axes.grid(color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_FAINT, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_LINE)


def _draw(
    axes: Axes,
    points: Sequence[Point],
    best: Sequence[Point],
    metric: str,
    *,
    more_is_better: bool,
) -> None:
    for point in points:
        colour = _ACCENT if point in best else _DOT
        if (interval := point.row.interval(metric)) is not None:
            axes.plot([point.x] * 2, interval, color=colour, linewidth=1, alpha=0.5, zorder=2)
        dot = axes.plot([point.x], [point.y], "o", color=colour, markersize=6, zorder=4)[0]
        dot.set_markeredgecolor(_CARD)
        dot.set_gid(_gid(points.index(point)))
    # What is at least this good costs at least this much: level until the next better one.
    far = axes.get_xlim()[0 if more_is_better else 1]
    xs, ys = [point.x for point in best], [point.y for point in best]
    axes.plot(
        [x for x in (*xs, far) for _ in range(2)][1:],
        [y for y in ys for _ in range(2)] + [ys[-1]],
        color=_ACCENT,
        linewidth=1.4,
        zorder=3,
    )


def _gid(position: int) -> str:
    return f"dot-{position}-"


def _name(
    axes: Axes, points: Sequence[Point], best: Sequence[Point], renderer: RendererBase
) -> None:
    """Write the names of the front's members where nothing else stands."""
    from matplotlib.transforms import Bbox

    inside = axes.get_window_extent(renderer)
    dots = [axes.transData.transform((point.x, point.y)) for point in points]
    taken: list[Bbox] = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in dots]
    steps = axes.lines[-1].get_xydata()  # the front, drawn last
    corners = axes.transData.transform(steps)
    taken += [
        Bbox([[min(ax, bx) - 1, min(ay, by) - 1], [max(ax, bx) + 1, max(ay, by) + 1]])
        for (ax, ay), (bx, by) in pairwise(corners)
    ]
    for point in reversed(best):  # the most accurate first: it must have its name
        text = axes.annotate(
            point.label,
            (point.x, point.y),
            xytext=(0, 0),
            textcoords="offset points",
            color=_INK,
            fontsize=_FONT,
            zorder=5,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": _FAINT, "linewidth": 0.6, "shrinkA": 1},
        )
        if not _placed(text, renderer, inside, taken):
            text.remove()


def _placed(text: Annotation, renderer: RendererBase, inside: Bbox, taken: list[Bbox]) -> bool:
    """Move a name to the nearest free place; False where there is none."""
    from matplotlib.text import Text

    for away in _AWAY:
        for right, up in _DIRECTIONS:
            text.set_position((right * away, up * away))
            text.set_horizontalalignment("left" if right > 0 else "right" if right else "center")
            text.set_verticalalignment("bottom" if up > 0 else "top" if up else "center")
            # The annotation's own extent would include its line.
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer).padded(2)
            fits = inside.containsx(box.x0) and inside.containsx(box.x1)
            fits = fits and inside.containsy(box.y0) and inside.containsy(box.y1)
            if fits and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                # A line back to the dot, where the name does not stand beside it.
                if text.arrow_patch is not None:
                    text.arrow_patch.set_visible(away > _AWAY[0])
                return True
    return False


def _embedded(svg: str, points: Sequence[Point], metric: str, cost: str, name: str) -> str:
    """The drawing without what only a file of its own needs, with a title on every dot."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    for stand_in, colour in _COLOURS.items():
        svg = svg.replace(stand_in, colour)
    size = re.compile(r' width="[\d.]+pt"| height="[\d.]+pt"')
    head, rest = svg.split(">", 1)
    alt = html.escape(f"{heading(metric)} against {long_heading(cost)}")
    svg = f'{size.sub("", head)} role="img" aria-label="{alt}">{rest}'
    for position, point in enumerate(points):
        opening = f'<g id="{name}-{_gid(position)}">'
        svg = svg.replace(opening, f"{opening}<title>{_told(point, metric, cost)}</title>", 1)
    return svg


def _told(point: Point, metric: str, cost: str) -> str:
    interval = point.row.interval(metric)
    around = "" if interval is None else f" ({range_text(metric, interval)})"
    score = f"{heading(metric)} {number(metric, point.y)}{around}"
    told = f"{point.row.rank}. {point.row.name}: {score}, {heading(cost)} {number(cost, point.x)}"
    return html.escape(told)
