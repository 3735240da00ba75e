"""Training curves: each measured curve in its color and position."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from outliers_bench.reports.curves import plot_training_curves

TRAINING, VALIDATION, RATE = (0, 114, 178), (213, 94, 0), (0, 158, 115)


def figures(loss, *, val=None, rate=0.001):
    epoch = {"loss": loss, "accuracy": 1 / (1 + loss), "learning_rate": rate, "seconds": 1.0}
    return epoch if val is None else epoch | {"val_loss": val, "val_accuracy": 1 / (1 + val)}


def pixels(image, color):
    """Return (row, column) of each pixel that has exactly this color."""
    assert image.mode == "RGB"
    return np.argwhere((np.asarray(image) == color).all(axis=2))


def test_each_measured_curve_is_plotted():
    with_validation = plot_training_curves([figures(3, val=4), figures(1, val=2)], 2, "a")
    without = plot_training_curves([figures(3), figures(1)], 2, "a")
    for color in (TRAINING, RATE):
        assert len(pixels(with_validation, color)) > 100
        assert len(pixels(without, color)) > 100
    assert len(pixels(with_validation, VALIDATION)) > 100
    assert len(pixels(without, VALIDATION)) == 0


def test_a_falling_loss_falls_in_the_plot():
    image = plot_training_curves([figures(3.0), figures(2.0), figures(1.0)], 3, "falling")
    rows, columns = pixels(image, TRAINING).T
    loss = rows < image.height * 0.42
    left = rows[loss & (columns < image.width * 0.2)]
    right = rows[loss & (columns > image.width * 0.7) & (columns < image.width * 0.8)]
    assert left.mean() < right.mean()


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([figures(1.0, val=2.0)], 1),
        ([figures(math.nan, rate=0.0)], 1),
        ([figures(2.0), figures(math.inf), figures(math.nan)], 1),
        ([{"loss": 1.0, "accuracy": 0.5}, {"loss": 0.5, "accuracy": 0.75, "val_loss": 3.0}], 2),
        ([figures(5 * 0.9**e, val=1.0, rate=0.85**e) for e in range(300)], 120),
        ([figures(0.0), figures(0.0)], 2),
        ([], 0),
    ],
    ids=["one", "only NaN", "NaN after", "appears late", "300", "zero", "none"],
)
def test_any_training_can_be_plotted(epochs, best):
    assert plot_training_curves(epochs, best, "any $_{ of them").size == (1210, 990)


def test_axes_begin_with_an_epoch_and_labels_have_three_digits(monkeypatch):
    plots = []

    class Recorded(Figure):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            plots.append(self)

    monkeypatch.setattr("matplotlib.figure.Figure", Recorded)
    plot_training_curves([figures(1 / n - 0.01, rate=3e-5) for n in range(1, 101)], 100, "long")
    _, accuracy, rate = plots[0].axes
    assert 0 < rate.get_xlim()[0] < 1
    labels = [text.get_text() for axes in (accuracy, rate) for text in axes.get_legend().texts]
    assert labels == ["training  1.00", "learning rate  3.00e-05"]


def test_a_loss_that_is_not_finite_has_a_cross_and_no_line():
    image = plot_training_curves([figures(2.0), figures(1.0), figures(math.nan)], 2, "nan")
    whole = plot_training_curves([figures(2.0), figures(1.0), figures(0.5)], 2, "whole")
    width, height = image.size
    last = np.s_[int(height * 0.16) : int(height * 0.41), int(width * 0.6) : int(width * 0.82)]
    assert (np.asarray(whole)[last] == TRAINING).all(axis=2).any()
    assert not (np.asarray(image)[last] == TRAINING).all(axis=2).any()
    crosses = pixels(image, (28, 33, 40))
    assert ((crosses[:, 1] > width * 0.79) & (crosses[:, 1] < width * 0.83)).any()
