"""The gallery of a run, searched as the run did: its method, its photos, new queries."""

from __future__ import annotations

from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

from outliers_bench.config.schema import Config
from outliers_bench.data.digests import digest_files
from outliers_bench.data.image_files import FileReader
from outliers_bench.errors import BenchError
from outliers_bench.leakage.policy import load_split
from outliers_bench.methods.build import build
from outliers_bench.models.model_uris import register_download
from outliers_bench.runtime.meter import Meter
from outliers_bench.serving.queries import Queries, WithQueries
from outliers_bench.serving.recorded_config import config_of
from outliers_bench.serving.saved_run import SavedRun
from outliers_bench.types import RGB, ImageReader, ImageSet, LeftOut, Ranking, Split


@dataclass(frozen=True)
class Hit:
    """One photo that was found.

    Parameters
    ----------
    row : int
        Its place in the gallery.
    name : str
        As the run calls it.
    path : Path or None
        Where it lies; None where the gallery is not made of files.
    label : str or None
        What it shows, where the run knew.
    score : float
        Similarity as the run measures it; larger is better.
    """

    row: int
    name: str
    path: Path | None
    label: str | None
    score: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found.

    Parameters
    ----------
    hits : dict of Path to list of Hit
        For each photo that could be read, best first.
    unreadable : dict of Path to str
        Why the others could not be.
    gone : dict of str to str
        Photos of the gallery that are not there any more, or not what they were, and what is the
        matter; they are not among the hits.
    images : ImageSet
        The whole gallery, as the run had it; can be decoded.
    """

    hits: dict[Path, list[Hit]]
    unreadable: dict[Path, str]
    gone: dict[str, str]
    images: ImageSet


def search(card: SavedRun, asked: Queries, *, n: int, cache: Path) -> Answer:
    """Find the photos of a run's gallery that are most like others.

    What the run has computed is taken from the cache; nothing is recorded.

    Parameters
    ----------
    card : RunCard
        The run.
    asked : Queries
        What to search for.
    n : int
        How many to find for each; fewer where the gallery has fewer.
    cache : Path
        Directory of stored features and all else that is kept.

    Raises
    ------
    BenchError
        If nothing that was asked for can be read, no photo of the gallery is where it was, or
        what the method needs is gone.
    """
    with _started_from(card):
        return _search(card, asked, n=n, cache=cache)


def _search(card: SavedRun, asked: Queries, *, n: int, cache: Path) -> Answer:
    config = config_of({**card.config, "cache": {"dir": str(cache)}})
    for uri, place in card.fetched.items():
        register_download(uri, Path(place))
    photos = FileReader(Path(card.root)) if card.root else _OfSource(card, config, cache)
    reader = WithQueries(frozenset(map(str, asked.digests)), photos)
    train, gallery = (replace(part, reader=reader) for part in (card.train, card.gallery))
    gone = _gone(card, cache)
    if len(gone) == len(gallery):
        raise BenchError(
            f"none of the {len(gallery):,} photos that were searched in the run is where it was "
            f"({card.root}); put them back, or run it again"
        )
    method, queries = build(config, Meter()), asked.images(reader)
    unreadable = dict(asked.unreadable)
    hits: dict[Path, list[Hit]] = {}
    if len(queries):
        images = Split(card.data, train, queries, gallery).images
        damaged = method.extract(images, commit=lambda: None)
        unreadable |= _reasons(queries, damaged)
        train, gallery, queries = (part.without(set(damaged)) for part in (train, gallery, queries))
    if len(queries):
        # What the run has passed is not checked again.
        split = Split(card.data, train, queries, gallery)
        method.fit(split)
        # All are ranked, for those that are gone count in some re-rankings; then they are left out.
        ranking = method.rank(split, min(n + len(gone), len(gallery)))
        rows = {row for row, name in enumerate(gallery.names) if name in gone}
        for row, name in enumerate(queries.names):
            hits[Path(name)] = _hits(ranking, row, gallery, without=rows, n=n, root=card.root)
    return Answer(hits, unreadable, gone, gallery)


def _started_from(card: SavedRun) -> AbstractContextManager[object]:
    """The run's working directory, from where paths in its config count, if it is still there."""
    folder = Path(card.folder)
    return chdir(folder) if folder.is_dir() else nullcontext()


def _gone(card: SavedRun, cache: Path) -> dict[str, str]:
    if card.root is None:
        return {}
    names = card.gallery.names
    found, left_out = digest_files(Path(card.root), names, cache=cache)
    gone = {item.name: item.detail for item in left_out}
    for name, digest in zip(names, card.gallery.digests, strict=True):
        if found.get(name, digest) != digest:
            gone[name] = "has another content than in the run"
    return gone


def _reasons(queries: ImageSet, damaged: dict[bytes, LeftOut]) -> dict[Path, str]:
    """Why queries cannot be decoded, by path."""
    return {
        Path(name): damaged[digest].detail.removeprefix(f"{name}: ")
        for name, digest in zip(queries.names, queries.digests, strict=True)
        if digest in damaged
    }


def _hits(
    ranking: Ranking, query: int, gallery: ImageSet, *, without: set[int], n: int, root: str | None
) -> list[Hit]:
    found = []
    for row, score in zip(ranking.indices[query], ranking.scores[query], strict=True):
        if int(row) in without:
            continue
        name = gallery.names[row]
        label = None if gallery.labels is None else gallery.classes[gallery.labels[row]]
        path = None if root is None else Path(root, name)
        found.append(Hit(int(row), name, path, label, float(score)))
    return found[:n]


@dataclass(frozen=True)
class _OfSource:
    """Reads photos that are no files as their source does, which is asked only when one is read."""

    card: SavedRun
    config: Config
    cache: Path
    lock: Lock = field(default_factory=Lock)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one image; see `ImageReader.read`."""
        with self.lock:
            reader = self._reader
        return reader.read(name, digest, side=side)

    @cached_property
    def _reader(self) -> ImageReader:
        with _started_from(self.card):
            split = load_split(self.config.data, seed=self.config.seed, cache=self.cache)
        return split.gallery.reader
