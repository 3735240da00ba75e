"""Construction of a model's method; how a class of models ranks is registered here."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, singledispatch

from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.errors import BenchError
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.features.view_average import build_features
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.methods.embedding import EmbeddingMethod
from outliers_bench.methods.method import Method
from outliers_bench.methods.parts import EmbeddingSearch, Workspace
from outliers_bench.models.model import Extractor, Model
from outliers_bench.models.precomputed import Precomputed
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.base import TrainedModel


@singledispatch
def build(model: Model, workspace: Workspace, search: EmbeddingSearch) -> Method:
    """Build the method that ranks by a model, which is by its embeddings for most models.

    Parameters
    ----------
    model : Model
    workspace : Workspace
    search : EmbeddingSearch
        Reduction, index and re-ranking; without effect on a model without embeddings.
    """
    return EmbeddingMethod(model, build_source(model, workspace), search, workspace)


@build.register
def _(model: KeypointMatching, workspace: Workspace, search: EmbeddingSearch) -> Method:  # noqa: ARG001
    from outliers_bench.methods.keypoints import MatchKeypoints

    return MatchKeypoints(model, workspace)


@build.register
def _(model: TrainedModel, workspace: Workspace, search: EmbeddingSearch) -> Method:
    if model.embeds:
        return EmbeddingMethod(model, build_source(model, workspace), search, workspace)
    from outliers_bench.methods.class_scores import ClassScores

    return ClassScores(model, workspace)


@build.register
def _(model: Ensemble, workspace: Workspace, search: EmbeddingSearch) -> Method:
    if model.fusion is Fusion.concat:
        return EmbeddingMethod(model, build_source(model, workspace), search, workspace)
    from outliers_bench.methods.ensemble import FusedRankings

    def make(member: Model, meter: Meter) -> Method:
        return build(member, replace(workspace, meter=meter), search)

    return FusedRankings(model, [partial(make, member) for member in model.models], workspace)


@singledispatch
def build_source(model: Model, workspace: Workspace) -> EmbeddingSource:  # noqa: ARG001
    """Build the source of a model's embeddings.

    Raises
    ------
    BenchError
        If the model has no embeddings.
    """
    raise BenchError(f"model={model.name} has no embedding")


@build_source.register
def _(model: Extractor, workspace: Workspace) -> EmbeddingSource:
    return build_features(model, workspace.engine, workspace.cache, workspace.meter)


@build_source.register
def _(model: TrainedModel, workspace: Workspace) -> EmbeddingSource:
    from outliers_bench.training.embeddings import TrainedEmbeddings

    return TrainedEmbeddings(model, workspace.engine, workspace.cache, workspace.meter)


@build_source.register
def _(model: Vlad, workspace: Workspace) -> EmbeddingSource:
    from outliers_bench.keypoints.vlad_embeddings import VladEmbeddings

    return VladEmbeddings(model, workspace.cache, workspace.meter)


@build_source.register
def _(model: Precomputed, workspace: Workspace) -> EmbeddingSource:
    from outliers_bench.features.precomputed import PrecomputedEmbeddings

    return PrecomputedEmbeddings(model, workspace.meter)


@build_source.register
def _(model: Ensemble, workspace: Workspace) -> EmbeddingSource:
    from outliers_bench.ensemble.concatenated import ConcatenatedEmbeddings

    meters = [Meter() for _ in model.models]
    sources = [
        build_source(member, replace(workspace, meter=meter))
        for member, meter in zip(model.models, meters, strict=True)
    ]
    members = list(zip(sources, meters, strict=True))
    return ConcatenatedEmbeddings(model, members, workspace.meter)
