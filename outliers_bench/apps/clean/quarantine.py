"""Photos put aside, with a list of what came from where, so that all of it can go back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from outliers_bench.apps.clean.move import move, settle
from outliers_bench.apps.clean.preflight import alone, check_room, check_writable, make_folder
from outliers_bench.apps.clean.undo_list import Entry, UndoList
from outliers_bench.data.image_files import reason
from outliers_bench.errors import BenchError
from outliers_bench.runtime.progress import track

_LOCK = ".lock"
_AT_ONCE = 64  # moves announced with one write to the disk


class Quarantine:
    """A folder beside the photos that holds what was taken out of them.

    `undo.jsonl` in it names the root on its first line and then every move before it is made, so
    that whatever kills the process, both `take` and `give_back` know what may be under way.

    Parameters
    ----------
    root : Path
        The folder of photos, absolute.
    folder : Path
        The quarantine, absolute; made by the first `take`.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._list = UndoList(root, folder)

    def check(self, *, writing: bool) -> None:
        """Raise `BenchError` if the quarantine cannot be that of this root, or not be written."""
        root, folder = self._root.resolve(), self._folder.resolve()
        if folder.is_relative_to(root) or root.is_relative_to(folder):
            raise BenchError(
                f"quarantine={self._folder} and root={self._root} lie in one another; "
                "name a folder beside the photos"
            )
        if self._folder.exists() and not self._folder.is_dir():
            raise BenchError(f"quarantine={self._folder} is a file; name a folder")
        if writing:
            there = next(place for place in (folder, *folder.parents) if place.is_dir())
            check_writable({there})
        self._list.entries()

    def take(self, why: Mapping[str, Sequence[str]]) -> int:
        """Move photos here.

        Parameters
        ----------
        why : mapping of str to sequence of str
            Kinds of what is wrong, by photo; they are noted in the list.

        Returns
        -------
        int
            How many were moved.

        Raises
        ------
        BenchError
            If a folder cannot be written, before anything is moved, or the disk is full.
        """
        if not why:
            return 0
        check_writable({(self._root / name).parent for name in why})
        make_folder(self._folder)
        done = 0
        with alone(self._folder / _LOCK, f"quarantine={self._folder}"):
            entries = self._settled()
            self._list.drop_torn_line()
            taken = {entry.to for entry in entries}
            waiting = [Entry(name, self._free_name(name, taken)) for name in sorted(why)]
            check_room(self._root, self._folder, [entry.path for entry in waiting])
            steps = iter(track(waiting, stage="move", total=len(waiting), unit="photos"))
            try:
                while batch := list(islice(steps, _AT_ONCE)):
                    self._list.announce(batch, why)
                    for entry in batch:
                        source, target = self._list.places(entry)
                        move(source, target)
                        done += 1
            except OSError as error:
                raise BenchError(
                    f"{error.filename or self._folder}: {reason(error)}; {done} of {len(waiting)} "
                    f"photos were moved to {self._folder}: the same command moves the others, "
                    "undo=true puts them back"
                ) from None
        return done

    def give_back(self) -> tuple[int, list[str]]:
        """Put everything back where it was.

        Returns
        -------
        back : int
            How many photos went back.
        gone : list of str
            Photos on the list that are at neither place; somebody else has moved them. The list
            is kept for their sake.

        Raises
        ------
        BenchError
            If there is nothing to undo, or another photo stands where one was, before anything is
            moved; or a folder cannot be written.
        """
        if not self._list.path.exists():
            name = self._list.path.name
            raise BenchError(f"quarantine={self._folder}: no {name} in it; nothing to undo")
        check_writable({self._folder})
        with alone(self._folder / _LOCK, f"quarantine={self._folder}"):
            entries = self._settled()
            waiting = self._waiting(entries)
            back = 0
            for entry in track(waiting, stage="undo", total=len(waiting), unit="photos"):
                home, here = self._list.places(entry)
                try:
                    move(here, home)
                except OSError as error:
                    raise BenchError(
                        f"{error.filename or home}: {reason(error)}; {back} of {len(waiting)} "
                        "photos are back, the same command goes on"
                    ) from None
                back += 1
            gone = sorted(
                {
                    entry.path
                    for entry in entries
                    if not os.path.lexists(self._list.places(entry)[0])
                }
            )
            if not gone:
                self._list.path.unlink()
        self._tidy(empty=not gone)
        return back, gone

    def _waiting(self, entries: Sequence[Entry]) -> list[Entry]:
        """What is to go back, the last that was moved first."""
        waiting: dict[str, Entry] = {}
        blocked = []
        for entry in reversed(dict.fromkeys(entries)):
            home, here = self._list.places(entry)
            if not os.path.lexists(here):
                continue
            if entry.path in waiting or os.path.lexists(home):
                blocked.append(entry)
            else:
                waiting[entry.path] = entry
        if blocked:
            first, many = blocked[0], len(blocked) > 1
            raise BenchError(
                f"{len(blocked)} photo{'s' if many else ''} cannot go back, since "
                f"{'others stand' if many else 'another stands'} there: "
                f"{self._folder / first.to} would overwrite {self._root / first.path}; move one of "
                "the two away. Nothing was moved"
            )
        return list(waiting.values())

    def _settled(self) -> list[Entry]:
        """The list, after taking back what a killed process has left half done."""
        entries = self._list.entries()
        for entry in dict.fromkeys(entries):
            try:
                settle(*self._list.places(entry))
            except OSError as error:
                place = error.filename or self._folder / entry.to
                raise BenchError(f"{place}: {reason(error)}; nothing was moved") from None
        return entries

    def _free_name(self, name: str, taken: set[str]) -> str:
        """The same path, or with a number if an earlier photo of that name is here already."""
        path, number, free = PurePosixPath(name), 1, name
        while os.path.lexists(self._folder / free) or (number > 1 and free in taken):
            number += 1
            free = str(path.with_name(f"{path.stem}~{number}{path.suffix}"))
        taken.add(free)
        return free

    def _tidy(self, *, empty: bool) -> None:
        """Remove the folders that hold nothing any more."""
        if empty:
            (self._folder / _LOCK).unlink(missing_ok=True)
        for folder, _, _ in os.walk(self._folder, topdown=False):
            with suppress(OSError):  # not empty
                Path(folder).rmdir()
