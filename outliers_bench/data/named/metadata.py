"""Metadata of named data sets, known without downloading them."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.data.download.checksum import RemoteFile

_MAX_BYTES = 10_000_000_000  # limit for data sets of unknown size


@dataclass(frozen=True)
class DatasetInfo:
    """Metadata of a named data set.

    Parameters
    ----------
    name : str
        Name as in `data=<name>`.
    images, classes : int
        Number of images as published, and of the classes that are used here.
    license : str
        Short form of the publishers' terms.
    source : str
        Address of the page that describes the data set.
    citation : str
        Publication to cite.
    files : tuple of RemoteFile
        Files to download, with their SHA-256 from TensorFlow Datasets; empty if that needs an
        account.
    nested : tuple of str
        Archives within the files, as paths after unpacking, that are unpacked too.
    only : tuple of str
        Patterns of the entries that are needed; empty for all.
    kaggle : str
        Kaggle handle, `<owner>/<data set>/versions/<number>`, for kagglehub; empty otherwise.
    part_of : DatasetInfo or None
        The data set that contains this one and shares its files, if any.
    mirror : str or None
        Web folder to take the files from, under their names.
    verify : bool
        Whether the files must match the published ones.
    """

    name: str
    images: int
    classes: int
    license: str
    source: str
    citation: str
    files: tuple[RemoteFile, ...] = ()
    nested: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    kaggle: str = ""
    part_of: DatasetInfo | None = None
    mirror: str | None = None
    verify: bool = True

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
