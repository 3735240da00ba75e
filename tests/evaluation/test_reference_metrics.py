"""Metrics against figures that other programs gave for the same rankings.

The figures come from pytrec-eval-terrier, torchreid 0.2.5 (`eval_market1501`) and fastreid 1.4.0
(`eval_market1501`), run on the distances below. In Market-1501's protocol, gallery images of the
query's individual from the query's camera are junk: neither relevant nor wrong.
"""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.evaluation import evaluate
from outliers_bench.evaluation.cmc import hits_by_rank
from outliers_bench.types import Ranking, same
from outliers_bench.types.images import CAMERA
from tests.toys import toy_split

N_QUERY, N_GALLERY, INDIVIDUALS, CAMERAS = 50, 240, 40, 5

PYTREC_EVAL = {
    "map": 0.0763805299522956,
    "mrr": 0.13874161263015308,
    "r_precision": 0.052916924345495775,
    "precision_at_5": 0.0489795918367347,
    "precision_at_10": 0.05510204081632653,
    "hit_at_5": 0.1836734693877551,
    "hit_at_10": 0.40816326530612246,
    # `map_cut`, of each query times R / min(k, R), as Kaggle divides by min(k, R) instead of R.
    "map_at_1": 0.04081632653061224,
    "map_at_5": 0.02590136054421769,
    "map_at_10": 0.02821653529136522,
}
FASTREID = {"map": 0.0763805299522956, "minp": 0.04406392001985662}
# The same in torchreid and fastreid: hits within the first k of the 49 queries that they count.
CMC_HITS = {1: 2, 2: 3, 3: 5, 4: 8, 5: 9, 6: 13, 10: 20, 20: 33, 30: 35, 40: 37, 45: 39, 50: 39}


@pytest.fixture(scope="module")
def market():
    rng = np.random.default_rng(1)
    query, gallery = rng.integers(0, INDIVIDUALS, N_QUERY), rng.integers(0, INDIVIDUALS, N_GALLERY)
    cameras = rng.integers(0, CAMERAS, N_QUERY), rng.integers(0, CAMERAS, N_GALLERY)
    same_label = query[:, None] == gallery
    distances = rng.random(same_label.shape) * np.where(same_label, 0.6, 1.0)
    split = toy_split(query, gallery, classes=INDIVIDUALS)
    parts = [
        replace(part, columns={CAMERA: values})
        for part, values in zip((split.query, split.gallery), cameras, strict=True)
    ]
    rule = same(CAMERA, and_label=True)
    split = replace(split, query=parts[0], gallery=parts[1], excluded=rule)
    distances[same_label & (cameras[0][:, None] == cameras[1])] = np.inf  # junk
    order = np.argsort(distances, axis=1)
    sorted_distances = np.take_along_axis(distances, order, axis=1)
    order[np.isinf(sorted_distances)] = -1
    ranking = Ranking(order, -sorted_distances.astype(np.float32))
    return evaluate(ranking, split, k=[1, 5, *CMC_HITS])


@pytest.mark.parametrize("reference", [PYTREC_EVAL, FASTREID], ids=["pytrec_eval", "fastreid"])
def test_means_over_queries(market, reference):
    for name, value in reference.items():
        assert market.metrics[name] == pytest.approx(value, abs=1e-9), name


def test_cumulative_matching_characteristic(market):
    assert len(market.scored) == 49, "one query has no photo from another camera"
    hits_to_50 = hits_by_rank(market.per_query["mrr"], market.available)
    for k, hits in CMC_HITS.items():
        assert market.metrics[f"hit_at_{k}"] == pytest.approx(hits / 49, abs=1e-9), k
        assert hits_to_50[f"hit_at_{k}"].sum() == hits, k
