"""Labels from paths: `data.label_depth` and `data.label_pattern`."""

from datetime import datetime

import pytest

from outliers_bench.data.path_labels import PathLabels, to_columns
from outliers_bench.errors import BenchError

NAME = "site/camera/lion/1.jpg"


@pytest.mark.parametrize(
    ("depth", "below", "label"),
    [
        (1, 0, "site"),
        (2, 0, "camera"),
        (3, 0, "lion"),
        (4, 0, None),
        (-1, 0, "lion"),
        (-2, 0, "camera"),
        (-3, 0, "site"),
        (-4, 0, None),
        (1, 1, "camera"),
        (-1, 1, "lion"),
        (-3, 1, None),
        (1, 3, None),
    ],
)
def test_depth(depth, below, label):
    (fields,) = PathLabels(depth).read([NAME], below=below)
    assert fields.get("label") == label


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [
        (r"([a-z]+)_\d+\.jpg$", {"label": "lion"}),
        (r"(?P<label>[^/_]+)_(?P<camera>\d+)", {"label": "lion", "camera": "0012"}),
        (r"(site)/(?P<label>lion)", {"label": "lion"}),
        (r"(?P<site>[^/]+)/lion(?P<sex>[mf])?", {"label": "site", "site": "site", "sex": ""}),
        (r"^(lion)", {}),  # searched in the whole path, which begins with site/
        (r"x*()", {}),
    ],
)
def test_pattern(pattern, fields):
    assert PathLabels(pattern=pattern).read(["site/lion_0012.jpg"]) == [fields]


def test_columns():
    pattern = PathLabels(
        pattern=r"(?P<label>\w+)/(?P<group>\w)(?P<sex>[mf]?)_(?P<camera>\w+)_(?P<time>\d*)"
    )
    names = ["a/xm_c1_20230601120000", "b/x_none_"]
    rows = pattern.read(names)
    assert [row["group"] for row in rows] == ["a/x", "b/x"]
    columns = to_columns(rows, names)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "sex": ["m", ""],
        "camera": ["c1", ""],
        "time": [datetime(2023, 6, 1, 12), None],
    }
    assert to_columns([], []) == to_columns([{"label": "a", "group": "b"}], ["a/b"]) == {}
    with pytest.raises(BenchError, match=r"the group time of a/xm_c1_000451: '000451' is no time"):
        to_columns(pattern.read(["a/xm_c1_000451"]), ["a/xm_c1_000451"])


def test_errors():
    for depth, pattern, match in (
        (0, None, r"data\.label_depth=0: give 1 for the first folder"),
        (1, "(", r"data\.label_pattern=\( is no regular expression: missing \)"),
        (1, r"\w+", r"data\.label_pattern=\\w\+ has no group in parentheses, which is the label"),
        (1, "(?:a)", r"has no group in parentheses"),
    ):
        with pytest.raises(BenchError, match=match):
            PathLabels(depth, pattern).check()
