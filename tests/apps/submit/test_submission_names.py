"""What is sent: the competition's own file names, best first."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.apps.submit.names import Names, given_names
from outliers_bench.apps.submit.rankings import as_given, as_json, left_out_queries, read_rankings
from outliers_bench.errors import BenchError
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Costs
from outliers_bench.tracking.artifacts import write_ranking
from outliers_bench.types import Ranking
from tests.toys import toy_split

COSTS = Costs(1, 0, 0, None, 0.0, 0, 0, {})


@pytest.mark.parametrize(
    ("names", "style", "wanted", "taken"),
    [
        (["query/1.jpg", "query/a/2.jpg"], "auto", ["1.jpg", "2.jpg"], "base"),
        (["query/a/1.jpg", "query/b/1.jpg"], "auto", ["a/1.jpg", "b/1.jpg"], "path"),
        (["query/1.jpg", "query/a/2.jpg"], "path", ["1.jpg", "a/2.jpg"], "path"),
        # Of a manifest: not all lie in the folder of that name.
        (["query/1.jpg", "x/1.jpg"], "auto", ["query/1.jpg", "x/1.jpg"], "path"),
        (["/photos/1.jpg", "x/2.jpg"], "base", ["1.jpg", "2.jpg"], "base"),
        ([], "auto", [], "base"),
    ],
)
def test_names_as_the_competition_gave_them(names, style, wanted, taken) -> None:
    assert given_names(names, "query", Names(style)) == (wanted, Names(taken))


def test_names_that_are_shared_are_refused_where_base_names_are_asked_for() -> None:
    with pytest.raises(BenchError, match=r"2 files in query are called 1\.jpg.*names=path"):
        given_names(["query/a/1.jpg", "query/b/1.jpg", "query/2.jpg"], "query", Names.base)


@given(
    st.lists(st.text("ab/", min_size=1, max_size=5), unique=True, max_size=8),
    st.sampled_from(["query/", ""]),
    st.sampled_from([Names.auto, Names.path]),
)
def test_no_two_files_are_sent_under_one_name(names, folder, style) -> None:
    sent, _ = given_names([folder + name for name in names], "query", style)
    assert len(set(sent)) == len(names)


def ranked(tmp_path, indices):
    indices = np.array(indices)
    scores = -np.arange(indices.shape[1], dtype=np.float32) * np.ones((len(indices), 1), np.float32)
    split = toy_split([0] * len(indices), [0, 1, 2, 1, 0])
    write_ranking(
        Result(split, Ranking(indices, scores), None, COSTS), tmp_path / "ranking.parquet"
    )
    return tmp_path / "ranking.parquet"


def test_the_best_of_each_query_in_order(tmp_path) -> None:
    path = ranked(tmp_path, [[3, 0, 4, 1], [1, 4, 0, 2]])
    rankings = read_rankings(path, n=3)
    assert rankings == {
        "query-0": ["gallery-3", "gallery-0", "gallery-4"],
        "query-1": ["gallery-1", "gallery-4", "gallery-0"],
    }
    images, *styles = as_given(rankings, Names.auto)
    assert (images, styles) == (rankings, [Names.base, Names.base])
    sent = json.loads(as_json("Überflieger", images))
    assert sent == {"groupname": "Überflieger", "images": rankings}
    assert list(sent) == ["groupname", "images"]


def test_more_than_was_ranked_is_refused_and_so_is_a_damaged_file(tmp_path) -> None:
    path = ranked(tmp_path, [[3, 0, 4, 1]])
    with pytest.raises(BenchError, match=r"n=5: .* holds 4 .*give n=4, or run again"):
        read_rankings(path, n=5)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchError, match=r"ranking\.parquet: no ranking can be read"):
        read_rankings(path, n=1)


def test_queries_that_the_run_left_out_are_named(tmp_path) -> None:
    table = tmp_path / "excluded.csv"
    table.write_text(
        "name,kind,detail\n"
        "query/a.jpg,unreadable,elsewhere/a.jpg: is a JPEG cut short\n"
        "gallery/b.jpg,duplicate,same content as gallery/c.jpg\n"
    )
    left_out = left_out_queries(table, {"query/1.jpg": []})
    assert left_out == ["query/a.jpg (is a JPEG cut short)"]
    assert left_out_queries(table, {"query/1.jpg": [], "2.jpg": []}) == []
