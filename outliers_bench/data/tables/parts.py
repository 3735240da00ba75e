"""Parts of a split by the words that tables have for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from outliers_bench.data.parts import RANKS, find_parts
from outliers_bench.data.tables.columns import NO_COLUMN
from outliers_bench.errors import BenchError

TEST = "test"  # images that are split into query and gallery, next to a train part
BOTH = "query and gallery"  # images that are queries and gallery: each is compared with all others
# Words for parts in tables, in addition to those that folders have.
_WORDS = {
    **dict.fromkeys(("reference", "references", "database", "db", "index"), "gallery"),
    "dev": "validation",
}
_TRUE, _FALSE = ("true", "1", "1.0", "yes", "t", "y"), ("false", "0", "0.0", "no", "f", "n")
_EMPTY = ("", "nan", "none")


@cache
def part_of(value: str) -> str | None:
    """Return the part that a value names, also test and validation; None if it names none."""
    word = value.strip().casefold()
    return find_parts([word]).get(word) or _WORDS.get(word)


def names_parts(values: Sequence[str]) -> bool:
    """Check whether a column has more than one value, and one that is a word for a part."""
    different = set(values)
    return len(different) > 1 and any(map(part_of, different))


def read_parts(
    values: Sequence[str], numbers: Sequence[int], place: str, column: str = "split"
) -> list[str]:
    """Return the part of each image: train, query, gallery, or `TEST`.

    A part that is called test or validation is split into query and gallery if there is train and
    nothing else.

    Parameters
    ----------
    values : sequence of str
        Cells of the column, such as train, Gallery or probe.
    numbers : sequence of int
        Number of each row in messages.
    place, column : str
        Table and column in messages.

    Raises
    ------
    BenchError
        If a value is no word for a part, or the parts do not say which images are queries and which
        gallery.
    """
    parts = []
    for value, number in zip(values, numbers, strict=True):
        part = part_of(value)
        if part is None:
            raise BenchError(
                f"{place}: {column} must be train, query, or gallery; in row {number} it is "
                f"{value!r}. data.columns.split={NO_COLUMN} ignores the column"
            )
        parts.append(part)
    present = set(parts)
    if present == {"train"}:
        raise BenchError(
            f"{place}: {column} has only train; let the benchmark split the images with "
            f"data.columns.split={NO_COLUMN}"
        )
    if present <= {"train", "query", "gallery"}:
        return parts
    if "train" in present and len(present) == 2:
        return ["train" if part == "train" else TEST for part in parts]
    listed = ", ".join(word for word in RANKS if word in present)
    raise BenchError(
        f"{place}: {column} has {listed}, which does not say which images are queries and which "
        "are the gallery; give train, query and gallery, or let the benchmark split the images "
        f"with data.columns.split={NO_COLUMN}"
    )


def parts_of_flags(
    flags: tuple[Sequence[str], Sequence[str]],
    given: Sequence[str] | None,
    numbers: Sequence[int],
    place: str,
) -> list[str]:
    """Return the part of each image by the columns is_query and is_gallery.

    Parameters
    ----------
    flags : pair of sequences of str
        Cells of is_query and of is_gallery.
    given : sequence of str or None
        Cells of the column split; the flags of its train images do not matter.
    numbers, place
        See `read_parts`.

    Returns
    -------
    list of str
        train, query, gallery; or `BOTH` for all images that are not train.

    Raises
    ------
    BenchError
        If a flag is neither true, false nor empty, an image is of no part, or only some are both.
    """
    parts = []
    trained = given or [""] * len(numbers)
    for value, query, gallery, number in zip(trained, *flags, numbers, strict=True):
        if part_of(value) == "train":
            parts.append("train")
            continue
        is_query = _flag(query, number, place, "is_query", empty=False)
        is_gallery = _flag(gallery, number, place, "is_gallery", empty=False)
        if not is_query and not is_gallery:
            raise BenchError(
                f"{place}: row {number} is neither train, nor is_query, nor is_gallery; remove it, "
                f"or let the benchmark split the images with data.columns.split={NO_COLUMN}"
            )
        parts.append(BOTH if is_query and is_gallery else "query" if is_query else "gallery")
    if BOTH in parts and (n_one := sum(part in ("query", "gallery") for part in parts)):
        raise BenchError(
            f"{place}: {parts.count(BOTH)} images are both is_query and is_gallery, and {n_one} "
            "are only one of them; a split has either two separate sets, or one set in which every "
            "image is compared with all others"
        )
    return parts


def parts_of_train_flag(
    flags: Sequence[str], numbers: Sequence[int], place: str, column: str, *, is_train: bool
) -> list[str]:
    """Return the part of each image by a column is_train, or is_test: train or `TEST`."""
    parts = []
    for value, number in zip(flags, numbers, strict=True):
        flag = _flag(value, number, place, column)
        parts.append("train" if flag == is_train else TEST)
    return parts


def _flag(value: str, number: int, place: str, column: str, *, empty: bool | None = None) -> bool:
    word = value.strip().casefold()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if word in _EMPTY and empty is not None:
        return empty
    raise BenchError(
        f"{place}: {column} is true or false, and in row {number} it is {value!r}. "
        f"data.columns.split={NO_COLUMN} ignores the column"
    )
