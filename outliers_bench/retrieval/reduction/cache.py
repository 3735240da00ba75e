"""Cache of fitted reducers: a sweep, even over `pca.n`, fits its PCA once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.store import memo
from outliers_bench.store.files import digest_of, read_arrays, save_arrays
from outliers_bench.types import FloatArray, ImageSet, IntArray
from outliers_bench.version import __version__


def fit_or_load(
    reducer: Reducer,
    part: ImageSet,
    *,
    labels: IntArray | None,
    vectors_of: str,
    load: Callable[[], FloatArray],
    cache: Path,
) -> Projection:
    """Fit a reducer, or read the fit to the same vectors from the cache.

    Parameters
    ----------
    reducer : Reducer
    part : ImageSet
        Images to fit it on.
    labels : array of int64, shape (m,), or None
        Their labels.
    vectors_of : str
        Identity of the feature space, including any processing of its vectors.
    load : callable
        Returns the vectors of `part`, shape (m, d); called only if the fit is not cached.
    cache : Path
    """
    kind = type(reducer).__name__
    key = {"reducer": kind, "of": vectors_of, "version": __version__}
    content = np.frombuffer(b"".join(part.digests), dtype=np.uint8)
    used_labels = labels if reducer.needs_labels and labels is not None else np.empty(0, np.int64)

    def path_of(options: dict[str, object]) -> Path:
        name = digest_of({**key, "options": options}, content, used_labels)
        return cache / "reducers" / f"{kind.lower()}-{name}.npz"

    def read(path: Path) -> Projection:
        return reducer.to_projection(read_arrays(path))

    def find() -> Projection | None:
        cached = (memo.load(path_of(options), read) for options in reducer.cache_keys)
        return next((projection for projection in cached if projection is not None), None)

    projection = find()
    if projection is None:
        with memo.locked(path_of(reducer.cache_keys[0])):
            projection = find()
            if projection is None:
                options, arrays = reducer.fit_arrays(load(), labels)
                save_arrays(path_of(options), **arrays)
                projection = reducer.to_projection(arrays)
    return projection
