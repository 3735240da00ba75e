"""Where the names of dots stand in a plot: beside them, where nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

_AWAY = (6, 16, 28, 42, 58)  # points between a dot and its name, nearest first
_DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (0, -1))
Place = tuple[float, float]


def write_names(
    axes: Axes,
    named: Sequence[tuple[str, Place]],
    dots: Sequence[Place],
    line: Sequence[Place],
    renderer: RendererBase,
    *,
    ink: str,
    lead: str,
) -> None:
    """Write the names that find a free place.

    Parameters
    ----------
    axes : Axes
        With limits that stay.
    named : sequence of (str, place)
        Names and where their dots are, the one that matters most first.
    dots, line : sequence of place
        What is not to be covered: every dot, and the corners of a line.
    renderer : RendererBase
        Knows how wide text is.
    ink, lead : str
        Colours of a name, and of the line back to a dot that it does not stand beside.
    """
    from matplotlib.transforms import Bbox

    inside = axes.get_window_extent(renderer)
    on_paper = [axes.transData.transform(place) for place in dots]
    taken: list[Bbox] = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in on_paper]
    corners = [axes.transData.transform(place) for place in line]
    taken += [
        Bbox([[min(ax, bx) - 1, min(ay, by) - 1], [max(ax, bx) + 1, max(ay, by) + 1]])
        for (ax, ay), (bx, by) in pairwise(corners)
    ]
    for name, place in named:
        text = axes.annotate(
            name,
            place,
            xytext=(0, 0),
            textcoords="offset points",
            color=ink,
            zorder=5,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": lead, "linewidth": 0.6, "shrinkA": 1},
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
