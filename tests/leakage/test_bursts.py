"""Bursts across query and gallery: found, scored, and put into one part by what is advised."""

from __future__ import annotations

import csv
import re
import shlex
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from outliers_bench.benchmark import prepare, run
from outliers_bench.config.schema import Cache, Config
from outliers_bench.data.components import components
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.split import Protocol
from outliers_bench.data.synthetic import Label, Synthetic
from outliers_bench.leakage.burst_looks import (
    compare_looks,
    look_alike,
    random_pairs_of_labels,
    sample_pairs,
)
from outliers_bench.leakage.bursts import find_bursts
from outliers_bench.leakage.policy import load_split
from outliers_bench.models.pixels import Pixels
from outliers_bench.reports.burst_rows import burst_rows
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.tracking.artifacts import write_tables
from outliers_bench.types import ENCOUNTER, TIME

SOURCE = Synthetic(
    classes=1,
    **{"individuals": 10, "encounters": 4, "images": 4, "cameras": 3, "size": 48},
    noise=0.03,
    label=Label.individual,
    train=0.34,
)


@pytest.fixture(scope="module")
def photos():
    """All photos with their pixels."""
    images = SOURCE.all_images()
    return images, [images.read(row) for row in range(len(images))]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def _load(source, cache):
    return load_split(source, seed=0, cache=cache)


def _write(photos, root, path_of):
    """Write the photos, at the path that `path_of` gives for a row, individual, encounter."""
    images, pixels = photos
    columns = images.columns
    paths = []
    for row, image in enumerate(pixels):
        individual = columns["individual"][row].rpartition("/")[2]
        encounter = columns[ENCOUNTER][row].rpartition("_")[2]
        file = root / individual / path_of(row, individual, encounter)
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), image[..., ::-1])
        paths.append(file.relative_to(root).as_posix())
    return paths


def _letters(row):
    return "".join(chr(ord("a") + digit) for digit in divmod(row * 7919 % 676, 26))


def _queries_with_own_encounter(split, encounter_of):
    """The queries with a gallery photo of their encounter, by definition."""
    own = [encounter_of[digest] for digest in split.gallery.digests]
    others = (
        [*own[:row], *own[row + 1 :]] if split.is_one_set else own
        for row in range(len(split.query))
    )
    pairs = zip(split.query.digests, others, strict=True)
    return sum(encounter_of[digest] in gallery for digest, gallery in pairs)


def _truth(split, photos):
    images, _ = photos
    by_pixels = dict(zip(images.digests, images.columns[ENCOUNTER], strict=True))
    if set(split.gallery.digests) <= by_pixels.keys():
        return by_pixels
    known = {
        image.tobytes(): encounter
        for image, encounter in zip(photos[1], images.columns[ENCOUNTER], strict=True)
    }
    return {
        digest: known[part.read(row).tobytes()]
        for part in (split.query, split.gallery)
        for row, digest in enumerate(part.digests)
    }


def test_a_column_of_encounters_that_no_one_uses_is_named(cache):
    split = _load(SOURCE, cache)
    found = find_bursts(split, cache=cache)
    assert found.evidence == "column encounter"
    assert found.advice == "data.group=encounter keeps bursts in one part"
    columns = (split.query.columns[ENCOUNTER], split.gallery.columns[ENCOUNTER])
    assert found.queries == int(np.isin(*columns).sum()) > 15
    assert find_bursts(_load(replace(SOURCE, group="encounter"), cache), cache=cache) is None


def test_a_ready_made_split_is_advised_to_exclude(cache):
    split = replace(_load(SOURCE, cache), drawn=False)
    advice = find_bursts(split, cache=cache).advice
    assert advice == "data.exclude_same=[encounter] excludes them"


NAMES = {
    "names with the same beginning": lambda row, i, e: f"visit{e}_{row:04d}.png",
    "consecutive numbers in the names": lambda row, i, e: f"IMG_{row + 3 * int(e):04d}.png",
    "photos of one scene": lambda row, i, e: f"{_letters(row)}.png",
}


@pytest.mark.parametrize(
    ("evidence", "protocol"), zip(NAMES, [*Protocol, Protocol.query_gallery], strict=True)
)
def test_what_is_advised_puts_bursts_of_names_and_looks_into_one_part(
    photos, tmp_path, evidence, protocol
):
    root = tmp_path / "photos"
    _write(photos, root, NAMES[evidence])
    source = ClassFolders(root=str(root), train=0.34, protocol=protocol)
    split = _load(source, tmp_path)
    found = find_bursts(split, cache=tmp_path)
    assert found.evidence == evidence
    true = _queries_with_own_encounter(split, _truth(split, photos))
    assert 0.85 * true <= found.queries <= 1.15 * true
    options = dict(
        word.split("=", 1) for word in shlex.split(found.advice) if word.startswith("data")
    )
    if "data.group" in options:
        together = _load(replace(source, group=options["data.group"]), tmp_path)
    else:
        with (tmp_path / options["data.path"]).open("w", newline="") as file:
            labels = [found.images.classes[label] for label in found.images.labels]
            rows = zip(found.images.names, labels, found.ids.tolist(), strict=True)
            csv.writer(file).writerows([("path", "label", "group"), *rows])
        assert options["data.root"] == str(root)
        path = str(tmp_path / options["data.path"])
        table = Manifest(path=path, root=str(root), train=0.34, protocol=protocol)
        together = _load(table, tmp_path)
    truth = _truth(together, photos)
    if protocol is Protocol.query_gallery:
        assert _queries_with_own_encounter(together, truth) <= 0.2 * true
    assert find_bursts(together, cache=tmp_path) is None


def _table(photos, folder):
    """Return a function of times that writes them as a table, and returns its source."""
    root = folder / "photos"
    paths = _write(photos, root, lambda row, *_: f"{_letters(row)}.png")
    labels = [path.partition("/")[0] for path in paths]

    def table(times):
        with (folder / "table.csv").open("w", newline="") as file:
            rows = zip(paths, labels, times, strict=True)
            csv.writer(file).writerows([("path", "label", "time"), *rows])
        return Manifest(path=str(folder / "table.csv"), root=str(root), train=0.34)

    return table


def test_times_of_a_table(photos, tmp_path):
    table = _table(photos, tmp_path)
    images, _ = photos
    source = table(images.columns[TIME].astype(str))
    split = _load(source, tmp_path)
    found = find_bursts(split, cache=tmp_path)
    assert found.evidence == "times at most 10min apart"
    assert found.advice == "data.encounter_gap=10min keeps bursts in one part"
    assert found.queries == _queries_with_own_encounter(split, _truth(split, photos))
    assert (
        find_bursts(_load(replace(source, encounter_gap="10min"), tmp_path), cache=tmp_path) is None
    )


@pytest.mark.slow
def test_dates_without_times_count_if_their_photos_look_alike(photos, tmp_path):
    table = _table(photos, tmp_path)
    images, _ = photos
    source = table(images.columns[TIME].astype("datetime64[D]").astype(str))
    found = find_bursts(_load(source, tmp_path), cache=tmp_path)
    assert found.advice == "data.group=date keeps bursts in one part"
    assert find_bursts(_load(replace(source, group="date"), tmp_path), cache=tmp_path) is None
    days = images.columns[TIME].astype("datetime64[D]").astype(str)
    shuffled = np.random.default_rng(0).permutation(days)
    found = find_bursts(_load(table(shuffled), tmp_path), cache=tmp_path)
    assert found.evidence == "photos of one scene"


def test_the_score_without_bursts_is_that_of_the_ranking_without_their_photos(tmp_path):
    config = Config(
        data=SOURCE,
        model=Pixels("pixels", 16),
        index=Exact(),
        k=[1, 5],
        cache=Cache(dir=str(tmp_path)),
    )
    result = run(prepare(config))
    split, scores = result.split, result.burst_scores
    query, gallery = (part.columns[ENCOUNTER] for part in (split.query, split.gallery))
    hits, own, concerned = [], [], 0
    for row, order in enumerate(result.ranking.indices):
        right = split.gallery.labels == split.query.labels[row]
        others = order[gallery[order] != query[row]]
        concerned += bool((right & (gallery == query[row])).any())
        if (right & (gallery != query[row])).any():
            hits.append(right[others[0]])
            own.append(right[order[0]])
    metrics = scores.metrics
    assert metrics["queries_with_burst"] == concerned
    assert metrics["without_bursts/hit_at_1"] == pytest.approx(np.mean(hits))
    with_bursts = metrics.get("with_bursts/hit_at_1", result.evaluation.metrics["hit_at_1"])
    assert with_bursts == pytest.approx(np.mean(own))
    assert np.mean(hits) < np.mean(own) - 0.2
    low, high = scores.intervals["without_bursts/hit_at_1"]
    assert low < np.mean(hits) < high
    ((heading, text),) = burst_rows(result)
    assert heading == "bursts"
    assert re.match(
        rf"{concerned} of {len(result.evaluation.scored)} queries have gallery photos of their own "
        r"burst \(column encounter\): hit@1 .*, without them 0\.\d\d\d; data\.group=encounter",
        text,
    )
    write_tables(result, tmp_path)
    rows = list(csv.DictReader((tmp_path / "bursts.csv").open()))
    assert len(rows) == len(SOURCE.all_images())
    assert len({row["group"] for row in rows}) == 10 * 4


def test_pairs_that_look_alike():
    random = np.random.default_rng(0)
    near, far = random.normal(1.5, 1, 400), random.normal(0, 1, 400)  # the area is 0.86
    assert look_alike(near, far)
    assert not look_alike(far, near)
    assert not look_alike(random.normal(0.5, 1, 400), far)  # 0.64
    assert not look_alike(near[:19], far)
    assert not look_alike(np.append(near[:19], np.nan), far)
    assert not look_alike(np.ones(50), np.ones(50))  # ties count half


def test_images_that_are_too_small_have_no_looks(cache):
    images = replace(SOURCE, size=16).all_images()
    assert np.isnan(compare_looks(images, np.array([[0, 1], [2, 3]]), cache=cache)).all()


def test_components_are_those_of_scipy():
    random = np.random.default_rng(0)
    for n in [*range(1, 40), 2000]:
        pairs = random.integers(0, n, (random.integers(0, n), 2))
        links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n))
        expected = connected_components(links, directed=False)[1]
        found = components(pairs, n)
        assert len({*zip(found, expected, strict=True)}) == len({*found}) == len({*expected})


def test_random_pairs_have_one_label():
    labels = np.array([3, 0, 3, 1, 1, 3, 5])
    pairs = random_pairs_of_labels(labels)
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert {*pairs.ravel().tolist()} == {0, 2, 5, 3, 4}
    assert not len(random_pairs_of_labels(np.array([0, 1])))
    assert len(sample_pairs(pairs)) == 500


@pytest.mark.slow
def test_no_bursts_in_photos_of_kinds(shared, tmp_path):
    """Their names are numbered in the order of a web search, and two folders are of two studios."""
    animals = str(shared / "data" / "caltech101_animals")
    packages = str(shared / "data" / "grocery_packages")
    for source in (
        ClassFolders(root=animals),
        ClassFolders(root=animals, protocol=Protocol.leave_one_out),
        PreparedFolders(root=packages),
        ClassFolders(root=packages, label_depth=2),
    ):
        assert find_bursts(_load(source, tmp_path), cache=tmp_path) is None
