"""Fitted reductions, kept: a sweep over indexes pays for its PCA once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from outliers_bench import __version__
from outliers_bench.kept import digest_of, keep, read
from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.types import FloatArray, ImageSet, IntArray


def fitted(
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
    said = {"reducer": type(reducer).__name__, "of": vectors_of, "version": __version__}
    content = np.frombuffer(b"".join(part.digests), dtype=np.uint8)
    seen = labels if reducer.needs_labels and labels is not None else np.empty(0, np.int64)
    name = digest_of({**said, "options": asdict(reducer)}, content, seen)
    path = cache / "reducers" / f"{type(reducer).__name__.lower()}-{name}.npz"
    known = _read(path)
    if known is not None:
        return known
    projection = reducer.fit(load(), labels)
    keep(path, mean=projection.mean, axes=projection.axes)
    return projection


def _read(path: Path) -> Projection | None:
    arrays = read(path)
    if arrays is None or {"mean", "axes"} - arrays.keys():
        return None
    mean, axes = arrays["mean"], arrays["axes"]
    whole = axes.ndim == 2 and mean.shape == axes.shape[:1]
    return Projection(mean, axes) if whole and mean.dtype == axes.dtype == np.float32 else None
