"""Construction of a model's method: the one place that knows how each class of models ranks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

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


def build(model: Model, workspace: Workspace, search: EmbeddingSearch) -> Method:
    """Build the method that ranks by a model, which is by its embeddings for most models.

    Parameters
    ----------
    model : Model
    workspace : Workspace
    search : EmbeddingSearch
        Reduction, index and re-ranking; without effect on a model without embeddings.
    """
    if isinstance(model, KeypointMatching):
        from outliers_bench.methods.keypoints import MatchKeypoints

        return MatchKeypoints(model, workspace)
    if isinstance(model, TrainedModel) and not model.embeds:
        from outliers_bench.methods.class_scores import ClassScores

        return ClassScores(model, workspace)
    if isinstance(model, Ensemble) and model.fusion is not Fusion.concat:
        from outliers_bench.methods.ensemble import FusedRankings

        def make(member: Model, meter: Meter) -> Method:
            return build(member, replace(workspace, meter=meter), search)

        return FusedRankings(model, [partial(make, member) for member in model.models], workspace)
    return EmbeddingMethod(model, build_source(model, workspace), search, workspace)


def build_source(model: Model, workspace: Workspace) -> EmbeddingSource:
    """Build the source of a model's embeddings.

    Raises
    ------
    BenchError
        If the model has no embeddings.
    """
    engine, cache, meter = workspace.engine, workspace.cache, workspace.meter
    if isinstance(model, Extractor):
        return build_features(model, engine, cache, meter)
    if isinstance(model, TrainedModel):
        from outliers_bench.training.embeddings import TrainedEmbeddings

        return TrainedEmbeddings(model, engine, cache, meter)
    if isinstance(model, Vlad):
        from outliers_bench.keypoints.vlad_embeddings import VladEmbeddings

        return VladEmbeddings(model, cache, meter)
    if isinstance(model, Precomputed):
        from outliers_bench.features.precomputed import PrecomputedEmbeddings

        return PrecomputedEmbeddings(model, meter)
    if isinstance(model, Ensemble):
        from outliers_bench.ensemble.concatenated import ConcatenatedEmbeddings

        members = []
        for member in model.models:
            own = Meter()
            members.append((build_source(member, replace(workspace, meter=own)), own))
        return ConcatenatedEmbeddings(model, members, meter)
    raise BenchError(f"model={model.name} has no embedding")
