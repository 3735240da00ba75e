"""Steps of a run, one at a time: embed, search; and a recorded run that answers queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.api.compose import Options, compose
from outliers_bench.api.runs import fetch_models
from outliers_bench.benchmark import depth
from outliers_bench.errors import BenchError
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.models.vector_file import VectorTable, to_matrix
from outliers_bench.runtime.machine import total_memory
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import progress_shown
from outliers_bench.runtime.units import format_bytes
from outliers_bench.serving import engine as serving
from outliers_bench.serving.engine import SearchResult
from outliers_bench.types import (
    Embeddings,
    ImageSet,
    IntArray,
    LeftOut,
    Ranking,
    Split,
    join_blocks,
)

_SHOWN = 3
_HIT_BYTES = 12  # position and score


def embed(
    split: Split,
    model: str,
    *,
    weights: str | None = None,
    image_size: int | None = None,
    seed: int | None = None,
    options: Options | None = None,
    progress: bool = False,
) -> Embeddings:
    """Compute the embeddings of all images of a split, or read those that are cached.

    Parameters
    ----------
    split : Split
        From `load_split`. A model that is trained learns from its train part.
    model, weights, image_size, seed, options, progress
        See `run`.

    Returns
    -------
    Embeddings
        `images`, each content once, and `matrix`, of shape (n, d).

    Raises
    ------
    BenchError
        If the model has no embeddings, an image cannot be read, or a reduction is given.

    Examples
    --------
    >>> import numpy as np
    >>> from outliers_bench.api.runs import load_split
    >>> images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((9, 9, 3), np.uint8)
    >>> split = load_split(images, labels=["cat", "dog"] * 10)
    >>> embed(split, "pixels", image_size=8).matrix.shape
    (20, 192)
    """
    from outliers_bench.methods.build import build_source
    from outliers_bench.methods.embedding import fitting_part
    from outliers_bench.methods.parts import Workspace

    given = {"model": model, "model.weights": weights, "model.image_size": image_size}
    config = compose({**given, "seed": seed}, options)
    if config.reducer.active:
        raise BenchError("embed gives the vectors of the model; search reduces them, with pca=")
    config.cache.check()
    fetch_models(config)
    workspace = Workspace(config.engine, config.cache.path, config.seed, Meter())
    source = build_source(config.model, workspace)
    config.model.check_split(split)
    with progress_shown(progress):
        _refuse_unreadable(source.compute(split.images), split)
        source.fit(fitting_part(split), split.images)
        return source.load(split.images)


def search(
    embeddings: Embeddings,
    split: Split,
    *,
    index: str | None = None,
    metric: str | None = None,
    pca: int | None = None,
    rerank: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    options: Options | None = None,
    progress: bool = False,
) -> Ranking:
    """Rank the gallery for every query of a split by embeddings.

    Parameters
    ----------
    embeddings : Embeddings
        From `embed`, of all images of `split`; a reduction is fitted on its train part.
    split : Split
        Queries and gallery.
    index, metric, pca, rerank, seed, options, progress
        See `run`.
    n : int, optional
        Depth of the ranking; by default the whole gallery, which every metric of `evaluate` is
        reported for, or the largest cutoff if images have no labels. `run` needs less memory.

    Returns
    -------
    Ranking
        `indices` and `scores` of shape (n_query, depth), best first.

    Raises
    ------
    BenchError
        If an option does not fit, an image has no vector, or the default depth takes more than
        half of this machine's memory.

    Examples
    --------
    >>> import numpy as np
    >>> from outliers_bench.api.runs import load_split
    >>> images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((9, 9, 3), np.uint8)
    >>> split = load_split(images, labels=["cat", "dog"] * 10, protocol="leave_one_out")
    >>> ranking = search(embed(split, "pixels"), split, metric="euclidean", n=2)
    >>> [int(split.gallery.names[row]) for row in ranking.indices[0]]
    [1, 2]
    """
    given = {"index": index, "index.metric": metric, "pca.n": pca, "rerank": rerank, "seed": seed}
    place = "the embeddings"
    table = _ByContent(place, None, to_matrix(embeddings.matrix, place), embeddings)
    model = Precomputed.of(table)
    config = compose(given, options, change=lambda config: setattr(config, "model", model))
    config.cache.check()
    most = split.exclusion.max_depth
    if n is not None and not 1 <= n <= most:
        raise BenchError(f"n={n}: from 1 to {most}, the number of images to find")
    # As in a run: an approximate index is searched to the same depth, whatever `n`.
    searched = depth(split, [], shown=0 if split.labeled else max(config.k))
    to_depth = n or (most if split.labeled else searched)
    nbytes = _HIT_BYTES * to_depth * len(split.query)
    if n is None and nbytes > total_memory() / 2:
        raise BenchError(
            f"mAP and others need {to_depth:,} hits of each query, the whole gallery: "
            f"{format_bytes(nbytes)} for all queries; give n=, such as n=100, or use run, which "
            "scores one block of queries after another"
        )
    method = config.method(Meter())
    method.check(split)
    with progress_shown(progress):
        _refuse_unreadable(method.extract(split.images), split)
        method.fit(split)
        blocks = method.index(split.gallery).query_blocks(
            split.query, searched, split.exclusion, full=to_depth > searched
        )
        return join_blocks(blocks, len(split.query), to_depth)


def _refuse_unreadable(unreadable: Mapping[bytes, LeftOut], split: Split) -> None:
    if unreadable:
        details = [f"{item.name}: {item.detail}" for item in unreadable.values()]
        more = "; ..." if len(details) > _SHOWN else ""
        raise BenchError(
            f"{len(details)} of {len(split.images)} images cannot be read "
            f"({'; '.join(details[:_SHOWN])}{more}); remove them"
        )


@dataclass(frozen=True, eq=False)
class _ByContent(VectorTable):
    """Embeddings whose images are found by their content, whatever their names."""

    by_content: Embeddings

    @property
    def by_order(self) -> bool:
        return False

    def rows(self, images: ImageSet) -> IntArray:
        return self.by_content.rows(images)

    def embeddings(self, images: ImageSet) -> Embeddings:
        matrix = self.matrix[self.rows(images)]
        return Embeddings(images, matrix, self.by_content.blank)


class Engine:
    """Gallery of a finished run, prepared by the first query and searched any number of times.

    Parameters
    ----------
    engine : serving.engine.Engine
        Engine of the run.
    """

    def __init__(self, engine: serving.Engine) -> None:
        self._engine = engine

    def query(
        self, photos: str | Path | Sequence[str | Path], n: int = 10, *, progress: bool = False
    ) -> SearchResult:
        """Find the gallery photos that are most similar to some photos.

        Parameters
        ----------
        photos : str, Path, or sequence of them
            Files, and folders of photos.
        n : int
            Number of hits per photo.
        progress : bool
            Show progress bars.

        Returns
        -------
        SearchResult
            `hits` by photo; `frame()` is a table of them.

        Raises
        ------
        BenchError
            If none of the photos can be read.
        """
        from outliers_bench.serving.queries import list_queries, open_queries

        if n < 1:
            raise BenchError(f"n={n}: give 1 or more")
        given = [photos] if isinstance(photos, str | Path) else photos
        paths = list_queries([str(photo) for photo in given])
        with progress_shown(progress):
            queries = open_queries(paths, cache=self._engine.cache)
            found = self._engine.query(queries, n)
        if not found.hits:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in found.unreadable.items())
            raise BenchError(f"none of the photos to search for can be read ({reasons})")
        return found


def open_run(
    run: str = "last", *, uri: str = "sqlite:///mlflow.db", cache: str | None = None
) -> Engine:
    """Open a finished run, to search its gallery.

    Parameters
    ----------
    run : str
        Id of the run, a prefix of it, or `last`.
    uri : str
        MLflow tracking URI; only used for runs that are not saved in the cache.
    cache : str, optional
        Cache directory; by default that of the command line.

    Returns
    -------
    Engine

    Raises
    ------
    BenchError
        If there is no such run, or it can no longer be searched.
    """
    from outliers_bench.serving import load

    return Engine(serving.Engine(*load.open_run(run, uri=uri, cache=cache)))
