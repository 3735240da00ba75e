"""Contract of all retrieval methods."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import join_blocks, same
from tests.contract.method_cases import (
    CASES,
    CLASSES,
    EACH,
    PHOTOS,
    TRAINED,
    build_method,
    query,
    rank,
    split_of,
)
from tests.results import make_result


def cases():
    """Yield all cases; those that train are slow."""
    for name, overrides in (CASES | TRAINED).items():
        slow = [pytest.mark.slow] if name in TRAINED else []
        yield pytest.param(overrides, id=name, marks=slow)


@pytest.fixture(params=cases())
def overrides(request):
    return request.param


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function from a case to the folder of its trained and converted networks."""
    folders = {}

    def folder_of(overrides):
        if overrides not in folders:
            folders[overrides] = tmp_path_factory.mktemp("trained")
            rank(overrides, folders[overrides], split_of(PHOTOS), 1)
        return folders[overrides]

    return folder_of


@pytest.fixture
def cache(overrides, tmp_path, trained):
    """Cache without stored features, but with the networks of the case, trained once."""
    if overrides in TRAINED.values():
        for folder in ("trained", "models"):
            shutil.copytree(trained(overrides) / folder, tmp_path / folder)
    return tmp_path


def test_finds_the_same_scene(overrides, cache):
    split = split_of(PHOTOS)
    _, _, ranking = rank(overrides, cache, split, 8)
    hit_rate = (split.gallery.labels[ranking.indices[:, 0]] == split.query.labels).mean()
    if "model.rank_by=class_scores" in overrides:
        # Eight photos are too few steps for the moving averages of batch normalization.
        hit_rate = 1.0
    # Random weights are about as good as raw pixels.
    weak = {"model=pixels", "model.weights=random"} & set(overrides)
    assert hit_rate >= (0.6 if weak else 0.85)
    assert ranking.indices.shape == (8, 8)
    assert np.isfinite(ranking.scores).all()


def test_second_run_computes_nothing_and_ranks_equally(overrides, cache):
    split = split_of(PHOTOS)
    first = rank(overrides, cache, split, 5)[2]
    split.gallery.reader.decoded.clear()
    method = build_method(overrides, cache)
    method.extract(split.images)
    method.fit(split)
    again = query(method, split, 5)
    assert not split.gallery.reader.decoded
    assert np.array_equal(first.indices, again.indices)
    assert np.array_equal(first.scores, again.scores)


def test_ranking_does_not_depend_on_depth_or_order_of_files(overrides, cache):
    split = split_of(PHOTOS)
    full = rank(overrides, cache, split, 8)[2]
    rows = np.random.default_rng(0).permutation(8)
    shuffled = replace(split, gallery=split.gallery.take(rows))
    top = rank(overrides, cache, shuffled, 3)[2]
    assert np.array_equal(rows[top.indices], full.indices[:, :3])
    assert np.array_equal(top.scores, full.scores[:, :3])


def test_leave_one_out_excludes_the_query(overrides, cache):
    split = split_of(PHOTOS, leave_one_out=True)
    n = CLASSES * EACH
    if "model.member_weights=tuned" in overrides or overrides in TRAINED.values():
        with pytest.raises(BenchError, match="labels of a train part") as caught:
            rank(overrides, cache, split, n - 1)
        assert "\n" not in str(caught.value)
        if "model=ensemble" in overrides and overrides in TRAINED.values():
            assert "model.members, 'cnn_scratch" in str(caught.value)
        return
    _, _, ranking = rank(overrides, cache, split, n - 1)
    assert ranking.indices.shape == (n, n - 1)
    for row in range(n):
        assert row not in ranking.indices[row]


def test_photos_of_the_same_camera_are_excluded(overrides, cache):
    """The full ranking, without the gallery photos of the query's camera."""
    split = split_of(PHOTOS)
    cameras = np.arange(8) % 3, np.array([0, 1, 2, 9, 0, 9, 9, 9])
    query, gallery = (
        replace(part, columns={"camera": values})
        for part, values in zip((split.query, split.gallery), cameras, strict=True)
    )
    excluding = replace(split, query=query, gallery=gallery, excluded=same("camera"))
    method, _, result = rank(overrides, cache, excluding, 7)
    everything = rank(overrides, cache, split, 8)[2]
    search = method.index(gallery)
    blocks = search.query_blocks(query, 2, excluding.exclusion, full=True)
    full = join_blocks(blocks, 8, 8)
    short = search.query(query, 2, excluding.exclusion)
    assert np.array_equal(full.indices[:, :2], short.indices)
    assert np.array_equal(full.scores[:, :2], short.scores)
    for row in range(8):
        left = [item for item in everything.indices[row] if cameras[1][item] != cameras[0][row]]
        excluded = [-1] * (8 - len(left))
        assert result.indices[row].tolist() == full.indices[row, :7].tolist()
        assert full.indices[row, len(left) :].tolist() == excluded
        assert set(full.indices[row].tolist()) - {-1} == set(left)
        is_reranked = any(option.startswith("rerank=") for option in overrides)
        if not is_reranked and "model=ensemble" not in overrides:  # a fusion scales the scores
            assert full.indices[row].tolist() == left + excluded


def test_queries_may_be_a_part_of_the_gallery(overrides, cache):
    """Each ranks as it does when every photo is a query."""
    if "model.member_weights=tuned" in overrides or overrides in TRAINED.values():
        pytest.skip("needs a train part")
    whole = split_of(PHOTOS, leave_one_out=True)
    n = CLASSES * EACH
    rows = [17, 2, 9]
    part = replace(whole, query=whole.gallery.take(rows))
    expected = rank(overrides, cache, whole, n - 1)[2]
    ranking = rank(overrides, cache, part, n - 1)[2]
    assert np.array_equal(ranking.indices, expected.indices[rows])
    assert np.allclose(ranking.scores, expected.scores[rows], atol=1e-5)


def test_blank_and_tiny_photos(overrides, cache):
    """Flat, tiny and very narrow photos are ranked like others, or last without keypoints."""
    arrays = dict(PHOTOS)
    arrays["0/4"] = np.full((60, 60, 3), 200, np.uint8)
    arrays["1/4"] = np.zeros((1, 1, 3), np.uint8)
    arrays["2/4"] = np.zeros((2, 900, 3), np.uint8)
    arrays["3/2"] = np.full((40, 40, 3), 10, np.uint8)  # a query
    split = split_of(arrays)
    meter = Meter()
    _, _, ranking = rank(overrides, cache, split, 8, meter)
    empty = [i for i, name in enumerate(split.gallery.names) if name in ("0/4", "1/4", "2/4")]
    if "rerank=spatial" in overrides:
        assert meter.counts["rerank_images_without_keypoints"] == 4
    if any("sift" in option for option in overrides):  # or a member of an ensemble
        assert meter.counts["images_without_keypoints"] == 4
    if any("model=sift" in option for option in overrides):
        others = [r for r, name in enumerate(split.query.names) if name != "3/2"]
        for row in others:
            assert set(ranking.indices[row, -3:]) == set(empty)
            assert (ranking.scores[row, -3:] <= 0).all()
            if "model=sift" in overrides:
                assert (ranking.scores[row, -3:] == 0).all()
        assert (ranking.scores[split.query.names.index("3/2")] == 0).all()


def test_unreadable_photos_are_excluded_and_named(overrides, cache):
    if "model=embeddings" in overrides:
        pytest.skip("decodes no photo")
    arrays = {name: image for name, image in PHOTOS.items() if name not in ("1/4", "2/2")}
    _, split, ranking = rank(overrides, cache, split_of(arrays), 7)
    assert {item.name for item in split.left_out} == {"1/4", "2/2"}
    assert ranking.indices.shape == (7, 7)


def test_match_sheets_can_be_drawn(overrides, cache):
    split = split_of(PHOTOS)
    method, split, ranking = rank(overrides, cache, split, 5)
    result = make_result(split)
    sheets = method.match_sheets(Result(split, ranking, result.evaluation, result.costs), 6)
    expected = {"matches"} if any("sift" in o or "spatial" in o for o in overrides) else set()
    if {"model=sift_vlad", "model=ensemble"} & set(overrides):
        expected = set()
    assert set(sheets) == expected
    for sheet in sheets.values():
        assert sheet.dtype == np.uint8
        assert sheet.ndim == 3
