"""Options of single methods: sharing of stored data, identity, depth, labels."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.resolve import composer
from outliers_bench.config.schema import register, to_config
from outliers_bench.ensemble.options import Fusion
from outliers_bench.errors import BenchError
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.tracking.params import describe_method
from tests.contract.method_cases import CASES, PHOTOS, SMALL, compose_case, rank, split_of


def test_sift_rejects_reranking():
    with pytest.raises(BenchError, match=r"rerank=spatial .*model=sift .*model\.verify"):
        compose_case(("model=sift", "rerank=spatial"))


def test_sift_and_rootsift_share_their_keypoints(tmp_path):
    split = split_of(PHOTOS)
    rank(CASES["sift"], tmp_path, split, 5)
    split.gallery.reader.decoded.clear()
    for other in ("plain sift, affine", "vlad"):
        rank(CASES[other], tmp_path, split, 5)
        assert not split.gallery.reader.decoded


@pytest.mark.extra("demo")
def test_identity_of_ensembles(tmp_path):
    split = split_of(PHOTOS)
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = to_config(compose("config", ["model=ensemble", f"cache.dir={tmp_path}"]))
        others = [
            tuple(composer({"seed": 0}, resource_dir("conf"))(members, "model.members"))
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


def test_fused_ranking_does_not_depend_on_depth(tmp_path):
    split = split_of(PHOTOS)
    overrides = (*CASES["ensemble, ranks"], "model.fusion_depth=3")
    full = rank(overrides, tmp_path, split, 8)[2]
    top = rank(overrides, tmp_path, split, 2)[2]
    assert np.array_equal(top.indices, full.indices[:, :2])
    assert np.array_equal(top.scores, full.scores[:, :2])


def test_blank_photo_deepens_the_search_by_one(tmp_path, monkeypatch):
    arrays = dict(PHOTOS)
    arrays["0/4"] = np.full((60, 60, 3), 200, np.uint8)
    depths = []
    search = VectorSearch.rank_blocks

    def recorded(self, queries, depth, **options):
        depths.append(depth)
        return search(self, queries, depth, **options)

    monkeypatch.setattr(VectorSearch, "rank_blocks", recorded)
    rank(CASES["vlad"], tmp_path, split_of(arrays), 3)
    assert depths == [4]


@pytest.mark.slow
def test_descriptions_of_methods_are_unique(tmp_path):
    register()
    descriptions = set()
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
            config = to_config(compose("config", [*overrides, f"cache.dir={tmp_path}"]))
        descriptions.add(str(describe_method(config)))
    assert len(descriptions) == len(choices)
    assert "sift 640px 500kp ratio=0.7 · keypoints · homography 100" in descriptions


def test_vocabulary_needs_enough_keypoints(tmp_path):
    flat = {name: np.full((60, 60, 3), 9 * int(name[-1]), np.uint8) for name in PHOTOS}
    with pytest.raises(BenchError, match="none of the 8 images"):
        rank(CASES["vlad"], tmp_path, split_of(flat), 3)
    many = ("model=sift_vlad", "model.words=4000", *SMALL)
    with pytest.raises(BenchError, match=r"use fewer model\.words"):
        rank(many, tmp_path / "other", split_of(PHOTOS), 3)
