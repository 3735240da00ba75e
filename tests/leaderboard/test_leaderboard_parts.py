"""Parts of the leaderboard on made-up rows: comparison, Pareto front, classes, provenance."""

import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib import get_data_path
from PIL import ImageFont

from outliers_bench.config.published import Published
from outliers_bench.leaderboard import sentences
from outliers_bench.leaderboard.artifacts import QueryScores
from outliers_bench.leaderboard.boards import Board, Row, short_labels
from outliers_bench.leaderboard.cost_plot import COSTS, pareto_front, plot_cost
from outliers_bench.leaderboard.page import HERE, class_scores, render
from outliers_bench.leaderboard.provenance import facts, warnings
from outliers_bench.leaderboard.significance import add_significance
from outliers_bench.leaderboard.write import write_boards


def row(rank, *, run_id=None, metrics=None, tags=None, **method):
    defaults = {
        "model": "m",
        "variant": "8px",
        "reduction": "none",
        "index": "exact",
        "similarity": "cosine",
    }
    name = run_id or f"run{rank}"
    return Row(
        rank=rank,
        name=name,
        run_id=name,
        method={**defaults, "rerank": "", **method},
        metrics=metrics or {},
        tags=tags or {},
    )


def board(*rows, **more):
    return Board("photos", "one", 40, 20, tuple(rows), **more)


def scores(values, names=None):
    names = tuple(names or [f"{n}.jpg" for n in range(len(values))])
    return QueryScores(names, np.array(values, dtype=np.float64))


def test_runs_with_other_queries_are_not_compared_and_counted():
    values = {
        "run1": scores([1, 1, 1, 0]),
        "run2": scores([1, 1, 1, 0]),
        "run3": scores([1, 1, 0], names=["0.jpg", "1.jpg", "2.jpg"]),
    }
    compared = add_significance(board(row(1), row(2), row(3), row(4)), values)
    assert [row.tied for row in compared.rows] == [True, True, None, None]
    assert compared.rows[1].p == 1.0
    assert "1 with other queries" in compared.not_compared
    assert "1 with no figures per query" in compared.not_compared


def test_nothing_is_compared_if_the_best_run_has_no_figures_per_query():
    compared = add_significance(board(row(1), row(2)), {"run2": scores([1, 0])})
    assert all(row.p is None for row in compared.rows)
    assert "the best run has no figures" in compared.not_compared


@pytest.mark.parametrize(
    ("more_is_better", "expected"), [(False, [(1, 0.5), (2, 0.7)]), (True, [(9, 0.6), (2, 0.7)])]
)
def test_the_front_has_the_points_that_no_other_dominates(more_is_better, expected):
    plane = [(1, 0.5), (2, 0.7), (2, 0.6), (9, 0.6), (3, 0.5)]
    assert pareto_front(plane, more_is_better=more_is_better) == expected


def plot(points, cost="search_ms_per_query"):
    """Plot (label, cost, score) of several runs."""
    rows = [
        row(n, model=label, metrics={"hit_at_1": y, cost: x})
        for n, (label, x, y) in enumerate(points, 1)
    ]
    return plot_cost(rows, metric="hit_at_1", cost=cost)


def test_a_plot_labels_the_front_and_has_a_tooltip_for_each_dot():
    points = [(f"m{n}", 4000.0 / n, 1 - n / 10) for n in range(1, 6)]
    drawn = plot([*points, ("dominated", 9000.0, 0.3)], "index_bytes")
    assert [dot.is_best for dot in drawn.dots] == [True] * 5 + [False]
    assert drawn.dots[-1].title == "6. run6: hit@1 0.300, index size 8.8 KiB"
    assert [text for *_, text in drawn.labels] == [f"m{n}" for n in range(1, 6)]
    assert plot_cost([row(1)], metric="hit_at_1", cost="index_bytes") is None


def test_names_are_escaped_in_a_plot():
    odd = '#010101 <b> id="q" url(#a) 狼 $x^2$'
    named = board(row(1, run_id=odd, model=odd, metrics={"hit_at_1": 0.5, "index_bytes": 5.0}))
    page = render([named], metric="hit_at_1", ui="")
    (svg,) = re.findall("<svg.*?</svg>", page, re.DOTALL)
    found = [text for text in ElementTree.fromstring(svg).itertext() if odd in text]
    assert len(found) == 2  # the label and the tooltip
    assert " id=" not in svg.replace(str(Markup.escape(odd)), "")  # would clash with other plots


@pytest.fixture(scope="module")
def measure_width():
    """Return a function that measures text in a wide font, in pixels of a plot."""
    font = ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 900)
    return lambda text: font.getlength(text) / 100


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(
    "values", [(19_990,), (301, 333), (0.0123, 1.7), (80_000, 1.3e6), (1, 1e9)]
)
def test_tick_labels_do_not_overlap(cost, values, measure_width):
    drawn = plot([("m", x, 0.99951 + n / 1e4) for n, x in enumerate(values)], cost)
    ranges = [
        (x - measure_width(text) / 2, x + measure_width(text) / 2) for x, text in drawn.x_ticks
    ]
    assert len(ranges) >= 2
    assert all(left[1] < right[0] for left, right in pairwise(ranges))
    assert ranges[0][0] >= -56
    assert ranges[-1][1] <= 384 - 56
    assert len(drawn.y_ticks) >= 2
    assert len({text for _, text in drawn.y_ticks}) == len(drawn.y_ticks)
    assert all(-4 - measure_width(text) > -44 for _, text in drawn.y_ticks)


def test_tick_labels_are_at_the_positions_of_their_values():
    drawn = plot([("a", 1.0, 0.5), ("b", 100.0, 0.6)], "images_per_second")
    (low, worse), (high, better) = ((dot.x, dot.y) for dot in drawn.dots)
    xs, ys = ({text: at for at, text in ticks} for ticks in (drawn.x_ticks, drawn.y_ticks))
    assert xs["1"] == pytest.approx(low, abs=0.02)
    assert xs["10"] == pytest.approx((low + high) / 2, abs=0.02)
    assert xs["100"] == pytest.approx(high, abs=0.02)
    assert ys["0.6"] - ys["0.5"] == pytest.approx(better - worse, abs=0.02)
    assert ys["0.6"] < ys["0.5"]


@pytest.mark.parametrize("cost", ["search_ms_per_query", "images_per_second"])
def test_labels_cover_neither_each_other_nor_a_dot(cost, measure_width):
    points = [(f"method {n} · exact", 1.0 + n / 5, 0.5 + n / 50) for n in reversed(range(8))]
    drawn = plot([*points, *((label, 9 - x, y) for label, x, y in points)], cost)
    boxes = []
    for x, y, anchor, text in drawn.labels:
        width = measure_width(text)
        left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
        boxes.append((left, y - 6, width, 6))
    assert len(boxes) >= 2
    others = [(dot.x - 2, dot.y - 2, 4, 4) for dot in drawn.dots]
    x, y = map(float, re.match(r"M (\S+) (\S+)", drawn.front).groups())
    for direction, value in re.findall(r"([HV]) (\S+)", drawn.front):
        to_x, to_y = (float(value), y) if direction == "H" else (x, float(value))
        others.append((min(x, to_x), min(y, to_y), abs(to_x - x), abs(to_y - y)))
        x, y = to_x, to_y
    for n, (x, y, width, height) in enumerate(boxes):
        for left, top, other_width, other_height in [*boxes[n + 1 :], *others]:
            apart = left >= x + width or x >= left + other_width
            assert apart or top >= y + height or y >= top + other_height


@pytest.mark.parametrize("cost", ["search_ms_per_query", "images_per_second"])
def test_the_best_run_has_a_label_wherever_its_dot_is(cost):
    label = "efficientnet_lite0 · 224px · no reduction · exact · cosine"
    for x in (1, 3, 10, 30, 100):
        rest = [("near", x * 1.1, 0.79), ("as good", 1, 0.8), ("as good", 100, 0.8), ("m", 30, 0.1)]
        drawn = plot([(label, x, 0.81), *rest], cost)
        assert label in [text for *_, text in drawn.labels]


def test_the_page_is_rendered_without_heavy_libraries():
    """The end of a sweep waits for the page."""
    code = (
        "import sys\n"
        "from outliers_bench.leaderboard.boards import Board, Row\n"
        "from outliers_bench.leaderboard.page import render\n"
        "row = Row(rank=1, run_id='a', metrics={'hit_at_1': 0.5, 'index_bytes': 9.0})\n"
        "page = render([Board('photos', 'one', 4, 2, (row,))], metric='hit_at_1', ui='')\n"
        "assert '<circle' in page\n"
        "bad = {'matplotlib', 'pandas', 'hydra', 'mlflow', 'tensorflow', 'cv2'}\n"
        "sys.exit(', '.join(bad & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_short_labels_have_only_differing_parts():
    assert short_labels([row(1, reduction="PCA 64"), row(2, index="annoy")]) == [
        "PCA 64 · exact",
        "no reduction · annoy",
    ]
    assert short_labels([row(1)]) == ["m"]
    assert short_labels([row(1, variant="8px"), row(2, model="n", index="annoy")]) == ["m", "n"]
    assert short_labels([row(1, settings="seed=0"), row(2, settings="seed=1")]) == [
        "seed=0",
        "seed=1",
    ]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("model=m '+skip_finished=true' 'k=[1, 2]'", "python -m outliers_bench model=m 'k=[1, 2]'"),
        ("", "python -m outliers_bench"),
        ("model=x 'cut", ""),
        ("x" * 5000, ""),
        (None, ""),
    ],
)
def test_repeat_command_is_complete_or_empty(overrides, expected):
    tags = {} if overrides is None else {"overrides": overrides}
    assert sentences.repeat_command(row(1, tags=tags)) == expected


def test_the_page_explains_its_headings():
    first, second = (row(n, metrics={"hit_at_1": 1 / n}) for n in (1, 2))
    second = replace(second, p=0.001, tied=False, published=Published(title="m", top_1=0.5))
    page = render([board(first, second)], metric="hit_at_1", ui="")
    assert re.findall(r"<button[^>]*>(dim\w*|im[^<]*|p|pub@1)<", page) == [
        "pub@1",
        "p",
        "dimensions",
        "images/s",
    ]
    assert "p: paired permutation test against the best" in page
    assert "(pub@k)" in page


def test_scores_by_class_have_the_hardest_class_first():
    per_class = {
        "run1": {"cat": (0.9, 7), "dog": (0.5, 6)},
        "run2": {"cat": (0.2, 7), "dog": (0.5, 6), "eel": (0.0, 5)},
    }
    methods, classes = class_scores(board(row(1), row(2), row(3), per_class=per_class))
    assert [rank for rank, _ in methods] == [1, 2]
    assert classes == [
        ("eel", 5, [None, 0.0]),
        ("dog", 6, [0.5, 0.5]),
        ("cat", 7, [0.9, 0.2]),
    ]
    assert class_scores(board(row(1))) == ([], [])


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 1])
def test_scores_by_class_have_enough_contrast(mode, share):
    style = (HERE / "page.css").read_text()

    def channels(name):
        color = re.findall(rf"--{name}: #(\w{{6}})", style)[mode]
        return np.array([int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)])

    def luminance(color):
        linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    middle = channels("middle")
    assert np.ptp(middle) < 0.1  # gray, so that easy and hard differ in hue
    end = channels("easy" if share > 0.5 else "hard")
    background = middle + abs(2 * share - 1) * (end - middle)
    dark, bright = sorted([luminance(background), luminance(channels("ink"))])
    assert (bright + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


def test_different_machines_and_commits_are_warned_about():
    here = {"machine.cpu": "A", "version.outliers_bench": "1", "mlflow.source.git.commit": "c" * 40}
    same = board(row(1, tags=here), row(2, tags=here))
    assert warnings(same) == []
    assert ("commit", ["c" * 10]) in facts(same)
    other = {**here, "machine.cpu": "B", "git_dirty": "true"}
    messages = warnings(board(row(1, tags=here), row(2, tags=other)))
    assert ["machines" in line or "commits" in line for line in messages] == [True, True]
    assert "costs are not comparable" in messages[0]


def test_markdown_escapes_names(tmp_path):
    tags = {"overrides": "model=x '```\n# more'"}
    name = "<script>|[a](b) *c* _d_ `e`"
    named = board(row(1, model=name, metrics={"hit_at_1": 0.5}, tags=tags))
    (path,) = write_boards([named], tmp_path, metric="hit_at_1", formats=("md",))
    text = path.read_text()
    assert "<script>" not in text
    assert r"&lt;script&gt;\|\[a\](b) \*c\* \_d\_ \`e\`" in text
    assert text.count("\n````\n") == 2
