"""Quarantine of photos, with a list of their original paths, so that all can be restored."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath

from outliers_bench.apps.clean.move import move, undo_partial_move
from outliers_bench.apps.clean.undo_list import Entry, UndoList
from outliers_bench.data.image_files import describe_os_error, make_folder
from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock
from outliers_bench.runtime.progress import track

_LOCK = ".lock"


class Quarantine:
    """Folder next to the photo folder with the photos that were moved out of it.

    Its `undo.jsonl` names the root on the first line and then every move, before it is made. If
    the process is killed, both `add` and `restore` find the moves that may be incomplete.

    Parameters
    ----------
    root : Path
        Absolute path of the photo folder.
    folder : Path
        Absolute path of the quarantine, created by the first `add`.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._list = UndoList(root, folder)

    def check(self, *, writing: bool) -> None:
        """Check that the folder can be the quarantine of this root.

        Parameters
        ----------
        writing : bool
            Whether photos will be moved to the quarantine.

        Raises
        ------
        BenchError
            If the folders overlap, the quarantine belongs to another root or is not writable.
        """
        root, folder = self._root.resolve(), self._folder.resolve()
        if folder.is_relative_to(root) or root.is_relative_to(folder):
            raise BenchError(
                f"quarantine={self._folder} and root={self._root} overlap; "
                "choose a folder next to the photo folder"
            )
        if self._folder.exists() and not self._folder.is_dir():
            raise BenchError(f"quarantine={self._folder} is a file; choose a folder")
        if writing:
            _check_writable([next(path for path in (folder, *folder.parents) if path.is_dir())])
        self._list.read()

    def add(self, kinds: Mapping[str, Sequence[str]]) -> int:
        """Move photos to the quarantine.

        Parameters
        ----------
        kinds : mapping of str to sequence of str
            Kinds of the findings by photo; they are recorded in the list.

        Returns
        -------
        int
            Number of photos moved.

        Raises
        ------
        BenchError
            If a folder is not writable or too small (checked before the first move), or a move
            fails.
        """
        if not kinds:
            return 0
        _check_writable({(self._root / name).parent for name in kinds})
        make_folder(self._folder, "quarantine")
        with self._lock():
            used = {entry.to for entry in self._read_and_repair()}
            entries = [Entry(name, self._unused_name(name, used)) for name in sorted(kinds)]
            moves = [self._list.paths(entry) for entry in entries]
            self._check_free_space(source for source, _ in moves)
            try:
                self._list.append(entries, kinds)
            except OSError as error:
                reason = describe_os_error(error)
                raise BenchError(f"{self._list.path}: {reason}; nothing was moved") from None
            self._move(moves, stage="move")
        return len(moves)

    def restore(self) -> tuple[int, list[str]]:
        """Move all photos back to their original paths.

        Returns
        -------
        restored : int
            Number of photos moved back.
        missing : list of str
            Photos on the list that are at neither path, because something else has moved them.
            The list is not deleted then.

        Raises
        ------
        BenchError
            If there is nothing to undo or an original path is occupied (both checked before the
            first move), or a move fails.
        """
        if not self._list.path.exists():
            name = self._list.path.name
            raise BenchError(f"quarantine={self._folder}: no {name} in it; nothing to undo")
        _check_writable([self._folder])
        with self._lock():
            entries = self._read_and_repair()
            moves = [self._list.paths(entry)[::-1] for entry in self._entries_to_restore(entries)]
            self._move(moves, stage="undo")
            missing = sorted(
                {entry.path for entry in entries if not os.path.lexists(self._list.paths(entry)[0])}
            )
            if not missing:
                self._list.path.unlink()
                (self._folder / _LOCK).unlink(missing_ok=True)
        for folder, _, _ in os.walk(self._folder, topdown=False):
            with suppress(OSError):  # not empty
                Path(folder).rmdir()
        return len(moves), missing

    def _move(self, moves: Sequence[tuple[Path, Path]], *, stage: str) -> None:
        done = 0
        try:
            for source, target in track(moves, stage=stage, total=len(moves), unit="photos"):
                move(source, target)
                done += 1
        except OSError as error:
            raise BenchError(
                f"{error.filename or self._folder}: {describe_os_error(error)}; {done} of "
                f"{len(moves)} photos were moved; the same command moves the others"
            ) from None

    def _entries_to_restore(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries of photos in the quarantine, the latest first."""
        pending: dict[str, Entry] = {}
        blocked = []
        for entry in reversed(dict.fromkeys(entries)):
            original, quarantined = self._list.paths(entry)
            if not os.path.lexists(quarantined):
                continue
            if entry.path in pending or os.path.lexists(original):
                blocked.append(entry)
            else:
                pending[entry.path] = entry
        if blocked:
            first = blocked[0]
            raise BenchError(
                f"{len(blocked)} of the photos cannot be restored, because another file has the "
                f"original path: {self._folder / first.to} would overwrite "
                f"{self._root / first.path}; move one of the two. Nothing was moved"
            )
        return list(pending.values())

    def _read_and_repair(self) -> list[Entry]:
        """Read the list and undo moves that a killed process left incomplete."""
        entries = self._list.read()
        for entry in dict.fromkeys(entries):
            try:
                undo_partial_move(*self._list.paths(entry))
            except OSError as error:
                path = error.filename or self._folder / entry.to
                raise BenchError(f"{path}: {describe_os_error(error)}; nothing was moved") from None
        return entries

    def _unused_name(self, name: str, used: set[str]) -> str:
        """Return the same path, with a number if the quarantine has a photo of that name."""
        path, number, unused = PurePosixPath(name), 1, name
        while os.path.lexists(self._folder / unused) or (number > 1 and unused in used):
            number += 1
            unused = str(path.with_name(f"{path.stem}~{number}{path.suffix}"))
        used.add(unused)
        return unused

    def _check_free_space(self, photos: Iterable[Path]) -> None:
        """Check that a quarantine on another file system has enough free space."""
        if self._root.stat().st_dev == self._folder.stat().st_dev:
            return
        required = sum(photo.stat().st_size for photo in photos if photo.exists())
        free = shutil.disk_usage(self._folder).free
        if required > free:
            raise BenchError(
                f"quarantine={self._folder}: {required:,} bytes are required and {free:,} are "
                "free; nothing was moved"
            )

    def _lock(self) -> AbstractContextManager[None]:
        """Prevent other processes from moving the same photos."""
        refused = f"quarantine={self._folder}: another process is moving photos; wait for it"
        return hold_lock(self._folder / _LOCK, refused=refused)


def _check_writable(folders: Iterable[Path]) -> None:
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BenchError(f"{folder} is not writable; nothing was moved")
