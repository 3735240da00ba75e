"""How well the best methods do on each class, as colored cells."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.leaderboard.boards import Board, short_labels

# Orange over near-white to blue: told apart without red-green vision, and dark at neither end.
_RAMP = ((200, 82, 20), (253, 190, 133), (247, 247, 245), (146, 190, 224), (24, 96, 168))


@dataclass(frozen=True)
class Shade:
    """A cell: its value, the color behind it and that of its number."""

    value: float
    background: str
    ink: str


@dataclass(frozen=True)
class HeatMap:
    """Classes by methods, the hardest class first.

    Parameters
    ----------
    metric : str
        What the cells hold.
    methods : list of tuple of (str, str)
        Rank and label of each column.
    classes : list of tuple of (str, int or None, list of Shade or None)
        Name, number of queries, and a cell for each column.
    """

    metric: str
    methods: list[tuple[str, str]]
    classes: list[tuple[str, int | None, list[Shade | None]]]


def heat_map(board: Board) -> HeatMap | None:
    """The classes of a board; None where no run says anything of classes."""
    rows = {row.run_id: row for row in board.measured if row.run_id in board.per_class}
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
    """The colors for a value between 0 and 1."""
    place = min(max(value, 0.0), 1.0) * (len(_RAMP) - 1)
    lower = min(int(place), len(_RAMP) - 2)
    part = place - lower
    color = [round(a + (b - a) * part) for a, b in zip(_RAMP[lower], _RAMP[lower + 1], strict=True)]
    # Relative luminance (WCAG 2); at 0.179 black and white stand out alike.
    luminance = sum(
        weight * (part / 255) ** 2.2
        for weight, part in zip((0.2126, 0.7152, 0.0722), color, strict=True)
    )
    ink = "#000" if luminance > 0.179 else "#fff"
    return Shade(value, "#{:02x}{:02x}{:02x}".format(*color), ink)
