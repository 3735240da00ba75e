"""Contract of all re-rankers: validation of metric and options."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.rerank import shortlist
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.retrieval.rerank.collaborative_filtering import CollaborativeFiltering
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation
from outliers_bench.retrieval.rerank.diffusion import Diffusion
from outliers_bench.retrieval.rerank.k_reciprocal import KReciprocal
from outliers_bench.types import Exclusion
from tests.contract.reranker_cases import CASES


@pytest.fixture(params=CASES)
def reranker(request):
    return CASES[request.param]


@pytest.mark.parametrize("metric", [Metric.euclidean, Metric.inner_product])
def test_other_metrics_are_an_early_error(reranker, metric):
    index, nothing = Exact(metric=metric), Exclusion.nothing(1, 1)
    if type(reranker) is Rerank:
        reranker.check_search(index, nothing)
        return
    with pytest.raises(BenchError, match=rf"rerank={reranker.name} .* index\.metric=cosine"):
        reranker.check_search(index, nothing)


def test_valid_options(reranker):
    reranker.check()
    reranker.check_search(Exact(), Exclusion.nothing(1, 1))
    assert reranker.depth == 0
    assert (reranker.label == "") == (type(reranker) is Rerank)


@pytest.mark.parametrize(
    ("reranker", "option"),
    [
        (AlphaQueryExpansion(), {"n": 0}),
        (AlphaQueryExpansion(), {"alpha": -1.0}),
        (AlphaQueryExpansion(), {"alpha": float("nan")}),
        (DatabaseAugmentation(), {"k": 0}),
        (DatabaseAugmentation(), {"alpha": float("inf")}),
        (KReciprocal(), {"shortlist": 0}),
        (KReciprocal(), {"k1": 0}),
        (KReciprocal(), {"k2": 0}),
        (KReciprocal(), {"lambda_value": 1.1}),
        (Diffusion(), {"shortlist": None}),
        (Diffusion(), {"shortlist": 4}),
        (Diffusion(), {"shortlist": 100_000}),
        (Diffusion(), {"k": 0}),
        (Diffusion(), {"kq": 0}),
        (Diffusion(), {"gamma": -0.1}),
        (Diffusion(), {"alpha": 1.0}),
        (CollaborativeFiltering(), {"history": 0}),
        (CollaborativeFiltering(), {"history": 201}),
        (CollaborativeFiltering(), {"k": 0}),
        (CollaborativeFiltering(), {"weight": -0.1}),
    ],
    ids=str,
)
def test_invalid_options_are_named(reranker, option):
    (name,) = option
    with pytest.raises(BenchError, match=rf"rerank\.{name}="):
        replace(reranker, **option).check()


def test_a_graph_that_takes_most_of_the_memory_is_refused(monkeypatch):
    """One camera has 40 of 50 photos: the graph needs 40 neighbors more of every photo."""
    cameras = np.array(["north"] * 40 + [f"south {i}" for i in range(10)], dtype=object)
    exclusion = Exclusion.same_value(cameras, cameras, own=np.arange(len(cameras)))
    CollaborativeFiltering().check_search(Exact(), exclusion)
    monkeypatch.setattr(shortlist, "total_memory", lambda: 2 * 50 * 40 * 12 - 1)
    with pytest.raises(BenchError, match=r"up to 40: a graph of 23.4 KiB; use rerank=alpha_qe"):
        CollaborativeFiltering().check_search(Exact(), exclusion)
    CollaborativeFiltering().check_search(Exact(), Exclusion.itself(50))
