"""What is known of a named data set before a byte of it is here."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.data.download.checksum import RemoteFile

_MOST_BYTES = 10_000_000_000  # where nobody says how large it is


@dataclass(frozen=True)
class About:
    """A named data set.

    Parameters
    ----------
    name : str
        As in `data=<name>`.
    images, classes : int
        What its publishers count; the classes that are used here.
    license : str
        The publishers' terms, in a few words.
    source : str
        Address of the page that describes it.
    citation : str
        What to cite.
    size : int or None
        Bytes to download; None where nobody says.
    files : tuple of RemoteFile
        What is downloaded; none where that needs an account.
    nested : tuple of str
        Archives within those, as paths in what comes out of them, that are unpacked as well.
    only : tuple of str
        Patterns of the entries that are needed; all where there are none.
    kaggle : str
        Its handle at Kaggle, where kagglehub fetches it: `<owner>/<data set>/versions/<number>`.
    part_of : About or None
        The data set whose files these are, where it is another.
    """

    name: str
    images: int
    classes: int
    license: str
    source: str
    citation: str
    size: int | None = None
    files: tuple[RemoteFile, ...] = ()
    nested: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    kaggle: str = ""
    part_of: About | None = None

    @property
    def most_files(self) -> int:
        """Most entries that its archives may have; generous, and far from what hurts."""
        return 3 * (self.part_of or self).images + 1000

    @property
    def most_bytes(self) -> int:
        """Most bytes that are downloaded, or come out of an archive."""
        return _MOST_BYTES if self.size is None else 4 * self.size + 100_000_000
