"""Parts that methods are made of, besides a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from outliers_bench.engines.options import Engine
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Index
from outliers_bench.retrieval.normalize import L2
from outliers_bench.retrieval.reduction.reducer import Reducer
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.runtime.meter import Meter


@dataclass(frozen=True)
class Workspace:
    """Engine, cache, seed and meter, which all methods of a run share.

    Parameters
    ----------
    engine : Engine
        Inference engine of networks.
    cache : Path
        Directory of stored features, networks and other cached results.
    seed : int
        Determines the order of equal scores.
    meter : Meter
        Records times, counts and sizes.
    """

    engine: Engine
    cache: Path
    seed: int
    meter: Meter


@dataclass(frozen=True)
class EmbeddingSearch:
    """Search by embeddings: by default exact, by cosine, without reduction and re-ranking.

    Parameters
    ----------
    l2 : L2
        Scaling of embeddings before and after the reduction.
    reducer : Reducer
        Dimensionality reduction.
    index : Index
        Index, with its metric.
    rerank : Rerank
        Re-ranking.
    """

    l2: L2 = field(default_factory=L2)
    reducer: Reducer = field(default_factory=Reducer)
    index: Index = field(default_factory=Exact)
    rerank: Rerank = field(default_factory=Rerank)
