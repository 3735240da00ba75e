"""An image's keypoint descriptors as one vector: VLAD, and the visual words it is made with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.keypoints.keypoints import Bytes, Descriptor, Keypoints, KeypointTable
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray

PER_WORD = 256  # descriptors a word is learned from; with more, k-means gains nothing
_ITERATIONS = 25
_BLOCK = 256  # images read at once: some 20 MB at 500 keypoints
# Mean residuals shorter than this, beside vectors of length 1, are what float32 rounds away.
_ROUNDING = 1e-6


def learn_vocabulary(
    images: KeypointTable, *, descriptor: Descriptor, words: int, seed: int
) -> FloatArray:
    """Visual words: the centers that k-means finds among the images' descriptors.

    The result depends on the images and the seed only, not on the order of the images or the
    number of threads.

    Parameters
    ----------
    images : KeypointTable
        What the words are learned from: train, or the gallery where there is no train part; never
        queries. Every image is read once, in blocks.
    descriptor : Descriptor
        How descriptors are compared.
    words : int
        How many; k-means sees at most `PER_WORD` times as many descriptors.
    seed : int
        Decides which descriptors are drawn, and where k-means starts.

    Returns
    -------
    array of float32, shape (words, descriptor.dimensions)
        Means of unit vectors, so not of unit length.

    Raises
    ------
    BenchError
        If the images have fewer descriptors than there are to be words.
    """
    import faiss
    from threadpoolctl import threadpool_limits

    sample = _sample(images, PER_WORD * words, descriptor.nbytes, seed)
    if not len(sample):
        raise BenchError(
            f"none of the {len(images)} images that model.words are learned from has a keypoint: "
            "they are too small or too plain for it; use another model"
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
        min_points_per_centroid=1,  # with fewer, faiss would write a warning to standard error
        max_points_per_centroid=PER_WORD,
    )
    # Sums are rounded as the threads share them out, so there is one.
    with threadpool_limits(1):
        kmeans.train(descriptor.vectors(sample))
    return np.asarray(kmeans.centroids, dtype=np.float32)


def encode(keypoints: Keypoints, vocabulary: FloatArray, *, descriptor: Descriptor) -> FloatArray:
    """VLAD: for each word, how the descriptors nearest to it differ from it, summed.

    For a word c and the descriptors x nearest to it, v_c = sum(x - c). Then, in this order:

    1. signed square root of every number, sign(v) sqrt(|v|), which discounts bursts (power
       normalization: Perronnin et al. 2010, used for VLAD by Jégou and Chum 2012);
    2. each v_c to unit length (intra-normalization: Arandjelović and Zisserman 2013);
    3. the whole to unit length.

    Jégou and Chum take the root of the raw sums; Arandjelović and Zisserman, who do without it,
    want every word that was seen to weigh the same in the end. Only this order gives both, and it
    is VLFeat's.

    Parameters
    ----------
    keypoints : Keypoints
        Of one image.
    vocabulary : array of float32, shape (words, descriptor.dimensions)
        What `learn_vocabulary` has found.
    descriptor : Descriptor
        The one the vocabulary was learned with.

    Returns
    -------
    array of float32, shape (words * descriptor.dimensions,)
        Word by word, of length 1; words that no descriptor is nearest to are zero. All zero for
        an image without keypoints, or with none that differs from its word.

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
    # Of |x - c|^2, |x|^2 is the same for every word.
    nearness = vectors @ vocabulary.T - np.square(vocabulary).sum(axis=1) / 2
    nearest = nearness.argmax(axis=1)
    order = nearest.argsort(kind="stable")
    words, starts, counts = np.unique(nearest[order], return_index=True, return_counts=True)
    # Subtracted one by one: a descriptor that is its word leaves exactly nothing.
    residuals = vectors[order] - vocabulary[nearest[order]]
    sums = np.add.reduceat(residuals, starts, axis=0)
    lengths = np.sqrt(np.square(sums).sum(axis=1))
    sums[lengths <= _ROUNDING * counts] = 0
    rooted = np.copysign(np.sqrt(np.abs(sums)), sums)
    encoded[words] = _unit(rooted)
    return _unit(encoded.reshape(1, -1)).ravel()


def _unit(rows: FloatArray) -> FloatArray:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    unit: FloatArray = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit


def _sample(images: KeypointTable, most: int, nbytes: int, seed: int) -> Bytes:
    """Descriptors drawn evenly from all, shape (at most `most`, nbytes), in an order by chance.

    Each descriptor draws a lot and the lowest are kept. An image's lots depend on the seed and on
    its keypoints, not on where it stands.
    """
    lots: npt.NDArray[np.float64] = np.empty(0)
    kept: Bytes = np.empty((0, nbytes), dtype=np.uint8)
    blocks = -(-len(images) // _BLOCK)
    for block in track(_blocks(images), stage="words", total=blocks, unit="blocks"):
        drawn = [_lots(keypoints, seed) for keypoints in block]
        lots = np.concatenate([lots, *drawn])
        kept = np.concatenate([kept, *(keypoints.descriptors for keypoints in block)])
        lowest = lots.argsort(kind="stable")[:most]
        lots, kept = lots[lowest], kept[lowest]
    return kept


def _blocks(images: KeypointTable) -> Iterator[list[Keypoints]]:
    for start in range(0, len(images), _BLOCK):
        yield images.take(range(start, min(start + _BLOCK, len(images))))


def _lots(keypoints: Keypoints, seed: int) -> npt.NDArray[np.float64]:
    content = hashlib.blake2b(keypoints.pack().tobytes(), digest_size=16).digest()
    return np.random.default_rng([seed, int.from_bytes(content)]).random(len(keypoints))
