"""Identity of a run: equal if, and only if, two runs must have the same scores."""

from dataclasses import replace

from outliers_bench.config import identity as identities
from outliers_bench.config.identity import identity
from outliers_bench.config.schema import Cache, Config, ContactSheets, Pca, Tracking
from outliers_bench.data.source import DataSource
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import EngineKind
from outliers_bench.keypoints.models import KeypointMatching, Spatial
from outliers_bench.models.pixels import Pixels
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


def test_decoder_matters(monkeypatch):
    before = identity(CONFIG, SPLIT)
    monkeypatch.setattr(identities, "DECODER", "another")
    assert identity(CONFIG, SPLIT) != before
