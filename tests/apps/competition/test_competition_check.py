"""Validation of submissions and photos of a competition, and scores."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.competition.check import Submission, read_submission
from outliers_bench.apps.competition.dataset import (
    CompetitionData,
    load_competition_data,
    select_source,
)
from outliers_bench.apps.competition.score import score_submission
from outliers_bench.apps.submit.names import Names
from outliers_bench.data.boxes import BoxUse
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import evaluate
from outliers_bench.evaluation.statistics import add_statistics
from outliers_bench.types import Ranking
from outliers_bench.web.refusal import RefusedError
from tests.competition_server import submission_json, write_photos
from tests.toys import toy_split


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("competition")
    root = write_photos(folder)
    # Duplicates and an unreadable photo; groups have the files and may name them.
    for part, name, duplicate in (("query", "q1.jpg", "q9.jpg"), ("gallery", "g1.jpg", "g9.jpg")):
        shutil.copy(root / part / "antelope" / name, root / part / "antelope" / duplicate)
    whole = (root / "query" / "bass" / "q2.jpg").read_bytes()
    (root / "query" / "bass" / "q8.jpg").write_bytes(whole[: len(whole) // 2])
    source = select_source(str(root), None)
    return load_competition_data(source, cache=folder / "cache", names=Names.auto)


def read(body, dataset, max_rank=4):
    return read_submission(body, dataset, max_rank=max_rank)


def test_a_submission_has_the_scores_computed_by_hand(dataset) -> None:
    score = score_submission(read(submission_json(), dataset), dataset, k=[1, 2, 3, 10])
    # Relevance is 0, 1, 1 for q1 and 1, 1, 0 for q2; q3 has no relevant image.
    assert score.metrics == pytest.approx(
        {
            "hit_at_1": 1 / 2,
            "hit_at_2": 1,
            "hit_at_3": 1,
            "precision_at_1": 1 / 2,
            "precision_at_2": 3 / 4,
            "precision_at_3": 2 / 3,
            "map_at_1": 1 / 2,
            "map_at_2": (1 / 4 + 1) / 2,
            "map_at_3": ((1 / 2 + 2 / 3) / 2 + 2 / 3) / 2,
            "mrr": (1 / 2 + 1) / 2,
            "map_at_r": (1 / 4 + 2 / 3) / 2,
            "r_precision": (1 / 2 + 2 / 3) / 2,
        }
    )
    assert set(score.intervals) == set(score.metrics)


def test_metrics_that_need_longer_rankings_are_omitted(dataset) -> None:
    submission = read(submission_json(q2=["g1.jpg", "g2.jpg"]), dataset)
    score = score_submission(submission, dataset, k=[1, 3, 10])
    assert "map_at_r" not in score.metrics  # q2 has three relevant images
    assert score.metrics["hit_at_1"] == 0
    assert score.metrics["precision_at_3"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert "hit_at_10" not in score.metrics


def test_duplicates_may_be_named_and_are_ignored(dataset) -> None:
    body = submission_json(q1=["g9.jpg", "g1.jpg"], q9=["g2.jpg"])
    submission = read(body, dataset)
    assert submission.rankings[dataset.queries["q1.jpg"]] == (dataset.gallery["g1.jpg"],)
    assert score_submission(submission, dataset, k=[1]).metrics["hit_at_1"] == 1
    only_ignored = submission_json(**{name: ["g9.jpg"] for name in ("q1", "q2", "q3")})
    submission = read(only_ignored, dataset)
    assert score_submission(submission, dataset, k=[1]).metrics["hit_at_1"] == 0
    assert dataset.ignored_queries == {"q8.jpg", "q9.jpg"}
    read(submission_json(q8=["g1.jpg"]), dataset)


def test_an_excluded_photo_with_the_name_of_another_is_refused(tmp_path) -> None:
    root = write_photos(tmp_path)
    (root / "query" / "bass" / "q1.jpg").write_bytes(b"unreadable")
    source = select_source(str(root), None)
    with pytest.raises(BenchError, match=r"2 files in query are named q1\.jpg"):
        load_competition_data(source, cache=tmp_path / "cache", names=Names.auto)
    by_path = load_competition_data(source, cache=tmp_path / "cache", names=Names.path)
    assert by_path.ignored_queries == {"bass/q1.jpg"}


@pytest.mark.parametrize(
    ("body", "status", "reason", "files"),
    [
        (b"", 400, "not JSON", []),
        (b"groupname=x", 400, "requests.post(url, json=...)", []),
        (b"\xff\xfe", 400, "UTF-8", []),
        (b"[" * 100_000, 400, "not JSON", []),
        (b"9" * 5_000, 400, "not JSON", []),
        (b"[]", 422, '{"groupname"', []),
        (b'{"groupname": "x"}', 422, '{"groupname"', []),
        (b'{"groupname": "x", "images": []}', 422, "images must be an object", []),
        (
            b'{"groupname": "x", "images": {"q1.jpg": [], "q1.jpg": []}}',
            422,
            "more than once",
            ["q1.jpg"],
        ),
        (submission_json(q1=None), 422, "1 query file is missing: q1.jpg", ["q1.jpg"]),
        (submission_json(q7=["g1.jpg"]), 422, "1 query file is unknown: q7.jpg", ["q7.jpg"]),
        (submission_json(q1="g1.jpg"), 422, "query q1.jpg: give a list", ["q1.jpg"]),
        (
            submission_json(q1=[]),
            422,
            "query q1.jpg: its list of gallery files is empty",
            ["q1.jpg"],
        ),
        (submission_json(q1=["g1.jpg", 2]), 422, "must be a string", ["q1.jpg"]),
        (submission_json(q1=["g1.jpg", ["g2.jpg"]]), 422, "must be a string", ["q1.jpg"]),
        (submission_json(q1=["g1.jpg", "G2.jpg"]), 422, "unknown: G2.jpg", ["G2.jpg"]),
        (submission_json(q1=["q1.jpg"]), 422, "unknown: q1.jpg", ["q1.jpg"]),
        (
            submission_json(q1=["antelope/g1.jpg"]),
            422,
            "unknown",
            ["antelope/g1.jpg"],
        ),  # would reveal a label
        (
            submission_json(q1=["g1.jpg", "g2.jpg", "g1.jpg"]),
            422,
            "more than once in its list: g1.jpg",
            ["g1.jpg"],
        ),
        (
            submission_json(q1=[f"g{i}.jpg" for i in range(1, 6)]),
            422,
            "5 gallery files, at most 4",
            None,
        ),
        (submission_json(q1=["\ud800"]), 422, "unknown", ["\\ud800"]),
    ],
)
def test_an_invalid_submission_is_refused(dataset, body, status, reason, files) -> None:
    with pytest.raises(RefusedError) as refused:
        read(body, dataset)
    assert refused.value.status == status
    assert reason in refused.value.reason
    assert files is None or refused.value.files == files


def test_the_reason_for_a_refusal_is_short(dataset) -> None:
    many = json.loads(submission_json())
    many["images"] |= {f"{'x' * 1000}{i}": [] for i in range(1000)}
    with pytest.raises(RefusedError, match="1,000 query files are unknown") as refused:
        read(json.dumps(many).encode(), dataset)
    assert len(refused.value.reason) < 500
    assert len(refused.value.files) == 10


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.sampled_from(["g1.jpg"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "groupname": json_values,
            "images": st.fixed_dictionaries({f"q{i}.jpg": json_values for i in (1, 2, 3)}),
        }
    )
)
def test_any_json_is_refused_or_scored(dataset, content) -> None:
    try:
        submission = read(json.dumps(content).encode(), dataset)
    except RefusedError:
        return
    assert set(score_submission(submission, dataset, k=[1]).metrics) >= {"hit_at_1"}


@pytest.mark.parametrize(
    ("depth", "classes", "cluster"), [(3, 12, "query"), (60, 12, "query"), (60, 25, "label")]
)
def test_scores_are_equal_to_those_of_a_run(depth, classes, cluster) -> None:
    rng = np.random.default_rng(depth)
    labels = rng.integers(0, classes, 50), rng.integers(0, classes - 2, 60)
    split = toy_split(*labels, classes=classes)
    indices = np.array([rng.permutation(60) for _ in range(50)])
    scores = -np.tile(np.arange(60, dtype=np.float32), (50, 1))
    run = evaluate(Ranking(indices, scores), split, k=[1, 3])
    positions = [
        {name: i for i, name in enumerate(part.names)} for part in (split.query, split.gallery)
    ]
    submission = Submission("x", {i: tuple(row[:depth].tolist()) for i, row in enumerate(indices)})
    score = score_submission(submission, CompetitionData(split, *positions, (), ()), k=[1, 3])
    expected = run.metrics
    if depth < 60:
        expected = {name: value for name, value in expected.items() if name[-2:] in ("_1", "_3")}
    assert score.metrics == pytest.approx(expected)
    run = add_statistics(run, split)
    assert run.clusters.unit == cluster
    assert score.intervals["hit_at_1"] == pytest.approx(run.intervals["hit_at_1"])


def test_photos_that_cannot_be_used_for_a_competition(tmp_path) -> None:
    def load(root, names):
        source = select_source(str(root), None)
        return load_competition_data(source, cache=tmp_path / "cache", names=names)

    def assert_refused(root, message):
        with pytest.raises(BenchError, match=message):
            load(root, Names.auto)

    root = write_photos(tmp_path)
    assert_refused(tmp_path / "handout", "needs the labels")
    (root / "query" / "bass" / "q2.jpg").rename(root / "query" / "bass" / "q1.jpg")
    shared = r"2 files in query are named q1\.jpg; .*reveal the labels"
    assert_refused(root, shared)
    rehearsal = load(root, Names.path)
    assert sorted(rehearsal.queries) == ["antelope/q1.jpg", "bass/q1.jpg", "crab/q3.jpg"]
    (tmp_path / "empty" / "query").mkdir(parents=True)
    (tmp_path / "empty" / "gallery").mkdir()
    assert_refused(tmp_path / "empty", "^root=.*/empty: no images in query")
    for options in ((None, None), ("a", "b")):
        with pytest.raises(BenchError, match="but not both"):
            select_source(*options)


@pytest.mark.slow  # imports pandas
def test_a_manifest_of_photos(tmp_path) -> None:
    root = write_photos(tmp_path)
    lines = [
        f"{part}/{path.parent.name}/{path.name},{path.parent.name},{part}"
        for part in ("query", "gallery")
        for path in sorted((root / part).rglob("*.jpg"))
    ]
    table = tmp_path / "labeled" / "zoo.csv"
    table.write_text("\n".join(["path,label,split", *lines]))
    source = select_source(None, str(table))
    dataset = load_competition_data(source, cache=tmp_path / "cache", names=Names.auto)
    submission = read(submission_json(), dataset)
    assert score_submission(submission, dataset, k=[1]).metrics["hit_at_1"] == 1 / 2
    # A duplicate may be named even if paths do not begin with the part.
    (root / "query").rename(root / "photos")
    shutil.copy(root / "photos/bass/q2.jpg", root / "photos/bass/q9.jpg")
    lines.append("query/bass/q9.jpg,bass,query")
    table.write_text("\n".join(["path,label,split", *lines]).replace("query/", "photos/"))
    dataset = load_competition_data(source, cache=tmp_path / "cache", names=Names.auto)
    assert sorted(dataset.queries) == ["q1.jpg", "q2.jpg", "q3.jpg"]
    read(submission_json(q9=["g1.jpg"]), dataset)


def test_the_largest_submission_fits_the_limit(dataset) -> None:
    names = [*dataset.gallery, *dataset.ignored_gallery]
    largest = json.dumps(
        {"groupname": "x" * 64, "images": dict.fromkeys(dataset.queries, names[:4])},
        indent=1,
    )
    assert len(largest) < dataset.max_submission_bytes(4)


@pytest.mark.slow  # imports pandas
def test_boxes_in_a_manifest_are_used_or_ignored(tmp_path) -> None:
    root = write_photos(tmp_path)
    lines = [
        f"{part}/{path.parent.name}/{path.name},{path.parent.name},{part},0,0,4,4"
        for part in ("query", "gallery")
        for path in sorted((root / part).rglob("*.jpg"))
    ]
    table = tmp_path / "labeled" / "zoo.csv"
    table.write_text("\n".join(["path,label,split,x,y,w,h", *lines]))
    load = {"cache": tmp_path / "cache", "names": Names.auto}
    crops = load_competition_data(select_source(None, str(table)), **load)
    assert "g1.jpg#0,0,4,4" in crops.gallery
    photos = select_source(None, str(table), boxes=BoxUse.ignore)
    assert "g1.jpg" in load_competition_data(photos, **load).gallery
    table.write_text(table.read_text().replace(",0,0,4,4", ",900,0,4,4"))
    with pytest.raises(BenchError, match=r"or use boxes=ignore"):
        load_competition_data(select_source(None, str(table)), **load)
