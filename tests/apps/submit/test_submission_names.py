"""Content of a submission: the competition's file names, best first."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.apps.submit.names import Names, competition_names
from outliers_bench.apps.submit.rankings import (
    read_excluded_queries,
    read_rankings,
    to_json,
    use_competition_names,
)
from outliers_bench.errors import BenchError
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Costs
from outliers_bench.tracking.artifacts import write_ranking
from outliers_bench.types import Ranking
from tests.toys import toy_split

COSTS = Costs(1, 0, 0, None, 0.0, 0, 0, {})


@pytest.mark.parametrize(
    ("names", "style", "expected", "used"),
    [
        (["query/1.jpg", "query/a/2.jpg"], "auto", ["1.jpg", "2.jpg"], "base"),
        (["query/a/1.jpg", "query/b/1.jpg"], "auto", ["a/1.jpg", "b/1.jpg"], "path"),
        (["query/1.jpg", "query/a/2.jpg"], "path", ["1.jpg", "a/2.jpg"], "path"),
        # From a manifest: not all files are in the folder of that name.
        (["query/1.jpg", "x/1.jpg"], "auto", ["query/1.jpg", "x/1.jpg"], "path"),
        (["/photos/1.jpg", "x/2.jpg"], "base", ["1.jpg", "2.jpg"], "base"),
        ([], "auto", [], "base"),
    ],
)
def test_competition_names(names, style, expected, used) -> None:
    assert competition_names(names, "query", Names(style)) == (expected, Names(used))


def test_shared_base_names_are_refused_if_requested() -> None:
    with pytest.raises(BenchError, match=r"2 files in query are named 1\.jpg.*names=path"):
        competition_names(["query/a/1.jpg", "query/b/1.jpg", "query/2.jpg"], "query", Names.base)


@given(
    st.lists(st.text("ab/", min_size=1, max_size=5), unique=True, max_size=8),
    st.sampled_from(["query/", ""]),
    st.sampled_from([Names.auto, Names.path]),
)
def test_names_in_a_submission_are_unique(names, folder, style) -> None:
    new_names, _ = competition_names([folder + name for name in names], "query", style)
    assert len(set(new_names)) == len(names)


def write_toy_ranking(tmp_path, indices):
    indices = np.array(indices)
    scores = -np.arange(indices.shape[1], dtype=np.float32) * np.ones((len(indices), 1), np.float32)
    split = toy_split([0] * len(indices), [0, 1, 2, 1, 0])
    write_ranking(
        Result(split, Ranking(indices, scores), None, COSTS), tmp_path / "ranking.parquet"
    )
    return tmp_path / "ranking.parquet"


def test_best_images_per_query_in_order(tmp_path) -> None:
    path = write_toy_ranking(tmp_path, [[3, 0, 4, 1], [1, 4, 0, 2]])
    rankings = read_rankings(path, n=3)
    assert rankings == {
        "query-0": ["gallery-3", "gallery-0", "gallery-4"],
        "query-1": ["gallery-1", "gallery-4", "gallery-0"],
    }
    images, *styles = use_competition_names(rankings, Names.auto)
    assert (images, styles) == (rankings, [Names.base, Names.base])
    submission = json.loads(to_json("Überflieger", images))
    assert submission == {"groupname": "Überflieger", "images": rankings}
    assert list(submission) == ["groupname", "images"]


def test_too_large_n_and_damaged_files_are_refused(tmp_path) -> None:
    path = write_toy_ranking(tmp_path, [[3, 0, 4, 1]])
    with pytest.raises(BenchError, match=r"n=5: .* has 4 .*give n=4, or run again"):
        read_rankings(path, n=5)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchError, match=r"ranking\.parquet: the ranking cannot be read"):
        read_rankings(path, n=1)


def test_excluded_queries_are_listed_with_the_reason(tmp_path) -> None:
    table = tmp_path / "excluded.csv"
    table.write_text(
        "name,kind,detail\n"
        "query/a.jpg,unreadable,elsewhere/a.jpg: is a JPEG cut short\n"
        "gallery/b.jpg,duplicate,same content as gallery/c.jpg\n"
    )
    excluded = read_excluded_queries(table, {"query/1.jpg": []})
    assert excluded == ["query/a.jpg (is a JPEG cut short)"]
    assert read_excluded_queries(table, {"query/1.jpg": [], "2.jpg": []}) == []
