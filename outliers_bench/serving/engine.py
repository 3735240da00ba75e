"""Search of a run's gallery with new queries, by the method of the run."""

from __future__ import annotations

from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from outliers_bench.config.schema import Config
from outliers_bench.data.crop_reader import CropReader, digest_images, split_name
from outliers_bench.errors import BenchError
from outliers_bench.leakage.policy import load_split
from outliers_bench.methods.method import GallerySearch, Method
from outliers_bench.models.model_uris import register_download
from outliers_bench.runtime.meter import Meter
from outliers_bench.serving.queries import Queries
from outliers_bench.serving.recorded_config import restore_config
from outliers_bench.serving.saved_run import SavedRun
from outliers_bench.types import RGB, Exclusion, ImageReader, ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Hit:
    """A retrieved photo.

    Parameters
    ----------
    row : int
        Index in the gallery.
    name : str
        Name in the run; that of a crop ends in its rectangle.
    path : Path or None
        Path of the file; None if the gallery does not consist of files.
    label : str or None
        Label, if the run had labels.
    score : float
        Similarity as measured in the run; larger is better.
    """

    row: int
    name: str
    path: Path | None
    label: str | None
    score: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Result of a search.

    Parameters
    ----------
    hits : dict of Path to list of Hit
        Hits of each readable query, best first.
    unreadable : dict of Path to str
        Reason for each query that cannot be read.
    unavailable : dict of str to str
        Gallery photos that are missing or have changed since the run, and the reason; they are
        not among the hits.
    images : ImageSet
        The gallery of the run, including unavailable photos; it can be decoded.
    """

    hits: dict[Path, list[Hit]]
    unreadable: dict[Path, str]
    unavailable: dict[str, str]
    images: ImageSet

    def frame(self) -> pd.DataFrame:
        """Return the hits as a table, a row per query and hit.

        Returns
        -------
        pandas.DataFrame
            Columns query, rank, score, label, name and path; see `Hit`.
        """
        import pandas as pd

        rows = [
            (query, rank, hit.score, hit.label, hit.name, hit.path)
            for query, hits in self.hits.items()
            for rank, hit in enumerate(hits, 1)
        ]
        return pd.DataFrame(rows, columns=["query", "rank", "score", "label", "name", "path"])


class Engine:
    """Gallery of a finished run, prepared by the first search and searched any number of times.

    Results of the run are reused from the cache; nothing is logged.

    Parameters
    ----------
    run : SavedRun
        The run.
    cache : Path
        Directory of cached features and other cached results.
    """

    def __init__(self, run: SavedRun, cache: Path) -> None:
        self.run = run
        self.cache = cache

    def query(self, photos: Queries, n: int) -> SearchResult:
        """Find the photos of the gallery that are most similar to some photos.

        Parameters
        ----------
        photos : Queries
            Photos to search for.
        n : int
            Number of hits per photo; fewer if the gallery is smaller.

        Raises
        ------
        BenchError
            If no photo of the gallery is available, or a model of the run is missing.
        """
        unreadable, queries = dict(photos.unreadable), photos.images()
        hits: dict[Path, list[Hit]] = {}
        with _in_run_folder(self.run):
            method, gallery, search, unavailable = self._prepared
            if len(queries):
                damaged = method.extract(queries)
                unreadable |= _decoding_errors(queries, damaged)
                queries = queries.without(set(damaged))
            if len(queries):
                # Unavailable photos are ranked, too, because they influence some re-rankings.
                depth = min(n + len(unavailable), len(gallery))
                nothing = Exclusion.nothing(len(queries), len(gallery))
                ranking = search.query(queries, depth, nothing)
                excluded = {row for row, name in enumerate(gallery.names) if name in unavailable}
                for row, name in enumerate(queries.names):
                    hits[Path(name)] = _hits(
                        ranking, row, gallery, excluded=excluded, n=n, root=self.run.root
                    )
        return SearchResult(hits, unreadable, unavailable, gallery)

    @cached_property
    def _prepared(self) -> tuple[Method, ImageSet, GallerySearch, dict[str, str]]:
        """The fitted method, the gallery and its index, and the photos that are unavailable."""
        run = self.run
        config = restore_config({**run.config, "cache": {"dir": str(self.cache)}})
        for uri, path in run.fetched.items():
            register_download(uri, Path(path))
        reader = CropReader(Path(run.root)) if run.root else _SourceReader(run, config, self.cache)
        train, gallery = (replace(part, reader=reader) for part in (run.train, run.gallery))
        unavailable = _find_unavailable(run, self.cache)
        if len(unavailable) == len(gallery):
            raise BenchError(
                f"none of the {len(gallery):,} photos in the gallery of the run is available in "
                f"{run.root}; restore them, or run it again"
            )
        method = config.method(Meter())
        split = Split(run.data, train, gallery, gallery)
        # The checks of a run are not repeated.
        split = split.without(method.extract(split.images))
        method.fit(split)
        return method, split.gallery, method.index(split.gallery), unavailable


def _in_run_folder(run: SavedRun) -> AbstractContextManager[object]:
    """Change to the working directory of the run, which paths in its config are relative to."""
    folder = Path(run.folder)
    return chdir(folder) if folder.is_dir() else nullcontext()


def _find_unavailable(run: SavedRun, cache: Path) -> dict[str, str]:
    if run.root is None:
        return {}
    names = run.gallery.names
    digests, unreadable = digest_images(Path(run.root), names, cache=cache)
    reasons = {item.name: item.detail for item in unreadable}
    for name, digest in zip(names, run.gallery.digests, strict=True):
        if digests.get(name, digest) != digest:
            reasons[name] = "changed since the run"
    return reasons


def _decoding_errors(queries: ImageSet, damaged: dict[bytes, LeftOut]) -> dict[Path, str]:
    """Return the reasons why queries cannot be decoded, by path."""
    return {
        Path(name): damaged[digest].detail
        for name, digest in zip(queries.names, queries.digests, strict=True)
        if digest in damaged
    }


def _hits(
    ranking: Ranking, query: int, gallery: ImageSet, *, excluded: set[int], n: int, root: str | None
) -> list[Hit]:
    hits = []
    for row, score in zip(ranking.indices[query], ranking.scores[query], strict=True):
        if int(row) in excluded:
            continue
        name = gallery.names[row]
        label = None if gallery.labels is None else gallery.classes[gallery.labels[row]]
        path = None if root is None else Path(root, split_name(name)[0])
        hits.append(Hit(int(row), name, path, label, float(score)))
    return hits[:n]


@dataclass(frozen=True)
class _SourceReader:
    """Reader of photos that are not files; their data source is loaded at the first read."""

    run: SavedRun
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
        with _in_run_folder(self.run):
            split = load_split(self.config.data, seed=self.config.seed, cache=self.cache)
        return split.gallery.reader
