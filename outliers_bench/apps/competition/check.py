"""A submission's JSON, checked: who hands in, and which gallery images for which query."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outliers_bench.apps.competition.dataset import CompetitionData

FIELDS = ("groupname", "images")
_LONGEST_GROUP = 64  # characters
_NAMED = 10  # files that a refusal names
_LONGEST_NAME = 100  # characters of a file that a refusal names
_SHAPE = '{"groupname": "...", "images": {"<query file>": ["<gallery file>", ... best first]}}'


class RefusedError(Exception):
    """A submission that does not count.

    Parameters
    ----------
    status : int
        HTTP's number for it.
    reason : str
        What is wrong with it.
    files : iterable of str
        The files it is about; a few are kept.
    wait : float
        Seconds after which it may be tried again; 0 where that would not help.
    """

    def __init__(
        self, status: int, reason: str, files: Iterable[str] = (), *, wait: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.wait = wait
        self.files = [_short(name) for name in files][:_NAMED]


@dataclass(frozen=True)
class Submission:
    """What a group handed in, as positions in the split.

    Parameters
    ----------
    group : str
        Its name, spaces and letters normalized.
    found : dict of int to tuple of int
        For each query that counts, gallery positions, best first; may be empty where all that was
        sent for it are images that do not count.
    """

    group: str
    found: dict[int, tuple[int, ...]]


def read_submission(body: bytes, held: CompetitionData, *, max_rank: int) -> Submission:
    """Read and check what was sent.

    Parameters
    ----------
    body : bytes
        The JSON.
    held : Held
        The photos.
    max_rank : int
        How many gallery images a query may have.

    Returns
    -------
    Submission

    Raises
    ------
    RefusedError
        400 if it is no JSON; 422 if its types are wrong, a file is unknown or stands twice, a
        query is missing, a list is empty or too long, or the group has no proper name.
    """
    content = _parse(body)
    if not isinstance(content, dict) or any(name not in content for name in FIELDS):
        raise RefusedError(422, f"the JSON must be {_SHAPE}")
    group, images = _group(content["groupname"]), content["images"]
    if not isinstance(images, dict):
        raise RefusedError(422, f"images must be an object: {_SHAPE}")
    _check_queries(images, held)
    found = {}
    for query, names in images.items():
        _check_names(query, names, held, max_rank)
        if query in held.queries:
            found[held.queries[query]] = tuple(
                held.gallery[name] for name in names if name in held.gallery
            )
    return Submission(group, found)


def _parse(body: bytes) -> object:
    try:
        return json.loads(body.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise RefusedError(400, "the body is no UTF-8 text; send JSON") from None
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            400, f"the body is no JSON ({error}); with requests: requests.post(url, json=...)"
        ) from None


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object's fields; Python would keep the last of those that share a name."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
        raise RefusedError(422, f"{_listed(twice)} stands twice in the JSON", twice)
    return content


def _group(value: object) -> str:
    if not isinstance(value, str):
        raise RefusedError(422, "groupname must be a text")
    # One group, one row: letters that are written in two ways look the same.
    group = " ".join(unicodedata.normalize("NFC", value).split())
    if not group or len(group) > _LONGEST_GROUP:
        raise RefusedError(422, f"groupname must have 1 to {_LONGEST_GROUP} characters")
    # Control characters, marks that turn the reading direction, halves of letters.
    if any(unicodedata.category(letter)[0] == "C" for letter in value):
        raise RefusedError(422, "groupname has characters that cannot be shown")
    return group


def _check_queries(images: dict[str, object], held: CompetitionData) -> None:
    unknown = [
        name for name in images if name not in held.queries and name not in held.uncounted_queries
    ]
    if unknown:
        raise RefusedError(
            422,
            f"{_counted(unknown, 'query file')} unknown here: {_listed(unknown)}; GET /files "
            "lists the names",
            unknown,
        )
    missing = [name for name in held.queries if name not in images]
    if missing:
        raise RefusedError(
            422, f"{_counted(missing, 'query file')} missing: {_listed(missing)}", missing
        )


def _check_names(query: str, names: object, held: CompetitionData, max_rank: int) -> None:
    about = f"query {_short(query)}"
    if not isinstance(names, list):
        raise RefusedError(422, f"{about}: give a list of gallery files, best first", [query])
    if not names:
        raise RefusedError(422, f"{about}: its list of gallery files is empty", [query])
    if len(names) > max_rank:
        raise RefusedError(
            422, f"{about}: {len(names):,} gallery files, but at most {max_rank:,} count", [query]
        )
    if not all(isinstance(name, str) for name in names):
        raise RefusedError(422, f"{about}: every gallery file must be a text", [query])
    unknown = [
        name for name in names if name not in held.gallery and name not in held.uncounted_gallery
    ]
    if unknown:
        raise RefusedError(
            422,
            f"{about}: {_counted(unknown, 'gallery file')} unknown here: {_listed(unknown)}; GET "
            "/files lists the names",
            unknown,
        )
    if len(set(names)) < len(names):
        twice = [name for name, times in Counter(names).items() if times > 1]
        raise RefusedError(422, f"{about}: {_listed(twice)} stands twice in its list", twice)


def _counted(names: Sequence[str], what: str) -> str:
    return f"1 {what} is" if len(names) == 1 else f"{len(names):,} {what}s are"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_short, names[:3])) + (", ..." if len(names) > 3 else "")


def _short(name: str) -> str:
    """A name that fits into an answer, and that can be encoded."""
    name = name.encode(errors="backslashreplace").decode()
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
