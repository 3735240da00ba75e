"""What was moved from where: a line for each photo, written before it is moved."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from outliers_bench.data.image_files import reason
from outliers_bench.errors import BenchError

NAME = "undo.jsonl"


@dataclass(frozen=True)
class Entry:
    """A photo that was moved, or was about to be.

    Parameters
    ----------
    path : str
        Where it was, relative to the root.
    to : str
        Where it is, relative to the quarantine.
    """

    path: str
    to: str


class UndoList:
    """The list of a quarantine: the root on the first line, then every move before it is made.

    Parameters
    ----------
    root : Path
        Where the photos come from.
    folder : Path
        The quarantine.

    Attributes
    ----------
    path : Path
        The file; it is there after the first `announce`.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self.path = folder / NAME
        self._inside: set[Path] = set()

    def entries(self) -> list[Entry]:
        """What the list says; a last line cut short announces nothing that has happened.

        Raises
        ------
        BenchError
            If it cannot be read, holds a line that is no entry or leads elsewhere, or is that of
            another root.
        """
        try:
            *lines, _ = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BenchError(f"{self.path}: {reason(error)}") from None
        entries = []
        for number, line in enumerate(lines, 1):
            try:
                said = json.loads(line)
                if number == 1:
                    self._check_root(Path(said["root"]))
                else:
                    entries.append(Entry(_relative(said["path"]), _relative(said["to"])))
            except (ValueError, TypeError, KeyError):
                raise BenchError(
                    f"{self.path}, line {number}, is none of this list: remove or mend it"
                ) from None
        return entries

    def places(self, entry: Entry) -> tuple[Path, Path]:
        """Where a photo was and where it is put; never outside, by a link or otherwise."""
        home, here = self._root / entry.path, self._folder / entry.to
        for base, place in ((self._root, home), (self._folder, here)):
            if place.parent not in self._inside:  # asked once a folder: it takes long
                if not place.parent.resolve().is_relative_to(base.resolve()):
                    raise BenchError(f"{place} leads out of {base} by a link; mend that first")
                self._inside.add(place.parent)
        return home, here

    def _check_root(self, root: Path) -> None:
        # A root that was moved along with its quarantine is the same one.
        if root.is_dir() and not root.samefile(self._root):
            raise BenchError(
                f"quarantine={self.path.parent} holds photos of {root}; name another folder"
            )

    def announce(self, batch: Sequence[Entry], why: Mapping[str, Sequence[str]]) -> None:
        """Write what is about to be moved, down to the disk."""
        lines = [
            {"path": entry.path, "to": entry.to, "kinds": list(why[entry.path])} for entry in batch
        ]
        with self.path.open("ab") as file:
            if not file.tell():
                lines.insert(0, {"root": str(self._root)})
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def drop_torn_line(self) -> None:
        """Cut off a last line without an end, which a kill or a full disk has left."""
        with suppress(FileNotFoundError), self.path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def _relative(path: object) -> str:
    """A path that stays below where it starts; ValueError otherwise."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(path)
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(path)
    return path
