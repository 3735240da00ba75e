"""Conversion of a run's ranking to the JSON that a competition expects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from outliers_bench.apps.submit.names import Names, competition_names
from outliers_bench.errors import BenchError
from outliers_bench.runtime.visible_text import read_csv

Rankings = Mapping[str, Sequence[str]]  # query file to gallery files, best first


def read_rankings(path: Path, *, n: int) -> dict[str, list[str]]:
    """Read the `n` best gallery images of each query from a run's `ranking.parquet`.

    Returns their names by query name, best first; both as named in the run. Raises `BenchError` if
    the file cannot be read, or the ranking has fewer images per query.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = ["query", "rank", "gallery"]
        table = pq.read_table(path, columns=columns, filters=[("rank", "<=", n)])
    except (OSError, pa.ArrowException) as error:
        message = str(error).partition("\n")[0]
        raise BenchError(f"{path}: the ranking cannot be read ({message}); run again") from None
    rankings: dict[str, list[str]] = {}
    for row in table.sort_by("rank").to_pylist():
        rankings.setdefault(row["query"], []).append(row["gallery"])
    depth = max(map(len, rankings.values()), default=0)
    if depth < n:
        raise BenchError(
            f"n={n}: the run's ranking has {depth} gallery images per query; give n={depth}, "
            "or run again with a larger k=; only the best few hundred of a long ranking are stored"
        )
    return rankings


def read_excluded_queries(path: Path, rankings: Rankings) -> list[str]:
    """Read the queries that a run has excluded, and the reasons, from its `excluded.csv`.

    Unless all queries of `rankings` are in `query/`, the part cannot be derived from the name, and
    the result is empty.
    """
    if not all(name.startswith("query/") for name in rankings):
        return []
    with path.open(newline="", encoding="utf-8") as file:
        header, *cells = read_csv(file)
    rows = [dict(zip(header, row, strict=True)) for row in cells]
    rows = [row for row in rows if row["name"].startswith("query/")]
    # A reason cached by an earlier run begins with the name of the photo in that run.
    return [f"{row['name']} ({row['detail'].rpartition(': ')[2]})" for row in rows]


def use_competition_names(
    rankings: Rankings, style: Names
) -> tuple[dict[str, list[str]], Names, Names]:
    """Replace the names of a run by those of the competition; see `competition_names`.

    Returns
    -------
    rankings : dict of str to list of str
        Rankings, sorted by query name.
    query, gallery : Names
        The styles that were used.
    """
    queries = sorted(rankings)
    gallery = sorted({name for names in rankings.values() for name in names})
    query_names, query_style = competition_names(queries, "query", style)
    gallery_names, gallery_style = competition_names(gallery, "gallery", style)
    new_names = dict(zip(gallery, gallery_names, strict=True))
    return (
        {
            name: [new_names[each] for each in rankings[query]]
            for query, name in zip(queries, query_names, strict=True)
        },
        query_style,
        gallery_style,
    )


def to_json(group: str, rankings: Rankings) -> bytes:
    """Return the submission as JSON in UTF-8."""
    return json.dumps({"groupname": group, "images": rankings}, ensure_ascii=False).encode()
