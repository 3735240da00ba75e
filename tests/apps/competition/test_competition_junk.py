"""Gallery photos that do not count for a query, in submissions to a competition."""

from dataclasses import replace

import numpy as np

from outliers_bench.apps.competition.check import read_submission
from outliers_bench.apps.competition.dataset import load_competition_data, select_source
from outliers_bench.apps.competition.score import score_submission
from outliers_bench.apps.submit.names import Names
from outliers_bench.types import same
from tests.competition_server import submission_json, write_photos


def test_photos_that_do_not_count_are_skipped(tmp_path) -> None:
    """The photo g2 is of the class and the camera of q2; for q1, it is another photo."""
    source = select_source(str(write_photos(tmp_path)), None)
    dataset = load_competition_data(source, cache=tmp_path / "cache", names=Names.auto)
    photos = dataset.split

    def with_cameras(part, cameras):
        named = [cameras.get(name.rpartition("/")[2], "") for name in part.names]
        return replace(part, columns={"camera": np.array(named, dtype=object)})

    junk = replace(
        photos,
        query=with_cameras(photos.query, {"q1.jpg": "x", "q2.jpg": "x"}),
        gallery=with_cameras(photos.gallery, {"g2.jpg": "x"}),
        excluded=same("camera", and_label=True),
    )
    rules = replace(dataset, split=junk)
    ranked = read_submission(submission_json(), rules, max_rank=4)
    assert ranked.rankings[rules.queries["q2.jpg"]] == (
        rules.gallery["g4.jpg"],
        rules.gallery["g1.jpg"],
    )
    metrics = score_submission(ranked, rules, k=[1, 2]).metrics
    without = score_submission(
        read_submission(submission_json(q2=["g4.jpg", "g1.jpg"]), rules, max_rank=4),
        rules,
        k=[1, 2],
    )
    assert metrics == without.metrics
    assert metrics["precision_at_2"] == (1 / 2 + 1 / 2) / 2
    assert metrics["hit_at_1"] == 1 / 2
