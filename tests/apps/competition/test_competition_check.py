"""What a competition takes, what it refuses with which reason, and what a submission is worth."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.competition.check import RefusedError, Submission, read_submission
from outliers_bench.apps.competition.dataset import CompetitionData, hold, source_of
from outliers_bench.apps.competition.score import score
from outliers_bench.apps.submit.names import Names
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import confidence_intervals, evaluate
from outliers_bench.types import Ranking
from tests.held import lay_out, sent
from tests.toys import toy_split


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held")
    root = lay_out(folder)
    # Copies, and a photo that no run can read; whoever has the files may name them.
    for part, name, copy in (("query", "q1.jpg", "q9.jpg"), ("gallery", "g1.jpg", "g9.jpg")):
        shutil.copy(root / part / "antelope" / name, root / part / "antelope" / copy)
    whole = (root / "query" / "bass" / "q2.jpg").read_bytes()
    (root / "query" / "bass" / "q8.jpg").write_bytes(whole[: len(whole) // 2])
    return hold(source_of(str(root), None), cache=folder / "cache", names=Names.auto)


def read(body, held, max_rank=4):
    return read_submission(body, held, max_rank=max_rank)


def test_a_submission_is_read_and_scored_by_hand(held) -> None:
    worth = score(read(sent(), held), held, k=[1, 2, 3, 10])
    # q1: wrong, right, right; q2: right, right, wrong; q3 has nothing to find and does not count.
    assert worth.metrics == pytest.approx(
        {
            "hit_at_1": 1 / 2,
            "hit_at_2": 1,
            "hit_at_3": 1,
            "precision_at_1": 1 / 2,
            "precision_at_2": 3 / 4,
            "precision_at_3": 2 / 3,
            "map_at_r": (1 / 4 + 2 / 3) / 2,
            "r_precision": (1 / 2 + 2 / 3) / 2,
        }
    )
    assert set(worth.intervals) == set(worth.metrics)


def test_lists_that_are_too_short_for_a_metric_do_not_get_it(held) -> None:
    worth = score(read(sent(q2=["g1.jpg", "g2.jpg"]), held), held, k=[1, 3, 10])
    assert "map_at_r" not in worth.metrics  # q2 has three right answers
    assert worth.metrics["hit_at_1"] == 0
    assert worth.metrics["precision_at_3"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert "hit_at_10" not in worth.metrics


def test_copies_may_be_named_and_do_not_count(held) -> None:
    body = sent(q1=["g9.jpg", "g1.jpg"], q9=["g2.jpg"])
    assert read(body, held).found[held.queries["q1.jpg"]] == (held.gallery["g1.jpg"],)
    assert score(read(body, held), held, k=[1]).metrics["hit_at_1"] == 1
    nothing = sent(**{name: ["g9.jpg"] for name in ("q1", "q2", "q3")})
    assert score(read(nothing, held), held, k=[1]).metrics["hit_at_1"] == 0
    assert held.uncounted_queries == {"q8.jpg", "q9.jpg"}
    read(sent(q8=["g1.jpg"]), held)


@pytest.mark.parametrize(
    ("body", "status", "told", "files"),
    [
        (b"", 400, "no JSON", []),
        (b"groupname=x", 400, "requests.post(url, json=...)", []),
        (b"\xff\xfe", 400, "UTF-8", []),
        (b"[" * 100_000, 400, "no JSON", []),
        (b"9" * 5_000, 400, "no JSON", []),
        (b"[]", 422, '{"groupname"', []),
        (b'{"groupname": "x"}', 422, '{"groupname"', []),
        (b'{"groupname": "x", "images": []}', 422, "images must be an object", []),
        (b'{"groupname": "x", "images": {"q1.jpg": [], "q1.jpg": []}}', 422, "twice", ["q1.jpg"]),
        (sent(q1=None), 422, "1 query file is missing: q1.jpg", ["q1.jpg"]),
        (sent(q7=["g1.jpg"]), 422, "1 query file is unknown here: q7.jpg", ["q7.jpg"]),
        (sent(q1="g1.jpg"), 422, "query q1.jpg: give a list", ["q1.jpg"]),
        (sent(q1=[]), 422, "query q1.jpg: its list of gallery files is empty", ["q1.jpg"]),
        (sent(q1=["g1.jpg", 2]), 422, "must be a text", ["q1.jpg"]),
        (sent(q1=["g1.jpg", ["g2.jpg"]]), 422, "must be a text", ["q1.jpg"]),
        (sent(q1=["g1.jpg", "G2.jpg"]), 422, "unknown here: G2.jpg", ["G2.jpg"]),
        (sent(q1=["q1.jpg"]), 422, "unknown here: q1.jpg", ["q1.jpg"]),
        (sent(q1=["antelope/g1.jpg"]), 422, "unknown", ["antelope/g1.jpg"]),  # would tell a label
        (sent(q1=["g1.jpg", "g2.jpg", "g1.jpg"]), 422, "g1.jpg stands twice", ["g1.jpg"]),
        (sent(q1=[f"g{i}.jpg" for i in range(1, 6)]), 422, "5 gallery files, but at most 4", None),
        (sent(q1=["\ud800"]), 422, "unknown", ["\\ud800"]),
        (sent(group=7), 422, "groupname must be a text", []),
        (sent(group="  "), 422, "groupname must have 1 to 64", []),
        (sent(group="x" * 65), 422, "groupname must have 1 to 64", []),
        (sent(group="a\u202eb"), 422, "cannot be shown", []),
        (sent(group="\ud800"), 422, "cannot be shown", []),
        (sent(group="a\nb"), 422, "cannot be shown", []),
    ],
)
def test_what_is_refused_and_why(held, body, status, told, files) -> None:
    with pytest.raises(RefusedError) as refused:
        read(body, held)
    assert refused.value.status == status
    assert told in refused.value.reason
    assert files is None or refused.value.files == files


def test_one_group_has_one_name(held) -> None:
    assert read(sent(group="  u\u0308ber   all "), held).group == "\u00fcber all"


def test_a_refusal_does_not_repeat_all_that_was_sent(held) -> None:
    many = json.loads(sent())
    many["images"] |= {f"{'x' * 1000}{i}": [] for i in range(1000)}
    with pytest.raises(RefusedError, match="1,000 query files are unknown") as refused:
        read(json.dumps(many).encode(), held)
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
def test_any_json_is_refused_or_scored(held, content) -> None:
    try:
        submission = read(json.dumps(content).encode(), held)
    except RefusedError:
        return
    assert set(score(submission, held, k=[1]).metrics) >= {"hit_at_1"}


@pytest.mark.parametrize("depth", [3, 60])
def test_scores_are_a_runs(depth) -> None:
    rng = np.random.default_rng(depth)
    split = toy_split(rng.integers(0, 12, 50), rng.integers(0, 10, 60), classes=12)
    indices = np.array([rng.permutation(60) for _ in range(50)])
    scores = -np.tile(np.arange(60, dtype=np.float32), (50, 1))
    run = evaluate(Ranking(indices, scores), split, k=[1, 3])
    names = [
        {name: i for i, name in enumerate(part.names)} for part in (split.query, split.gallery)
    ]
    submission = Submission("x", {i: tuple(row[:depth].tolist()) for i, row in enumerate(indices)})
    worth = score(submission, CompetitionData(split, *names, (), ()), k=[1, 3])
    wanted = {name: value for name, value in run.metrics.items() if name != "mrr"}
    if depth < 60:
        wanted = {name: value for name, value in wanted.items() if "_at_r" not in name}
        wanted.pop("r_precision")
    assert worth.metrics == wanted
    intervals = confidence_intervals(run.per_query, seed=0)
    assert worth.intervals["hit_at_1"] == pytest.approx(intervals["hit_at_1"])


def test_photos_that_make_no_competition(held, tmp_path) -> None:
    def refused(root, told, **options):
        with pytest.raises(BenchError, match=told):
            hold(source_of(str(root), None), cache=tmp_path / "cache", **options)

    root = lay_out(tmp_path)
    refused(tmp_path / "handout", "needs the labels", names=Names.auto)
    (root / "query" / "bass" / "q2.jpg").rename(root / "query" / "bass" / "q1.jpg")
    shared = r"2 files in query are called q1\.jpg; .*names tell the groups the labels"
    refused(root, shared, names=Names.auto)
    rehearsal = hold(source_of(str(root), None), cache=tmp_path / "cache", names=Names.path)
    assert sorted(rehearsal.queries) == ["antelope/q1.jpg", "bass/q1.jpg", "crab/q3.jpg"]
    (tmp_path / "empty" / "query").mkdir(parents=True)
    (tmp_path / "empty" / "gallery").mkdir()
    refused(tmp_path / "empty", "^root=.*/empty: no images in query", names=Names.auto)
    for both in ((None, None), ("a", "b")):
        with pytest.raises(BenchError, match="one of them"):
            source_of(*both)


@pytest.mark.slow  # imports pandas
def test_a_table_of_photos(tmp_path) -> None:
    root = lay_out(tmp_path)
    lines = [
        f"{part}/{path.parent.name}/{path.name},{path.parent.name},{part}"
        for part in ("query", "gallery")
        for path in sorted((root / part).rglob("*.jpg"))
    ]
    table = tmp_path / "labeled" / "zoo.csv"
    table.write_text("\n".join(["path,label,split", *lines]))
    held = hold(source_of(None, str(table)), cache=tmp_path / "cache", names=Names.auto)
    assert score(read(sent(), held), held, k=[1]).metrics["hit_at_1"] == 1 / 2
    # Where paths do not tell the part, a copy may be named all the same.
    (root / "query").rename(root / "asked")
    shutil.copy(root / "asked/bass/q2.jpg", root / "asked/bass/q9.jpg")
    lines.append("query/bass/q9.jpg,bass,query")
    table.write_text("\n".join(["path,label,split", *lines]).replace("query/", "asked/"))
    held = hold(source_of(None, str(table)), cache=tmp_path / "cache", names=Names.auto)
    assert sorted(held.queries) == ["q1.jpg", "q2.jpg", "q3.jpg"]
    read(sent(q9=["g1.jpg"]), held)


def test_the_largest_submission_fits(held) -> None:
    every = [*held.gallery, *held.uncounted_gallery]
    largest = json.dumps(
        {"groupname": "x" * 64, "images": dict.fromkeys(held.queries, every[:4])},
        indent=1,
    )
    assert len(largest) < held.largest(4)
