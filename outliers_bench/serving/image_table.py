"""Image sets as arrays that a file can hold, and back: names, digests, labels, no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.content_hash import content_hash
from outliers_bench.errors import InaccessibleImageError
from outliers_bench.types import RGB, ImageSet

_DIGEST = content_hash().digest_size


@dataclass(frozen=True)
class Undecoded:
    """Stands where a reader will be: a card knows photos, not how to decode them."""

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Refuse; see `ImageReader.read`."""
        raise InaccessibleImageError(f"{name}: a card of a run holds no photo")


def columns_of(part: str, images: ImageSet) -> dict[str, npt.NDArray[Any]]:
    """The table of a part as arrays, their names beginning with the part's; see `part_of`."""
    digests = np.frombuffer(b"".join(images.digests), np.uint8).reshape(len(images), _DIGEST)
    columns: dict[str, npt.NDArray[Any]]
    columns = {f"{part}_names": texts_to_bytes(images.names), f"{part}_digests": digests}
    if images.labels is not None:
        columns[f"{part}_labels"] = images.labels
    if images.groups is not None:
        columns[f"{part}_groups"] = texts_to_bytes(images.groups)
    return columns


def part_of(part: str, arrays: dict[str, npt.NDArray[Any]], classes: tuple[str, ...]) -> ImageSet:
    """The part that `columns_of` has made these arrays of; knows nothing of pixels."""
    groups = arrays.get(f"{part}_groups")
    return ImageSet(
        names=bytes_to_texts(arrays[f"{part}_names"]),
        digests=tuple(row.tobytes() for row in arrays[f"{part}_digests"]),
        labels=arrays.get(f"{part}_labels"),
        classes=classes,
        reader=Undecoded(),
        groups=None if groups is None else bytes_to_texts(groups),
    )


def texts_to_bytes(texts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Texts as bytes, one after the other, each with a zero behind it."""
    joined = "".join(f"{text}\0" for text in texts)
    return np.frombuffer(joined.encode(errors="surrogateescape"), np.uint8)


def bytes_to_texts(joined: npt.NDArray[Any]) -> tuple[str, ...]:
    """What `texts_to_bytes` has joined."""
    return tuple(joined.tobytes().decode(errors="surrogateescape").split("\0")[:-1])
