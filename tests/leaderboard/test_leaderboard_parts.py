"""Parts of the leaderboard on made-up rows: comparison, Pareto front, classes, provenance."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import ImageFont

from outliers_bench.leaderboard import sentences
from outliers_bench.leaderboard.artifacts import QueryScores
from outliers_bench.leaderboard.boards import Board, Row, short_labels
from outliers_bench.leaderboard.heatmap import build_heat_map, shade
from outliers_bench.leaderboard.pareto import COSTS, Point, draw, pareto_front, plot_cost
from outliers_bench.leaderboard.provenance import facts, warnings
from outliers_bench.leaderboard.significance import add_significance
from outliers_bench.leaderboard.text_width import text_width
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
        rank,
        name,
        name,
        "one",
        {**defaults, "rerank": "", **method},
        metrics or {},
        tags=tags or {},
    )


def board(*rows, **more):
    return Board("photos", "one", 40, 20, tuple(rows), **more)


def scores(values, names=None):
    names = tuple(names or [f"{n}.jpg" for n in range(len(values))])
    return QueryScores(names, np.array(values, dtype=np.float64))


def test_runs_with_other_queries_are_not_compared_and_counted():
    rows = [row(1), row(2), row(3), row(4)]
    values = {
        "run1": scores([1, 1, 1, 0]),
        "run2": scores([1, 1, 1, 0]),
        "run3": scores([1, 1, 0], names=["0.jpg", "1.jpg", "2.jpg"]),
    }
    compared, reason = add_significance(rows, values)
    assert [row.tied for row in compared] == [True, True, None, None]
    assert compared[1].p == 1.0
    assert "1 with other queries" in reason
    assert "1 with no figures per query" in reason


def test_nothing_is_compared_if_the_best_run_has_no_figures_per_query():
    compared, reason = add_significance([row(1), row(2)], {"run2": scores([1, 0])})
    assert all(row.p is None for row in compared)
    assert "the best run has no figures" in reason


@pytest.mark.parametrize(
    ("more_is_better", "expected"), [(False, [(1, 0.5), (2, 0.7)]), (True, [(9, 0.6), (2, 0.7)])]
)
def test_the_front_has_the_points_that_no_other_dominates(more_is_better, expected):
    plane = [(1, 0.5), (2, 0.7), (2, 0.6), (9, 0.6), (3, 0.5)]
    points = [Point("", row(1), x, y) for x, y in plane]
    assert [(p.x, p.y) for p in pareto_front(points, more_is_better=more_is_better)] == expected


def test_a_plot_labels_the_front_and_has_a_tooltip_for_each_dot():
    rows = [
        row(
            n,
            reduction=f"PCA {n}",
            metrics={"hit_at_1": 1 - n / 10, "index_bytes": 4000.0 / n, "dimensions": 1},
        )
        for n in range(1, 6)
    ]
    dominated = row(6, model="<b>", metrics={"hit_at_1": 0.3, "index_bytes": 9000.0})
    svg = plot_cost([*rows, dominated], metric="hit_at_1", cost="index_bytes")
    assert len(re.findall("<title>", svg)) == 6
    assert "<title>6. run6: hit@1 0.300, index size 8.8 KiB</title>" in svg
    assert "the table above" in svg
    for n in range(1, 6):
        assert f"m · PCA {n}<" in svg
    assert "<b>" not in svg
    assert " id=" not in svg  # ids would clash, as several plots are on one page
    assert plot_cost([row(1)], metric="hit_at_1", cost="index_bytes") is None


@pytest.mark.filterwarnings("error")
def test_a_plot_does_not_change_names():
    odd = '#010101 id="q" url(#a) 狼 $x^2$ \x07'
    metrics = {"hit_at_1": 0.5, "index_bytes": 5.0}
    svg = plot_cost([row(1, model=odd, metrics=metrics)], metric="hit_at_1", cost="index_bytes")
    printable = '#010101 id="q" url(#a) 狼 $x^2$ '
    assert [text for text in ElementTree.fromstring(svg).itertext() if "狼" in text] == [printable]
    assert "var(--ink)" in svg


@pytest.fixture(scope="module")
def measure_width():
    """Return a function that measures text in a wide font, in points."""
    font = ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 900)
    return lambda text: font.getlength(text) / 100


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(
    "values", [(19_990,), (301, 333), (0.0123, 1.7), (80_000, 1.3e6), (1, 1e9)]
)
def test_tick_labels_do_not_overlap(cost, values, measure_width):
    points = [Point("", row(n), x, 0.99951 + n / 1e4) for n, x in enumerate(values)]
    svg = ElementTree.fromstring(draw(points, "hit_at_1", cost))
    total_width = float(svg.get("viewBox").split()[2])
    middle, end = (
        [
            (float(text.get("x")), measure_width(text.text))
            for text in svg.iter("text")
            if text.get("text-anchor") == anchor and "transform" not in text.attrib
        ]
        for anchor in ("middle", "end")
    )
    # The last is the title of the axis.
    ranges = [(x - width / 2, x + width / 2) for x, width in middle[:-1]]
    assert len(ranges) >= 2
    assert all(left[1] < right[0] for left, right in pairwise(ranges))
    assert ranges[0][0] >= 0
    assert ranges[-1][1] <= total_width
    assert len(end) >= 2
    title = next(text for text in svg.iter("text") if "transform" in text.attrib)
    assert all(x - width > float(title.get("x")) for x, width in end)


def test_tick_labels_are_at_the_positions_of_their_values():
    points = [Point("", row(n), x, 0.5 + n / 10) for n, x in enumerate((1.0, 100.0))]
    svg = ElementTree.fromstring(draw(points, "hit_at_1", "images_per_second"))
    low, high = (float(dot.get("cx")) for dot in svg.iter("circle"))
    xs = {text.text: float(text.get("x")) for text in svg.iter("text")}
    assert xs["1"] == pytest.approx(low, abs=0.02)
    assert xs["10"] == pytest.approx((low + high) / 2, abs=0.02)
    assert xs["100"] == pytest.approx(high, abs=0.02)
    worse, better = (float(dot.get("cy")) for dot in svg.iter("circle"))
    ys = {text.text: float(text.get("y")) for text in svg.iter("text")}
    assert ys["0.6"] - ys["0.5"] == pytest.approx(better - worse, abs=0.02)
    assert ys["0.6"] < ys["0.5"]


def test_labels_cover_neither_each_other_nor_a_dot(measure_width):
    points = [Point(f"method {n} · exact", row(n + 1), 1.0 + n / 5, 0.5 + n / 50) for n in range(8)]
    svg = ElementTree.fromstring(draw(points, "hit_at_1", "search_ms_per_query"))
    boxes = [
        (float(text.get("x")), float(text.get("y")) - 6, measure_width(text.text), 6)
        for text in svg.iter("text")
        if text.text.startswith("method")
    ]
    assert len(boxes) >= 2
    dots = [(float(d.get("cx")) - 2, float(d.get("cy")) - 2, 4, 4) for d in svg.iter("circle")]
    for x, y, width, height in boxes:
        others = [box for box in [*boxes, *dots] if box != (x, y, width, height)]
        assert len(others) == len(boxes) + len(dots) - 1
        for left, top, other_width, other_height in others:
            apart = left >= x + width or x >= left + other_width
            assert apart or top >= y + height or y >= top + other_height


@pytest.mark.parametrize("letters", ["mobilenet", "EfficientNetV2B0", "PCA 100 · kd_tree"])
def test_the_estimated_width_of_text_is_close(letters, measure_width):
    assert text_width(letters) == pytest.approx(measure_width(letters), rel=0.06)


def test_the_page_is_rendered_without_heavy_libraries():
    """The end of a sweep waits for the page."""
    code = (
        "import sys\n"
        "from outliers_bench.leaderboard.boards import Board, Row\n"
        "from outliers_bench.leaderboard.page import render\n"
        "row = Row(1, 'a', 'a', 'one', {}, {'hit_at_1': 0.5, 'index_bytes': 9.0})\n"
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


def test_the_heat_map_has_the_hardest_class_first():
    per_class = {"run1": {"cat": 0.9, "dog": 0.5}, "run2": {"cat": 0.2, "dog": 0.5, "eel": 0.0}}
    with_classes = board(row(1), row(2), row(3), per_class=per_class, class_queries={"cat": 7})
    heat = build_heat_map(with_classes)
    assert [rank for rank, _ in heat.methods] == ["1", "2"]
    assert [(name, n) for name, n, _ in heat.classes] == [("eel", None), ("dog", None), ("cat", 7)]
    assert heat.classes[0][2][0] is None
    assert [cell.value for cell in heat.classes[2][2]] == [0.9, 0.2]
    assert build_heat_map(board(row(1))) is None


@pytest.mark.parametrize("value", [0, 0.1, 0.25, 0.5, 0.62, 0.75, 0.9, 1])
def test_numbers_have_enough_contrast_in_their_cells(value):
    def luminance(color):
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    cell = shade(value)
    ink = {"#000": "#000000", "#fff": "#ffffff"}[cell.ink]
    bright, dark = sorted([luminance(ink), luminance(cell.background)], reverse=True)
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
