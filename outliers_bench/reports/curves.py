"""Training curves: loss, accuracy and learning rate against epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

# Okabe and Ito's blue, vermilion and bluish green: distinct with color vision deficiency.
_TRAINING, _VALIDATION, _RATE = "#0072B2", "#D55E00", "#009E73"
_INK, _FAINT, _GRID = "#1C2128", "#69717A", "#E3E6EA"
_INCHES, _DPI = (11.0, 9.0), 110
_MAX_MARKERS = 30  # number of epochs up to which each has a marker
_LOG_RATIO = 20.0  # of largest to smallest value, above which axes are logarithmic
_LINES: dict[str, dict[str, tuple[str, str, str]]] = {
    "loss": {
        "loss": ("training", _TRAINING, "-"),
        "val_loss": ("validation", _VALIDATION, "-"),
    },
    "accuracy": {
        "top_5_accuracy": ("training, top 5", _TRAINING, "--"),
        "val_top_5_accuracy": ("validation, top 5", _VALIDATION, "--"),
        "accuracy": ("training", _TRAINING, "-"),
        "val_accuracy": ("validation", _VALIDATION, "-"),
    },
    "learning rate": {"learning_rate": ("learning rate", _RATE, "-")},
}


def plot_training_curves(
    epochs: Sequence[Mapping[str, float]], best_epoch: int, title: str
) -> Image:
    """Plot loss, accuracy and learning rate of a training against its epochs.

    The accuracy axis is from 0 to 1, so that two plots can be compared. Losses and rates that span
    orders of magnitude have a logarithmic axis, as its label says. A value that is not finite
    leaves a gap, and a cross on the upper edge marks the epoch.

    Parameters
    ----------
    epochs : sequence of mapping of str to float
        Figures of each epoch in order, as in `TrainedNetwork.epochs`; missing ones are not drawn.
    best_epoch : int
        The epoch, counted from 1, whose weights were saved; 0 without epochs.
    title : str
        Name of the trained model.

    Returns
    -------
    PIL.Image.Image
        RGB, 1210 x 990 pixels.
    """
    # Not pyplot, which keeps figures alive and selects a GUI backend.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
    from PIL import Image

    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [4, 4, 2], "hspace": 0.14}
    )
    figure.subplots_adjust(left=0.085, right=0.8, top=0.875, bottom=0.07)
    heading: dict[str, Any] = {"x": 0.085, "ha": "left", "parse_math": False}
    figure.text(y=0.95, s=title, fontsize=15, fontweight="bold", color=_INK, **heading)
    figure.text(y=0.92, s=_subtitle(epochs, best_epoch), fontsize=10.5, color=_FAINT, **heading)
    for axes, (name, lines) in zip(panels, _LINES.items(), strict=True):
        axes.set_ylabel(name, color=_INK, fontsize=10.5)
        axes.grid(color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", colors=_FAINT, labelsize=9.5, length=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_FAINT)
        if best_epoch:
            axes.axvline(best_epoch, color=_FAINT, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        values = {line: [epoch.get(line) for epoch in epochs] for line in lines}
        _scale(axes, name, [value for line in values.values() for value in _finite(line)])
        for line, style in lines.items():
            if _finite(values[line]):
                _draw_line(axes, values[line], style, best_epoch)
        _draw_gaps_and_legend(axes, values)
    panels[-1].set_xlabel("epoch", color=_INK, fontsize=10.5)
    pad = min(max(0.02 * len(epochs), 0.1), 0.9)  # without an epoch 0
    panels[-1].set_xlim(1 - pad, max(len(epochs), 1) + pad)
    panels[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    if best_epoch:
        above: dict[str, Any] = {"transform": panels[0].get_xaxis_transform(), "ha": "center"}
        panels[0].text(best_epoch, 1.03, "saved weights", color=_FAINT, fontsize=9.5, **above)
    figure.align_ylabels(panels)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels).convert("RGB")


def _subtitle(epochs: Sequence[Mapping[str, float]], best_epoch: int) -> str:
    text = f"{len(epochs)} epoch{'' if len(epochs) == 1 else 's'}"
    if not best_epoch:
        return text
    best = epochs[best_epoch - 1]
    titles = {"val_loss": "validation loss", "val_accuracy": "validation accuracy"}
    if "val_loss" not in best:
        titles = {"loss": "training loss", "accuracy": "training accuracy"}
    figures = [f"{title} {best[name]:.3f}" for name, title in titles.items() if name in best]
    return f"{text}; weights saved of epoch {best_epoch}: " + ", ".join(figures)


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _scale(axes: Axes, name: str, values: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter

    if name == "accuracy":
        axes.set_ylim(0, 1)
    elif values and min(values) > 0 and max(values) > _LOG_RATIO * min(values):
        axes.set_yscale("log")
        axes.set_ylim(min(values) / 1.3, max(values) * 1.3)
        axes.set_ylabel(f"{name} (log)", color=_INK, fontsize=10.5)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter("{x:g}")
    elif values:
        axes.set_ylim(min(min(values) * 1.05, 0), max(values) * 1.08 or 1)
        axes.yaxis.set_major_locator(MaxNLocator(6 if name == "loss" else 3))


def _draw_line(
    axes: Axes, values: Sequence[float | None], style: tuple[str, str, str], best_epoch: int
) -> None:
    """Draw a curve, whose label has its last value, with a ring at the best epoch."""
    label, color, dashes = style
    numbers = [math.nan if value is None else value for value in values]
    axes.plot(
        range(1, len(numbers) + 1),
        np.where(np.isfinite(numbers), numbers, math.nan),
        dashes,
        color=color,
        label=f"{label}  {_finite(values)[-1]:#.3g}",
        linewidth=1.8 if dashes == "-" else 1.3,
        # A point between two gaps has no line to show it.
        marker="o" if len(numbers) <= _MAX_MARKERS or not np.isfinite(numbers).all() else "",
        markersize=3.5,
        clip_on=False,
        zorder=3,
    )
    ring: dict[str, Any] = {"color": "white", "markersize": 7, "markeredgewidth": 1.8, "zorder": 4}
    best = numbers[best_epoch - 1]
    axes.plot(best_epoch, best, "o", markeredgecolor=color, clip_on=False, **ring)


def _draw_gaps_and_legend(axes: Axes, values: Mapping[str, Sequence[float | None]]) -> None:
    """Mark the epochs in which a value is not finite, and explain the lines of a panel."""
    gaps = [
        epoch
        for epoch, row in enumerate(zip(*values.values(), strict=True), 1)
        if any(value is not None and not math.isfinite(value) for value in row)
    ]
    if gaps:
        above: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(gaps, [1.0] * len(gaps), "x", color=_INK, label="not finite", **above)
    if not any(map(_finite, values.values())):
        axes.set_yticks([])
    if gaps or any(map(_finite, values.values())):
        style: dict[str, Any] = {"frameon": False, "labelcolor": "linecolor", "fontsize": 9.5}
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1.04), **style)
    else:
        axes.text(0.5, 0.5, "not measured", color=_FAINT, transform=axes.transAxes, ha="center")
