"""Data of a Python program: a table of image files, arrays of images, or only embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.source import LabeledSource
from outliers_bench.data.table import Row, Table
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.types import RGB, FloatArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(eq=False)
class InMemory(Manifest):
    """A table in memory, of files or of arrays; with the options and the checks of a manifest.

    Relative paths are relative to `root`, or to the working directory: `path` is not a path here.
    """

    path: str = "data"

    def __post_init__(self) -> None:
        self._frame: pd.DataFrame | None = None
        self._contents: ImageArrays | Vectors | None = None

    __eq__ = object.__eq__  # what it contains is not among its options
    __hash__ = object.__hash__

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        options: LabeledSource,
        contents: ImageArrays | Vectors | None = None,
    ) -> InMemory:
        """Return the source of a table.

        Parameters
        ----------
        frame : pandas.DataFrame
            Columns as in a manifest; without `path` if there are `contents`.
        options : LabeledSource
        contents : ImageArrays or Vectors, optional
            By default, the files in the column `path`.

        Raises
        ------
        BenchError
            If the table has another number of rows than there are contents.
        """
        known = {entry.name for entry in fields(cls)} - {"path"}
        source = cls(**{name: vars(options)[name] for name in known & set(vars(options))})
        source.path = "the DataFrame" if contents is None else contents.place
        if contents is not None:
            rows = len(contents.listed)
            if len(frame) != rows:
                raise BenchError(
                    f"{contents.place}: {rows} rows but {len(frame)} labels; give one each"
                )
            frame = frame.assign(path=contents.listed)
        source._frame, source._contents = frame, contents
        return source

    def default_name(self) -> str:
        """See `DataSource.default_name`."""
        return self.path.removeprefix("the ")

    def read_frame(self) -> pd.DataFrame:
        """Return the table, with a named index as a column; see `Manifest.read_frame`."""
        import pandas as pd

        frame = self._frame
        assert frame is not None  # noqa: S101 - made by `of`
        if not len(frame):
            raise BenchError(f"{self.path} has no rows")
        if None not in frame.index.names and not set(frame.index.names) & set(frame.columns):
            frame = frame.reset_index()
        return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))

    def read_images(self, rows: list[Row], cache: Path) -> Table:
        """Compute the digests; see `Manifest.read_images`."""
        if self._contents is None:
            return super().read_images(rows, cache)
        rows, unlabeled = self.exclude_unlabeled(rows)
        digests = self._contents.digests()
        chosen = tuple(digests[row.number] for row in rows)
        return Table(tuple(rows), chosen, self._contents, tuple(unlabeled))


class ImageArrays:
    """Decoded images.

    Parameters
    ----------
    images : array of uint8, shape (n, height, width, 3), or sequence of such arrays
        RGB; or gray, without the last axis.

    Raises
    ------
    BenchError
        If an array has another shape or type.
    """

    place = "the images"

    def __init__(self, images: Sequence[npt.NDArray[Any]] | npt.NDArray[Any]) -> None:
        self._images = [_to_rgb(row, image) for row, image in enumerate(images)]
        self.listed = tuple(map(str, range(len(self._images))))  # see `FileReader`

    def digests(self) -> tuple[bytes, ...]:
        """Return the digest of each image, of its size and pixels."""
        return tuple(map(_digest, self._images))

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Return one image, in full size; see `ImageReader.read`."""
        image = self._images[int(name)]
        # The arrays are not copied, and their owner may write to them.
        if digest is not None and _digest(image) != digest:
            raise InaccessibleImageError("changed since it was given", name=f"image {name}")
        return image


class Vectors:
    """Embeddings without images.

    Equal vectors remain different items: they are distinguished by their order.

    Parameters
    ----------
    matrix : array of float32, shape (n, d)
    """

    place = "the embeddings"

    def __init__(self, matrix: FloatArray) -> None:
        self.matrix = matrix
        self.listed = tuple(map(str, range(len(matrix))))

    def digests(self) -> tuple[bytes, ...]:
        """Return a digest of each vector."""
        seen = Counter[bytes]()
        digests = []
        for vector in self.matrix:
            content = vector.tobytes()
            seen[content] += 1
            digests.append(content_hash(content + f" {seen[content]}".encode()).digest())
        return tuple(digests)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Raise `InaccessibleImageError`; see `ImageReader.read`."""
        raise InaccessibleImageError(
            "only its embedding is known, not the image", name=f"row {name}"
        )


def labels_frame(labels: pd.DataFrame | Iterable[object] | None, place: str) -> pd.DataFrame:
    """Return the labels of arrays as a table.

    `labels` has a label per row, or is a table with the column `label` and others of a manifest;
    `place` is the name of the arrays in messages. Raises `BenchError` if there are no labels.
    """
    import pandas as pd

    if labels is None:
        raise BenchError(f"{place} have no labels: give labels=[...], one for each row")
    if isinstance(labels, pd.DataFrame):
        return labels.reset_index(drop=True)
    if not isinstance(labels, Iterable):
        raise BenchError(f"labels={labels!r}: give a list with a label for each row")
    return pd.DataFrame({"label": list(labels)})


def _digest(image: RGB) -> bytes:
    return content_hash(f"{image.shape}".encode() + image.tobytes()).digest()


def _to_rgb(row: int, image: npt.NDArray[Any]) -> RGB:
    image = np.asarray(image)
    if image.dtype.kind in "UO":
        raise BenchError(
            f"the images: number {row} is not an array; for files, give a folder, or a DataFrame "
            "with the columns path and label"
        )
    gray = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if image.dtype != np.uint8 or not image.size or not (gray or image.shape[2:] == (3,)):
        raise BenchError(
            f"the images: number {row} is {image.dtype} of shape {image.shape}; give uint8 from 0 "
            "to 255 of shape (height, width, 3)"
        )
    if gray:
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image)
