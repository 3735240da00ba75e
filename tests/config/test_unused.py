"""Warnings about options that have no effect on the model."""

from dataclasses import replace

import pytest

from outliers_bench.config.roles import warn_unused
from outliers_bench.config.schema import L2, Cache, Config
from outliers_bench.data.source import DataSource
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.keypoints.models import KeypointMatching
from outliers_bench.models.pixels import Pixels
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.trees import KdTree
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.random_projection import RandomProjection
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.training.augment import OriginalAugment
from outliers_bench.training.base import RankBy
from outliers_bench.training.models import CnnScratch
from outliers_bench.training.schedules import CosineSchedule, LrSchedule

SIFT, PIXELS = KeypointMatching("sift"), Pixels("pixels", 8)
OF_EMBEDDINGS = {
    "pca": Pca(3, whiten=True),
    "reduce": RandomProjection(7),
    "l2": L2(before_reduction=True),
    "index": KdTree(metric=Metric.euclidean),
    "rerank": AlphaQueryExpansion(),
}
OF_TRAINING = {
    "lr_schedule": CosineSchedule(),
    "augment": OriginalAugment(),
    "deterministic": True,
}


def ensemble(*models):
    together = Ensemble(members=[model.name for model in models], fusion=Fusion.rrf)
    together.models = models
    return together


def warnings(caplog, model, **options):
    config = Config(data=DataSource("toy"), model=model, index=Exact(), cache=Cache("x"))
    caplog.clear()
    warn_unused(replace(config, **options))
    return caplog.messages


@pytest.mark.parametrize(
    "model", [SIFT, CnnScratch(rank_by=RankBy.class_scores), ensemble(SIFT, SIFT)]
)
def test_embedding_options_without_embeddings(caplog, model):
    reason = f"has no effect: model={model.name} does not rank by embeddings"
    assert warnings(caplog, model, **OF_EMBEDDINGS) == [
        f"{option} {reason}"
        for option in (
            *("l2.before_reduction=true", "pca.n=3", "pca.whiten=true"),
            *("reduce=random_projection", "reduce.n=7"),
            *("index=kd_tree", "index.metric=euclidean", "rerank=alpha_qe"),
        )
    ]


@pytest.mark.parametrize("model", [SIFT, PIXELS, ensemble(PIXELS, SIFT)])
def test_training_options_without_training(caplog, model):
    reason = f"has no effect: model={model.name} is not trained"
    given = ["lr_schedule=cosine", "augment=original", "deterministic=true"]
    assert warnings(caplog, model, **OF_TRAINING) == [f"{option} {reason}" for option in given]
    warmup = {"lr_schedule": LrSchedule(warmup_epochs=2)}
    assert warnings(caplog, model, **warmup) == [f"lr_schedule.warmup_epochs=2 {reason}"]


def test_no_warning_of_options_with_an_effect(caplog):
    both = OF_EMBEDDINGS | OF_TRAINING
    assert warnings(caplog, CnnScratch(), **both) == []
    assert warnings(caplog, ensemble(CnnScratch(), SIFT), **both) == []
    assert warnings(caplog, PIXELS, **OF_EMBEDDINGS) == []
    assert warnings(caplog, SIFT) == []
