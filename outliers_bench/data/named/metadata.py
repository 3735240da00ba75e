"""Metadata of named data sets, known without downloading them."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.data.download.checksum import RemoteFile

_MAX_BYTES = 10_000_000_000  # limit for data sets of unknown size


@dataclass(frozen=True)
class DatasetInfo:
    """Metadata of a named data set."""

    name: str  # as in `data=<name>`
    images: int  # as published
    classes: int  # that are used here
    license: str  # short form of the publishers' terms
    source: str  # address of the page that describes the data set
    citation: str
    # With their SHA-256 from TensorFlow Datasets; none if a download needs an account.
    files: tuple[RemoteFile, ...] = ()
    nested: tuple[str, ...] = ()  # archives in the files, as paths after unpacking
    only: tuple[str, ...] = ()  # patterns of the entries that are needed; empty for all
    kaggle: str = ""  # handle for kagglehub, `<owner>/<data set>/versions/<number>`
    part_of: DatasetInfo | None = None  # the data set that contains this one and shares its files
    mirror: str | None = None  # web folder to take the files from, under their names
    verify: bool = True  # whether the files must match the published ones

    @property
    def size(self) -> int | None:
        """Download size in bytes; None if unknown."""
        sizes = [remote.size for remote in self.files if remote.size is not None]
        return sum(sizes) if sizes else None

    @property
    def max_files(self) -> int:
        """Maximum number of entries in an archive; generous, but harmless."""
        return 3 * (self.part_of or self).images + 1000

    @property
    def max_bytes(self) -> int:
        """Maximum number of bytes of a download or an unpacked archive."""
        return _MAX_BYTES if self.size is None else 4 * self.size + 100_000_000
