"""VLAD: aggregation of an image's descriptors to one vector by a vocabulary of visual words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.keypoints.keypoints import Bytes, Descriptor, Keypoints, KeypointTable
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray

SAMPLES_PER_WORD = 256  # training descriptors per word; k-means does not benefit from more
_ITERATIONS = 25
_BLOCK = 256  # images per read: about 20 MB at 500 keypoints
# Mean residuals of unit vectors that are shorter than this are rounding errors of float32.
_ROUNDING = 1e-6


def learn_vocabulary(
    images: KeypointTable, *, descriptor: Descriptor, words: int, seed: int
) -> FloatArray:
    """Learn visual words, the centers of k-means on the images' descriptors.

    The result depends only on the images and the seed, not on the order of the images or the
    number of threads.

    Parameters
    ----------
    images : KeypointTable
        Training images: the train part, or the gallery without one; never queries. Every image is
        read once, in blocks.
    descriptor : Descriptor
    words : int
        Number of words; k-means uses at most `SAMPLES_PER_WORD` times as many descriptors.
    seed : int
        Of the sample of descriptors and of k-means.

    Returns
    -------
    array of float32, shape (words, descriptor.dimensions)
        Means of unit vectors, so not of unit length.

    Raises
    ------
    BenchError
        If the images have fewer descriptors than `words`.
    """
    import faiss
    from threadpoolctl import threadpool_limits

    sample = _sample(images, SAMPLES_PER_WORD * words, descriptor.nbytes, seed)
    if not len(sample):
        raise BenchError(
            f"none of the {len(images)} images that model.words are learned from has keypoints: "
            "they are too small or have too little texture; use another model"
        )
    if len(sample) < words:
        raise BenchError(
            f"model.words={words} is too many: the {len(images)} images they are learned from "
            f"have {len(sample)} keypoints; use fewer model.words"
        )
    kmeans = faiss.Kmeans(
        descriptor.dimensions,
        words,
        niter=_ITERATIONS,
        seed=seed % 2**31,  # faiss takes a C int
        min_points_per_centroid=1,  # otherwise faiss would print a warning to standard error
        max_points_per_centroid=SAMPLES_PER_WORD,
    )
    # One thread, since rounding of sums depends on the number of threads.
    with threadpool_limits(1):
        kmeans.train(descriptor.vectors(sample))
    return np.asarray(kmeans.centroids, dtype=np.float32)


def encode(keypoints: Keypoints, vocabulary: FloatArray, *, descriptor: Descriptor) -> FloatArray:
    """Compute the VLAD vector of an image: sums of residuals to the nearest words.

    For a word c and the descriptors x nearest to it, v_c = sum(x - c). Then, in this order:

    1. signed square root of every value, sign(v) sqrt(|v|), which discounts bursts (power
       normalization: Perronnin et al. 2010, used for VLAD by Jégou and Chum 2012);
    2. each v_c to unit length (intra-normalization: Arandjelović and Zisserman 2013);
    3. the entire vector to unit length.

    Jégou and Chum take the root of the raw sums; Arandjelović and Zisserman omit it, but give
    every word that occurs the same final weight. Only this order, which is that of VLFeat,
    satisfies both.

    Returns
    -------
    array of float32, shape (words * descriptor.dimensions,)
        Concatenated by word, of unit length; words without descriptors are zero. All zero for an
        image without keypoints, or if all descriptors are equal to their word.

    References
    ----------
    H. Jégou, M. Douze, C. Schmid, P. Pérez, "Aggregating local descriptors into a compact image
    representation", CVPR 2010.
    F. Perronnin, J. Sánchez, T. Mensink, "Improving the Fisher kernel for large-scale image
    classification", ECCV 2010.
    H. Jégou, O. Chum, "Negative evidences and co-occurences in image retrieval: the benefit of
    PCA and whitening", ECCV 2012.
    R. Arandjelović, A. Zisserman, "All about VLAD", CVPR 2013.
    """
    encoded = np.zeros(vocabulary.shape, dtype=np.float32)
    if len(keypoints) == 0:
        return encoded.ravel()
    vectors = descriptor.vectors(keypoints.descriptors)
    # |x|^2, a term of |x - c|^2, is the same for every word and omitted.
    proximity = vectors @ vocabulary.T - np.square(vocabulary).sum(axis=1) / 2
    nearest = proximity.argmax(axis=1)
    order = nearest.argsort(kind="stable")
    words, starts, counts = np.unique(nearest[order], return_index=True, return_counts=True)
    # Subtracted before summing: the residual of a descriptor equal to its word is exactly 0.
    residuals = vectors[order] - vocabulary[nearest[order]]
    sums = np.add.reduceat(residuals, starts, axis=0)
    lengths = np.sqrt(np.square(sums).sum(axis=1))
    sums[lengths <= _ROUNDING * counts] = 0
    rooted = np.copysign(np.sqrt(np.abs(sums)), sums)
    encoded[words] = _normalize_rows(rooted)
    return _normalize_rows(encoded.reshape(1, -1)).ravel()


def _normalize_rows(rows: FloatArray) -> FloatArray:
    """Scale rows to unit length; rows of zeros do not change."""
    lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    unit: FloatArray = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit


def _sample(images: KeypointTable, size: int, nbytes: int, seed: int) -> Bytes:
    """Draw a uniform random sample of descriptors, shape (at most `size`, nbytes), shuffled.

    Each descriptor draws a random number, and the lowest are sampled. An image's numbers depend on
    the seed and its keypoints, not on its position.
    """
    priorities: npt.NDArray[np.float64] = np.empty(0)
    sample: Bytes = np.empty((0, nbytes), dtype=np.uint8)
    blocks = -(-len(images) // _BLOCK)
    for block in track(_blocks(images), stage="words", total=blocks, unit="blocks"):
        drawn = [_draw_priorities(keypoints, seed) for keypoints in block]
        priorities = np.concatenate([priorities, *drawn])
        sample = np.concatenate([sample, *(keypoints.descriptors for keypoints in block)])
        lowest = priorities.argsort(kind="stable")[:size]
        priorities, sample = priorities[lowest], sample[lowest]
    return sample


def _blocks(images: KeypointTable) -> Iterator[list[Keypoints]]:
    for start in range(0, len(images), _BLOCK):
        yield images.take(range(start, min(start + _BLOCK, len(images))))


def _draw_priorities(keypoints: Keypoints, seed: int) -> npt.NDArray[np.float64]:
    content = hashlib.blake2b(keypoints.pack().tobytes(), digest_size=16).digest()
    return np.random.default_rng([seed, int.from_bytes(content)]).random(len(keypoints))
