"""Identity of a run: equal if, and only if, two runs must have the same scores."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config import identity as identities
from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import (
    Cache,
    Config,
    ContactSheets,
    Pca,
    Tracking,
    register,
    to_config,
)
from outliers_bench.data.source import DataSource
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import EngineKind
from outliers_bench.evaluation.choose_clusters import Statistics
from outliers_bench.keypoints.models import KeypointMatching, Spatial
from outliers_bench.models.pixels import Pixels
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.models.vector_file import VectorTable
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.rerank.base import Rerank
from tests.toys import toy_split

SPLIT = toy_split([0, 1], [0, 1])
CONFIG = Config(
    data=DataSource("toy"), model=Pixels("pixels", 8), index=Exact("exact"), cache=Cache("x")
)


def test_options_without_effect_on_scores_do_not_matter():
    same = identity(CONFIG, SPLIT)
    for other in (
        replace(CONFIG, tracking=Tracking("sqlite:///other.db")),
        replace(CONFIG, cache=Cache("elsewhere")),
        replace(CONFIG, contact_sheets=ContactSheets(0)),
        replace(CONFIG, engine=Engine(EngineKind.keras)),
        replace(CONFIG, skip_finished=True),
        replace(CONFIG, data=DataSource("renamed")),
    ):
        assert identity(other, SPLIT) == same


def test_embedding_options_do_not_matter_for_keypoints():
    sift = replace(CONFIG, model=KeypointMatching(name="sift"))
    same = identity(sift, SPLIT)
    for other in (
        replace(sift, pca=Pca(2)),
        replace(sift, index=Exact("exact", Metric.euclidean)),
        replace(sift, rerank=Rerank("another")),
    ):
        assert identity(other, SPLIT) == same
    assert identity(replace(sift, model=KeypointMatching(name="sift", ratio=0.7)), SPLIT) != same
    spatial = replace(CONFIG, rerank=Spatial(name="spatial"))
    assert identity(spatial, SPLIT) != identity(CONFIG, SPLIT)


def test_options_that_affect_scores_matter():
    identities_of = {
        identity(config, split)
        for config, split in (
            (CONFIG, SPLIT),
            (replace(CONFIG, seed=1), SPLIT),
            (replace(CONFIG, k=[1]), SPLIT),
            (replace(CONFIG, pca=Pca(2)), SPLIT),
            (replace(CONFIG, model=Pixels("pixels", 9)), SPLIT),
            (replace(CONFIG, index=Exact("exact", Metric.euclidean)), SPLIT),
            (CONFIG, toy_split([0, 1], [0, 2])),
        )
    }
    assert len(identities_of) == 7


def test_the_clusters_of_intervals_matter_however_they_are_chosen():
    def with_cameras(*cameras):
        columns = {"camera": np.array(cameras, dtype=object)}
        return replace(SPLIT, query=replace(SPLIT.query, columns=columns))

    def identity_by(cluster, split=SPLIT):
        return identity(replace(CONFIG, statistics=Statistics(cluster)), split)

    assert identity_by("query") == identity_by("auto")  # which chooses them here
    assert identity_by("label") != identity_by("auto")
    cameras = with_cameras("a", "b")
    assert identity_by("auto", cameras) == identity_by("auto")
    other = identity_by("camera", with_cameras("a", "a"))
    assert len({identity_by("camera", cameras), other, identity_by("auto")}) == 3


def test_decoder_and_definitions_of_metrics_matter(monkeypatch):
    before = identity(CONFIG, SPLIT)
    for name in ("DECODER", "DEFINITIONS"):
        with monkeypatch.context() as patch:
            patch.setattr(identities, name, "another")
            assert identity(CONFIG, SPLIT) != before


# First twelve digits, since MRR is of the full ranking, and approximate indexes find all copies.
EARLIER = {
    "model=pixels pca.n=5 l2.after_reduction=true": "ac43deaed3db",
    "model=pixels index=faiss_hnsw index.metric=euclidean rerank=spatial": "dc66134c39d9",
    "model=sift pca.n=5 seed=1": "ccc4774ad2a3",
    "model=cnn_scratch lr_schedule=cosine augment=original": "bff619f9bd86",
    "model=cnn_scratch deterministic=true model.rank_by=class_scores": "d45f83fca65b",
    "model=ensemble model.members=[pixels,sift] model.fusion=rrf": "fb0259076134",
    "model=ensemble model.members=[pixels,sift_vlad] model.member_weights=tuned": "29d50d9e3353",
}


@pytest.mark.parametrize(("overrides", "digest"), EARLIER.items())
def test_identities_stay_those_of_earlier_versions(overrides, digest, monkeypatch):
    """Otherwise `skip_finished` would compute every run again."""
    monkeypatch.setattr(identities, "__version__", "0")
    monkeypatch.setattr(identities, "DECODER", "decoder")
    monkeypatch.setattr(identities, "DEFINITIONS", "definitions")
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("config", ["data=synthetic", "cache.dir=x", *overrides.split()])
        assert identity(to_config(cfg), SPLIT)[:12] == digest


def test_the_vector_that_each_photo_has_matters():
    names = [name for part in (SPLIT.train, SPLIT.query, SPLIT.gallery) for name in part.names]
    matrix = np.arange(len(names), dtype=np.float32)[:, None]
    vectors = replace(CONFIG, model=Precomputed.of(VectorTable("v", tuple(names), matrix)))
    renamed = replace(SPLIT.gallery, names=SPLIT.gallery.names[::-1])
    swapped = replace(SPLIT, gallery=renamed)
    assert identity(CONFIG, SPLIT) == identity(CONFIG, swapped)
    assert identity(vectors, SPLIT) != identity(vectors, swapped)
