"""Fitted reductions, kept: a sweep, over `pca.n` too, pays for its PCA once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.store.files import digest_of, keep, read
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
    """Fit a reduction, or read it where it was fitted to the same vectors before.

    Parameters
    ----------
    reducer : Reducer
        What to fit.
    part : ImageSet
        What to fit it on.
    labels : array of int64, shape (m,), or None
        Of the images in `part`.
    vectors_of : str
        Identity of the feature space, and of whatever is done to its vectors before.
    load : callable
        Gives the vectors of `part`, shape (m, d); called only if the fit is not there yet.
    cache : Path
        Directory of what is kept between runs.

    Returns
    -------
    Projection
    """
    kind = type(reducer).__name__
    said = {"reducer": kind, "of": vectors_of, "version": __version__}
    content = np.frombuffer(b"".join(part.digests), dtype=np.uint8)
    seen = labels if reducer.needs_labels and labels is not None else np.empty(0, np.int64)

    def path_under(options: dict[str, object]) -> Path:
        name = digest_of({**said, "options": options}, content, seen)
        return cache / "reducers" / f"{kind.lower()}-{name}.npz"

    for options in reducer.cache_keys:
        arrays = read(path_under(options))
        if arrays is not None and reducer.is_valid(arrays):
            return reducer.to_projection(arrays)
    learned = reducer.fit_arrays(load(), labels)
    keep(path_under(learned.options), **learned.arrays)
    return reducer.to_projection(learned.arrays)
