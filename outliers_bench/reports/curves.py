"""Training curves: loss, accuracy and learning rate against epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

# Okabe and Ito's blue, vermilion and bluish green: distinct with color vision deficiency.
_TRAINING, _VALIDATION, _RATE = "#0072B2", "#D55E00", "#009E73"
_INK, _FAINT, _GRID = "#1C2128", "#69717A", "#E3E6EA"
_INCHES, _DPI = (11.0, 9.0), 110
_TICKS = 12  # of the epoch axis, at most
_MAX_MARKERS = 30  # number of epochs up to which each has a marker
_LABEL_GAP = 0.065  # between the labels of lines, as a fraction of the panel's height
_LOG_LOSS, _LOG_RATE = 50.0, 12.0  # ratio of largest to smallest value above which axes are log
_LINES: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "loss": (
        ("loss", "training", _TRAINING, "-"),
        ("val_loss", "validation", _VALIDATION, "-"),
    ),
    "accuracy": (
        ("accuracy", "training", _TRAINING, "-"),
        ("val_accuracy", "validation", _VALIDATION, "-"),
        ("top_5_accuracy", "training, top 5", _TRAINING, "--"),
        ("val_top_5_accuracy", "validation, top 5", _VALIDATION, "--"),
    ),
    "learning rate": (("learning_rate", "learning rate", _RATE, "-"),),
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
        The epoch, counted from 1, whose weights were saved.
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
    from PIL import Image

    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [4, 4, 2], "hspace": 0.14}
    )
    figure.subplots_adjust(left=0.085, right=0.83, top=0.875, bottom=0.07)
    heading: dict[str, Any] = {"x": 0.085, "ha": "left", "parse_math": False}
    figure.text(y=0.95, s=title, fontsize=15, fontweight="bold", color=_INK, **heading)
    figure.text(y=0.92, s=_subtitle(epochs, best_epoch), fontsize=10.5, color=_FAINT, **heading)
    for axes, (name, lines) in zip(panels, _LINES.items(), strict=True):
        _style(axes, name, len(epochs))
        if best_epoch:
            axes.axvline(best_epoch, color=_FAINT, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        _draw_lines(axes, name, {line: _series(epochs, line[0]) for line in lines}, best_epoch)
    if best_epoch:
        above: dict[str, Any] = {"transform": panels[0].get_xaxis_transform(), "ha": "center"}
        panels[0].text(best_epoch, 1.03, "saved weights", color=_FAINT, fontsize=9.5, **above)
    panels[-1].set_xlabel("epoch", color=_INK, fontsize=10.5)
    figure.align_ylabels(panels)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels).convert("RGB")


def _subtitle(epochs: Sequence[Mapping[str, float]], best_epoch: int) -> str:
    text = f"{len(epochs)} epoch{'' if len(epochs) == 1 else 's'}"
    if not 1 <= best_epoch <= len(epochs):
        return text
    best = epochs[best_epoch - 1]
    titles = {"val_loss": "validation loss", "val_accuracy": "validation accuracy"}
    if "val_loss" not in best:
        titles = {"loss": "training loss", "accuracy": "training accuracy"}
    figures = [f"{title} {best[name]:.3f}" for name, title in titles.items() if name in best]
    return f"{text}; weights saved of epoch {best_epoch}: " + ", ".join(figures)


def _series(epochs: Sequence[Mapping[str, float]], name: str) -> list[float | None]:
    """Return a figure of each epoch: None if it was not measured, NaN if it is not finite."""
    values = [epoch.get(name) for epoch in epochs]
    return [
        None if value is None else float(value) if math.isfinite(value) else math.nan
        for value in values
    ]


def _style(axes: Axes, name: str, n_epochs: int) -> None:
    axes.set_ylabel(name, color=_INK, fontsize=10.5)
    axes.set_xlim(*((0.5, 1.5) if n_epochs < 2 else (1 - 0.02 * n_epochs, 1.02 * n_epochs)))
    step = next(step for step in _round_numbers() if n_epochs <= step * _TICKS)
    axes.set_xticks([1, *range(step if step > 1 else 2, n_epochs + 1, step)])
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_FAINT, labelsize=9.5, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_FAINT)


def _round_numbers() -> Iterator[int]:
    return (factor * 10**power for power in count() for factor in (1, 2, 5))


def _draw_lines(
    axes: Axes,
    name: str,
    lines: Mapping[tuple[str, str, str, str], Sequence[float | None]],
    best_epoch: int,
) -> None:
    measured = {line: values for line, values in lines.items() if _finite(values)}
    _scale(axes, name, [value for values in measured.values() for value in _finite(values)])
    labels: list[tuple[float, str, str]] = []
    for (_, label, color, dashes), values in measured.items():
        numbers = [math.nan if value is None else value for value in values]
        axes.plot(
            range(1, len(numbers) + 1),
            numbers,
            dashes,
            color=color,
            linewidth=1.8 if dashes == "-" else 1.3,
            # A point between two gaps has no line to show it.
            marker="o" if len(numbers) <= _MAX_MARKERS else _point_marker(numbers),
            markersize=3.5,
            clip_on=False,
            zorder=3,
        )
        if 1 <= best_epoch <= len(numbers):
            axes.plot(
                [best_epoch],
                [numbers[best_epoch - 1]],
                "o",
                color="white",
                markeredgecolor=color,
                markeredgewidth=1.8,
                markersize=7,
                clip_on=False,
                zorder=4,
            )
        last = _finite(values)[-1]
        labels.append((_height(axes, last), f"{label}  {_format(name, last)}", color))
    _label_lines(axes, labels)
    not_finite = sorted(
        {
            number
            for values in lines.values()
            for number, value in enumerate(values, 1)
            if value is not None and math.isnan(value)
        }
    )
    if not_finite:
        above = axes.get_xaxis_transform()
        crosses = [1.0] * len(not_finite)
        axes.plot(not_finite, crosses, "x", color=_INK, transform=above, clip_on=False)
        axes.text(1.015, 1.0, "×  not finite", color=_INK, **_label_style(axes))
    if not measured:
        axes.set_yticks([])
        text = "not finite in any epoch" if not_finite else "not measured"
        axes.text(0.5, 0.5, text, color=_FAINT, transform=axes.transAxes, ha="center", va="center")


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _point_marker(numbers: Sequence[float]) -> str:
    gaps = any(math.isnan(number) for number in numbers)
    return "." if gaps else ""


def _scale(axes: Axes, name: str, values: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if name == "accuracy":
        axes.set_ylim(0, 1)
        return
    if not values:
        return
    low, high = min(values), max(values)
    if low > 0 and high / low > (_LOG_LOSS if name == "loss" else _LOG_RATE):
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        axes.set_ylabel(f"{name} (log)", color=_INK, fontsize=10.5)
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(min(low * 1.05, 0), high * 1.08 or 1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6 if name == "loss" else 3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _height(axes: Axes, value: float) -> float:
    """Return the height of a value in its panel, from 0 at the bottom to 1 at the top."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _format(name: str, value: float) -> str:
    if name == "accuracy":
        return f"{value:.3f}"
    return f"{value:.2e}" if 0 < value < 1e-3 else f"{value:.3g}"


def _label_lines(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Label each line at its end; labels that would overlap are moved apart."""
    ordered = sorted(labels)
    heights = [height for height, _, _ in ordered]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + _LABEL_GAP)
    ceiling = 1.0
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], ceiling)
        ceiling = heights[i] - _LABEL_GAP
    for height, (_, label, color) in zip(heights, ordered, strict=True):
        axes.text(1.015, height, label, color=color, **_label_style(axes))


def _label_style(axes: Axes) -> dict[str, Any]:
    return {"transform": axes.transAxes, "va": "center", "fontsize": 9.5, "clip_on": False}
