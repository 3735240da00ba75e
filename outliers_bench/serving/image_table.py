"""Conversion of image sets to arrays for a file, and back: names, digests and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.content_hash import content_hash
from outliers_bench.errors import InaccessibleImageError
from outliers_bench.types import GROUP, RGB, ImageSet

_DIGEST = content_hash().digest_size


@dataclass(frozen=True)
class UnavailableReader:
    """Placeholder of a reader: a saved run lists photos but cannot decode them."""

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Raise InaccessibleImageError; see `ImageReader.read`."""
        raise InaccessibleImageError("a saved run does not include photos", name=name)


def to_columns(part: str, images: ImageSet) -> dict[str, npt.NDArray[Any]]:
    """Return the images of a part as arrays, with the part's name as prefix; see `from_columns`.

    A column of objects becomes text.
    """
    digests = np.frombuffer(b"".join(images.digests), np.uint8).reshape(len(images), _DIGEST)
    columns: dict[str, npt.NDArray[Any]]
    columns = {f"{part}_names": texts_to_bytes(images.names), f"{part}_digests": digests}
    if images.labels is not None:
        columns[f"{part}_labels"] = images.labels
    for name, values in images.columns.items():
        if values.dtype == np.object_:
            columns[_text_key(part, name)] = texts_to_bytes(tuple(map(str, values)))
        else:
            columns[f"{part}_value_{name}"] = values
    return columns


def from_columns(
    part: str, arrays: dict[str, npt.NDArray[Any]], classes: tuple[str, ...]
) -> ImageSet:
    """Return the image set that `to_columns` converted; it cannot be decoded."""
    texts, values = f"{part}_text_", f"{part}_value_"
    columns = {
        key.removeprefix(values): array for key, array in arrays.items() if key.startswith(values)
    }
    for key, array in arrays.items():
        if key.startswith(texts) or key == _text_key(part, GROUP):
            name = key.removeprefix(texts) if key.startswith(texts) else GROUP
            columns[name] = np.array(bytes_to_texts(array), dtype=np.object_)
    return ImageSet(
        names=bytes_to_texts(arrays[f"{part}_names"]),
        digests=tuple(row.tobytes() for row in arrays[f"{part}_digests"]),
        labels=arrays.get(f"{part}_labels"),
        classes=classes,
        reader=UnavailableReader(),
        columns=columns,
    )


def _text_key(part: str, column: str) -> str:
    # Runs that earlier versions have saved have no other column than this one.
    return f"{part}_groups" if column == GROUP else f"{part}_text_{column}"


def texts_to_bytes(texts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Return the UTF-8 bytes of the texts, each terminated by a zero."""
    joined = "".join(f"{text}\0" for text in texts)
    return np.frombuffer(joined.encode(errors="surrogateescape"), np.uint8)


def bytes_to_texts(joined: npt.NDArray[Any]) -> tuple[str, ...]:
    """Return the texts that `texts_to_bytes` converted."""
    return tuple(joined.tobytes().decode(errors="surrogateescape").split("\0")[:-1])
