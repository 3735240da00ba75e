"""Leakage: finding, counting, dropping, grouping, and refusing it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.source import Leakage
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.validation import Evaluated
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import SharedSplits
from outliers_bench.leakage.find import find_leaks
from outliers_bench.leakage.policy import audit, describe_pair_counts, group_near_duplicates
from outliers_bench.leakage.remove import drop_leaks, exclude_leaks
from outliers_bench.reports.leakage_sheet import PAIRS, draw_leakage_sheet
from outliers_bench.types import ITSELF, Split
from tests.duplicates.synthetic_photos import make_image_set, make_photo
from tests.leakage.leaking_splits import (
    A,
    B,
    C,
    D,
    find_named_pairs,
    images_with_near_duplicates,
    near,
    split_of,
    split_randomly,
    split_with_leakage,
    write,
)


def test_leaks_are_counted_by_parts(tmp_path):
    leaks, pairs = find_named_pairs(split_with_leakage(), tmp_path)
    assert pairs[0] == ("a query", "a duplicate", "exact")
    assert set(pairs[1:]) == {
        ("b query", "b train", "near"),
        ("c other", "c train", "near"),
    }
    assert leaks.counts() == {
        "leaks_exact": 1,
        "leaks_near": 2,
        "leaks_query_gallery": 1,
        "leaks_query_train": 1,
        "leaks_gallery_train": 1,
    }


def test_duplicates_within_a_part_are_no_leakage(tmp_path):
    split = split_of(query={"a 1": A, "a 2": near(A)}, gallery={"b 1": B, "c 1": near(B)})
    leaks, pairs = find_named_pairs(split, tmp_path)
    assert pairs == []
    assert leaks.counts() == {"leaks_exact": 0, "leaks_near": 0}
    assert audit(split, Leakage.error, cache=tmp_path).split is split


def test_duplicates_with_different_labels_are_counted(tmp_path):
    split = split_of(query={"a 1": A}, gallery={"b 1": near(A), "a 2": C})
    leaks, _ = find_named_pairs(split, tmp_path)
    assert leaks.counts()["leaks_two_labels"] == 1
    assert [leaks.labels[row] for row in (leaks.pairs[0].first, leaks.pairs[0].second)] == [
        "a",
        "b",
    ]


def test_drop_retains_query_before_gallery_before_train(tmp_path):
    split = split_with_leakage()
    audited = audit(split, Leakage.drop, cache=tmp_path)
    assert audited.original is split
    assert audited.split.query.names == ("a query", "b query")
    assert audited.split.gallery.names == ("a other", "b other", "c other")
    assert audited.split.train.names == ()
    assert {(item.name, item.kind, item.detail) for item in audited.split.left_out} == {
        ("a duplicate", "duplicate", "same content as a query"),
        ("b train", "duplicate", "nearly the same as b query"),
        ("c train", "duplicate", "nearly the same as c other"),
    }
    assert find_leaks(audited.split, cache=tmp_path).pairs == ()
    # All photos are embedded for the second score; the fingerprint depends on the ranked ones.
    assert set(audited.split.images.digests) == set(split.images.digests)
    assert audited.split.fingerprint == replace(audited.split, also=None).fingerprint
    assert audited.split.fingerprint != split.fingerprint


def test_chain_of_duplicates_in_three_parts_stays_once(tmp_path):
    """Train contains a near duplicate of a near duplicate."""
    split = split_of(
        train={"a 3": near(near(A)), "b 3": D},
        query={"a 1": A},
        gallery={"a 2": near(A), "a 4": C, "b 4": B},
    )
    dropped = drop_leaks(split, find_leaks(split, cache=tmp_path))
    assert (dropped.query.names, dropped.gallery.names, dropped.train.names) == (
        ("a 1",),
        ("a 4", "b 4"),
        ("b 3",),
    )


def test_exclude_leaks_excludes_duplicates_and_trained_queries(tmp_path):
    split = split_with_leakage()
    leaks = find_leaks(split, cache=tmp_path)
    trained, untrained = (exclude_leaks(split, leaks, learned=learned) for learned in (True, False))
    assert trained.gallery.names == untrained.gallery.names == ("a other", "b other", "c other")
    assert untrained.query.names == ("a query", "b query")
    assert trained.query.names == ("a query",)
    assert trained.train is split.train
    only = split_of(query={"a 1": A}, gallery={"a 2": A})
    assert exclude_leaks(only, find_leaks(only, cache=tmp_path), learned=False) is None
    with pytest.raises(BenchError, match="the gallery would be empty"):
        audit(only, Leakage.drop, cache=tmp_path)


def test_drop_retains_unlabeled_queries_and_gallery(tmp_path):
    split = split_of(
        train={"b 1": near(B), "c 1": D}, query={"a": A}, gallery={"b": B, "c": A}, labeled=False
    )
    audited = audit(split, Leakage.drop, cache=tmp_path)
    assert audited.leaks.counts()["leaks_query_gallery"] == 1
    assert (audited.split.query.names, audited.split.gallery.names) == (("a",), ("b", "c"))
    assert audited.split.train.names == ("c 1",)


def test_leave_one_out_leakage_is_within_the_set(tmp_path):
    arrays = {"a 1": A, "a 2": near(A), "b 1": B, "b 2": D}
    images = make_image_set(arrays, [0, 0, 1, 1])
    split = Split("toy", images.take([]), images, images, excluded=ITSELF)
    leaks, _ = find_named_pairs(split, tmp_path)
    assert leaks.counts() == {"leaks_exact": 0, "leaks_near": 1, "leaks_gallery_gallery": 1}
    for cleaned in (drop_leaks(split, leaks), exclude_leaks(split, leaks, learned=True)):
        assert cleaned.query is cleaned.gallery
        assert len(cleaned.query) == 3
        assert {"b 1", "b 2"} < set(cleaned.query.names)


def test_grouped_photos_are_in_one_part(tmp_path):
    images = images_with_near_duplicates()
    grouped = group_near_duplicates(images, cache=tmp_path)
    assert len(set(grouped.groups)) == 8
    ungrouped = [find_leaks(split_randomly(images, seed), cache=tmp_path) for seed in range(3)]
    assert all(ungrouped)
    for seed in range(3):
        split = split_randomly(grouped, seed)
        assert not find_leaks(split, cache=tmp_path)
        reordered = group_near_duplicates(images_with_near_duplicates(seed + 1), cache=tmp_path)
        assert split.fingerprint == split_randomly(reordered, seed).fingerprint


def test_user_groups_are_merged_with_near_duplicates(tmp_path):
    images = make_image_set(
        {"a 1": A, "a 2": near(A), "a 3": B, "b 1": C, "b 2": D}, [0, 0, 0, 1, 1]
    )
    groups = np.array(["x", "y", "y", "~b 1", "~b 2"], dtype=object)
    images = replace(images, columns={"group": groups})
    grouped = group_near_duplicates(images, cache=tmp_path)
    assert len({grouped.groups[row] for row in (0, 1, 2)}) == 1
    assert len(set(grouped.groups)) == 3


@pytest.mark.parametrize("leakage", [Leakage.error, Leakage.group])
def test_leakage_error_lists_the_photos(leakage, tmp_path):
    with pytest.raises(BenchError) as error:
        audit(split_with_leakage(), leakage, cache=tmp_path)
    assert (
        "3 pairs of duplicates across parts (1 exact, 2 near): a query (query) and a duplicate"
        in str(error.value)
    )
    assert "data.leakage=drop" in str(error.value)
    assert "\n" not in str(error.value)


def test_contact_sheet_is_limited_and_skips_unreadable_photos(tmp_path):
    photos = {f"a {n}": make_photo(n) for n in range(PAIRS + 2)}
    split = split_of(
        query=photos, gallery={f"a duplicate {n}": image for n, image in enumerate(photos.values())}
    )
    leaks = find_leaks(split, cache=tmp_path)
    assert len(leaks) == PAIRS + 2
    del split.gallery.reader.arrays["a 0"]
    sheet = draw_leakage_sheet(leaks, name="toy")
    assert sheet.shape[0] < 1600
    assert sheet.shape[1] < 1600
    assert draw_leakage_sheet(replace(leaks, pairs=()), name="toy") is None


def test_sweep_audits_once(tmp_path, monkeypatch):
    source = ClassFolders(root=str(write(tmp_path / "photos", images_with_near_duplicates())))
    shared = SharedSplits()
    shared.begin()
    first = shared.load_audited(source, seed=0, cache=tmp_path)
    monkeypatch.setattr("outliers_bench.leakage.audited_splits.audit", None)
    assert shared.load_audited(source, seed=0, cache=tmp_path) is first
    with pytest.raises(TypeError):
        shared.load_audited(replace(source, leakage=Leakage.drop), seed=0, cache=tmp_path)


def test_a_sweep_of_repeated_runs_lists_photos_and_audits_once(tmp_path, monkeypatch):
    root = write(tmp_path / "photos", images_with_near_duplicates())
    sources = ClassFolders(root=str(root), repeats=3).each_split()
    shared = SharedSplits()
    shared.begin()
    shared.keep(3)
    first = [shared.load_audited(source, seed=0, cache=tmp_path) for source in sources]
    assert len({each.split.fingerprint for each in first}) == 3
    monkeypatch.setattr("outliers_bench.leakage.audited_splits.audit", None)
    monkeypatch.setattr("outliers_bench.leakage.audited_splits.load_split", None)
    for source, audited in zip(sources, first, strict=True):
        assert shared.load_audited(source, seed=0, cache=tmp_path) is audited


@pytest.mark.parametrize("evaluated", Evaluated)
def test_with_and_without_duplicates_the_same_part_of_the_queries_is_scored(evaluated, tmp_path):
    root = write(tmp_path / "photos", images_with_near_duplicates())
    source = ClassFolders(root=str(root), leakage=Leakage.drop, validation=0.5, evaluate=evaluated)
    shared = SharedSplits()
    audited = shared.load_audited(source, seed=0, cache=tmp_path)
    given = shared.load_unaudited(source, seed=0, cache=tmp_path)
    assert audited.is_filtered
    assert audited.original.query.names == given.query.names
    assert set(audited.split.query.names) <= set(given.query.names)


def test_group_with_leave_one_out_is_refused(tmp_path):
    source = ClassFolders(
        root=str(tmp_path), protocol=Protocol.leave_one_out, leakage=Leakage.group
    )
    with pytest.raises(BenchError, match=r"no parts; use data\.leakage=drop"):
        source.check()


def test_describe_pair_counts():
    assert describe_pair_counts(1, 0) == "1 pair of duplicates across parts (exact)"
    assert describe_pair_counts(0, 2, within=True) == "2 pairs of duplicates within the set (near)"
    assert describe_pair_counts(0, 1234) == "1,234 pairs of duplicates across parts (near)"


def test_default_is_report():
    assert ClassFolders(root="x").leakage is Leakage.report
