"""What every method must satisfy, whatever it compares images by."""

import shutil
from copy import deepcopy
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.resolve import compose_members
from outliers_bench.config.schema import Config, register, to_config
from outliers_bench.ensemble.options import Fusion
from outliers_bench.errors import BenchError
from outliers_bench.methods.build import build
from outliers_bench.result import Result
from outliers_bench.retrieval.search import GallerySearch
from outliers_bench.runtime.meter import Meter
from outliers_bench.tracking.params import describe_method
from outliers_bench.types import Split
from tests.results import make_result
from tests.toys import ArrayReader, image_set

SMALL = ("model.max_keypoints=60", "model.longest_side=128")
PIXELS = "'pixels image_size=16'"
SIFT, VLAD = "'sift max_keypoints=60 longest_side=128'", "'sift_vlad words=8 max_keypoints=60'"
CASES = {
    "pixels": ("model=pixels", "model.image_size=16"),
    "sift": ("model=sift", *SMALL),
    "sift unverified": ("model=sift", "model.verify=none", *SMALL),
    "sift, all verified": ("model=sift", "model.shortlist=null", "model.cross_check=true", *SMALL),
    "plain sift, affine": ("model=sift", "model.rootsift=false", "model.verify=affine", *SMALL),
    "orb": ("model=sift", "model.detector=orb", "model.verify=similarity", *SMALL),
    "akaze": ("model=sift", "model.detector=akaze", *SMALL),
    "vlad": ("model=sift_vlad", "model.words=8", *SMALL),
    "vlad, pca": ("model=sift_vlad", "model.words=8", "pca.n=5", *SMALL),
    "rerank": (
        *("model=pixels", "model.image_size=16", "rerank=spatial", "rerank.shortlist=4"),
        *("rerank.max_keypoints=60", "rerank.longest_side=128"),
    ),
    "ensemble, concatenated": ("model=ensemble", f"model.members=[{PIXELS},{VLAD}]", "pca.n=6"),
    "ensemble, ranks": (
        *("model=ensemble", f"model.members=[{PIXELS},{SIFT}]", "model.fusion=rrf"),
        "model.member_weights=[1,3]",
    ),
    "ensemble, tuned scores": (
        *("model=ensemble", f"model.members=[{PIXELS},{VLAD},{SIFT}]", "model.fusion=zscore"),
        "model.member_weights=tuned",
    ),
}
CNN = ("image_size=22", "epochs=8", "batch_size=2", "learning_rate=0.002", "validation=0")
TRAINED = {
    "cnn_scratch": ("model=cnn_scratch", *(f"model.{option}" for option in CNN)),
    "cnn_scratch, classes": (
        *("model=cnn_scratch", *(f"model.{option}" for option in CNN)),
        "model.rank_by=class_scores",
    ),
    "transfer": (
        *("model=transfer", "model.weights=random", "model.image_size=32", "model.pooling=avg"),
        *("model.epochs=3", "model.validation=0", "model.embedding=penultimate"),
    ),
    "ensemble, trained": (
        *("model=ensemble", f"model.members=[{PIXELS},'cnn_scratch {' '.join(CNN)}']"),
        "model.fusion=rrf",
    ),
    "ensemble, trained, concatenated": (
        *("model=ensemble", f"model.members=[{PIXELS},'cnn_scratch {' '.join(CNN)}']"),
    ),
    "ensemble, trained, tuned": (
        *("model=ensemble", f"model.members=[{PIXELS},'cnn_scratch {' '.join(CNN)}']"),
        *("model.fusion=rrf", "model.member_weights=tuned"),
    ),
}
CLASSES, EACH = 4, 6


def texture(rng):
    """Blobs and corners of several sizes, in color."""
    image = np.full((150, 150, 3), 128, np.uint8)
    for _ in range(90):
        place, size = rng.integers(0, 150, 2), rng.integers(3, 14, 2)
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.ellipse(image, tuple(map(int, place)), tuple(map(int, size)), 30, 0, 300, color, -1)
    return image


def photos():
    """Each class one scene, seen a little turned and shifted."""
    rng = np.random.default_rng(3)
    scenes = [texture(rng) for _ in range(CLASSES)]
    arrays = {}
    for kind, scene in enumerate(scenes):
        for i in range(EACH):
            turn = cv2.getRotationMatrix2D((75, 75), float(rng.uniform(-12, 12)), 1.0)
            turn[:, 2] += rng.uniform(-6, 6, 2)
            seen = cv2.warpAffine(scene, turn, (150, 150), borderMode=cv2.BORDER_REFLECT)
            noise = rng.normal(0, 3, seen.shape)
            arrays[f"{kind}/{i}"] = np.clip(seen + noise, 0, 255).astype(np.uint8)
    return arrays


PHOTOS = photos()


def split_of(arrays, *, leave_one_out=False) -> Split:
    reader = ArrayReader(dict(arrays))

    def part(numbers):
        names = [name for name in PHOTOS if int(name[-1]) in numbers]
        labels = [int(name[0]) for name in names]
        return image_set(names, labels, [str(i) for i in range(CLASSES)], reader)

    if leave_one_out:
        everything = part(range(EACH))
        return Split("toy", part(()), everything, everything, leave_one_out=True)
    return Split("toy", part((0, 1)), part((2, 3)), part((4, 5)))


@cache
def composed(overrides) -> Config:
    """Composed once for all tests of a case, which takes longer than most of them."""
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", [*overrides, "k=[1]"]))


def method_of(overrides, cache, meter=None):
    config = deepcopy(composed(tuple(overrides)))
    config.cache.dir = str(cache)
    return build(config, meter or Meter())


def ranked(overrides, cache, split, depth, meter=None):
    method = method_of(overrides, cache, meter)
    method.check(split)
    split = split.without(method.extract(split.images, commit=lambda: None))
    method.fit(split)
    return method, split, method.rank(split, depth)


def cases():
    """Training takes seconds."""
    for name, overrides in (CASES | TRAINED).items():
        slow = [pytest.mark.slow] if name in TRAINED else []
        yield pytest.param(overrides, id=name, marks=slow)


@pytest.fixture(params=cases())
def overrides(request):
    return request.param


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder for each case that trains, with what it has trained and converted."""
    folders = {}

    def folder_of(overrides):
        if overrides not in folders:
            folders[overrides] = tmp_path_factory.mktemp("trained")
            ranked(overrides, folders[overrides], split_of(PHOTOS), 1)
        return folders[overrides]

    return folder_of


@pytest.fixture
def cache(overrides, tmp_path, trained):
    """A cache without stored features; what is trained is trained once for all tests."""
    if overrides in TRAINED.values():
        for kind in ("trained", "models"):
            shutil.copytree(trained(overrides) / kind, tmp_path / kind)
    return tmp_path


def test_finds_the_same_scene(overrides, cache):
    split = split_of(PHOTOS)
    _, _, ranking = ranked(overrides, cache, split, 8)
    found = split.gallery.labels[ranking.indices[:, 0]]
    share = (found == split.query.labels).mean()
    if "model.rank_by=class_scores" in overrides:
        # Eight photos are too few steps for the averages that batch normalization goes by.
        share = 1.0
    # Random weights see about as much as the pixels do.
    weak = {"model=pixels", "model.weights=random"} & set(overrides)
    assert share >= (0.6 if weak else 0.85)
    assert ranking.indices.shape == (8, 8)
    assert np.isfinite(ranking.scores).all()


def test_the_second_time_nothing_is_computed_and_the_same_is_found(overrides, cache):
    split = split_of(PHOTOS)
    first = ranked(overrides, cache, split, 5)[2]
    split.gallery.reader.decoded.clear()
    asked = []
    method = method_of(overrides, cache)
    method.extract(split.images, commit=lambda: asked.append("for work"))
    method.fit(split)
    again = method.rank(split, 5)
    assert not split.gallery.reader.decoded
    assert not asked
    assert np.array_equal(first.indices, again.indices)
    assert np.array_equal(first.scores, again.scores)


def test_asks_before_it_begins(overrides, cache):
    split = split_of(PHOTOS)

    def refuse():
        assert not split.gallery.reader.decoded
        raise InterruptedError

    with pytest.raises(InterruptedError):
        method_of(overrides, cache).extract(split.images, commit=refuse)
    assert not split.gallery.reader.decoded


def test_a_ranking_does_not_depend_on_its_depth_or_the_order_of_files(overrides, cache):
    split = split_of(PHOTOS)
    whole = ranked(overrides, cache, split, 8)[2]
    rows = np.random.default_rng(0).permutation(8)
    shuffled = replace(split, gallery=split.gallery.take(rows))
    some = ranked(overrides, cache, shuffled, 3)[2]
    assert np.array_equal(rows[some.indices], whole.indices[:, :3])
    assert np.array_equal(some.scores, whole.scores[:, :3])


def test_leaves_a_query_out_of_its_own_ranking(overrides, cache):
    split = split_of(PHOTOS, leave_one_out=True)
    n = CLASSES * EACH
    if "model.member_weights=tuned" in overrides or overrides in TRAINED.values():
        with pytest.raises(BenchError, match="labels of a train part") as caught:
            ranked(overrides, cache, split, n - 1)
        assert "\n" not in str(caught.value)
        if "model=ensemble" in overrides and overrides in TRAINED.values():
            assert "model.members, 'cnn_scratch" in str(caught.value)
        return
    _, _, ranking = ranked(overrides, cache, split, n - 1)
    assert ranking.indices.shape == (n, n - 1)
    for row in range(n):
        assert row not in ranking.indices[row]


def test_photos_that_show_nothing_or_next_to_nothing(overrides, cache):
    """Flat, tiny, one pixel wide: ranked like the others, or last where nothing is to compare."""
    arrays = dict(PHOTOS)
    arrays["0/4"] = np.full((60, 60, 3), 200, np.uint8)
    arrays["1/4"] = np.zeros((1, 1, 3), np.uint8)
    arrays["2/4"] = np.zeros((2, 900, 3), np.uint8)
    arrays["3/2"] = np.full((40, 40, 3), 10, np.uint8)  # a query
    split = split_of(arrays)
    meter = Meter()
    _, _, ranking = ranked(overrides, cache, split, 8, meter)
    empty = [i for i, name in enumerate(split.gallery.names) if name in ("0/4", "1/4", "2/4")]
    if "rerank=spatial" in overrides:
        assert meter.counts["rerank_images_without_keypoints"] == 4
    if any("model=sift" in option for option in overrides):
        assert meter.counts["images_without_keypoints"] == 4
        others = [r for r, name in enumerate(split.query.names) if name != "3/2"]
        for row in others:
            assert set(ranking.indices[row, -3:]) == set(empty)
            assert (ranking.scores[row, -3:] <= 0).all()
            if "model=sift" in overrides:
                assert (ranking.scores[row, -3:] == 0).all()
        assert (ranking.scores[split.query.names.index("3/2")] == 0).all()


def test_unreadable_photos_are_named(overrides, cache):
    arrays = {name: image for name, image in PHOTOS.items() if name not in ("1/4", "2/2")}
    _, split, ranking = ranked(overrides, cache, split_of(arrays), 7)
    assert {item.name for item in split.left_out} == {"1/4", "2/2"}
    assert ranking.indices.shape == (7, 7)


def test_pictures_can_be_drawn(overrides, cache):
    split = split_of(PHOTOS)
    method, split, ranking = ranked(overrides, cache, split, 5)
    made = make_result(split)
    sheets = method.match_sheets(Result(split, ranking, made.evaluation, made.costs))
    expected = {"matches"} if any("sift" in o or "spatial" in o for o in overrides) else set()
    if {"model=sift_vlad", "model=ensemble"} & set(overrides):
        expected = set()
    assert set(sheets) == expected
    for sheet in sheets.values():
        assert sheet.mode == "RGB"


def test_sift_refuses_a_reranking_and_tells_of_a_pca(tmp_path, caplog):
    split = split_of(PHOTOS)
    with pytest.raises(Exception, match=r"model\.verify"):
        method_of(("model=sift", "rerank=spatial"), tmp_path).check(split)
    method_of(("model=sift", "pca.n=3"), tmp_path).check(split)
    assert "pca.n=3 has no effect" in caplog.text


def test_sift_and_rootsift_share_their_keypoints(tmp_path):
    split = split_of(PHOTOS)
    ranked(CASES["sift"], tmp_path, split, 5)
    split.gallery.reader.decoded.clear()
    for other in ("plain sift, affine", "vlad"):
        ranked(CASES[other], tmp_path, split, 5)
        assert not split.gallery.reader.decoded


@pytest.mark.extra("demo")
def test_ensembles_that_are_the_same_share_an_identity(tmp_path):
    split = split_of(PHOTOS)
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = to_config(compose("config", ["model=ensemble", f"cache.dir={tmp_path}"]))
        others = [
            tuple(
                compose_members(
                    members, shared={"seed": 0}, conf=resource_dir("conf"), option="model.members"
                )
            )
            for members in (["pixels", "sift_vlad"], ["pixels tta.flip=true", "sift_vlad"])
        ]

    def digest_of(models=config.model.models, **options):
        model = replace(config.model, **options)
        model.models = models
        return identity(replace(config, model=model), split)

    plain = digest_of()
    for option in (
        {"member_weights": [2, 2]},
        {"fusion_depth": 7},
        {"rrf_k": 1},
        {"tune_images": 99},
    ):
        assert digest_of(**option) == plain
    for option in (
        {"member_weights": [2, 1]},
        {"member_weights": "tuned"},
        {"fusion": Fusion.rrf},
        *({"models": models} for models in others),
    ):
        assert digest_of(**option) != plain
    assert digest_of(fusion=Fusion.rrf, fusion_depth=7) != digest_of(fusion=Fusion.rrf)


def test_what_a_picture_shows_does_not_change_a_fused_ranking(tmp_path):
    split = split_of(PHOTOS)
    overrides = (*CASES["ensemble, ranks"], "model.fusion_depth=3")
    whole = ranked(overrides, tmp_path, split, 8)[2]
    some = ranked(overrides, tmp_path, split, 2)[2]
    assert np.array_equal(some.indices, whole.indices[:, :2])
    assert np.array_equal(some.scores, whole.scores[:, :2])


def test_one_blank_photo_does_not_make_every_ranking_deep(tmp_path, monkeypatch):
    arrays = dict(PHOTOS)
    arrays["0/4"] = np.full((60, 60, 3), 200, np.uint8)
    depths = []
    search = GallerySearch.rank

    def spied(self, queries, depth, **options):
        depths.append(depth)
        return search(self, queries, depth, **options)

    monkeypatch.setattr(GallerySearch, "rank", spied)
    ranked(CASES["vlad"], tmp_path, split_of(arrays), 3)
    assert depths == [4]


@pytest.mark.slow
def test_labels_tell_methods_apart(tmp_path):
    register()
    seen = set()
    choices = (
        ["model=sift"],
        ["model=sift", "model.ratio=0.7"],
        ["model=sift", "model.reproj_threshold=3"],
        ["model=sift", "model.verify=none"],
        ["model=sift", "model.detector=orb"],
        ["model=pixels"],
        ["model=pixels", "rerank=spatial"],
        ["model=pixels", "rerank=spatial", "rerank.detector=orb"],
        ["model=pixels", "rerank=spatial", "rerank.max_keypoints=50"],
        ["model=ensemble", "model.members=[pixels,sift_vlad]"],
        ["model=ensemble", "model.members=[pixels,sift_vlad]", "model.fusion=rrf"],
        ["model=ensemble", "model.members=[pixels,sift_vlad]", "model.member_weights=tuned"],
        ["model=ensemble", "model.members=[pixels,sift_vlad]", "model.member_weights=[1,2]"],
        ["model=ensemble", "model.members=[pixels,'pixels image_size=8']"],
        ["model=ensemble", "model.members=[pixels,'pixels image_size=16']"],
        ["model=ensemble", "model.members=[pixels,sift]", "model.fusion=rrf"],
        ["model=ensemble", "model.members=[pixels,'sift verify=none']", "model.fusion=rrf"],
        [
            "model=ensemble",
            "model.members=[pixels,sift]",
            "model.fusion=rrf",
            "model.fusion_depth=9",
        ],
        ["model=pixels", "index=kd_tree", "index.leaf_size=5"],
        ["model=pixels", "l2.before_reduction=true"],
    )
    for overrides in choices:
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            seen.add(
                str(describe_method(to_config(compose("config", [*overrides, f"cache.dir={tmp_path}"]))))
            )
    assert len(seen) == len(choices)
    assert "sift 640px 500kp ratio=0.7 · keypoints · homography 100" in seen


def test_a_vocabulary_needs_keypoints(tmp_path):
    flat = {name: np.full((60, 60, 3), 9 * int(name[-1]), np.uint8) for name in PHOTOS}
    with pytest.raises(BenchError, match="none of the 8 images"):
        ranked(CASES["vlad"], tmp_path, split_of(flat), 3)
    many = ("model=sift_vlad", "model.words=4000", *SMALL)
    with pytest.raises(BenchError, match=r"use fewer model\.words"):
        ranked(many, tmp_path / "other", split_of(PHOTOS), 3)
