"""From a config to the method it asks for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from outliers_bench.config.schema import L2, Config
from outliers_bench.engines.protocols import Precision
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.errors import BenchError
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.features.view_average import build_features
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.methods.embedding import Embedding
from outliers_bench.methods.method import Method
from outliers_bench.methods.precision_cost import Computed
from outliers_bench.models.model import Extractor, Model
from outliers_bench.models.precision import resolve_precision
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.reducer import Reducer
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.base import RankBy, TrainedModel


def build(config: Config, meter: Meter, *, member: str = "") -> Method:
    """The method that a config asks for.

    Parameters
    ----------
    config : Config
        The whole run.
    meter : Meter
        Takes down times, counts and sizes.
    member : str
        Which member of an ensemble it is, if it is one.
    """
    model = config.model
    if isinstance(model, Ensemble) and model.fusion is not Fusion.concat:
        from outliers_bench.methods.ensemble import FusedRankings

        makes = [
            partial(build, _config_of(part, config), member=label)
            for part, label in zip(model.models, model.labels, strict=True)
        ]
        return FusedRankings(config, model, makes, meter)
    if isinstance(model, TrainedModel) and model.rank_by is RankBy.class_scores:
        from outliers_bench.methods.class_scores import ClassScores

        return ClassScores(config, model, meter)
    if isinstance(model, KeypointMatching):
        from outliers_bench.methods.keypoints import MatchKeypoints

        return MatchKeypoints(config, model, meter)
    if isinstance(model, Ensemble):
        members = [(vectors_of(part, config, own := Meter()), own) for part in model.models]
        vectors = _concatenated(model, members, meter)
    else:
        members = []
        vectors = vectors_of(model, config, meter)
    lower = _is_lower(model, config)
    in_f32 = partial(_vectors_in_f32, model, members, config, meter) if lower else None
    return Embedding(config, vectors, meter, in_f32=in_f32, member=member)


def vectors_of(model: Model, config: Config, meter: Meter) -> EmbeddingSource:
    """Where the embeddings of a model come from."""
    cache = config.cache.path
    if isinstance(model, TrainedModel):
        from outliers_bench.training.embeddings import TrainedEmbeddings

        return TrainedEmbeddings(model, config.engine, cache, meter)
    if isinstance(model, Vlad):
        from outliers_bench.keypoints.vlad_embeddings import VladEmbeddings

        return VladEmbeddings(model, cache, meter)
    if isinstance(model, Extractor):
        return build_features(model, config.engine, cache, meter)
    raise BenchError(f"model={model.name} has no embedding")


def _concatenated(
    model: Ensemble, members: Sequence[tuple[EmbeddingSource, Meter]], meter: Meter
) -> EmbeddingSource:
    from outliers_bench.ensemble.concatenated import ConcatenatedEmbeddings

    return ConcatenatedEmbeddings(model, members, meter)


def _vectors_in_f32(
    model: Model, members: Sequence[tuple[EmbeddingSource, Meter]], config: Config, meter: Meter
) -> EmbeddingSource:
    """The same embeddings in float32.

    Of an ensemble with the weights that the run has learned, and with the run's own embeddings of
    the members that are float32 in any case: one that the run has trained learns only once.
    """
    engine = replace(config.engine, precision=Precision.f32)
    in_f32 = replace(config, engine=engine)
    if not isinstance(model, Ensemble):
        return vectors_of(model, in_f32, Meter())
    if model.weights is None:
        model = copy.copy(model)
        model.member_weights = [meter.counts[f"weight_{label}"] for label in model.labels]
    twins = [
        (vectors_of(part, in_f32, again := Meter()), again)
        if _is_lower(part, config)
        else (Computed(vectors), own)
        for part, (vectors, own) in zip(model.models, members, strict=True)
    ]
    return _concatenated(model, twins, Meter())


def _is_lower(model: Model, config: Config) -> bool:
    return resolve_precision(model, config.engine, config.cache.path) is not Precision.f32


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
