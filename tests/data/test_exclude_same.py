"""Gallery photos that do not count for a query, from the option to scores and tables."""

import numpy as np
import pandas as pd
import pytest

import outliers_bench as ob
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from outliers_bench.leakage.policy import load_split
from outliers_bench.reports.contact_sheet import draw_contact_sheets
from outliers_bench.reports.data_summary import data_rows
from outliers_bench.tracking.artifacts import write_ranking

OPTIONS = {
    "classes": 3, "individuals": 2, "encounters": 3, "images": 4, "cameras": 2, "size": 24,
    "label": "individual", "train": 0.0,
}  # fmt: skip


def split_of(tmp_path, *columns, **options):
    source = Synthetic(**OPTIONS, exclude_same=list(columns), **options)
    return load_split(source, seed=0, cache=tmp_path)


@pytest.mark.parametrize("protocol", Protocol)
def test_photos_of_the_class_and_the_value_of_any_column(protocol, tmp_path):
    split = split_of(tmp_path, "encounter", "camera", protocol=protocol)
    query, gallery = split.query, split.gallery
    mask = split.exclusion.mask(slice(None), np.arange(len(gallery))[None])
    for row, of_query in enumerate(mask):
        for item, is_excluded in enumerate(of_query):
            alike = any(
                query.columns[name][row] == gallery.columns[name][item]
                for name in ("encounter", "camera")
            )
            same_class = query.labels[row] == gallery.labels[item]
            itself = split.is_one_set and row == item
            assert is_excluded == ((alike and same_class) or itself)
    assert mask.sum() > 2 * len(query)
    assert split.fingerprint != split_of(tmp_path, "camera", protocol=protocol).fingerprint
    excluded = (mask.sum(axis=1) - (protocol is Protocol.leave_one_out)).mean()
    assert dict(data_rows(split))["junk"].startswith(f"{excluded:.1f} gallery photos per query")


def test_a_column_that_is_not_there_is_named(tmp_path):
    match = (
        r"data.exclude_same=\[camera,cam\]: the query images .* no column cam; they have .*camera"
    )
    with pytest.raises(BenchError, match=match) as error:
        split_of(tmp_path, "camera", "cam")
    assert "\n" not in str(error.value)


def run(tmp_path, columns, *, shown=5, **options):
    values = {f"data.{name}": value for name, value in OPTIONS.items()}
    values |= {"data.exclude_same": list(columns), "cache.dir": str(tmp_path)}
    values["contact_sheets.depth"] = shown
    return ob.run("synthetic", model="pixels", image_size=8, k=[1, 5], options=values, **options)


@pytest.mark.parametrize("protocol", ["query_gallery", "leave_one_out"])
def test_scores_are_those_of_galleries_without_the_photos(protocol, tmp_path):
    result = run(tmp_path, ["encounter"], protocol=protocol)
    split = result.split
    vectors = ob.embed(split, "pixels", image_size=8, options={"cache.dir": str(tmp_path)})
    of_query, of_gallery = (
        vectors.matrix[vectors.rows(part)].astype(float) for part in (split.query, split.gallery)
    )
    of_query, of_gallery = (
        part / np.linalg.norm(part, axis=1, keepdims=True) for part in (of_query, of_gallery)
    )
    hits = []
    for row in range(len(split.query)):
        counts = split.gallery.columns["encounter"] != split.query.columns["encounter"][row]
        counts |= split.gallery.labels != split.query.labels[row]
        counts &= np.array(split.gallery.names) != split.query.names[row]
        best = np.argsort(-(of_gallery[counts] @ of_query[row]))
        relevant = split.gallery.labels[counts][best] == split.query.labels[row]
        hits.append([relevant[0], relevant[:5].any()] if relevant.any() else [np.nan, np.nan])
    expected = np.nanmean(np.array(hits, dtype=float), axis=0)
    assert [result.metrics["hit_at_1"], result.metrics["hit_at_5"]] == pytest.approx(expected)


def test_a_query_with_fewer_photos_left_has_fewer_rows_in_tables(tmp_path):
    result = run(tmp_path, ["camera"], protocol="leave_one_out", shown=71)
    left = result.split.exclusion.available
    assert result.ranking.depth == left.max()
    assert left.min() < left.max()
    write_ranking(result, tmp_path / "ranking.parquet")
    table = pd.read_parquet(tmp_path / "ranking.parquet")
    per_query = table.groupby("query", observed=True)["rank"].agg(["count", "max"])
    depth = result.ranking.depth
    expected = dict(zip(result.split.query.names, np.minimum(left, depth), strict=True))
    assert per_query["count"].to_dict() == per_query["max"].to_dict() == expected
    assert np.isfinite(table["score"]).all()
    sheets = draw_contact_sheets(result, queries=2, depth=71, seed=0)
    assert set(sheets) == {"best", "typical", "worst"}


def test_columns_that_leave_no_relevant_photo_are_refused(tmp_path):
    with pytest.raises(BenchError, match=r"every gallery image .* query's individual, so") as error:
        run(tmp_path, ["individual"])
    assert "\n" not in str(error.value)
