"""Contract of approximate indexes: copies of a vector are found together, in the order of ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.retrieval.indexes.copies import first_equal
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from outliers_bench.types import Exclusion
from tests.contract.index_cases import annoy_only, rank, search_over, vectors
from tests.toys import exclude_nothing

KINDS = [
    FaissHnsw(),
    pytest.param(Annoy(n_trees=5, search_k=10_000), marks=annoy_only),
    FaissSq8(),
    FaissIvfPq(nlist=3, nprobe=1, subquantizers=4, nbits=5),
]


def gallery_with_copies(distinct, groups, seed):
    """Every vector once, and more of those at the start, shuffled; and the number of its vector."""
    extra = np.repeat(np.arange(len(groups)), np.array(groups, dtype=np.int64) - 1) % distinct
    of = np.random.default_rng(seed).permutation(np.concatenate([np.arange(distinct), extra]))
    return vectors(distinct, 8, seed)[of], of


@pytest.mark.parametrize("index", KINDS, ids=lambda index: index.name)
@settings(max_examples=15, deadline=None)
@given(
    distinct=st.integers(3, 90),
    groups=st.lists(st.integers(2, 60), min_size=1, max_size=5),
    depth=st.integers(1, 60),
    values=st.sampled_from([None, 2, 7]),
    metric=st.sampled_from(Metric),
    seed=st.integers(0, 99),
)
def test_copies_are_ranked_together(index, distinct, groups, depth, values, metric, seed):
    index.metric = metric
    gallery, of = gallery_with_copies(distinct, groups, seed)
    n = len(gallery)
    queries = np.concatenate([vectors(5, 8, seed + 100), gallery[[0, n // 2, n - 1]]])
    exclusion = exclude_nothing(queries, gallery)
    if values:
        exclusion = Exclusion.same_value(np.arange(8) % values, np.arange(n) % values)
    depth = min(depth, exclusion.max_depth)
    search = search_over(index, gallery)
    result = search.rank(queries, depth, exclusion=exclusion)
    for row in range(8):
        items, scores = result.indices[row], result.scores[row]
        items, scores = items[items >= 0], scores[items >= 0]
        for vector in np.unique(of[items]):
            copies = search.order[of[search.order] == vector]
            if values:
                copies = copies[copies % values != row % values]
            found = of[items] == vector
            assert items[found].tolist() == copies[: found.sum()].tolist()
            assert len(set(scores[found])) == 1
            assert found.sum() == len(copies) or scores[found][0] == scores[-1], "cut by the depth"
    if index.uncompressed:  # and finds all neighbors in a gallery of this size
        exact = rank(Exact(metric=metric), queries, gallery, depth, exclusion=exclusion)
        assert np.array_equal(result.indices, exact.indices)


def test_vectors_that_are_equal_are_copies():
    """Also with both zeros, which have different bits."""
    rows = [[1, 2], [0, 1], [1, 2], [-0.0, 1], [2, 1], [1, 2]]
    assert first_equal(np.array(rows, dtype=np.float32)).tolist() == [0, 1, 0, 1, 4, 0]


@pytest.mark.parametrize("index", KINDS[2:], ids=lambda index: index.name)
def test_different_vectors_of_one_code_are_in_the_order_of_ties(index):
    """Few dimensions of few values: many vectors share a code, and each has copies."""
    gallery = np.random.default_rng(3).integers(0, 3, (400, 3)).astype(np.float32)
    gallery[::2] += np.random.default_rng(4).normal(0, 1e-6, (200, 3)).astype(np.float32)
    search = search_over(index, gallery)
    result = search.rank(vectors(9, 3), 30, exclusion=exclude_nothing(np.empty(9), gallery))
    tie_rank = np.argsort(search.order)[result.indices]
    is_tied = result.scores[:, :-1] == result.scores[:, 1:]
    assert is_tied.any()
    assert (tie_rank[:, :-1] < tie_rank[:, 1:])[is_tied].all()


def test_an_index_with_copies_that_is_read_from_the_cache(tmp_path):
    gallery, _ = gallery_with_copies(40, [30, 7], 5)
    results = []
    for _ in range(2):
        search = search_over(FaissHnsw(), gallery)
        search.cache = tmp_path
        nothing = exclude_nothing(gallery, gallery)
        results.append(search.rank(gallery, 20, exclusion=nothing).indices)
    assert len(list((tmp_path / "indexes").iterdir())) == 1
    assert np.array_equal(*results)
