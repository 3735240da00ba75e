"""Columns of a table of images, recognized by the names that they have in the field."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outliers_bench.errors import BenchError
from outliers_bench.types import CAMERA, ENCOUNTER, SITE, TIME

NO_COLUMN = "none"
# Without case, blanks, underscores and hyphens; see `plain`.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "path": (
        *("filename", "filepath", "fullpath", "relativepath", "relpath", "sourcefile", "fname"),
        *("file", "filenames", "image", "img", "photo", "picture", "photofile", "photopath"),
        *("imagefile", "imagefilename", "imagefilepath", "imagename", "imagepath", "imgfile"),
        *("imgname", "imgpath", "pathtoimage", "picturepath"),
    ),
    "label": (
        *("identity", "identityid", "individual", "individualid", "individualname", "animal"),
        *("animalid", "animalname", "pid", "personid", "name", "labelname", "class", "classname"),
        *("category", "categoryname", "species", "speciesname", "scientificname", "breed"),
        *("target", "commonname"),
    ),
    "split": ("set", "subset", "partition"),
    "group": (),  # another name would change splits: a burst column may be there for other ends
}
# The first that a table has is used. They change no split by themselves.
_CIRCUMSTANCES: Mapping[str, tuple[str, ...]] = {
    TIME: (
        *("time", "datetime", "timestamp", "dateandtime", "datetimeoriginal", "datecaptured"),
        *("capturetime", "capturedate", "capturedatetime", "datetaken", "date"),
    ),
    CAMERA: (
        *("camera", "cameraid", "cam", "camid", "cameraname", "cameranumber", "cameratrap"),
        *("cameratrapid",),
    ),
    SITE: (
        *("site", "siteid", "sitename", "location", "locationid", "locationname", "station"),
        *("stationid", "stationname", "deployment", "deploymentid", "locality"),
    ),
    # Not sequence, event or burst, which are also the number of a photo in it, or a flag.
    ENCOUNTER: (
        *("encounter", "encounterid", "encountername", "sequenceid", "seqid", "eventid"),
        *("burstid", "sightingid"),
    ),
}
_LAST: Mapping[str, tuple[str, ...]] = {"label": ("id",)}  # often the number of the row
URLS = ("url", "urls", "imageurl", "photourl", "link", "mediaurl")
"""Columns with addresses on the web, as `plain` returns them."""
# Columns that wildlife-datasets writes in every table: its label is the identity, next to species.
_WILDLIFE = ("image_id", "identity", "path")


@dataclass
class Columns:
    """Names of a table's columns; None recognizes them.

    Parameters
    ----------
    path : str or None
        Path of the image file.
    label : str or None
        Class of the image: an individual or a species.
    split : str or None
        Part of the image; `none` ignores such a column, and the benchmark splits the images.
    group : str or None
        Images with the same value stay in one part, such as those of one encounter; `none` ignores
        such a column.
    time : str or None
        When the photo was taken; `none` ignores such a column.
    camera, site : str or None
        Camera and place, as positions: not the model of the camera. `none` ignores such a column.
    encounter : str or None
        Visit of an individual or sequence of photos; `none` ignores such a column.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    camera: str | None = None
    site: str | None = None
    encounter: str | None = None


def count_known(names: Sequence[str], given: Columns) -> int:
    """Count the columns of a header that are known or given; see `parse_text`."""
    listed = [name for role, others in _SYNONYMS.items() for name in (role, *others)]
    listed += [name for others in _CIRCUMSTANCES.values() for name in others]
    known = set(map(plain, [*listed, *filter(None, vars(given).values())]))
    return sum(plain(name) in known for name in names)


def find_columns(names: Sequence[str], given: Columns, place: str) -> dict[str, str]:
    """Find the columns path, label, split and group of a table.

    Parameters
    ----------
    names : sequence of str
        Names of its columns.
    given : Columns
        Names that the user gives.
    place : str
        Name of the table in messages.

    Returns
    -------
    dict of str to str
        Column of each of the four that the table has.

    Raises
    ------
    BenchError
        If a given column does not exist, several columns may be meant, or path or label is
        missing.

    Examples
    --------
    >>> find_columns(["Image Path", "Identity", "date"], Columns(), "photos.csv")
    {'path': 'Image Path', 'label': 'Identity'}
    """
    found: dict[str, str] = {}
    for role in _SYNONYMS:
        name = getattr(given, role)
        if role in ("split", "group") and name == NO_COLUMN and name not in names:
            continue
        column = _given(names, name, role, place) if name else _recognize(names, role, place, given)
        if column is not None:
            found[role] = column
    if missing := [role for role in ("path", "label") if role not in found]:
        raise BenchError(_nothing(names, missing, place))
    return found


def find_circumstances(names: Sequence[str], given: Columns, place: str) -> dict[str, str]:
    """Find the columns time, camera, site and encounter of a table; see `find_columns`.

    Examples
    --------
    >>> find_circumstances(["path", "Identity", "date", "seq_id"], Columns(), "photos.csv")
    {'time': 'date', 'encounter': 'seq_id'}
    """
    found: dict[str, str] = {}
    for role, known in _CIRCUMSTANCES.items():
        name = getattr(given, role)
        if name == NO_COLUMN and name not in names:
            continue
        if name:
            found[role] = _given(names, name, role, place)
            continue
        fitting = {plain(each): each for each in reversed(names)}
        if column := next((fitting[each] for each in known if each in fitting), None):
            found[role] = column
    return found


def describe(found: Mapping[str, str], given: Columns) -> str:
    """Return which columns were recognized by another name; empty if none."""
    recognized = [
        f"{role} is the column {name}"
        for role, name in found.items()
        if plain(name) != role and not getattr(given, role)
    ]
    return ", ".join(recognized)


def _given(names: Sequence[str], name: str, role: str, place: str) -> str:
    if name in names:
        return name
    equal = [each for each in names if plain(each) == plain(name)]
    if len(equal) == 1:
        return equal[0]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise BenchError(
        f"data.columns.{role}={name}: {hint}{place} has the columns {', '.join(names)}"
    )


def _recognize(names: Sequence[str], role: str, place: str, given: Columns) -> str | None:
    if role in names:
        return role
    if role == "label" and set(_WILDLIFE) <= set(names):
        return "identity"
    taken = {name for name in vars(given).values() if name}
    for synonyms in ((role,), _SYNONYMS[role], _LAST.get(role, ())):
        fitting = [name for name in names if plain(name) in synonyms and name not in taken]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise BenchError(
                f"{place}: {role} may be the column {' or '.join(fitting)}; say which: "
                f"data.columns.{role}={fitting[0]}"
            )
    return None


def _nothing(names: Sequence[str], missing: Sequence[str], place: str) -> str:
    listed = ", ".join(names) or "none"
    if "path" in missing and (urls := [name for name in names if plain(name) in URLS]):
        return (
            f"{place} has no column path but {urls[0]}: download the images first, with "
            f"`python -m outliers_bench.collect urls={place} into=photos`"
        )
    options = " ".join(f"data.columns.{role}=<column>" for role in missing)
    return (
        f"{place} has no column {' and no column '.join(missing)}; it has {listed}. "
        f"Needed: path, label. Optional: split, group. If they have other names: {options}"
    )


def plain(name: str) -> str:
    """Return a name as it is compared: without case, blanks, underscores, hyphens and dots."""
    return re.sub(r"[\s_\-.]", "", unicodedata.normalize("NFC", name)).casefold()
