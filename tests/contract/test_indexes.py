"""What every index must satisfy, whatever is inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outliers_bench.retrieval.indexes.n_trees import BallTree, KdTree

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.search import GallerySearch, tie_order
from tests.toys import digest

annoy_only = pytest.mark.extra("annoy")


def every_metric(kind, *metrics, **options):
    marks = [annoy_only] if kind is Annoy else []
    return [
        pytest.param(index, id=f"{index.name}-{metric.name}", marks=marks)
        for metric in metrics or Metric
        for index in [kind(metric=metric, **options)]
    ]


DISTANCES = (Metric.cosine, Metric.euclidean)
EXACT = [
    *every_metric(Exact),
    *every_metric(KdTree, *DISTANCES),
    *every_metric(BallTree, *DISTANCES),
]
# With so many candidates they miss nothing in a gallery of some hundred.
GENEROUS = [
    *every_metric(FaissHnsw, ef_search=1000),
    *every_metric(Annoy, n_trees=20, search_k=100_000),
]
ROUNDING = [*every_metric(FaissSq8), *every_metric(FaissIvfPq, subquantizers=5, nprobe=4)]
USUAL = [
    *every_metric(FaissHnsw),
    *every_metric(Annoy),
    *every_metric(FaissSq8),
    *every_metric(FaissIvfPq, subquantizers=8),
]

every_index = pytest.mark.parametrize("index", EXACT + GENEROUS + ROUNDING)
finding_all = pytest.mark.parametrize("index", EXACT + GENEROUS)


def similarity(queries, gallery, metric):
    """Brute force in float64."""
    q, g = queries.astype(np.float64), gallery.astype(np.float64)
    if metric is Metric.cosine:
        q, g = l2_normalize(queries).astype(np.float64), l2_normalize(gallery).astype(np.float64)
    if metric is Metric.euclidean:
        return -((q[:, None] - g[None]) ** 2).sum(axis=2)
    return q @ g.T


def vectors(n, d=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def clustered(n, d=16, *, per_cluster=20, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(n // per_cluster, d)) * 3
    points = centers[rng.integers(0, len(centers), n)] + rng.normal(size=(n, d))
    return points.astype(np.float32)


def searching(index, gallery, *, seed=0, digests=None, leave_one_out=False):
    digests = digests or [digest(str(i)) for i in range(len(gallery))]
    order = tie_order(digests, seed)
    return GallerySearch(gallery, index=index, order=order, leave_one_out=leave_one_out)


def ranked(index, queries, gallery, depth, **options):
    return searching(index, gallery, **options).rank(queries, depth)


@finding_all
def test_finds_what_brute_force_finds(index):
    queries, gallery = vectors(20, seed=1), vectors(200, seed=2)
    truth = similarity(queries, gallery, index.metric)
    got = ranked(index, queries, gallery, 25)
    assert np.array_equal(got.indices, np.argsort(-truth, axis=1)[:, :25])
    expected = np.take_along_axis(truth, got.indices, axis=1)
    assert np.allclose(got.scores, expected, atol=1e-4)


@pytest.mark.parametrize("index", USUAL)
def test_the_usual_options_find_most_of_what_is_near(index):
    search = searching(index, clustered(600, seed=1))
    floor = 0.7 if isinstance(index, FaissIvfPq) else 0.95
    assert recall_at_10(search, clustered(60, per_cluster=2, seed=2)) >= floor


@pytest.mark.parametrize("index", ROUNDING)
def test_rounded_scores_are_about_right(index):
    queries, gallery = clustered(20, seed=1), clustered(400, seed=2)
    got = ranked(index, queries, gallery, 5)
    truth = similarity(queries, gallery, index.metric)
    expected = np.take_along_axis(truth, got.indices, axis=1)
    off = np.abs(got.scores - expected).mean() / truth.std()
    assert off < (0.3 if isinstance(index, FaissIvfPq) else 0.01)


@every_index
def test_types_shape_and_best_first(index):
    got = ranked(index, vectors(3), vectors(30, seed=1), 7)
    assert got.indices.dtype == np.int64
    assert got.scores.dtype == np.float32
    assert got.indices.shape == got.scores.shape == (3, 7)
    assert (np.diff(got.scores, axis=1) <= 0).all()


@every_index
def test_deeper_than_the_gallery_is_the_whole_gallery(index):
    gallery = vectors(9, seed=1)
    gallery = l2_normalize(gallery) if index.metric is Metric.cosine else gallery
    positions, scores = index.build(gallery).search(np.asfortranarray(vectors(3)), 12)
    assert positions.dtype == np.int64
    assert scores.dtype == np.float32
    assert scores.shape == (3, 9)
    assert np.isfinite(scores).all()
    assert (np.sort(positions, axis=1) == np.arange(9)).all()


@every_index
def test_one_item(index):
    assert ranked(index, vectors(2), vectors(1, seed=1), 1).indices.tolist() == [[0], [0]]


@every_index
def test_zero_vectors_are_ranked_and_never_nan(index):
    gallery = vectors(10, seed=1)
    gallery[3] = 0
    queries = np.vstack([vectors(2), np.zeros((1, 12), dtype=np.float32)])
    got = ranked(index, queries, gallery, 10)
    assert (np.sort(got.indices, axis=1) == np.arange(10)).all()
    assert np.isfinite(got.scores).all()
    if isinstance(index, (FaissSq8, FaissIvfPq)):
        return
    truth = similarity(queries, gallery, index.metric)
    assert np.array_equal(got.indices[:2], np.argsort(-truth[:2], axis=1))
    expected = np.take_along_axis(truth, got.indices, axis=1)
    assert np.allclose(got.scores, expected, atol=1e-4)


@every_index
def test_other_queries_change_nothing(index, monkeypatch):
    queries, gallery = vectors(200, seed=8), vectors(90, seed=9)
    search = searching(index, gallery)
    whole = search.rank(queries, 12)
    monkeypatch.setattr("outliers_bench.retrieval.search.BLOCK_ITEMS", 1)
    blocked = search.rank(queries, 12)
    assert np.array_equal(whole.indices, blocked.indices)
    alone = [search.rank(queries[i : i + 1], 12) for i in (0, 7, 199)]
    assert np.array_equal(whole.indices[[0, 7, 199]], np.vstack([one.indices for one in alone]))
    scores = np.vstack([one.scores for one in alone])
    assert np.allclose(whole.scores[[0, 7, 199]], scores, rtol=1e-5, atol=1e-5)


@every_index
def test_equal_scores_follow_the_seed_and_not_the_position(index):
    gallery = np.tile(vectors(1, seed=3), (50, 1))
    queries = vectors(1)
    first = ranked(index, queries, gallery, 10, seed=0).indices[0].tolist()
    assert len(set(first)) == 10
    assert first == ranked(index, queries, gallery, 10, seed=0).indices[0].tolist()
    assert first != ranked(index, queries, gallery, 10, seed=1).indices[0].tolist()
    assert first != sorted(first)
    if index.exact:
        expected = tie_order([digest(str(i)) for i in range(50)], 0)[:10]
        assert first == expected.tolist(), "also which of the equals make the cut"


@every_index
def test_order_of_files_does_not_matter(index):
    gallery = np.repeat(vectors(20, seed=4), 3, axis=0)  # every vector three times
    digests = [digest(str(i)) for i in range(60)]
    queries = vectors(8, seed=5)
    shuffle = np.random.default_rng(6).permutation(60)
    plain = ranked(index, queries, gallery, 20, digests=digests)
    moved = ranked(index, queries, gallery[shuffle], 20, digests=[digests[i] for i in shuffle])
    assert np.array_equal(plain.indices, shuffle[moved.indices])


@every_index
def test_leave_one_out_drops_the_query_by_identity(index):
    # Twins: rank 1 of each is its twin, and dropping "the first" instead would lose half of them.
    items = l2_normalize(np.repeat(vectors(15, seed=7), 2, axis=0))
    got = ranked(index, items, items, 5, leave_one_out=True)
    own = np.arange(30)[:, None]
    assert not (got.indices == own).any()
    if not isinstance(index, FaissIvfPq):  # where others may have the same code
        assert (got.indices[:, 0] == own[:, 0] ^ 1).all()


@every_index
def test_size_is_that_of_the_vectors_unless_they_are_rounded(index):
    gallery = vectors(1000, d=128)
    searcher = index.build(gallery)
    assert (searcher.nbytes < gallery.nbytes) == isinstance(index, (FaissSq8, FaissIvfPq))


@every_index
def test_inputs_are_left_alone(index):
    queries, gallery = vectors(4), vectors(40, seed=1)
    before = queries.copy(), gallery.copy()
    ranked(index, queries, gallery, 5)
    assert np.array_equal(queries, before[0])
    assert np.array_equal(gallery, before[1])


@every_index
def test_building_again_gives_the_same(index):
    queries, gallery = clustered(30, seed=1), clustered(300, seed=2)
    one, other = (index.build(gallery).search(queries, 20) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


@every_index
def test_a_saved_index_answers_the_same_to_the_last_bit(index, tmp_path):
    queries, gallery = clustered(30, seed=1), clustered(300, seed=2)
    built = index.build(gallery)
    before = built.search(queries, 20)
    built.save(tmp_path / "index")
    loaded = index.load(tmp_path / "index")
    loaded.save(tmp_path / "again")  # so can what was read
    (tmp_path / "index").unlink()
    for searcher in (built, loaded, index.load(tmp_path / "again")):
        after = searcher.search(queries, 20)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        assert searcher.nbytes == built.nbytes


@every_index
def test_damaged_and_foreign_files_are_refused(index, tmp_path):
    path = tmp_path / "index"
    index.build(vectors(40)).save(path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    damaged = [whole[: len(whole) * part // 8] for part in range(8)]
    garbage = np.random.default_rng(0).bytes(1000)
    for content in (*damaged, whole[:-1], whole + b"\0", bytes(flipped), garbage):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            index.load(path)
    other = Exact(metric=Metric.euclidean if index.metric is Metric.cosine else Metric.cosine)
    other.build(vectors(40)).save(path)
    with pytest.raises(ValueError, match=f"not of.*{type(index).__name__}"):
        index.load(path)


@pytest.mark.parametrize(
    "index", [FaissHnsw(m=4), FaissSq8(), FaissIvfPq(subquantizers=3, nbits=4), Exact()], ids=str
)
@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 60),
    d=st.integers(1, 9),
    depth=st.integers(1, 70),
    distinct=st.integers(1, 60),
    metric=st.sampled_from(Metric),
    seed=st.integers(0, 5),
)
def test_any_gallery_is_ranked_whole(index, n, d, depth, distinct, metric, seed):
    index.metric = metric
    gallery = np.round(vectors(n, d, seed))[np.arange(n) % distinct]  # duplicates, and zeros
    gallery = l2_normalize(gallery) if metric is Metric.cosine else gallery
    positions, scores = index.build(gallery).search(vectors(4, d, seed + 9), depth)
    assert positions.shape == scores.shape == (4, min(n, depth))
    assert np.isfinite(scores).all()
    assert ((positions >= 0) & (positions < n)).all()
    assert all(len(set(row)) == len(row) for row in positions.tolist())


def test_trees_refuse_inner_products():
    with pytest.raises(BenchError, match="index=exact"):
        KdTree(metric=Metric.inner_product).check()


def test_trees_refuse_empty_leaves():
    with pytest.raises(BenchError, match="leaf_size=0"):
        KdTree(leaf_size=0).check()


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
def test_equal_vectors_are_equally_near_in_many_dimensions(metric):
    """BLAS rounds the last rows of a block otherwise; identical vectors must not part by that."""
    items = np.repeat(vectors(500, d=1280, seed=3), 2, axis=0)[:-1]
    order = tie_order([digest(str(i)) for i in range(len(items))], 0)
    search = GallerySearch(items, index=Exact(metric=metric), order=order)
    got = search.rank(vectors(200, d=1280, seed=4), 101)
    place = np.argsort(order)
    twins = got.indices[:, :-1] // 2 == got.indices[:, 1:] // 2
    assert twins.sum() > 200 * 45
    assert (got.scores[:, :-1][twins] == got.scores[:, 1:][twins]).all()
    assert (place[got.indices[:, :-1]] < place[got.indices[:, 1:]])[twins].all()
    for row in got.indices:  # both of a pair, or the one that the order prefers
        pairs, counts = np.unique(row // 2, return_counts=True)
        for lone in pairs[counts == 1]:
            both = [i for i in (2 * lone, 2 * lone + 1) if i < len(items)]
            assert min(both, key=place.__getitem__) in row
