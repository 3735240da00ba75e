"""Heat map of the scores of the best methods on each class."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.leaderboard.boards import Board, short_labels

# Orange through near-white to blue: distinct with color vision deficiency, and dark at neither end.
_RAMP = ((200, 82, 20), (253, 190, 133), (247, 247, 245), (146, 190, 224), (24, 96, 168))


@dataclass(frozen=True)
class Shade:
    """Cell of a heat map: value, background color and text color."""

    value: float
    background: str
    ink: str


@dataclass(frozen=True)
class HeatMap:
    """Heat map of classes by methods, the hardest class first.

    Parameters
    ----------
    metric : str
        Metric of the cells.
    methods : list of tuple of (str, str)
        Rank and label of each column.
    classes : list of tuple of (str, int or None, list of Shade or None)
        Name, number of queries and cells of each row.
    """

    metric: str
    methods: list[tuple[str, str]]
    classes: list[tuple[str, int | None, list[Shade | None]]]


def build_heat_map(board: Board) -> HeatMap | None:
    """Build the heat map of a board; None if no run has scores by class."""
    rows = {row.run_id: row for row in board.measured_rows if row.run_id in board.per_class}
    if not rows:
        return None
    columns = [board.per_class[run_id] for run_id in rows]
    names = {name for column in columns for name in column}

    def mean(name: str) -> float:
        values = [column[name] for column in columns if name in column]
        return sum(values) / len(values)

    classes = [
        (
            name,
            board.class_queries.get(name),
            [shade(column[name]) if name in column else None for column in columns],
        )
        for name in sorted(names, key=lambda name: (mean(name), name))
    ]
    labels = short_labels(list(rows.values()))
    ranks = [str(row.rank) for row in rows.values()]
    return HeatMap(board.class_metric, list(zip(ranks, labels, strict=True)), classes)


def shade(value: float) -> Shade:
    """Return the colors for a value between 0 and 1."""
    position = min(max(value, 0.0), 1.0) * (len(_RAMP) - 1)
    lower = min(int(position), len(_RAMP) - 2)
    weight = position - lower
    color = [
        round(a + (b - a) * weight) for a, b in zip(_RAMP[lower], _RAMP[lower + 1], strict=True)
    ]
    # Relative luminance (WCAG 2); at 0.179 black and white have the same contrast.
    luminance = sum(
        share * (channel / 255) ** 2.2
        for share, channel in zip((0.2126, 0.7152, 0.0722), color, strict=True)
    )
    ink = "#000" if luminance > 0.179 else "#fff"
    return Shade(value, "#{:02x}{:02x}{:02x}".format(*color), ink)
