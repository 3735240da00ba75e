"""What a training sees: every row once an epoch, in an order of its own, images decoded once."""

import numpy as np
import pytest

from outliers_bench.errors import BenchError, UnreadableImageError
from outliers_bench.training.dataset import CachingReader, Examples, image_fetcher
from tests.toys import noise_images
from tests.training_toys import colored_images

N, CLASSES = 23, 3
TARGETS = np.eye(CLASSES, dtype=np.float32)[np.arange(N) % CLASSES]
VECTORS = np.arange(N, dtype=np.float32)[:, None] * np.ones(4, np.float32)


def examples(rows=range(N), *, batch_size=5, seed: int | None = 7, weights=None, fetch=None):
    rows = np.array(rows, np.int64)
    fetch = fetch or (lambda asked: VECTORS[asked])
    return Examples(fetch, TARGETS, rows, batch_size=batch_size, weights=weights, seed=seed)


def order_of(made, epoch=0):
    made.epoch = epoch
    return np.concatenate([inputs[:, 0] for inputs, _, _ in made.batches()]).astype(int).tolist()


def test_every_row_once_an_epoch_and_in_another_order_each_time():
    rows = [row for row in range(N) if row % 4]
    orders = [order_of(examples(rows), epoch) for epoch in range(3)]
    assert all(sorted(order) == rows for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert order_of(examples(rows), 2) == orders[2], "a training that goes on finds its order again"
    assert order_of(examples(rows, seed=8), 2) != orders[2]
    assert order_of(examples(rows, seed=None), 1) == rows


def test_targets_and_weights_go_with_their_rows():
    weights = np.linspace(0, 1, N, dtype=np.float32)
    for inputs, targets, counted in examples(weights=weights).batches():
        rows = inputs[:, 0].astype(int)
        assert np.array_equal(targets, TARGETS[rows])
        assert np.array_equal(counted, weights[rows])
    assert all((counted == 1).all() for _, _, counted in examples().batches())


@pytest.mark.parametrize(("size", "sizes"), [(5, [5, 5, 5, 5, 3]), (23, [23]), (1000, [23])])
def test_the_last_batch_has_what_is_left(size, sizes):
    made = examples(batch_size=size)
    assert [len(inputs) for inputs, _, _ in made.batches()] == sizes
    assert made.steps == len(sizes)


def test_a_dataset_gives_the_same_batches_in_every_epoch():
    made = examples(batch_size=8, fetch=lambda rows: VECTORS[rows].astype(np.uint8))
    data = made.dataset()
    assert int(data.cardinality()) == 3
    for epoch in (0, 3):
        made.epoch = epoch
        for (inputs, targets, weights), told in zip(data, made.batches(), strict=True):
            assert inputs.dtype == "float32"
            assert np.array_equal(inputs, told[0])
            assert np.array_equal(targets, told[1])
            assert np.array_equal(weights, told[2])


def test_what_kept_a_batch_from_being_made_is_remembered():
    def broken(rows):
        raise BenchError("the photo is gone")

    made = examples(fetch=broken)
    with pytest.raises(BenchError, match="the photo is gone"):
        list(made.batches())
    assert str(made.failure) == "the photo is gone"


def test_images_come_in_the_order_of_the_rows():
    part = colored_images({"ant": 9, "bee": 8})
    fetch = image_fetcher(part)
    rows = np.array([3, 16, 0, 3])
    assert np.array_equal(fetch(rows), np.stack([part.read(int(row)) for row in rows]))


@pytest.mark.parametrize("keep", [True, False])
def test_images_are_prepared_and_kept_where_they_may(keep):
    reader = noise_images(3)
    kept = CachingReader(reader, lambda image: image[:5, :5], keep=keep)
    twice = [kept.read("image-1", b"1"), kept.read("image-1", b"1")]
    assert np.array_equal(*twice)
    assert twice[0].shape == (5, 5, 3)
    assert len(reader.decoded) == (1 if keep else 2)
    kept.forget()
    kept.read("image-1", b"1")
    assert len(reader.decoded) == (2 if keep else 3)


def test_an_image_that_cannot_be_read_is_not_kept():
    kept = CachingReader(noise_images(1), lambda image: image, keep=True)
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match="broken"):
            kept.read("nowhere", b"x")
