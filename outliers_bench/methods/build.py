"""From a config to the method it asks for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from outliers_bench.config import L2, Config
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.errors import BenchError
from outliers_bench.features.extractor import Extractor, Model
from outliers_bench.features.viewed import features_of
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.measure import Meter
from outliers_bench.methods.embedding import Embedding
from outliers_bench.methods.method import Method
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.reducer import Reducer
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.retrieval.vectors import Vectors
from outliers_bench.training.trained import RankBy, Trained


def build(config: Config, meter: Meter) -> Method:
    """The method that a config asks for.

    Parameters
    ----------
    config : Config
        The whole run.
    meter : Meter
        Takes down times, counts and sizes.
    """
    model = config.model
    if isinstance(model, Ensemble) and model.fusion is not Fusion.concat:
        from outliers_bench.methods.ensemble import FusedRankings

        makes = [partial(build, _config_of(member, config)) for member in model.models]
        return FusedRankings(config, model, makes, meter)
    if isinstance(model, Trained) and model.rank_by is RankBy.class_scores:
        from outliers_bench.methods.class_scores import ClassScores

        return ClassScores(config, model, meter)
    if isinstance(model, KeypointMatching):
        from outliers_bench.methods.keypoints import MatchKeypoints

        return MatchKeypoints(config, model, meter)
    return Embedding(config, vectors_of(model, config, meter), meter)


def vectors_of(model: Model, config: Config, meter: Meter) -> Vectors:
    """Where the embeddings of a model come from."""
    cache = config.cache.path
    if isinstance(model, Ensemble):
        from outliers_bench.ensemble.vectors import ConcatenatedVectors

        meters = [Meter() for _ in model.models]
        members = [
            (vectors_of(member, config, own), own)
            for member, own in zip(model.models, meters, strict=True)
        ]
        return ConcatenatedVectors(model, members, meter)
    if isinstance(model, Trained):
        from outliers_bench.training.vectors import TrainedVectors

        return TrainedVectors(model, config.engine, cache, meter)
    if isinstance(model, Vlad):
        from outliers_bench.keypoints.aggregate import VladVectors

        return VladVectors(model, cache, meter)
    if isinstance(model, Extractor):
        return features_of(model, config.engine, cache, meter)
    raise BenchError(f"model={model.name} has no embedding")


def _config_of(member: Model, config: Config) -> Config:
    """The run of one member of an ensemble: what works on embeddings is only for those."""
    if member.embeds:
        return replace(config, model=member)
    return replace(
        config,
        model=member,
        l2=L2(),
        pca=Pca(),
        reduce=Reducer(),
        index=Exact(),
        rerank=Rerank(),
    )
