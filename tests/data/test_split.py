"""Splitting: stratified, seeded, by content only, with complete groups."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.data.split import make_split
from outliers_bench.data.splits.by_class import hold_out
from outliers_bench.data.splits.options import Protocol, SplitOptions, check_shares
from outliers_bench.errors import BenchError
from outliers_bench.types import ITSELF, ImageSet, LeftOut, same
from tests.toys import ArrayReader, digest

PARTS = ("train", "query", "gallery")


def make_images(labels, groups=None, names=None):
    number = range(len(labels))
    return ImageSet(
        names=tuple(names or (f"image_{i}" for i in number)),
        digests=tuple(digest(f"content {i}") for i in number),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(f"class_{label}" for label in range(max(labels) + 1)),
        reader=ArrayReader({}),
        columns={} if groups is None else {"group": np.array(list(groups), dtype=object)},
    )


def split_images(images, *, seed=0, **options):
    return make_split(images, SplitOptions(**options), name="toy", seed=seed)


def counts(split):
    return {part: Counter(getattr(split, part).labels.tolist()) for part in PARTS}


def test_shares_of_a_large_class():
    by_part = counts(split_images(make_images([0] * 100 + [1] * 40)))
    assert by_part["train"] == {0: 70, 1: 28}
    assert by_part["query"] == {0: 15, 1: 6}
    assert by_part["gallery"] == {0: 15, 1: 6}


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (1, 0, 0)), (2, (0, 1, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (10, (7, 2, 1))],
)
def test_small_classes_have_query_and_gallery_first(n, expected):
    by_part = counts(split_images(make_images([0] * n + [1] * 10)))
    assert tuple(by_part[part][0] for part in PARTS) == expected


def test_no_train_share_gives_no_train_part():
    split = split_images(make_images([0] * 5 + [1] * 6 + [2]), train=0)
    assert len(split.train) == 0
    assert 2 not in split.query.labels
    assert 2 in split.gallery.labels


labels_of_many = st.lists(st.integers(0, 4), min_size=2, max_size=60).filter(
    lambda labels: len(set(labels)) > 1 and max(Counter(labels).values()) > 1
)


@settings(max_examples=150, deadline=None)
@given(labels_of_many, st.floats(0, 0.99), st.floats(0.01, 0.99), st.integers(-5, 2**40))
def test_every_image_is_in_one_part_and_every_query_has_relevant_images(labels, train, query, seed):
    split = split_images(make_images(labels), train=train, query=query, seed=seed)
    rows = [name for part in PARTS for name in getattr(split, part).names]
    assert sorted(rows) == sorted(f"image_{i}" for i in range(len(labels)))
    assert set(split.query.labels) <= set(split.gallery.labels)
    by_part = counts(split)
    for label, n in Counter(labels).items():
        if n == 1:
            continue
        assert by_part["query"][label] >= 1
        assert by_part["gallery"][label] >= 1
        # As close to the shares as possible with whole images and the two needed for retrieval.
        to_train = by_part["train"][label]
        assert to_train == pytest.approx(min(train * n, n - 2), abs=0.5 + 1e-6)
        rest = n - to_train
        expected = min(max(query * rest, 1), rest - 1)
        assert by_part["query"][label] == pytest.approx(expected, abs=0.5 + 1e-6)


@settings(max_examples=100, deadline=None)
@given(labels_of_many, st.randoms(use_true_random=False), st.integers(0, 9))
def test_split_does_not_depend_on_names_or_order(labels, random, seed):
    images = make_images(labels)
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = images.take(order)
    renamed = ImageSet(
        tuple(f"{random.random()}" for _ in order),
        shuffled.digests,
        shuffled.labels,
        shuffled.classes,
        shuffled.reader,
    )
    one, other = split_images(images, seed=seed), split_images(renamed, seed=seed)
    assert one.fingerprint == other.fingerprint
    for part in PARTS:
        assert set(getattr(one, part).digests) == set(getattr(other, part).digests)


def test_split_depends_on_the_seed():
    images = make_images([0, 1] * 20)
    prints = [
        split_images(images, seed=seed).fingerprint for seed in (0, 1, 2, 0, 10**17, 10**17 + 1)
    ]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 5


@st.composite
def grouped(draw):
    groups = draw(
        st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=4, max_size=25)
    )
    labels = [label for group in groups for label in group]
    names = [f"g{i}" for i, group in enumerate(groups) for _ in group]
    order = draw(st.permutations(range(len(labels))))
    return [labels[i] for i in order], [names[i] for i in order]


@settings(max_examples=200, deadline=None)
@given(grouped(), st.floats(0, 0.99), st.floats(0.01, 0.99))
def test_groups_stay_together(rows, train, query):
    labels, groups = rows
    try:
        split = split_images(make_images(labels, groups), train=train, query=query)
    except BenchError as error:
        known = ("no class has two images in two groups", "all images are of one class")
        if not any(message in str(error) for message in known):
            raise
        return
    groups_by_part = [set(getattr(split, part).groups) for part in PARTS]
    assert sum(map(len, groups_by_part)) == len(set().union(*groups_by_part)) == len(set(groups))
    assert sum(len(getattr(split, part)) for part in PARTS) == len(labels)


def test_split_with_groups_does_not_depend_on_order():
    labels, groups = [i // 15 for i in range(45)], [f"g{i // 3}" for i in range(45)]
    images = make_images(labels, groups)
    shuffled = images.take(np.random.default_rng(0).permutation(45))
    assert split_images(images).fingerprint == split_images(shuffled).fingerprint


def test_groups_match_the_shares_and_have_their_majority_class():
    # 20 groups of 5 images in each of two classes.
    labels = [label for label in (0, 1) for _ in range(100)]
    groups = [f"{label}/{i // 5}" for label in (0, 1) for i in range(100)]
    by_part = counts(split_images(make_images(labels, groups)))
    assert by_part["train"] == {0: 70, 1: 70}
    assert by_part["query"] == {0: 15, 1: 15}
    # A class in one group has no relevant images; the other is split as usual.
    split = split_images(make_images([0, 0, 0, 1, 1], ["a", "a", "a", "b", "c"]))
    assert counts(split) == {"train": {0: 3}, "query": {1: 1}, "gallery": {1: 1}}


def test_leave_one_out_uses_every_image_as_query():
    images = make_images([0, 0, 1, 1, 1])
    split = split_images(images, protocol=Protocol.leave_one_out)
    assert split.excluded == ITSELF
    assert split.query is split.gallery
    assert len(split.query) == 5
    assert len(split.train) == 0
    grouped = split_images(make_images([0, 0, 1, 0, 1], "aabcb"), protocol=Protocol.leave_one_out)
    assert grouped.excluded == same("group")
    assert grouped.exclusion.counts.tolist() == [2, 2, 2, 1, 2]
    crops = make_images([0, 0, 1, 0, 1], "aabcb")
    crops.columns["cropped_from"] = np.array([*"vwvxy"], dtype=object)
    both = split_images(crops, protocol=Protocol.leave_one_out)
    assert both.excluded == same("group") | same("cropped_from")
    assert both.exclusion.counts.tolist() == [3, 2, 3, 1, 2]


def test_duplicates_are_removed_and_added_to_left_out():
    images = make_images([0, 0, 0, 1, 1])
    with_duplicate = ImageSet(
        (*images.names, "duplicate"),
        (*images.digests, images.digests[0]),
        np.append(images.labels, 0),
        images.classes,
        images.reader,
    )
    earlier = LeftOut("gone.jpg", "unreadable", "is empty")
    split = make_split(with_duplicate, SplitOptions(), name="toy", seed=0, left_out=[earlier])
    assert [item.kind for item in split.left_out] == ["unreadable", "duplicate"]
    assert split.fingerprint == split_images(images).fingerprint


@pytest.mark.parametrize("train", [-0.1, 1, 1.5, math.nan])
def test_train_share_out_of_range(train):
    with pytest.raises(BenchError, match=rf"data.train={train}: .* from 0 to below 1"):
        check_shares(train=train, query=0.5)


@pytest.mark.parametrize("query", [0, 1, -1, math.nan])
def test_query_share_out_of_range(query):
    with pytest.raises(BenchError, match=rf"data.query={query}: .* above 0 and below 1"):
        check_shares(train=0.7, query=query)


def test_images_that_cannot_be_split():
    with pytest.raises(BenchError, match="all images are of one class, 'class_0', so every result"):
        split_images(make_images([0, 0, 0]))
    with pytest.raises(BenchError, match="no class has two images, one for query"):
        split_images(make_images([0, 1, 2]))
    with pytest.raises(BenchError, match="no images are left"):
        split_images(make_images([0, 1]).take([]))
    unlabeled = ImageSet(("a",), (digest("a"),), None, (), ArrayReader({}))
    with pytest.raises(BenchError, match="without labels cannot be split"):
        split_images(unlabeled)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 0.99), st.integers(-5, 2**40)
)
def test_held_out_share_of_each_class(labels, share, seed):
    train, held_out = hold_out(make_images(labels), share, seed=seed)
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert train.tolist() == sorted(train)
    assert held_out.tolist() == sorted(held_out)
    largest = max(Counter(labels).values())
    n_train = Counter(np.array(labels)[train].tolist())
    for label, n in Counter(labels).items():
        assert n_train[label] >= 1, "every class is trained"
        expected = min(share * n, n - 1)
        is_near = n - n_train[label] == pytest.approx(expected, abs=0.5 + 1e-6)
        # If every class is too small, one image of a largest class is held out.
        assert is_near or (len(held_out) == 1 and n - n_train[label] == 1 and n == largest)
    assert bool(len(held_out)) == (share > 0 and largest > 1)


@settings(max_examples=150, deadline=None)
@given(grouped(), st.floats(0, 0.99))
def test_hold_out_preserves_groups(rows, share):
    labels, groups = rows
    images = make_images(labels, groups)
    train, held_out = hold_out(images, share, seed=0)
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    groups_by_part = [set(images.take(part).groups) for part in (train, held_out)]
    assert not groups_by_part[0] & groups_by_part[1]
    # A group has the class of most of its images, and one group of each class stays.
    majority = {}
    for group in set(groups):
        votes = Counter(labels[i] for i in range(len(labels)) if groups[i] == group)
        majority[group] = min(votes, key=lambda label: (-votes[label], label))
    assert {majority[group] for group in groups_by_part[0]} == set(majority.values())


@settings(max_examples=60, deadline=None)
@given(labels_of_many, st.randoms(use_true_random=False), st.floats(0, 0.99))
def test_held_out_images_do_not_depend_on_names_or_order(labels, random, share):
    images = make_images(labels)
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = images.take(order)
    one, other = (hold_out(each, share, seed=3)[1] for each in (images, shuffled))
    assert {images.digests[row] for row in one} == {shuffled.digests[row] for row in other}


def test_held_out_counts():
    images = make_images([0] * 10 + [1] * 20 + [2])
    train, held_out = hold_out(images, 0.2, seed=0)
    assert Counter(images.labels[held_out].tolist()) == {0: 2, 1: 4}
    assert len(train) == 25
    others = [tuple(hold_out(images, 0.2, seed=seed)[1]) for seed in range(4)]
    assert len(set(others)) == 4
