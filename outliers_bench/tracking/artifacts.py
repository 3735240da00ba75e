"""Result tables of a run: ranking, scores by query and class, excluded photos, leakage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.class_counts import count_classes
from outliers_bench.evaluation.choose_clusters import cluster_texts
from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.evaluation.statistics import cluster_unit
from outliers_bench.leakage.bursts import TABLE as BURST_TABLE
from outliers_bench.result import Result
from outliers_bench.runtime.visible_text import write_csv
from outliers_bench.types import ImageSet, IntArray, Split

if TYPE_CHECKING:
    import pyarrow as pa

    from outliers_bench.leakage.find import Leaks

_ROW_GROUP = 2**20  # rows per row group of the ranking


def write_tables(result: Result, folder: Path, *, depth: int | None = None) -> None:
    """Write every table of a result that has rows into an existing folder.

    `depth` is the number of gallery images per query in the ranking; None writes all.
    """
    write_ranking(result, folder / "ranking.parquet", depth=depth)
    if result.evaluation is not None:
        _write_csv(folder / "per_query.csv", *per_query_table(result, result.evaluation))
        _write_csv(folder / "per_class.csv", *_per_class(result.evaluation))
        if (cmc := result.evaluation.cmc) is not None:
            ranks = range(1, len(cmc.rates) + 1)
            table = zip(ranks, *map(np.ndarray.tolist, cmc), strict=True)
            _write_csv(folder / "cmc.csv", ("k", *cmc._fields), table)
    if (counts := count_classes(result.split)).classes:
        columns = (
            counts.classes,
            counts.images.tolist(),
            *map(np.ndarray.tolist, counts.parts.values()),
        )
        header = ("class", "images", *counts.parts)
        _write_csv(folder / "classes.csv", header, zip(*columns, strict=True))
    if result.split.left_out:
        rows = [(item.name, item.kind, item.detail) for item in result.split.left_out]
        _write_csv(folder / "excluded.csv", ("name", "kind", "detail"), rows)
    if result.leaks:
        _write_csv(folder / "leaks.csv", *_leaks(result.leaks))
    if result.burst_scores is not None:
        bursts = result.burst_scores.bursts
        labels = _class_names(bursts.images, np.arange(len(bursts.images)))
        columns = (bursts.images.names, labels, bursts.ids.tolist())
        header = ("path", "label", "group")
        _write_csv(folder / BURST_TABLE, header, zip(*columns, strict=True))


def write_ranking(result: Result, path: Path, *, depth: int | None = None) -> None:
    """Write a ranking in long form: query, rank (from 1), gallery, score, and relevant if known.

    A query that has fewer images left has fewer ranks. Names are dictionary-encoded. `depth` is the
    number of gallery images per query; None writes all. Row groups have up to a million rows, and
    only one is in memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    indices, scores = result.ranking.indices[:, :depth], result.ranking.scores[:, :depth]
    queries, gallery = _texts(result.split.query.names), _texts(result.split.gallery.names)
    n_query, n_rank = indices.shape

    def named(positions: IntArray, names: pa.Array) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(_column(positions.astype(np.int32)), names)

    def table(rows: IntArray) -> pa.Table:
        row, rank = np.nonzero(indices[rows] >= 0)
        of_query, hits = rows[row], indices[rows][row, rank]
        columns = {
            "query": named(of_query, queries),
            "rank": _column((rank + 1).astype(np.int32)),
            "gallery": named(hits, gallery),
            "score": _column(scores[rows][row, rank]),
        }
        relevant = _relevant(result.split, of_query, hits)
        if relevant is not None:
            bits = np.packbits(relevant, bitorder="little")
            columns["relevant"] = _column(bits, pa.bool_(), relevant.size)
        return pa.table(columns)

    size = max(1, _ROW_GROUP // max(1, n_rank))
    first = table(np.arange(min(size, n_query)))
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for start in range(size, n_query, size):
            writer.write_table(table(np.arange(start, min(start + size, n_query))))


def _column(
    values: npt.NDArray[Any], kind: pa.DataType | None = None, n: int | None = None
) -> pa.Array:
    """Convert numbers to an Arrow array; `pa.array` imports pandas to check for a Series."""
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype) if kind is None else kind
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, values.size if n is None else n, [None, buffer])


def _texts(values: Sequence[str]) -> pa.Array:
    """Convert strings to an Arrow array, also without pandas."""
    import pyarrow as pa

    encoded = [value.encode(errors="backslashreplace") for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def _relevant(split: Split, rows: IntArray, indices: IntArray) -> np.ndarray | None:
    if split.query.labels is None or split.gallery.labels is None:
        return None
    return np.asarray(split.gallery.labels[indices] == split.query.labels[rows])


def per_query_table(
    result: Result, evaluation: Evaluation
) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    """Return header and rows of the scores of each query."""
    query, gallery = result.split.query, result.split.gallery
    first = result.ranking.indices[evaluation.scored, 0]
    own = ("query", "class", "cluster", "first", "first_class", *evaluation.per_query)
    described = query_columns(query, evaluation.scored, taken=own)
    header = (*own, *described)
    columns = [
        [query.names[row] for row in evaluation.scored],
        _class_names(query, evaluation.scored),
        cluster_texts(result.split, cluster_unit(evaluation), evaluation.scored),
        [gallery.names[row] for row in first],
        _class_names(gallery, first),
        *(values.tolist() for values in evaluation.per_query.values()),
        *map(_cells, described.values()),
    ]
    return header, zip(*columns, strict=True)


def query_columns(
    query: ImageSet, rows: IntArray, *, taken: Iterable[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns that describe queries, such as camera and time, by their names.

    A name that is `taken` by a column of the scores begins with `query_`.
    """
    used = {*taken}
    columns = {}
    for column, values in query.columns.items():
        name = column
        while name in used:
            name = f"query_{name}"
        used.add(name)
        columns[name] = values[rows]
    return columns


def _cells(values: npt.NDArray[Any]) -> list[object]:
    """Return the values of a column as cells of a text table; missing ones are empty."""
    if values.dtype.kind == "M":
        times = values.astype("M8[us]").tolist()
        return ["" if time is None else time.isoformat(sep=" ") for time in times]
    if values.dtype.kind == "f":
        return ["" if np.isnan(value).all() else value for value in values.tolist()]
    return [
        json.dumps(value, default=str) if isinstance(value, list | tuple) else value
        for value in values.tolist()
    ]


def _class_names(part: ImageSet, rows: IntArray) -> list[str]:
    if part.labels is None:
        return [""] * len(rows)
    return [part.classes[label] for label in part.labels[rows]]


def _per_class(evaluation: Evaluation) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    """Build one row per class, starting with its number of queries; the hardest class is first."""
    metrics = list(evaluation.per_query)
    order = "map_at_r" if "map_at_r" in metrics else metrics[0]
    ordered = sorted(evaluation.per_class.items(), key=lambda pair: (pair[1][order], pair[0]))
    rows = [
        (name, int(values["queries"]), *(values[metric] for metric in metrics))
        for name, values in ordered
    ]
    return ("class", "queries", *metrics), rows


def _leaks(leaks: Leaks) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    header = ("part", "photo", "label", "other_part", "other_photo", "other_label")
    rows = []
    for pair in leaks.pairs:
        ends: list[str | None] = []
        for row in (pair.first, pair.second):
            ends += [leaks.parts[row], leaks.images.names[row], leaks.labels[row]]
        rows.append((*("" if end is None else end for end in ends), pair.kind, pair.likeness))
    return (*header, "kind", "likeness"), rows


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, [header, *rows])
