"""No figure depends on what is drawn, recorded or cut off."""

import numpy as np
import pytest

import outliers_bench as ob

VARIANTS = {
    "exact": {"index": "exact"},
    "hnsw": {"index": "faiss_hnsw"},
    "kd_tree": {"index": "kd_tree"},
    "ivfpq": {
        "index": "faiss_ivfpq",
        "options": {"index.subquantizers": 4, "index.nlist": 8, "index.nbits": 4},
    },
    "sq8": {"index": "faiss_sq8"},
    "dba": {"rerank": "dba"},
    "k_reciprocal": {"rerank": "k_reciprocal"},
    "diffusion": {"rerank": "diffusion", "options": {"rerank.shortlist": 30}},
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_depth_and_cutoffs_change_no_common_figure(variant, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 80
    vectors = rng.normal(0, 1, (80, 16))[labels] * 0.5 + rng.normal(0, 1, (240, 16))
    found = []
    for k, depth in (([1, 5], 2), ([1, 3, 40], 60)):
        options = {
            **{"contact_sheets.depth": depth, "cache.dir": str(tmp_path)},
            **variant.get("options", {}),
        }
        result = ob.run(
            vectors.astype(np.float32),
            labels=labels,
            protocol="leave_one_out",
            k=k,
            **(variant | {"options": options}),
        )
        assert result.ranking.depth >= depth
        found.append(result.evaluation)
    few, many = found
    common = few.metrics.keys() & many.metrics.keys()
    whole = {"map", "map_at_r", "mrr", "minp", "r_precision"}
    assert common == {"hit_at_1", "precision_at_1", "map_at_1", *whole}
    assert few.per_query["mrr"].min() < 1 / 60, "some first hits are deeper than all cutoffs"
    for name in common:
        assert np.array_equal(few.per_query[name], many.per_query[name]), name
        assert few.intervals[name] == pytest.approx(many.intervals[name]), name
        assert few.chance[name] == many.chance[name], name
        assert few.balanced[name] == many.balanced[name], name
