"""From a run's ranking to what a competition is sent."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from outliers_bench.apps.submit.names import Names, given_names
from outliers_bench.errors import BenchError

Rankings = Mapping[str, Sequence[str]]  # query file to gallery files, best first


def read_rankings(path: Path, *, n: int) -> dict[str, list[str]]:
    """The best of each query, from a run's `ranking.parquet`.

    Parameters
    ----------
    path : Path
        The file.
    n : int
        How many gallery images a query, at least 1.

    Returns
    -------
    dict of str to list of str
        Gallery names by query name, best first; both as the run calls them.

    Raises
    ------
    BenchError
        If the file cannot be read, or no query has so many.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["query", "rank", "gallery"])
        table = table.filter(pa.compute.field("rank") <= n)
        columns = [table.column(name).to_pylist() for name in ("query", "rank", "gallery")]
    except (OSError, pa.ArrowException) as error:
        said = str(error).partition("\n")[0]
        raise BenchError(f"{path}: no ranking can be read from it ({said}); run again") from None
    rankings: dict[str, list[str]] = {}
    for query, _, gallery in sorted(zip(*columns, strict=True), key=lambda row: row[1]):
        rankings.setdefault(query, []).append(gallery)
    deepest = max(map(len, rankings.values()), default=0)
    if deepest < n:
        raise BenchError(
            f"n={n}: the run's ranking holds {deepest} gallery images a query; give n={deepest}, "
            "or run again with a larger k=; of a long ranking the best few hundred are kept"
        )
    return rankings


def left_out_queries(path: Path, rankings: Rankings) -> list[str]:
    """The queries that a run has not ranked, and why, from its `excluded.csv`.

    Parameters
    ----------
    path : Path
        The file.
    rankings : mapping of str to sequence of str
        From `read_rankings`. Where their queries do not all lie in `query/`, names do not tell the
        part, and nothing is found.
    """
    if not all(name.startswith("query/") for name in rankings):
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["name"].startswith("query/")]
    # A reason that was found in an earlier run begins with the name that the photo had there.
    return [f"{row['name']} ({row['detail'].rpartition(': ')[2]})" for row in rows]


def as_given(rankings: Rankings, style: Names) -> tuple[dict[str, list[str]], Names, Names]:
    """Rankings under the names that the competition gave.

    Parameters
    ----------
    rankings : mapping of str to sequence of str
        From `read_rankings`.
    style : Names
        Which names; see `given_names`.

    Returns
    -------
    rankings : dict of str to list of str
        The queries ordered by name.
    query, gallery : Names
        Which names were taken.
    """
    queries = sorted(rankings)
    found = sorted({name for names in rankings.values() for name in names})
    query_names, query_style = given_names(queries, "query", style)
    gallery_names, gallery_style = given_names(found, "gallery", style)
    known = dict(zip(found, gallery_names, strict=True))
    return (
        {
            name: [known[each] for each in rankings[query]]
            for query, name in zip(queries, query_names, strict=True)
        },
        query_style,
        gallery_style,
    )


def as_json(group: str, rankings: Rankings) -> bytes:
    """What is sent: the competition's JSON, as UTF-8."""
    return json.dumps({"groupname": group, "images": rankings}, ensure_ascii=False).encode()
