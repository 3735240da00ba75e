"""VLAD: examples by hand, a reference implementation, and deterministic vocabularies."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from outliers_bench.errors import BenchError
from outliers_bench.keypoints import vlad
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Descriptor, Keypoints
from outliers_bench.keypoints.vlad import SAMPLES_PER_WORD, encode, learn_vocabulary

ROOTSIFT, ORB = DESCRIPTORS["rootsift"], DESCRIPTORS["orb"]
TINY = Descriptor("sift", 2)


class Table:
    """Keypoints in memory that record the number of images per read."""

    def __init__(self, images):
        self.images, self.read_sizes = images, []

    def __len__(self):
        return len(self.images)

    def take(self, rows):
        self.read_sizes.append(len(rows))
        return [self.images[row] for row in rows]


def keypoints_of(descriptors, nbytes):
    descriptors = np.array(descriptors, dtype=np.uint8).reshape(-1, nbytes)
    return Keypoints(np.zeros((len(descriptors), 2), dtype=np.float32), descriptors)


def random_image(rng, n, nbytes=128):
    # Around few centers, so that words are far apart compared with their residuals.
    centers = np.random.default_rng(5).integers(0, 256, (8, nbytes))
    noisy = centers[rng.integers(0, 8, n)] + rng.integers(-20, 20, (n, nbytes))
    return keypoints_of(noisy.clip(0, 255), nbytes)


def random_table(images=20, n=40, nbytes=128, seed=0):
    rng = np.random.default_rng(seed)
    return Table([random_image(rng, n, nbytes) for _ in range(images)])


def reference_vlad(keypoints, vocabulary, descriptor):
    """Reference implementation: one descriptor and one word at a time, in float64."""
    words = vocabulary.astype(np.float64)
    sums = np.zeros_like(words)
    for x in descriptor.vectors(keypoints.descriptors).astype(np.float64):
        nearest = min(range(len(words)), key=lambda word: ((x - words[word]) ** 2).sum())
        sums[nearest] += x - words[nearest]
    for word in range(len(words)):
        sums[word] = np.sign(sums[word]) * np.abs(sums[word]) ** 0.5
        if sums[word].any():
            sums[word] /= np.linalg.norm(sums[word])
    return (sums / max(np.linalg.norm(sums), 1e-300)).ravel()


def test_vlad_by_hand():
    words = np.array([[1, 0.25], [0, 0.5], [-1, -1]], dtype=np.float32)
    # Unit vectors (1, 0) twice: residual (0, -1/4) twice. (0.6, 0.8) is nearer to the second word:
    # 0.36 + 0.09 against 0.16 + 0.3025; with (0, 1) this sums to (0.6, 0.3 + 0.5).
    image = keypoints_of([[200, 0], [100, 0], [3, 4], [0, 50]], 2)
    root = np.sqrt([0.6, 0.8])
    expected = np.array([0, -1, *(root / np.linalg.norm(root)), 0, 0]) / np.sqrt(2)
    assert encode(image, words, descriptor=TINY) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize("n", [1, 7, 300])
def test_against_the_reference(name, n):
    descriptor = DESCRIPTORS[name]
    table = random_table(nbytes=descriptor.nbytes)
    words = learn_vocabulary(table, descriptor=descriptor, words=12, seed=0)
    assert words.shape == (12, descriptor.dimensions)
    image = random_image(np.random.default_rng(1), n, descriptor.nbytes)
    got = encode(image, words, descriptor=descriptor)
    assert got.shape == (12 * descriptor.dimensions,)
    assert got.dtype == np.float32
    assert got == pytest.approx(reference_vlad(image, words, descriptor), abs=2e-5)
    assert np.linalg.norm(got) == pytest.approx(1, abs=1e-5)


def test_an_image_without_keypoints_has_a_zero_vector():
    got = encode(keypoints_of([], 128), np.ones((3, 128), dtype=np.float32), descriptor=ROOTSIFT)
    assert got.shape == (3 * 128,)
    assert got.dtype == np.float32
    assert not got.any()


def test_unused_words_are_zero_and_others_have_equal_weight():
    table = random_table()
    words = learn_vocabulary(table, descriptor=ROOTSIFT, words=8, seed=0)
    far = np.vstack([words, np.full((2, 128), -5, dtype=np.float32)])
    blocks = encode(table.images[0], far, descriptor=ROOTSIFT).reshape(10, 128)
    weights = np.linalg.norm(blocks, axis=1)
    assert not weights[8:].any()
    used = weights[weights > 0]
    assert len(used) > 3
    assert used == pytest.approx(np.full(len(used), len(used) ** -0.5), abs=1e-5)


def test_rounding_errors_are_not_amplified():
    image = random_image(np.random.default_rng(0), 1)
    repeated = keypoints_of(np.repeat(image.descriptors, 9, axis=0), 128)
    word = ROOTSIFT.vectors(image.descriptors)
    for almost in (word, word * np.float32(1 + 1e-7)):
        assert not encode(repeated, almost, descriptor=ROOTSIFT).any()


def test_the_order_of_keypoints_does_not_matter():
    table = random_table()
    words = learn_vocabulary(table, descriptor=ROOTSIFT, words=8, seed=0)
    image = table.images[3]
    reversed_order = keypoints_of(image.descriptors[::-1], 128)
    forward, backward = (encode(i, words, descriptor=ROOTSIFT) for i in (image, reversed_order))
    assert forward == pytest.approx(backward, abs=1e-5)


@pytest.mark.parametrize("descriptor", [ROOTSIFT, ORB], ids=["rootsift", "orb"])
def test_vocabularies_do_not_depend_on_the_order_of_images(descriptor):
    table = random_table(images=30, nbytes=descriptor.nbytes)
    first = learn_vocabulary(table, descriptor=descriptor, words=3, seed=4)
    again = learn_vocabulary(table, descriptor=descriptor, words=3, seed=4)
    reversed_order = Table(table.images[::-1])
    assert np.array_equal(first, again)
    assert np.array_equal(
        first, learn_vocabulary(reversed_order, descriptor=descriptor, words=3, seed=4)
    )
    other = learn_vocabulary(table, descriptor=descriptor, words=3, seed=5)
    assert not np.array_equal(first, other)


def test_vocabularies_do_not_depend_on_the_number_of_threads():
    # Large enough for faiss to use threads: without a limit, results differ by their number.
    table = random_table(images=40, n=500)
    vocabularies = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            vocabularies.append(learn_vocabulary(table, descriptor=ROOTSIFT, words=64, seed=0))
    assert np.array_equal(vocabularies[0], vocabularies[1])
    assert np.array_equal(vocabularies[0], vocabularies[2])


def test_words_are_near_descriptors():
    table = random_table(images=40)
    words = learn_vocabulary(table, descriptor=ROOTSIFT, words=30, seed=0)
    descriptors = np.vstack([ROOTSIFT.vectors(image.descriptors) for image in table.images])
    nearest = np.square(descriptors[:, None] - words).sum(axis=2).min(axis=1)
    spread = np.square(descriptors - descriptors.mean(axis=0)).sum(axis=1)
    assert nearest.mean() < 0.2 * spread.mean()


def test_the_table_is_read_once_in_blocks(monkeypatch):
    monkeypatch.setattr(vlad, "_BLOCK", 8)
    table = random_table(images=20)
    learn_vocabulary(table, descriptor=ROOTSIFT, words=4, seed=0)
    assert table.read_sizes == [8, 8, 4]


def test_the_sample_is_bounded_and_uniform_over_images(monkeypatch):
    monkeypatch.setattr(vlad, "_BLOCK", 8)
    images = [keypoints_of(np.full((50, 128), value), 128) for value in range(40)]
    sample = vlad._sample(Table(images), 2 * SAMPLES_PER_WORD, 128, seed=0)
    assert len(sample) == 2 * SAMPLES_PER_WORD
    per_image = np.bincount(sample[:, 0], minlength=40)
    assert per_image.min() > 0
    assert per_image.max() < 4 * len(sample) / 40


def test_images_without_keypoints_are_skipped():
    table = random_table(images=5)
    table.images.insert(2, keypoints_of([], 128))
    assert learn_vocabulary(table, descriptor=ROOTSIFT, words=4, seed=0).shape == (4, 128)


def test_few_descriptors_print_no_warnings(capfd):
    learn_vocabulary(random_table(images=1, n=5), descriptor=ROOTSIFT, words=5, seed=2**32 - 1)
    assert capfd.readouterr() == ("", "")


def test_fewer_descriptors_than_words_are_an_error():
    table = random_table(images=2, n=5)
    message = r"model\.words=64.* 2 images .* 10 keypoints; use fewer model\.words"
    with pytest.raises(BenchError, match=message):
        learn_vocabulary(table, descriptor=ROOTSIFT, words=64, seed=0)
    with pytest.raises(BenchError, match="0 images"):
        learn_vocabulary(Table([]), descriptor=ROOTSIFT, words=1, seed=0)
