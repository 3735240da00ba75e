"""Picture of a CMC curve: its points are at the rates."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from outliers_bench.evaluation.cmc import CmcCurve
from outliers_bench.reports.cmc_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_cmc


def points(svg, name):
    element = svg.find(f".//*[@id='{name}']")
    pairs = np.array([list(map(float, pair.split(","))) for pair in element.get("points").split()])
    x = (pairs[:, 0] - LEFT) / (WIDTH - LEFT - RIGHT)
    return x, (HEIGHT - BOTTOM - pairs[:, 1]) / (HEIGHT - TOP - BOTTOM)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_lines_and_band_are_at_their_values(n):
    rates = np.sort(np.random.default_rng(n).random(n))
    low, high, chance = rates * 0.9, rates * 0.8 + 0.2, np.linspace(0.1, 1, n)
    title = "a <b> & c's CMC"
    svg = ET.fromstring(draw_cmc(CmcCurve(rates, low, high, chance), title))
    position = (np.arange(n) / max(n - 1, 1)).tolist()
    for name, values in {"rates": rates, "chance": chance}.items():
        x, y = points(svg, name)
        assert x == pytest.approx(position, abs=1e-4)
        assert y == pytest.approx(values, abs=1e-4)
    x, y = points(svg, "band")
    assert x == pytest.approx([*position, *position[::-1]], abs=1e-4)
    assert y == pytest.approx([*high, *low[::-1]], abs=1e-4)
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == title
    assert f"{rates[0]:.3f}" in texts
