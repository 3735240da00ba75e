"""Validation of submissions: the group, and gallery images for each query."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.group_names import normalize_group
from outliers_bench.runtime.units import list_first
from outliers_bench.web.refusal import RefusedError, shorten

FIELDS = ("groupname", "images")
_FORMAT = '{"groupname": "...", "images": {"<query file>": ["<gallery file>", ... best first]}}'


@dataclass(frozen=True)
class Submission:
    """Rankings of a group: gallery positions per scored query, best first.

    A ranking is empty if only images were sent that are ignored or do not count for the query.
    """

    group: str
    rankings: dict[int, tuple[int, ...]]


def read_submission(body: bytes, dataset: CompetitionData, *, max_rank: int) -> Submission:
    """Parse and validate a submission.

    Raises
    ------
    RefusedError
        400 if the body is not JSON; 422 if types are wrong, a file is unknown or listed twice, a
        query is missing, a list is empty or too long, or the name of the group is invalid.
    """
    content = _parse(body)
    if not isinstance(content, dict) or any(name not in content for name in FIELDS):
        raise RefusedError(422, f"the JSON must be {_FORMAT}")
    group = normalize_group(content["groupname"])
    return Submission(group, read_images(content["images"], dataset, max_rank=max_rank))


def read_images(
    images: object, dataset: CompetitionData, *, max_rank: int
) -> dict[int, tuple[int, ...]]:
    """Validate the images of a submission; `RefusedError` 422 as for `read_submission`."""
    if not isinstance(images, dict):
        raise RefusedError(422, f"images must be an object: {_FORMAT}")
    _check_queries(images, dataset)
    rankings = {}
    for query, names in images.items():
        _check_ranking(query, names, dataset, max_rank)
        if query in dataset.queries:
            row = dataset.queries[query]
            rankings[row] = dataset.without_junk(
                row, [dataset.gallery[name] for name in names if name in dataset.gallery]
            )
    return rankings


def _parse(body: bytes) -> object:
    try:
        return json.loads(body.decode(), object_pairs_hook=_make_object)
    except UnicodeDecodeError:
        raise RefusedError(400, "the body is not UTF-8 text; send JSON") from None
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            400, f"the body is not JSON ({error}); with requests: requests.post(url, json=...)"
        ) from None


def _make_object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Return the fields of a JSON object; refuse duplicates, of which Python would use the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        duplicates = [name for name, count in counts.items() if count > 1]
        raise RefusedError(422, f"more than once in the JSON: {_join(duplicates)}", duplicates)
    return content


def _check_queries(images: dict[str, object], dataset: CompetitionData) -> None:
    _refuse_unknown(images, "query file", dataset.queries, dataset.ignored_queries)
    missing = [name for name in dataset.queries if name not in images]
    if missing:
        raise RefusedError(
            422, f"{_count(missing, 'query file')} missing: {_join(missing)}", missing
        )


def _check_ranking(query: str, names: object, dataset: CompetitionData, max_rank: int) -> None:
    prefix = f"query {shorten(query)}"
    if not isinstance(names, list):
        raise RefusedError(422, f"{prefix}: give a list of gallery files, best first", [query])
    if not names:
        raise RefusedError(422, f"{prefix}: its list of gallery files is empty", [query])
    if len(names) > max_rank:
        raise RefusedError(
            422, f"{prefix}: {len(names):,} gallery files, at most {max_rank:,} allowed", [query]
        )
    if not all(isinstance(name, str) for name in names):
        raise RefusedError(422, f"{prefix}: every gallery file must be a string", [query])
    noun, known = "gallery file", (dataset.gallery, dataset.ignored_gallery)
    _refuse_unknown(names, noun, *known, prefix=f"{prefix}: ")
    if len(set(names)) < len(names):
        duplicates = [name for name, count in Counter(names).items() if count > 1]
        raise RefusedError(
            422, f"{prefix}: more than once in its list: {_join(duplicates)}", duplicates
        )


def _refuse_unknown(
    names: Iterable[str], noun: str, *known: Container[str], prefix: str = ""
) -> None:
    unknown = [name for name in names if not any(name in each for each in known)]
    if unknown:
        message = f"{_count(unknown, noun)} unknown: {_join(unknown)}; GET /files lists the names"
        raise RefusedError(422, f"{prefix}{message}", unknown)


def _count(names: Sequence[str], noun: str) -> str:
    return f"1 {noun} is" if len(names) == 1 else f"{len(names):,} {noun}s are"


def _join(names: Sequence[str]) -> str:
    return list_first(list(map(shorten, names)))
