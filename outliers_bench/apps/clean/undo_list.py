"""Undo list of a quarantine: one line per photo, written before the photo is moved."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError

NAME = "undo.jsonl"


class Entry(NamedTuple):
    """A photo that was moved, or was about to be.

    Parameters
    ----------
    path : str
        Original path, relative to the root.
    to : str
        Path in the quarantine, relative to it.
    """

    path: str
    to: str


class UndoList:
    """File with the root on its first line, then one line for every move, before it is made.

    It is created by the first `append`.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self.path = folder / NAME
        self._checked: set[Path] = set()

    def read(self) -> list[Entry]:
        """Read the list; an incomplete last line is ignored, since its move was not made.

        Raises
        ------
        BenchError
            If it cannot be read, has an invalid line or a path outside of the folders, or belongs
            to another root.
        """
        try:
            *lines, _ = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BenchError(f"{self.path}: {describe_os_error(error)}") from None
        entries = []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                if number == 1:
                    self._check_root(Path(record["root"]))
                else:
                    entries.append(Entry(*(_check_relative(record[key]) for key in ("path", "to"))))
            except (ValueError, TypeError, KeyError):
                raise BenchError(
                    f"{self.path}, line {number}, is invalid: remove or correct it"
                ) from None
        return entries

    def append(self, entries: Sequence[Entry], kinds: Mapping[str, Sequence[str]]) -> None:
        """Append the photos that are about to be moved, and sync the file to the disk."""
        lines: list[dict[str, object]] = [
            {"path": entry.path, "to": entry.to, "kinds": list(kinds[entry.path])}
            for entry in entries
        ]
        with self.path.open("ab+") as file:
            file.seek(0)
            complete = file.read().rfind(b"\n") + 1
            file.truncate(complete)  # a kill or a full disk has left an incomplete line
            if not complete:
                lines.insert(0, {"root": str(self._root)})
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def paths(self, entry: Entry) -> tuple[Path, Path]:
        """Return the original path of a photo and its path in the quarantine.

        Raises
        ------
        BenchError
            If a symbolic link leads out of the folders.
        """
        original, quarantined = self._root / entry.path, self._folder / entry.to
        for base, path in ((self._root, original), (self._folder, quarantined)):
            if path.parent not in self._checked:  # once per folder, since resolving is slow
                if not path.parent.resolve().is_relative_to(base.resolve()):
                    raise BenchError(
                        f"{path} is outside of {base} because of a symbolic link; remove the link"
                    )
                self._checked.add(path.parent)
        return original, quarantined

    def _check_root(self, root: Path) -> None:
        # A recorded root that no longer exists may have been moved along with its quarantine.
        if root.is_dir() and not root.samefile(self._root):
            raise BenchError(
                f"quarantine={self._folder} has photos of {root}; choose another folder"
            )


def _check_relative(path: str) -> str:
    """Return a relative path without `..`, or raise ValueError."""
    pure = PurePosixPath(path)
    if not path or "\0" in path or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(path)
    return path
