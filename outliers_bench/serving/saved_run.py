"""Config and list of photos of a finished run in the cache, so that a search needs no MLflow."""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.image_files import FileReader
from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.serving.image_table import (
    UnavailableReader,
    bytes_to_texts,
    from_columns,
    texts_to_bytes,
    to_columns,
)
from outliers_bench.store import memo
from outliers_bench.store.files import digest_of, read_arrays, save_arrays, write_atomically
from outliers_bench.tracking.lookup import LAST, SHORTEST
from outliers_bench.tracking.outbox import FOLDER as OUTBOX
from outliers_bench.tracking.outbox import keys_of_run, run_of_key
from outliers_bench.tracking.params import to_mapping
from outliers_bench.tracking.records import without_password
from outliers_bench.tracking.run_state import GONE, run_state
from outliers_bench.tracking.store import database_path
from outliers_bench.types import ImageSet, Split

if TYPE_CHECKING:
    from outliers_bench.config.schema import Config
    from outliers_bench.tracking.outbox import Box

FOLDER = "cards"
MAX_SAVED_RUNS = 1000  # the oldest are removed
_FORMAT = 1
_DIGEST = "digest"
_PARTS = ("train", "gallery")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SavedRun:
    """The part of a finished run that a search of its gallery needs."""

    run_id: str  # id in MLflow; the key in the outbox as long as the run is not delivered
    name: str
    uri: str  # absolute tracking URI, without a password
    data: str  # name of the data set
    finished: float  # seconds since 1970; 0 if only MLflow has the run
    folder: str  # working directory of the run, which relative paths in the config are relative to
    config: dict[str, Any]  # from `to_mapping`, without the tracking options
    fetched: dict[str, str]  # local paths of models by their MLflow URI
    root: str | None  # folder that the names of the photos are relative to; None without files
    # Without the excluded images; they cannot be decoded.
    train: ImageSet
    gallery: ImageSet

    @classmethod
    def create(cls, config: Config, split: Split, *, run_id: str, name: str, uri: str) -> SavedRun:
        """Return a run that has just finished, on a split without the excluded images."""
        reader = split.gallery.reader
        return cls(
            run_id=run_id,
            name=name,
            uri=without_password(uri),
            data=split.name,
            finished=time.time(),
            folder=str(Path.cwd()),
            config={k: v for k, v in to_mapping(config).items() if k != "tracking"},
            fetched={model: str(resolve_uri(model)) for model in config.model.model_uris},
            root=str(reader.root) if isinstance(reader, FileReader) else None,
            train=replace(split.train, reader=UnavailableReader()),
            gallery=replace(split.gallery, reader=UnavailableReader()),
        )

    def contains(self, path: Path) -> bool:
        """Check whether an absolute path is a train or gallery photo of the run."""
        if self.root is None or not path.is_relative_to(self.root):
            return False
        photo = path.relative_to(self.root).as_posix()
        names = chain(self.gallery.names, self.train.names)
        return any(split_name(name)[0] == photo for name in names)

    def save(self, cache: Path) -> None:
        """Write the run to the cache and remove the oldest if there are too many.

        A failure is logged, not raised, because the cache is optional.
        """
        folder = cache / FOLDER
        try:
            arrays = {
                **to_columns("train", self.train),
                **to_columns("gallery", self.gallery),
                "classes": texts_to_bytes(self.gallery.classes),
            }
            photos = digest_of({"format": _FORMAT}, *(arrays[name] for name in sorted(arrays)))
            metadata = {key: value for key, value in vars(self).items() if key not in _PARTS}
            if (file := _photos_file(folder, photos)).exists():
                with suppress(OSError):  # it may belong to another user of the cache
                    os.utime(file)  # it is as new as the newest run with these photos
            else:
                save_arrays(file, **arrays)
            card = folder / f"{self.run_id}-{photos}.json"
            with write_atomically(card) as temporary:
                content = {"format": _FORMAT, **metadata}
                text = json.dumps({**content, _DIGEST: digest_of(content)})
                temporary.write_text(text, encoding="utf-8")
            for written in (card, file):
                memo.remove_oldest(written, MAX_SAVED_RUNS)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be encoded
            reason = getattr(error, "strerror", None) or error
            _log.warning("%s: cannot be written (%s); searches will use MLflow", folder, reason)


def save_run(config: Config, split: Split, box: Box) -> None:
    """Save a run in its cache, under the key of its box; see `SavedRun.create`."""
    start = box.start
    saved = SavedRun.create(config, split, run_id=box.key, name=start.name, uri=start.uri)
    saved.save(config.cache.path)


def find_saved_run(cache: Path, run: str, *, uri: str) -> SavedRun | None:
    """Find a saved run in the cache.

    Parameters
    ----------
    cache : Path
    run : str
        Id of the run, or key in the outbox, or a prefix of it; `last` for the run that finished
        last.
    uri : str
        Absolute tracking URI, which `last` refers to.

    Returns
    -------
    SavedRun or None
        None if there is no such run or the prefix is ambiguous; MLflow decides then. A run of a
        project that was moved or copied is that of the new place.

    Raises
    ------
    BenchError
        If the run was deleted in MLflow.
    """
    here, folder = without_password(uri), cache / FOLDER
    if run == LAST:
        return _find_last(folder, uri)
    if len(run) < SHORTEST or not run.isalnum():
        return None
    names = {run, *keys_of_run(cache / OUTBOX, run)}
    paths = [path for name in names for path in folder.glob(f"{name}*.json")]
    # The one of this store: a run of a copied project may have been saved in both places.
    paths = [path for path in paths if _read_metadata(path).get("uri") == here] or paths
    known = [_read(path) for path in paths]
    found = known[0] if known else None
    if found is None or any(each is None or each.run_id != found.run_id for each in known):
        return None
    if found.uri != here:
        state = run_state(uri, found.run_id)
        if state == "active":
            return _in_new_place(found, uri)
        if state == "deleted":
            return None
    if _is_gone(found, uri if found.uri == here else found.uri):
        raise BenchError(f"run={run}: {found.name} was deleted in MLflow")
    return found


def _find_last(folder: Path, uri: str) -> SavedRun | None:
    here, database = without_password(uri), database_path(uri)
    every = [
        (metadata, path) for path in folder.glob("*.json") if (metadata := _read_metadata(path))
    ]
    # A run that was restored from MLflow has no end time.
    newest = sorted((item for item in every if item[0]["finished"]), key=_finished, reverse=True)
    for metadata, path in newest:
        if metadata.get("uri") == here and (found := _read(path)) and not _is_gone(found, uri):
            return found
    if database is None or any(metadata.get("uri") == here for metadata, _ in newest):
        return None
    for metadata, path in newest:  # of a project that was moved or copied
        run = run_of_key(folder.parent / OUTBOX, str(metadata.get("run_id")))
        run_id = run.run_id if run else str(metadata.get("run_id"))
        if run_state(uri, run_id) == "active" and (found := _read(path)):
            return _in_new_place(found, uri)
    return None


def _finished(item: tuple[dict[str, Any], Path]) -> float:
    return float(item[0]["finished"])


def _in_new_place(saved: SavedRun, uri: str) -> SavedRun:
    """Return a run of a project that was moved or copied, with the folders of the new place."""
    old, new = database_path(saved.uri), database_path(uri)
    folder, root = saved.folder, saved.root
    if old and new:
        if Path(folder) == old.parent:
            folder = str(new.parent)
        if root and Path(root).is_relative_to(old.parent):
            moved = new.parent / Path(root).relative_to(old.parent)
            root = str(moved) if moved.is_dir() else root
    return replace(saved, uri=without_password(uri), folder=folder, root=root)


def _is_gone(saved: SavedRun, uri: str) -> bool:
    return run_state(uri, saved.run_id) in GONE


def _read(path: Path) -> SavedRun | None:
    metadata = _read_metadata(path)
    name, _, photos = path.stem.rpartition("-")
    arrays = memo.load(_photos_file(path.parent, photos), read_arrays)
    if arrays is None or metadata.pop("format", None) != _FORMAT:
        return None
    try:
        classes = bytes_to_texts(arrays["classes"])
        train, gallery = (from_columns(part, arrays, classes) for part in _PARTS)
        if run := run_of_key(path.parents[1] / OUTBOX, name):
            metadata["run_id"] = run.run_id
        return SavedRun(**metadata, train=train, gallery=gallery)
    except Exception:  # damaged in any way: MLflow has the data, too
        return None


def _read_metadata(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        metadata = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(metadata, dict) and isinstance(metadata.get("finished"), float):
            # Those of earlier versions have none.
            is_intact = metadata.pop(_DIGEST, None) in (None, digest_of(metadata))
            return metadata if is_intact else {}
    return {}


def _photos_file(folder: Path, photos: str) -> Path:
    return folder / "photos" / f"{photos}.npz"
