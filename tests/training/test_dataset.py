"""Training batches: each row once per epoch, shuffled by seed, images decoded once."""

import numpy as np
import pytest

from outliers_bench.errors import BenchError, UnreadableImageError
from outliers_bench.training.dataset import CachingReader, Examples, image_fetcher
from tests.toys import noise_images
from tests.training_toys import colored_images

N, CLASSES = 23, 3
TARGETS = np.eye(CLASSES, dtype=np.float32)[np.arange(N) % CLASSES]
VECTORS = np.arange(N, dtype=np.float32)[:, None] * np.ones(4, np.float32)


def examples(rows=range(N), *, batch_size=5, seed: int | None = 7, fetch=None):
    rows = np.array(rows, np.int64)
    fetch = fetch or (lambda indices: VECTORS[indices])
    return Examples(fetch, TARGETS, rows, batch_size, seed=seed)


def order_of(dataset, epoch=0):
    dataset.epoch = epoch
    inputs = [inputs[:, 0] for inputs, _ in dataset.batches()]
    return np.concatenate(inputs).astype(int).tolist()


def test_each_row_once_per_epoch_in_an_order_that_differs_between_epochs():
    rows = [row for row in range(N) if row % 4]
    orders = [order_of(examples(rows), epoch) for epoch in range(3)]
    assert all(sorted(order) == rows for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert order_of(examples(rows), 2) == orders[2], "a resumed training has the same order"
    assert order_of(examples(rows, seed=8), 2) != orders[2]
    assert order_of(examples(rows, seed=None), 1) == rows


def test_targets_match_their_rows():
    for inputs, targets in examples().batches():
        assert np.array_equal(targets, TARGETS[inputs[:, 0].astype(int)])


@pytest.mark.parametrize(("size", "sizes"), [(5, [5, 5, 5, 5, 3]), (23, [23]), (1000, [23])])
def test_the_last_batch_may_be_smaller(size, sizes):
    dataset = examples(batch_size=size)
    assert [len(inputs) for inputs, _ in dataset.batches()] == sizes
    assert dataset.steps == len(sizes)


def test_a_tf_dataset_yields_the_same_batches_in_each_epoch():
    dataset = examples(batch_size=8, fetch=lambda rows: VECTORS[rows].astype(np.uint8))
    tf_dataset = dataset.dataset()
    assert int(tf_dataset.cardinality()) == 3
    for epoch in (0, 3):
        dataset.epoch = epoch
        for (inputs, targets), expected in zip(tf_dataset, dataset.batches(), strict=True):
            assert inputs.dtype == "float32"
            assert np.array_equal(inputs, expected[0])
            assert np.array_equal(targets, expected[1])


def test_an_error_while_fetching_a_batch_is_recorded():
    def broken(rows):
        raise BenchError("the photo is gone")

    dataset = examples(fetch=broken)
    with pytest.raises(BenchError, match="the photo is gone"):
        list(dataset.batches())
    assert str(dataset.failure) == "the photo is gone"


def test_images_are_in_the_order_of_the_rows():
    part = colored_images({"ant": 9, "bee": 8})
    fetch = image_fetcher(part)
    rows = np.array([3, 16, 0, 3])
    assert np.array_equal(fetch(rows), np.stack([part.read(int(row)) for row in rows]))


@pytest.mark.parametrize("cache", [True, False])
def test_images_are_prepared_and_cached_if_requested(cache):
    reader = noise_images(3)
    caching = CachingReader(reader, 5, cache=cache)
    first, second = (caching.read("image-1", b"1") for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (5, 5, 3)
    assert len(reader.decoded) == (1 if cache else 2)
    caching.clear()
    caching.read("image-1", b"1")
    assert len(reader.decoded) == (2 if cache else 3)


def test_unreadable_images_are_not_cached():
    caching = CachingReader(noise_images(1), 5, cache=True)
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match="broken"):
            caching.read("nowhere", b"x")
