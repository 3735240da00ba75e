"""The cut is stratified, seeded, decided by content alone, and keeps groups whole."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.data.split import Protocol, check_shares, cut, hold_out
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, LeftOut
from tests.toys import ArrayReader, digest

PARTS = ("train", "query", "gallery")


def images_of(labels, groups=None, names=None):
    number = range(len(labels))
    return ImageSet(
        names=tuple(names or (f"image_{i}" for i in number)),
        digests=tuple(digest(f"content {i}") for i in number),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(f"class_{label}" for label in range(max(labels) + 1)),
        reader=ArrayReader({}),
        groups=None if groups is None else tuple(groups),
    )


def split_of(images, *, train=0.7, query=0.5, protocol=Protocol.query_gallery, seed=0):
    return cut(images, name="toy", train=train, query=query, protocol=protocol, seed=seed)


def counts(split):
    return {part: Counter(getattr(split, part).labels.tolist()) for part in PARTS}


def test_shares_of_a_large_class():
    found = counts(split_of(images_of([0] * 100 + [1] * 40)))
    assert found["train"] == {0: 70, 1: 28}
    assert found["query"] == {0: 15, 1: 6}
    assert found["gallery"] == {0: 15, 1: 6}


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (1, 0, 0)), (2, (0, 1, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (10, (7, 2, 1))],
)
def test_small_classes_give_query_and_gallery_first(n, expected):
    found = counts(split_of(images_of([0] * n + [1] * 10)))
    assert tuple(found[part][0] for part in PARTS) == expected


def test_no_train_share_means_no_train_part():
    split = split_of(images_of([0] * 5 + [1] * 6 + [2]), train=0)
    assert len(split.train) == 0
    assert 2 not in split.query.labels
    assert 2 in split.gallery.labels


labels_of_many = st.lists(st.integers(0, 4), min_size=2, max_size=60).filter(
    lambda labels: len(set(labels)) > 1 and max(Counter(labels).values()) > 1
)


@settings(max_examples=150, deadline=None)
@given(labels_of_many, st.floats(0, 0.99), st.floats(0.01, 0.99), st.integers(-5, 2**40))
def test_every_image_is_in_one_part_and_every_query_has_an_answer(labels, train, query, seed):
    split = split_of(images_of(labels), train=train, query=query, seed=seed)
    rows = [name for part in PARTS for name in getattr(split, part).names]
    assert sorted(rows) == sorted(f"image_{i}" for i in range(len(labels)))
    assert set(split.query.labels) <= set(split.gallery.labels)
    found = counts(split)
    for label, n in Counter(labels).items():
        if n == 1:
            continue
        assert found["query"][label] >= 1
        assert found["gallery"][label] >= 1
        # As near to the shares as whole images and the two needed for the search allow.
        to_train = found["train"][label]
        assert to_train == pytest.approx(min(train * n, n - 2), abs=0.5 + 1e-6)
        rest = n - to_train
        wanted = min(max(query * rest, 1), rest - 1)
        assert found["query"][label] == pytest.approx(wanted, abs=0.5 + 1e-6)


@settings(max_examples=100, deadline=None)
@given(labels_of_many, st.randoms(use_true_random=False), st.integers(0, 9))
def test_names_and_order_decide_nothing(labels, random, seed):
    images = images_of(labels)
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
    one, other = split_of(images, seed=seed), split_of(renamed, seed=seed)
    assert one.fingerprint == other.fingerprint
    for part in PARTS:
        assert set(getattr(one, part).digests) == set(getattr(other, part).digests)


def test_another_seed_cuts_otherwise_and_the_same_seed_the_same():
    images = images_of([0, 1] * 20)
    prints = [split_of(images, seed=seed).fingerprint for seed in (0, 1, 2, 0, 10**17, 10**17 + 1)]
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
def test_a_group_is_never_torn_apart(rows, train, query):
    labels, groups = rows
    try:
        split = split_of(images_of(labels, groups), train=train, query=query)
    except BenchError as error:
        known = ("no class has two images in two groups", "all images are of one class")
        if not any(message in str(error) for message in known):
            raise
        return
    where = [set(getattr(split, part).groups) for part in PARTS]
    assert sum(map(len, where)) == len(set().union(*where)) == len(set(groups))
    assert sum(len(getattr(split, part)) for part in PARTS) == len(labels)


def test_names_and_order_decide_nothing_with_groups_either():
    labels, groups = [i // 15 for i in range(45)], [f"g{i // 3}" for i in range(45)]
    images = images_of(labels, groups)
    shuffled = images.take(np.random.default_rng(0).permutation(45))
    assert split_of(images).fingerprint == split_of(shuffled).fingerprint


def test_groups_hold_the_shares_and_go_with_their_majority():
    # 20 groups of 5 images in each of two classes.
    labels = [label for label in (0, 1) for _ in range(100)]
    groups = [f"{label}/{i // 5}" for label in (0, 1) for i in range(100)]
    found = counts(split_of(images_of(labels, groups)))
    assert found["train"] == {0: 70, 1: 70}
    assert found["query"] == {0: 15, 1: 15}
    # A class within one group has no one to find; the other is cut as ever.
    split = split_of(images_of([0, 0, 0, 1, 1], ["a", "a", "a", "b", "c"]))
    assert counts(split) == {"train": {0: 3}, "query": {1: 1}, "gallery": {1: 1}}


def test_leave_one_out_asks_every_image():
    images = images_of([0, 0, 1, 1, 1])
    split = split_of(images, protocol=Protocol.leave_one_out)
    assert split.leave_one_out
    assert split.query is split.gallery
    assert len(split.query) == 5
    assert len(split.train) == 0
    with pytest.raises(
        BenchError, match=r"would find each other; use data\.protocol=query_gallery"
    ):
        split_of(images_of([0, 0, 1], "aab"), protocol=Protocol.leave_one_out)


def test_copies_come_off_before_the_cut_and_join_what_is_left_out():
    images = images_of([0, 0, 0, 1, 1])
    twice = ImageSet(
        (*images.names, "copy"),
        (*images.digests, images.digests[0]),
        np.append(images.labels, 0),
        images.classes,
        images.reader,
    )
    earlier = LeftOut("gone.jpg", "unreadable", "is empty")
    split = cut(
        twice,
        name="toy",
        train=0.7,
        query=0.5,
        protocol=Protocol.query_gallery,
        seed=0,
        left_out=[earlier],
    )
    assert [item.kind for item in split.left_out] == ["unreadable", "duplicate"]
    assert split.fingerprint == split_of(images).fingerprint


@pytest.mark.parametrize("train", [-0.1, 1, 1.5, math.nan])
def test_a_share_of_train_out_of_range(train):
    with pytest.raises(BenchError, match=rf"data.train={train}: .* from 0 to below 1"):
        check_shares(train=train, query=0.5)


@pytest.mark.parametrize("query", [0, 1, -1, math.nan])
def test_a_share_of_query_out_of_range(query):
    with pytest.raises(BenchError, match=rf"data.query={query}: .* above 0 and below 1"):
        check_shares(train=0.7, query=query)


def test_what_cannot_be_cut():
    with pytest.raises(BenchError, match="all images are of one class, 'class_0', so every answer"):
        split_of(images_of([0, 0, 0]))
    with pytest.raises(BenchError, match="no class has two images, one to ask"):
        split_of(images_of([0, 1, 2]))
    with pytest.raises(BenchError, match="no images are left"):
        split_of(images_of([0, 1]).take([]))
    unlabeled = ImageSet(("a",), (digest("a"),), None, (), ArrayReader({}))
    with pytest.raises(BenchError, match="without labels cannot be cut"):
        split_of(unlabeled)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 0.99), st.integers(-5, 2**40)
)
def test_what_is_held_out_is_a_share_of_each_class(labels, share, seed):
    rest, held = hold_out(images_of(labels), share, seed=seed)
    assert sorted([*rest, *held]) == list(range(len(labels)))
    assert rest.tolist() == sorted(rest)
    assert held.tolist() == sorted(held)
    largest = max(Counter(labels).values())
    kept = Counter(np.array(labels)[rest].tolist())
    for label, n in Counter(labels).items():
        assert kept[label] >= 1, "each class is learned"
        wanted = min(share * n, n - 1)
        near = n - kept[label] == pytest.approx(wanted, abs=0.5 + 1e-6)
        # Where every class is too small, one image of a largest is held out all the same.
        assert near or (len(held) == 1 and n - kept[label] == 1 and n == largest)
    assert bool(len(held)) == (share > 0 and largest > 1)


@settings(max_examples=150, deadline=None)
@given(grouped(), st.floats(0, 0.99))
def test_what_is_held_out_tears_no_group_apart(rows, share):
    labels, groups = rows
    images = images_of(labels, groups)
    rest, held = hold_out(images, share, seed=0)
    assert sorted([*rest, *held]) == list(range(len(labels)))
    where = [set(images.take(part).groups) for part in (rest, held)]
    assert not where[0] & where[1]
    # A group goes with the class that most of its images have, and one of each class stays.
    majority = {}
    for group in set(groups):
        votes = Counter(labels[i] for i in range(len(labels)) if groups[i] == group)
        majority[group] = min(votes, key=lambda label: (-votes[label], label))
    assert {majority[group] for group in where[0]} == set(majority.values())


@settings(max_examples=60, deadline=None)
@given(labels_of_many, st.randoms(use_true_random=False), st.floats(0, 0.99))
def test_names_and_order_decide_nothing_in_what_is_held_out(labels, random, share):
    images = images_of(labels)
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = images.take(order)
    one, other = (hold_out(made, share, seed=3)[1] for made in (images, shuffled))
    assert {images.digests[row] for row in one} == {shuffled.digests[row] for row in other}


def test_what_is_held_out_by_hand():
    images = images_of([0] * 10 + [1] * 20 + [2])
    rest, held = hold_out(images, 0.2, seed=0)
    assert Counter(images.labels[held].tolist()) == {0: 2, 1: 4}
    assert len(rest) == 25
    others = [tuple(hold_out(images, 0.2, seed=seed)[1]) for seed in range(4)]
    assert len(set(others)) == 4
