"""Learned whitening: scale down the variation within classes, retain that between classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.principal_axes import (
    Float64Array,
    fix_signs,
    leading_eigenvectors,
    principal_axes,
)
from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.runtime.option_labels import join_nonempty, non_default_options
from outliers_bench.types import FloatArray, IntArray


@dataclass
class LearnedWhitening(Reducer):
    """Whiten differences of matching pairs, then retain the main axes of non-matching pairs.

    With C_S and C_D the covariances of differences over all pairs of one class and of two classes,
    the projection is C_S^(-1/2) eig(C_S^(-1/2) C_D C_S^(-1/2)), applied to centered vectors.

    Parameters
    ----------
    n : int or None
        Number of dimensions; None retains all: those of the vectors, or the number of photos if
        it is smaller.
    shrinkage : float
        From 0 to 1: weight of a multiple of the identity, with the same trace, that C_S is shrunk
        toward. With fewer matching differences than dimensions, C_S is singular, and its inverse
        would amplify directions in which the few photos of a class agree by chance. The paper
        uses 0.

    References
    ----------
    F. Radenović, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation",
    TPAMI 2019, section 3.3, which samples pairs (here: all pairs); after K. Mikolajczyk, J. Matas,
    "Improving descriptors for fast tree matching by optimal linear projection", ICCV 2007.
    The shrinkage follows O. Ledoit, M. Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", J. Multivariate Analysis 2004, with a fixed weight.
    """

    shrinkage: float = 0.1
    name: ClassVar[str] = "learned_whitening"
    needs_labels: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """Name, number of dimensions, and a non-default shrinkage."""
        dimensions = "" if self.n is None else str(self.n)
        options = non_default_options(self, LearnedWhitening, ("n",))
        return join_nonempty("learned whitening", dimensions, *options)

    def check(self) -> None:
        """Raise `BenchError` for `n` below 1 or a shrinkage outside of 0 to 1."""
        if self.n is not None and self.n < 1:
            raise BenchError(f"reduce.n={self.n}: a number of dimensions is at least 1 (null: all)")
        if not 0 <= self.shrinkage <= 1:
            raise BenchError(f"reduce.shrinkage={self.shrinkage}: from 0 to 1; the default is 0.1")

    def check_fit(self, *, n_fit: int, dimensions: int, fitted_on: str) -> None:
        """Raise `BenchError` for more dimensions than photos; see `Reducer.check_fit`."""
        maximum = min(n_fit, dimensions)
        if self.n is not None and self.n > maximum:
            raise BenchError(
                f"reduce.n={self.n} is too large: learned_whitening is fitted on the {n_fit} "
                f"{fitted_on} images and the features have {dimensions} dimensions; "
                f"use reduce.n={maximum} or less"
            )

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:
        """Fit the projection to all pairs of labeled vectors; raise what `check_labels` raises."""
        if labels is None:
            raise ValueError("learned whitening needs labels")
        self.check_labels(labels)
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        x = vectors.astype(np.float64) - mean
        # No pair differs outside of the span of the photos, so few photos need no more dimensions.
        span = principal_axes(x, np.zeros(x.shape[1]), len(x))[1] if len(x) < x.shape[1] else None
        within, between = pair_covariances(x if span is None else x @ span, labels)
        axes = self._axes(within, between)
        axes = fix_signs(axes if span is None else span @ axes)
        return Projection(mean, np.ascontiguousarray(axes, dtype=np.float32))

    def check_labels(self, labels: IntArray) -> None:
        """Raise `BenchError` if matching or non-matching pairs are missing."""
        photos = np.bincount(labels)
        if (photos > 0).sum() < 2 or photos.max() < 2:
            raise BenchError(
                f"reduce={self.name} needs matching and non-matching pairs, but the {len(labels)} "
                f"train images have {(photos > 0).sum()} classes of at most {photos.max()} images; "
                "use pca.n"
            )

    def _axes(self, within: Float64Array, between: Float64Array) -> Float64Array:
        """Compute the leading generalized eigenvectors, the columns of the projection."""
        size = len(within)
        target = np.trace(within) / size
        # Directions in which all photos of a class agree contain only rounding noise, which must
        # not be amplified; if all photos agree, any positive number works.
        largest = max(np.diag(within).max(), np.diag(between).max())
        floor = largest * np.finfo(np.float32).eps or 1.0
        within = (1 - self.shrinkage) * within
        within[np.diag_indices(size)] += self.shrinkage * target + floor
        return leading_eigenvectors(between, self.n or size, within)[1]


def pair_covariances(x: Float64Array, labels: IntArray) -> tuple[Float64Array, Float64Array]:
    """Compute mean outer products of differences over matching and over non-matching pairs.

    In closed form: over all pairs of n vectors, (a - b)(a - b)' sums to n times their scatter
    about their mean. So the scatter of each class gives the sum over matching pairs, that of the
    entire set the sum over all pairs, and the difference is that over non-matching pairs.

    Parameters
    ----------
    x : array of float64, shape (m, d)
        Centered.
    labels : array of int64, shape (m,)
        At least two classes, at least one of them with two vectors.

    Returns
    -------
    matching, non_matching : array of float64, shape (d, d)
    """
    classes, of_class, photos = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), x.shape[1]))
    np.add.at(sums, of_class, x)
    weight = np.sqrt(photos.astype(np.float64))
    deviations = (x - (sums / photos[:, None])[of_class]) * weight[of_class, None]
    matching = deviations.T @ deviations
    centered = x - x.mean(axis=0)
    non_matching = len(x) * (centered.T @ centered) - matching
    pairs = float(photos @ (photos - 1)) / 2
    all_pairs = len(x) * (len(x) - 1) / 2
    return matching / pairs, non_matching / (all_pairs - pairs)
