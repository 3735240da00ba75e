"""Scores with and without leakage, and runs of the command."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from outliers_bench.benchmark import prepare, run
from outliers_bench.config.choices import SCHEMAS
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.source import Leakage
from outliers_bench.leakage.find import find_leaks
from tests.command_line import bench, in_process
from tests.duplicates.synthetic_photos import crop_sides, encode_jpeg, make_photo, rescale
from tests.leakage.leaking_splits import config_of, copy_file, names_of, parse_leakage


@pytest.fixture
def planted_root(tmp_path):
    """A ready-made split in which every first hit of the pixels model is a duplicate."""
    root = tmp_path / "planted"
    for label, seeds in (("a", range(4)), ("b", range(10, 14))):
        for number, seed in enumerate(seeds):
            for part, image in (
                ("query", make_photo(seed)),
                ("gallery", make_photo(seed) if number % 2 else encode_jpeg(make_photo(seed), 60)),
                ("gallery", make_photo(seed + 100)),
            ):
                file = root / part / label / f"{seed}_{image[0, 0, 0]}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), image[..., ::-1])
    return root


def test_both_scores_are_computed(planted_root, tmp_path):
    """The second score of `report` is the first of `drop`, and vice versa."""
    config = config_of(planted_root, tmp_path)
    scores = {}
    for config.data.leakage in (Leakage.report, Leakage.drop):
        result = run(prepare(config))
        second = result.leakage_scores
        assert second.intervals.keys() == second.metrics.keys()
        scores[second.name] = result.evaluation.metrics, second.evaluation.metrics
    as_given, without = scores["without_leaks"]
    assert as_given["hit_at_1"] == 1 > without["hit_at_1"]
    assert scores["with_leaks"] == (without, as_given)


@pytest.mark.parametrize(("reduction", "scored"), [("learned_whitening", 5), ("pca", 8)])
def test_queries_in_train_leave_the_second_score_of_a_run_that_has_learned(
    planted_root, tmp_path, reduction, scored
):
    """Three queries are in train, whose labels a learned whitening has seen and a PCA has not."""
    for label, seeds in (("a", (0, 1, 40, 41)), ("b", (10, 50, 51, 52))):
        for seed in seeds:
            file = planted_root / "train" / label / f"{seed}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), make_photo(seed)[..., ::-1])
    config = config_of(planted_root, tmp_path)
    config.reduce = SCHEMAS["reduce"][reduction](n=2)
    result = run(prepare(config))
    assert len(result.leakage_scores.evaluation.scored) == scored


@pytest.mark.slow
def test_run_reports_both_scores(planted_root, empty_database, tmp_path, monkeypatch, capsys):
    """The command reports both scores; with `error` it fails before any work."""
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    options = [
        "data=prepared",
        f"data.root={planted_root}",
        "model=pixels",
        "k=[1,3]",
        "contact_sheets.depth=3",
    ]
    env = {"OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")}
    done = bench(*options, cwd=tmp_path, **env)
    assert done.code == 0, done.err
    count, kinds, as_given, second_score, other_score = parse_leakage(done.out)
    assert (count, kinds, as_given, second_score) == ("8", "4 exact, 4 near", "1.000", "without")
    assert float(other_score) < 1

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
def test_planted_duplicates_of_real_photos_are_found(seed, shared, tmp_path):
    """Twenty exact duplicates, and twenty re-encoded, resized, and cropped ones, across parts."""
    source = shared / "data" / "caltech101_animals"
    split = ClassFolders(root=str(source)).load(seed=0, cache=tmp_path / "cache")
    existing = find_leaks(split, cache=tmp_path / "cache")
    known_pairs = {frozenset(pair) for pair in names_of(existing)}
    root, planted = tmp_path / "planted", {}
    for part in ("train", "query", "gallery"):
        for name in getattr(split, part).names:
            copy_file(source / name, root / part / name)
    random = np.random.default_rng(seed)
    directions = [
        ("query", "gallery"),
        ("query", "train"),
        ("gallery", "query"),
        ("train", "gallery"),
    ]
    for number in range(40):
        part, other = directions[number % 4]
        names = getattr(split, part).names
        while (name := names[random.integers(len(names))]) in planted.values():
            continue
        file = root / other / Path(name).parent / f"planted_{number}.jpg"
        planted[file.name] = name
        if number < 20:
            copy_file(source / name, file)
            continue
        # 5% of each side, and 5% in total.
        image = crop_sides(cv2.imread(str(source / name)), 0.05 if number // 4 % 2 else 0.025)
        image = rescale(image, random.uniform(0.5, 1.5))
        cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 91))])

    options = ["data=prepared", f"data.root={root}", "model=pixels", "contact_sheets.queries=0"]
    done = bench(*options, cwd=tmp_path, OUTLIERS_BENCH_CACHE=str(tmp_path / "cache"))
    assert done.code == 0, done.err
    (table,) = tmp_path.glob("mlartifacts/planted/*/artifacts/leaks.csv")
    kinds = {"exact": set(), "near": set()}
    false_pairs = []
    for row in csv.DictReader(table.open()):
        ends = [Path(row[end]) for end in ("photo", "other_photo")]
        new = [end.name for end in ends if end.name in planted]
        originals = [
            planted.get(end.name, end.relative_to(end.parts[0]).as_posix()) for end in ends
        ]
        if new and originals[0] == originals[1]:
            kinds[row["kind"]].add(new[0])
        elif frozenset(originals) not in known_pairs:
            false_pairs.append(originals)
    exact, near_numbers = (
        {f"planted_{n}.jpg" for n in which} for which in (range(20), range(20, 40))
    )
    assert kinds["exact"] == exact
    assert len(kinds["near"] & near_numbers) >= 18
    assert len(false_pairs) <= 5
    _, _, as_given, second_score, other_score = parse_leakage(done.out)
    assert second_score == "without"
    assert float(other_score) < float(as_given)

    done = bench("data=planted", cwd=tmp_path, module="outliers_bench.leaderboard", COLUMNS="200")
    assert done.code == 0, done.err
    assert "without leakage" in done.out
    for text in (done.out, (tmp_path / "leaderboard.md").read_text()):
        assert as_given in text
        assert other_score in text
    page = (tmp_path / "leaderboard.html").read_text()
    assert "without leakage" in page
    assert other_score in page
    (line,) = csv.DictReader((tmp_path / "leaderboard.csv").open())
    assert float(line["without_leaks/hit_at_1"]) == pytest.approx(float(other_score), abs=5e-4)
