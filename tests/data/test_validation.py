"""Validation queries: a share of the queries, by whole units, on which methods are chosen."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.data.validation import Evaluated, choose_validation, select_queries
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import SharedSplits
from outliers_bench.types import Split
from tests.toys import ArrayReader, image_set, toy_split


def with_columns(split, **columns):
    arrays = {name: np.array(values, dtype=object) for name, values in columns.items()}
    return replace(split, query=replace(split.query, columns=arrays))


def chosen_rows(split, share=0.2, seed=0):
    chosen = choose_validation(split, share=share, seed=seed)
    return [row for row, digest in enumerate(split.query.digests) if digest in chosen]


def test_of_kinds_the_share_is_taken_from_each():
    split = toy_split([0] * 50 + [1] * 20 + [2] * 5, [0, 1, 2] * 40)
    taken = Counter(split.query.labels[chosen_rows(split)].tolist())
    assert taken == {0: 10, 1: 4, 2: 1}


def test_what_is_rounded_in_one_class_is_made_up_for_in_the_next():
    """A share of 0.2 takes 3 queries from 5 classes of 3, though 0.6 of each."""
    split = toy_split([label for label in range(5) for _ in range(3)], list(range(5)) * 30)
    assert len(chosen_rows(split)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_all_queries_of_an_individual_are_on_one_side(seed):
    query = [label for label in range(30) for _ in range(4)]
    split = toy_split(query, list(range(30)) * 3, classes=30)
    taken = Counter(split.query.labels[chosen_rows(split, seed=seed)].tolist())
    assert len(taken) == 6
    assert set(taken.values()) == {4}


def test_unknown_individuals_have_their_share():
    """Twenty individuals are in the gallery, ten are not."""
    query = [label for label in range(30) for _ in range(4)]
    split = toy_split(query, list(range(20)) * 3, classes=30)
    taken = set(split.query.labels[chosen_rows(split, 0.3)].tolist())
    assert (sum(label < 20 for label in taken), sum(label >= 20 for label in taken)) == (6, 3)


def test_groups_and_encounters_stay_together_and_missing_ones_are_none():
    """Two labels: 40 queries in groups of 4, of which some are joined by an encounter."""
    groups = [f"g{row // 4}" for row in range(40)]
    encounters = ["" if row >= 8 else "e" for row in range(40)]  # joins the first two groups
    split = with_columns(toy_split([0] * 20 + [1] * 20, [0, 1] * 30), group=groups)
    split = with_columns(split, group=groups, encounter=encounters)
    for seed in range(20):
        taken = set(chosen_rows(split, 0.3, seed))
        assert len(taken) == 12
        for rows in (*(range(at, at + 4) for at in range(8, 40, 4)), range(8)):
            assert len(taken & set(rows)) in (0, len(rows))


def test_the_choice_depends_on_content_and_seed_only():
    split = toy_split([0] * 30 + [1] * 30, [0, 1] * 30)
    turned = replace(split, query=split.query.take(range(59, -1, -1)))
    first = choose_validation(split, share=0.5, seed=0)
    assert choose_validation(turned, share=0.5, seed=0) == first
    assert choose_validation(split, share=0.5, seed=1) != first


def test_queries_are_divided_and_the_rest_of_the_split_stays():
    split = toy_split([0] * 10 + [1] * 10, [0, 1] * 5)
    chosen = choose_validation(split, share=0.4, seed=0)
    others, validation = (select_queries(split, chosen, each) for each in Evaluated)
    assert set(validation.query.digests) == set(chosen)
    assert set(others.query.digests) == set(split.query.digests) - chosen
    assert others.validation.names == validation.query.names
    assert validation.validation is None
    assert others.gallery is validation.gallery is split.gallery
    prints = {each.fingerprint for each in (split, others, validation)}
    assert len(prints) == 3
    same_queries = replace(split, query=validation.query)
    assert same_queries.fingerprint != validation.fingerprint, "a board of its own"


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(BenchError, match=r"data\.validation=0\.2: the 2 queries .* takes none"):
        choose_validation(toy_split([0, 1], [0, 1]), share=0.2, seed=0)
    names = ["a", "b"]
    reader = ArrayReader({})
    unlabeled = Split("toy", *(image_set(part, None, "ab", reader) for part in ([], names, ["c"])))
    with pytest.raises(BenchError, match=r"have no labels.*data\.validation=0$"):
        choose_validation(unlabeled, share=0.2, seed=0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation": 1.0}, "data.validation=1: the share"),
        ({"validation": -0.1}, "data.validation=-0.1: the share"),
        ({"evaluate": Evaluated.validation}, "give their share, such as data.validation=0.2"),
        ({"split_seed": -1}, "data.split_seed=-1: a seed is from 0"),
    ],
)
def test_options_are_checked(options, expected):
    with pytest.raises(BenchError, match=expected):
        Synthetic(**options).check()


def test_the_split_is_the_same_for_both_and_is_shared_in_a_sweep(tmp_path):
    shared = SharedSplits()
    shared.begin()
    source = Synthetic(size=16, validation=0.2)
    others = shared.load(source, seed=0, cache=tmp_path)
    validation = shared.load(replace(source, evaluate=Evaluated.validation), seed=0, cache=tmp_path)
    assert others.gallery is validation.gallery
    every = shared.load(Synthetic(size=16), seed=0, cache=tmp_path)
    assert {*others.query.names, *validation.query.names} == {*every.query.names}
    assert not set(others.query.names) & set(validation.query.names)


@pytest.mark.parametrize("evaluated", Evaluated)
def test_with_leave_one_out_each_part_is_searched_among_all_images_but_itself(evaluated, tmp_path):
    source = Synthetic(size=16, protocol=Protocol.leave_one_out, validation=0.2, evaluate=evaluated)
    split = SharedSplits().load(source, seed=0, cache=tmp_path)
    every = SharedSplits().load(
        replace(source, validation=None, evaluate=None), seed=0, cache=tmp_path
    )
    share = 0.2 if evaluated is Evaluated.validation else 0.8
    assert len(split.query) == share * len(every.gallery)
    assert split.gallery.digests == every.gallery.digests
    positions = np.arange(len(every.gallery))[None, :].repeat(len(split.query), axis=0)
    excluded = split.exclusion.mask(slice(None), positions)
    assert (excluded.sum(axis=1) == 1).all()
    found = [split.gallery.digests[own] for own in excluded.argmax(axis=1)]
    assert found == list(split.query.digests)


def test_a_seed_of_the_split_alone(tmp_path):
    def load(seed, **options):
        return SharedSplits().load(Synthetic(size=16, **options), seed=seed, cache=tmp_path)

    assert load(1, split_seed=7).fingerprint == load(7).fingerprint != load(1).fingerprint
    assert load(1, split_seed=7, validation=0.2).fingerprint == load(7, validation=0.2).fingerprint
