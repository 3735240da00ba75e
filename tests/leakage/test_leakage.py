"""Photos that stand in two parts: found, counted, dropped, grouped, refused, and scored without."""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from outliers_bench.benchmark import depth, prepare
from outliers_bench.config.schema import Cache, Config, Tracking
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.source import Leakage
from outliers_bench.data.split import Protocol, make_split
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import evaluate
from outliers_bench.leakage.audited_splits import SharedSplits
from outliers_bench.leakage.find import find_leaks
from outliers_bench.leakage.policy import audit, describe_pair_counts, group_near_duplicates
from outliers_bench.leakage.remove import exclude_leaks, drop_leaks
from outliers_bench.methods.build import build
from outliers_bench.models.pixels import Pixels
from outliers_bench.reports.leakage_sheet import PAIRS, draw_leakage_sheet
from outliers_bench.rescore import score_leakage
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import ImageSet, Split
from tests.cli import bench, in_process
from tests.duplicates.pictures import (
    cropped,
    encoded,
    image_set_of,
    lighter,
    picture,
    resized,
)
from tests.toys import ArrayReader

A, B, C, D = (picture(seed) for seed in (11, 12, 13, 14))
CLASSES = ("a", "b", "c")


def near(image):
    return lighter(resized(cropped(image, 0.04), 0.8), 0.95, 6)


def part(reader, arrays, labels):
    reader.arrays |= arrays
    images = image_set_of(arrays, labels)
    return replace(images, classes=CLASSES, reader=reader)


def split_of(*, train=None, query=None, gallery=None, labeled=True):
    """A split of named arrays; the first letter of a name is its label."""
    reader = ArrayReader({})
    parts = []
    for name, given in (("train", train), ("query", query), ("gallery", gallery)):
        arrays = given or {}
        labels = [CLASSES.index(key[0]) for key in arrays]
        parts.append(part(reader, arrays, labels if labeled or name == "train" else None))
    return Split("toy", *parts)


def leaking():
    """A photo of a in query and, exactly, in the gallery; one of b in query and nearly in train."""
    return split_of(
        train={"b train": near(B), "c train": picture(21)},
        query={"a query": A, "b query": B},
        gallery={"a copy": A, "a other": C, "b other": D, "c other": near(picture(21))},
    )


def found(split, cache):
    leaks = find_leaks(split, cache=cache)
    names = leaks.images.names
    return leaks, [(names[p.first], names[p.second], p.kind) for p in leaks.pairs]


def test_leaks_are_found_by_parts_and_counted(tmp_path):
    leaks, pairs = found(leaking(), tmp_path)
    assert pairs[0] == ("a query", "a copy", "exact")
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


def test_copies_within_a_part_do_not_leak(tmp_path):
    split = split_of(query={"a 1": A, "a 2": near(A)}, gallery={"b 1": B, "c 1": near(B)})
    leaks, pairs = found(split, tmp_path)
    assert pairs == []
    assert leaks.counts() == {"leaks_exact": 0, "leaks_near": 0}
    assert audit(split, Leakage.error, cache=tmp_path).split is split


def test_a_picture_under_two_labels_is_named_as_such(tmp_path):
    split = split_of(query={"a 1": A}, gallery={"b 1": near(A), "a 2": C})
    leaks, _ = found(split, tmp_path)
    assert leaks.counts()["leaks_two_labels"] == 1
    assert [leaks.labels[row] for row in (leaks.pairs[0].first, leaks.pairs[0].second)] == [
        "a",
        "b",
    ]


def test_dropped_stays_in_query_then_gallery_then_train(tmp_path):
    split = leaking()
    made = audit(split, Leakage.drop, cache=tmp_path)
    assert made.original is split
    assert made.split.query.names == ("a query", "b query")
    assert made.split.gallery.names == ("a other", "b other", "c other")
    assert made.split.train.names == ()
    assert {(item.name, item.kind, item.detail) for item in made.split.left_out} == {
        ("a copy", "duplicate", "same content as a query"),
        ("b train", "duplicate", "nearly the same as b query"),
        ("c train", "duplicate", "nearly the same as c other"),
    }
    assert find_leaks(made.split, cache=tmp_path).pairs == ()
    # For the score beside, all of them are embedded; the fingerprint is of what is ranked.
    assert set(made.split.images.digests) == set(split.images.digests)
    assert made.split.fingerprint == replace(made.split, also=None).fingerprint
    assert made.split.fingerprint != split.fingerprint


def test_a_photo_in_three_parts_through_another_stays_once(tmp_path):
    """Train holds a copy of a copy: three of one picture."""
    split = split_of(
        train={"a 3": near(near(A)), "b 3": D},
        query={"a 1": A},
        gallery={"a 2": near(A), "a 4": C, "b 4": B},
    )
    made = drop_leaks(split, find_leaks(split, cache=tmp_path))
    assert (made.query.names, made.gallery.names, made.train.names) == (
        ("a 1",),
        ("a 4", "b 4"),
        ("b 3",),
    )


def test_clean_strikes_out_copies_and_queries_that_were_learned(tmp_path):
    split = leaking()
    leaks = find_leaks(split, cache=tmp_path)
    seen, unseen = (exclude_leaks(split, leaks, learned=learned) for learned in (True, False))
    assert seen.gallery.names == unseen.gallery.names == ("a other", "b other", "c other")
    assert unseen.query.names == ("a query", "b query")
    assert seen.query.names == ("a query",)
    assert seen.train is split.train
    only = split_of(query={"a 1": A}, gallery={"a 2": A})
    assert exclude_leaks(only, find_leaks(only, cache=tmp_path), learned=False) is None
    with pytest.raises(BenchError, match="nothing is left of the gallery"):
        audit(only, Leakage.drop, cache=tmp_path)


def test_without_labels_every_query_and_gallery_photo_stays(tmp_path):
    split = split_of(
        train={"b 1": near(B), "c 1": D}, query={"a": A}, gallery={"b": B, "c": A}, labeled=False
    )
    made = audit(split, Leakage.drop, cache=tmp_path)
    assert made.leaks.counts()["leaks_query_gallery"] == 1
    assert (made.split.query.names, made.split.gallery.names) == (("a",), ("b", "c"))
    assert made.split.train.names == ("c 1",)


def test_leave_one_out_leaks_within_the_set(tmp_path):
    arrays = {"a 1": A, "a 2": near(A), "b 1": B, "b 2": D}
    images = image_set_of(arrays, [0, 0, 1, 1])
    split = Split("toy", images.take([]), images, images, leave_one_out=True)
    leaks, _ = found(split, tmp_path)
    assert leaks.counts() == {"leaks_exact": 0, "leaks_near": 1, "leaks_gallery_gallery": 1}
    for made in (drop_leaks(split, leaks), exclude_leaks(split, leaks, learned=True)):
        assert made.query is made.gallery
        assert len(made.query) == 3
        assert {"b 1", "b 2"} < set(made.query.names)


def many(seed=0):
    """Three photos of each of two classes, and of each two copies."""
    arrays = {}
    for label in "ab":
        for number in range(4):
            one = picture(50 * (label == "b") + number + 1)
            arrays |= {f"{label} {number}": one, f"{label} {number} near": near(one)}
    names = list(arrays)
    np.random.default_rng(seed).shuffle(names)
    return image_set_of(
        {name: arrays[name] for name in names}, [CLASSES.index(name[0]) for name in names]
    )


def cut_of(images, seed):
    options = {"train": 0.5, "query": 0.5, "protocol": Protocol.query_gallery}
    return make_split(images, name="toy", seed=seed, **options)


def test_grouped_photos_stand_in_one_part(tmp_path):
    images = many()
    made = group_near_duplicates(images, cache=tmp_path)
    assert len(set(made.groups)) == 8
    loose = [find_leaks(cut_of(images, seed), cache=tmp_path) for seed in range(3)]
    assert all(loose)
    for seed in range(3):
        split = cut_of(made, seed)
        assert not find_leaks(split, cache=tmp_path)
        other = cut_of(group_near_duplicates(many(seed + 1), cache=tmp_path), seed)
        assert split.fingerprint == other.fingerprint


def test_groups_of_the_user_join_those_that_are_found(tmp_path):
    images = image_set_of({"a 1": A, "a 2": near(A), "a 3": B, "b 1": C, "b 2": D}, [0, 0, 0, 1, 1])
    images = replace(images, groups=("x", "y", "y", "~b 1", "~b 2"))
    made = group_near_duplicates(images, cache=tmp_path)
    assert len({made.groups[row] for row in (0, 1, 2)}) == 1
    assert len(set(made.groups)) == 3


@pytest.mark.parametrize("leakage", [Leakage.error, Leakage.group])
def test_leaks_are_refused_by_name(leakage, tmp_path):
    with pytest.raises(BenchError) as told:
        audit(leaking(), leakage, cache=tmp_path)
    assert "3 pairs of duplicates across parts (1 exact, 2 near): a query (query) and a copy" in str(
        told.value
    )
    assert "data.leakage=drop" in str(told.value)
    assert "\n" not in str(told.value)


def test_the_sheet_is_bounded_and_survives_unreadable_photos(tmp_path):
    photos = {f"a {n}": picture(n) for n in range(PAIRS + 2)}
    split = split_of(
        query=photos, gallery={f"a copy {n}": one for n, one in enumerate(photos.values())}
    )
    leaks = find_leaks(split, cache=tmp_path)
    assert len(leaks) == PAIRS + 2
    del split.gallery.reader.arrays["a 0"]
    sheet = draw_leakage_sheet(leaks, name="toy")
    assert sheet.shape[0] < 1600
    assert sheet.shape[1] < 1600
    assert draw_leakage_sheet(replace(leaks, pairs=()), name="toy") is None


def test_a_sweep_audits_once(tmp_path, monkeypatch):
    source = ClassFolders(root=str(write(tmp_path / "photos", many())))
    shared = SharedSplits()
    shared.begin()
    first = shared.load_audited(source, seed=0, cache=tmp_path)
    monkeypatch.setattr("outliers_bench.leakage.audited_splits.audit", None)
    assert shared.load_audited(source, seed=0, cache=tmp_path) is first
    with pytest.raises(TypeError):
        shared.load_audited(replace(source, leakage=Leakage.drop), seed=0, cache=tmp_path)


def test_group_and_leave_one_out_do_not_go_together(tmp_path):
    source = ClassFolders(
        root=str(tmp_path), protocol=Protocol.leave_one_out, leakage=Leakage.group
    )
    with pytest.raises(BenchError, match=r"no parts; use data\.leakage=drop"):
        source.check()


def test_counted_in_words():
    assert describe_pair_counts(1, 0) == "1 pair of duplicates across parts (exact)"
    assert describe_pair_counts(0, 2, within=True) == "2 pairs of duplicates within the set (near)"
    assert describe_pair_counts(0, 1234) == "1,234 pairs of duplicates across parts (near)"


def test_the_default_is_to_report():
    assert ClassFolders(root="x").leakage is Leakage.report


def write(root: Path, images: ImageSet, names=None) -> Path:
    for row, name in enumerate(names or images.names):
        file = root / name.split()[0] / f"{name.replace(' ', '_')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), images.read(row)[..., ::-1])
    return root


def numbers(out):
    """`hit@1 0.5, without them 0.25` of the line that tells of leaks."""
    told = " ".join(out.split())
    match = re.search(
        r"(\d+) pairs? of duplicates across parts \((.*?)\): hit@1 (\S+), (with\S*) them (\S+)", told
    )
    return match.groups() if match else None


@pytest.fixture
def ready(tmp_path):
    """A ready-made split in which every answer of pixels is a copy."""
    root = tmp_path / "planted"
    for label, seeds in (("a", range(4)), ("b", range(10, 14))):
        for number, seed in enumerate(seeds):
            for part, image in (
                ("query", picture(seed)),
                ("gallery", picture(seed) if number % 2 else encoded(picture(seed), 60)),
                ("gallery", picture(seed + 100)),
            ):
                file = root / part / label / f"{seed}_{image[0, 0, 0]}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), image[..., ::-1])
    return root


def test_each_score_stands_beside_the_other(ready, tmp_path):
    """With `report` the score without leaks, which is that of `drop`, and the other way round."""
    config = config_of(ready, tmp_path)
    given = config.data.load(seed=0, cache=tmp_path)
    found = {}
    for leakage in (Leakage.report, Leakage.drop):
        audited = audit(given, leakage, cache=tmp_path)
        method = build(config, Meter.start())
        audited = audited.without(method.extract(audited.original.images, commit=lambda: None))
        method.fit(audited.split)
        ranking = method.rank(audited.split, depth(config, audited.split))
        headline = evaluate(ranking, audited.split, k=config.k).metrics
        beside = score_leakage(config, method, audited, depth)
        assert beside.intervals.keys() == beside.metrics.keys()
        found[beside.name] = headline, beside.evaluation.metrics
    as_given, without = found["without_leaks"]
    assert as_given["hit_at_1"] == 1 > without["hit_at_1"]
    assert found["with_leaks"] == (without, as_given)


def test_a_server_that_does_not_answer_is_told_before_the_audit(ready, tmp_path, monkeypatch):
    class Nobody:
        def call(self, *_):
            raise BenchError("no server answers")

    monkeypatch.setattr("outliers_bench.benchmark.get_recorder", lambda _: Nobody())
    config = config_of(ready, tmp_path)
    config = replace(config, tracking=Tracking(uri="http://127.0.0.1:9"))
    with pytest.raises(BenchError, match="no server answers"):
        prepare(config)
    assert not (tmp_path / "features").exists()  # no photo was looked at
    audit(config.data.load(seed=0, cache=tmp_path), Leakage.report, cache=tmp_path)
    assert prepare(config).audited.leaks  # what takes no time waits for nobody


def config_of(root, cache):
    pixels = Pixels("pixels", 8)
    data = PreparedFolders(root=str(root))
    return Config(data=data, model=pixels, index=Exact("exact"), cache=Cache(str(cache)), k=[1, 3])


@pytest.mark.slow
def test_a_run_tells_both_scores(ready, made, tmp_path, monkeypatch, capsys):
    """The real command; and `error` refuses before any work."""
    shutil.copyfile(made, tmp_path / "mlflow.db")
    options = [
        "data=prepared",
        f"data.root={ready}",
        "model=pixels",
        "k=[1,3]",
        "contact_sheets.depth=3",
    ]
    env = {"OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")}
    done = bench(*options, cwd=tmp_path, **env)
    assert done.code == 0, done.err
    count, kinds, as_given, how, beside = numbers(done.out)
    assert (count, kinds, as_given, how) == ("8", "4 exact, 4 near", "1.000", "without")
    assert float(beside) < 1

    (table,) = tmp_path.glob("mlartifacts/planted/*/artifacts/leaks.csv")
    rows = list(csv.DictReader(table.open()))
    assert [row["kind"] for row in rows] == ["exact"] * 4 + ["near"] * 4
    assert {(row["part"], row["other_part"]) for row in rows} == {("query", "gallery")}
    assert all(row["label"] == row["other_label"] != "" for row in rows)
    assert (table.parent / "pictures/leaks.jpg").stat().st_size > 10_000

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", env["OUTLIERS_BENCH_CACHE"])
    refused = in_process(monkeypatch, capsys, *options, "data.leakage=error")
    assert refused.code == 2
    assert "8 pairs of duplicates across parts" in refused.err
    assert len(refused.err.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_planted_copies_of_real_photos_are_found(seed, shared, tmp_path):
    """Twenty exact copies and twenty encoded again, resized and cropped by 5%, across the parts."""
    source = shared / "data" / "caltech101_animals"
    split = ClassFolders(root=str(source)).load(seed=0, cache=tmp_path / "cache")
    before = find_leaks(split, cache=tmp_path / "cache")
    known = {frozenset(pair) for pair in names_of(before)}
    root, planted = tmp_path / "planted", {}
    for part in ("train", "query", "gallery"):
        for name in getattr(split, part).names:
            copy(source / name, root / part / name)
    random = np.random.default_rng(seed)
    ways = [("query", "gallery"), ("query", "train"), ("gallery", "query"), ("train", "gallery")]
    for number in range(40):
        part, other = ways[number % 4]
        names = getattr(split, part).names
        while (name := names[random.integers(len(names))]) in planted.values():
            continue
        file = root / other / Path(name).parent / f"planted_{number}.jpg"
        planted[file.name] = name
        if number < 20:
            copy(source / name, file)
            continue
        # 5% of each side, and 5% in all.
        image = cropped(cv2.imread(str(source / name)), 0.05 if number // 4 % 2 else 0.025)
        image = resized(image, random.uniform(0.5, 1.5))
        cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 91))])

    options = ["data=prepared", f"data.root={root}", "model=pixels", "contact_sheets.queries=0"]
    done = bench(*options, cwd=tmp_path, OUTLIERS_BENCH_CACHE=str(tmp_path / "cache"))
    assert done.code == 0, done.err
    (table,) = tmp_path.glob("mlartifacts/planted/*/artifacts/leaks.csv")
    kinds = {"exact": set(), "near": set()}
    false = []
    for row in csv.DictReader(table.open()):
        ends = [Path(row[end]) for end in ("photo", "other_photo")]
        new = [end.name for end in ends if end.name in planted]
        meant = [planted.get(end.name, end.relative_to(end.parts[0]).as_posix()) for end in ends]
        if new and meant[0] == meant[1]:
            kinds[row["kind"]].add(new[0])
        elif frozenset(meant) not in known:
            false.append(meant)
    exact, near_ones = ({f"planted_{n}.jpg" for n in which} for which in (range(20), range(20, 40)))
    assert kinds["exact"] == exact
    assert len(kinds["near"] & near_ones) >= 18
    assert len(false) <= 5
    _, _, as_given, how, beside = numbers(done.out)
    assert how == "without"
    assert float(beside) < float(as_given)

    done = bench("data=planted", cwd=tmp_path, module="outliers_bench.leaderboard", COLUMNS="200")
    assert done.code == 0, done.err
    assert "without leakage" in done.out
    for text in (done.out, (tmp_path / "leaderboard.md").read_text()):
        assert as_given in text
        assert beside in text
    page = (tmp_path / "leaderboard.html").read_text()
    assert "hit@1 without leakage" in page
    (line,) = csv.DictReader((tmp_path / "leaderboard.csv").open())
    assert float(line["without_leaks/hit_at_1"]) == pytest.approx(float(beside), abs=5e-4)


def names_of(leaks):
    for pair in leaks.pairs:
        yield leaks.images.names[pair.first], leaks.images.names[pair.second]


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
