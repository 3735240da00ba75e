"""Construction of the method that a config describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from outliers_bench.config.schema import L2, Config
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.errors import BenchError
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.features.view_average import build_features
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.methods.embedding import Embedding
from outliers_bench.methods.method import Method
from outliers_bench.models.model import Extractor, Model
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.reducer import Reducer
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.base import RankBy, TrainedModel


def build(config: Config, meter: Meter) -> Method:
    """Build the method that a config describes.

    Parameters
    ----------
    config : Config
        Config of the run.
    meter : Meter
        Records times, counts and sizes.
    """
    model = config.model
    if isinstance(model, Ensemble) and model.fusion is not Fusion.concat:
        from outliers_bench.methods.ensemble import FusedRankings

        factories = [partial(build, _member_config(part, config)) for part in model.models]
        return FusedRankings(config, model, factories, meter)
    if isinstance(model, TrainedModel) and model.rank_by is RankBy.class_scores:
        from outliers_bench.methods.class_scores import ClassScores

        return ClassScores(config, model, meter)
    if isinstance(model, KeypointMatching):
        from outliers_bench.methods.keypoints import MatchKeypoints

        return MatchKeypoints(config, model, meter)
    if isinstance(model, Ensemble):
        members = [(build_embeddings(part, config, own := Meter()), own) for part in model.models]
        vectors = _concatenate(model, members, meter)
    else:
        vectors = build_embeddings(model, config, meter)
    return Embedding(config, vectors, meter)


def build_embeddings(model: Model, config: Config, meter: Meter) -> EmbeddingSource:
    """Build the embedding source of a model."""
    cache = config.cache.path
    if isinstance(model, TrainedModel):
        from outliers_bench.training.embeddings import TrainedEmbeddings

        return TrainedEmbeddings(model, config.engine, cache, meter)
    if isinstance(model, Vlad):
        from outliers_bench.keypoints.vlad_embeddings import VladEmbeddings

        return VladEmbeddings(model, cache, meter)
    if isinstance(model, Precomputed):
        from outliers_bench.features.precomputed import PrecomputedEmbeddings

        return PrecomputedEmbeddings(model, meter)
    if isinstance(model, Extractor):
        return build_features(model, config.engine, cache, meter)
    raise BenchError(f"model={model.name} has no embedding")


def _concatenate(
    model: Ensemble, members: Sequence[tuple[EmbeddingSource, Meter]], meter: Meter
) -> EmbeddingSource:
    from outliers_bench.ensemble.concatenated import ConcatenatedEmbeddings

    return ConcatenatedEmbeddings(model, members, meter)


def _member_config(member: Model, config: Config) -> Config:
    """Return the config of an ensemble member; embedding options apply only to embedding models."""
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
