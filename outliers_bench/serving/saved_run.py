"""What a finished run leaves in the cache, so that a search needs no MLflow: config and photos."""

from __future__ import annotations

import json
import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.data.image_files import FileReader
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.serving.image_table import (
    Undecoded,
    bytes_to_texts,
    columns_of,
    part_of,
    texts_to_bytes,
)
from outliers_bench.store.files import ABANDONED_AFTER, digest_of, save_arrays, load_arrays, write_atomically
from outliers_bench.tracking.lookup import LAST, SHORTEST
from outliers_bench.tracking.params import to_mapping
from outliers_bench.types import ImageSet, Split

if TYPE_CHECKING:
    from outliers_bench.config.schema import Config
    from outliers_bench.result import RunHandle

FOLDER = "cards"
KEPT = 1000  # cards; those of photos that several runs share are kept once
_SPARED = 100  # removed at a time, beyond the one that is too many
_FORMAT = 1
_PARTS = ("train", "gallery")
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A finished run, as far as searching its gallery needs it.

    Parameters
    ----------
    run_id, name : str
        As MLflow has them.
    uri : str
        Where it is recorded, absolute, without a password.
    data : str
        The data set's name.
    finished : float
        When it ended, in seconds since 1970; 0 where only MLflow knows.
    folder : str
        The working directory, from which relative paths in the config count.
    config : dict
        The resolved config as `to_mapping` gives it, but for the tracking.
    fetched : dict of str to str
        Where models that are named by an address in MLflow lie on this machine.
    root : str or None
        Where the photos' names start; None where they are no files.
    train, gallery : ImageSet
        What it has learned from and searched, without what was left out. Not to be decoded.
    """

    run_id: str
    name: str
    uri: str
    data: str
    finished: float
    folder: str
    config: dict[str, Any]
    fetched: dict[str, str]
    root: str | None
    train: ImageSet
    gallery: ImageSet

    @classmethod
    def of(cls, config: Config, split: Split, *, run_id: str, name: str, uri: str) -> SavedRun:
        """The card of a run that has just ended; `split` is what was ranked in the end."""
        reader = split.gallery.reader
        return cls(
            run_id=run_id,
            name=name,
            uri=_PASSWORD.sub("", uri),
            data=split.name,
            finished=time.time(),
            folder=str(Path.cwd()),
            config={k: v for k, v in to_mapping(config).items() if k != "tracking"},
            fetched={model: str(resolve_uri(model)) for model in config.model.model_uris},
            root=str(reader.root) if isinstance(reader, FileReader) else None,
            train=replace(split.train, reader=Undecoded()),
            gallery=replace(split.gallery, reader=Undecoded()),
        )

    def has(self, path: Path) -> bool:
        """Whether an absolute path is that of a photo that the run has learned from or searched."""
        if self.root is None or not path.is_relative_to(self.root):
            return False
        name = path.relative_to(self.root).as_posix()
        return name in self.gallery.names or name in self.train.names

    def keep(self, cache: Path) -> None:
        """Write it, in one step, and remove the oldest where there are too many; never raises."""
        folder = cache / FOLDER
        try:
            arrays = {
                **columns_of("train", self.train),
                **columns_of("gallery", self.gallery),
                "classes": texts_to_bytes(self.gallery.classes),
            }
            photos = digest_of({"format": _FORMAT}, *(arrays[name] for name in sorted(arrays)))
            said = {key: value for key, value in vars(self).items() if key not in _PARTS}
            if not (file := _photos_file(folder, photos)).exists():
                save_arrays(file, **arrays)
            with write_atomically(folder / f"{self.run_id}-{photos}.json") as aside:
                aside.write_text(json.dumps({"format": _FORMAT, **said}), encoding="utf-8")
            _remove_oldest(folder)
        except (OSError, ValueError) as error:  # of a text that cannot be encoded
            why = getattr(error, "strerror", None) or error
            _log.warning("%s: cannot be written (%s); searches go by MLflow", folder, why)


def keep_card(config: Config, split: Split, run: RunHandle) -> None:
    """Leave the card of a finished run in its cache; see `SavedRun.of`."""
    card = SavedRun.of(config, split, run_id=run.run_id, name=run.name, uri=run.uri)
    card.keep(config.cache.path)


def find_card(cache: Path, run: str, *, uri: str) -> SavedRun | None:
    """The card of a run.

    Parameters
    ----------
    cache : Path
        Directory of what is kept between runs.
    run : str
        Its id or a beginning of it, or `last` for the one that ended last.
    uri : str
        Where `last` was recorded, absolute.

    Returns
    -------
    RunCard or None
        None where there is none, or several begin so: MLflow is to tell.
    """
    folder = cache / FOLDER
    if run != LAST:
        if len(run) < SHORTEST or not run.isalnum():
            return None
        paths = list(folder.glob(f"{run}*.json"))
        return _read(paths[0]) if len(paths) == 1 else None
    said = ((path, _said(path)) for path in folder.glob("*.json"))
    # Of a run that has left no card itself nobody noted when it ended.
    here = [
        (about["finished"], path)
        for path, about in said
        if about.get("uri") == _PASSWORD.sub("", uri) and about["finished"]
    ]
    return _read(max(here)[1]) if here else None


def _read(path: Path) -> SavedRun | None:
    said = _said(path)
    arrays = load_arrays(_photos_file(path.parent, path.stem.rpartition("-")[2]))
    if arrays is None or said.pop("format", None) != _FORMAT:
        return None
    try:
        classes = bytes_to_texts(arrays["classes"])
        train, gallery = (part_of(part, arrays, classes) for part in _PARTS)
        return SavedRun(**said, train=train, gallery=gallery)
    except Exception:  # damaged in any way: MLflow has it all
        return None


def _said(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("finished"), float):
            return found
    return {}


def _photos_file(folder: Path, photos: str) -> Path:
    return folder / "photos" / f"{photos}.npz"


def _remove_oldest(folder: Path) -> None:
    cards = list(folder.glob("*.json"))
    if len(cards) <= KEPT:
        return
    by_age = sorted(cards, key=lambda path: path.stat().st_mtime)
    for path in by_age[: len(cards) - KEPT + _SPARED]:
        path.unlink(missing_ok=True)
    wanted = {path.stem.rpartition("-")[2] for path in folder.glob("*.json")}
    for path in (folder / "photos").glob("*.npz"):
        # A young one may be of a card that another process is about to write.
        old = time.time() - path.stat().st_mtime > ABANDONED_AFTER
        if path.stem not in wanted and old:
            path.unlink(missing_ok=True)
