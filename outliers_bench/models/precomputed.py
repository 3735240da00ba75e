"""`model=embeddings`: vectors that another program computed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.image_files import FileReader, absolute_path
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Model
from outliers_bench.models.vector_file import SUFFIXES, VectorTable, list_first, read_vectors
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.store.features import Space
from outliers_bench.types import ImageSet, Split


@dataclass
class Precomputed(Model):
    """Embeddings from a file, one for each photo; see `vector_file.read_vectors`."""

    name: str = "embeddings"
    file: str = field(default=MISSING, metadata=PLACE)  # its content matters

    def __post_init__(self) -> None:
        self._table: VectorTable | None = None

    @classmethod
    def of(cls, table: VectorTable, name: str = "embeddings") -> Precomputed:
        """Return a model of embeddings in memory."""
        model = cls(name, file=table.place)
        model._table = table
        return model

    @property
    def table(self) -> VectorTable:
        """Names and vectors."""
        if self._table is not None:
            return self._table
        return read_vectors(absolute_path(self.file, "model.file"), f"model.file={self.file}")

    @property
    def variant(self) -> str:
        """Name of the file."""
        return Path(self.file).name

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return int(self.table.matrix.shape[1])

    def check(self) -> None:
        """Raise `BenchError` if there is no such file."""
        if self._table is not None:
            return
        path = absolute_path(self.file, "model.file")
        if path.suffix.lower() not in SUFFIXES:
            gone = "; embeddings given in Python are not recorded" if not path.suffix else ""
            raise BenchError(
                f"model.file={self.file}: give a file named {', '.join(SUFFIXES)}{gone}"
            )
        if not path.is_file():
            raise BenchError(f"model.file={self.file}: there is no such file (looked for {path})")

    def check_split(self, split: Split) -> None:
        """Raise `BenchError` if a photo has no vector, or a vector has no photo."""
        table = self.table
        parts = [split.train, split.query, split.gallery, *filter(None, [split.also])]
        if table.by_order:
            listed = len(getattr(split.gallery.reader, "listed", ()))
            if len(table.matrix) != listed:
                count = f"{listed:,} images in its files or rows" if listed else "no order"
                raise BenchError(
                    f"{table.place} has {len(table.matrix):,} rows, and {split.name} has {count}; "
                    "give one row for each, in their order, or a file with names"
                )
            _check_order(table, split)
        rows = [table.rows(part) for part in parts]
        missing = {
            name
            for part, found in zip(parts, rows, strict=True)
            for name, row in zip(part.names, found, strict=True)
            if row < 0
        }
        photos = len({name for part in parts for name in part.names})
        if missing:
            raise BenchError(
                f"{table.place} has no vector for {len(missing):,} of {photos:,} photos of "
                f"{split.name}: {list_first(sorted(missing))}; {_examples(table)}"
            )
        if table.names is None:
            return
        gone = [item.name for item in split.left_out]
        excluded = ImageSet(tuple(gone), (b"",) * len(gone), None, (), split.gallery.reader)
        used = {int(row) for found in (*rows, table.rows(excluded)) for row in found}
        unknown = [name for row, name in enumerate(table.names) if row not in used]
        if unknown:
            raise BenchError(
                f"{table.place} has vectors for {len(unknown):,} names that are no photos of "
                f"{split.name}: {list_first(sorted(unknown))}; remove them"
            )

    def space(self) -> Space:
        """Return everything the vectors depend on, except which photo has which of them."""
        return {"architecture": "embeddings", "content": self.table.digest}

    def space_on(self, split: Split) -> Space:
        """Return which photo has which vector; see `Model.space_on`."""
        return {"rows": rows_digest(self.table, split.train, split.gallery, split.query)}


def rows_digest(table: VectorTable, *parts: ImageSet) -> str:
    """Return a digest of the rows of images, in any order."""
    pairs = {
        (digest, int(row))
        for part in parts
        for digest, row in zip(part.digests, table.rows(part), strict=True)
    }
    content = b"".join(digest + f" {row}\n".encode() for digest, row in sorted(pairs))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _check_order(table: VectorTable, split: Split) -> None:
    """Refuse rows without names for files that Python sorts in two ways, as text and as paths."""
    reader = split.gallery.reader
    names = reader.listed if isinstance(reader, FileReader) and reader.is_sorted else ()
    orders = zip(names, sorted(names, key=lambda name: name.split("/")), strict=True)
    if differing := next((pair for pair in orders if pair[0] != pair[1]), None):
        raise BenchError(
            f"{table.place} has no names, and the files of {split.name} may be in two orders: "
            f"{differing[0]} is before {differing[1]} as text, and behind it as a path; give "
            "names, in a table with the column path"
        )


def _examples(table: VectorTable) -> str:
    if table.names is not None:
        return f"its names are paths such as {table.names[0]}"
    return "its rows are in another order" if table.by_order else "it is of other photos"
