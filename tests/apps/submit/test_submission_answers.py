"""What servers answer: scores of any shape, refusals, and what is no answer at all."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.submit.http_client import Answer, ServerError
from outliers_bench.apps.submit.record import metric_names
from outliers_bench.apps.submit.response import plain, read_scores, without_token
from outliers_bench.errors import BenchError

PAGE = b"""<!DOCTYPE html><html><head><title>502 Bad &amp; gone</title>
<script>alert("x")</script></head><body><h1>nginx</h1></body></html>"""


def answer(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer("http://zoo.example/retrieval/?key=hidden", status, headers, content)


@pytest.mark.parametrize(
    ("content", "shown", "numbers"),
    [
        ({"results": 0.5}, {"results": "0.5"}, {"results": 0.5}),
        ({"accuracy": "73%"}, {"accuracy": "73%"}, {"accuracy": 0.73}),
        (
            {"results": {"top1": 0.25, "deep": {"a": [1, "x"]}, "ok": True}, "accuracy": 1},
            {"top1": "0.25", "deep/a/0": "1", "deep/a/1": "x", "ok": "true", "accuracy": "1"},
            {"top1": 0.25, "deep/a/0": 1.0, "accuracy": 1.0},
        ),
        ({"accuracy": {"hit@1": "0.5"}}, {"accuracy/hit@1": "0.5"}, {"accuracy/hit@1": 0.5}),
        ({"results": "nan"}, {"results": "nan"}, {}),
        ({"results": None, "accuracy": 0}, {"accuracy": "0"}, {"accuracy": 0.0}),
        ({"accepted": True, "message": "later"}, {}, {}),
    ],
)
def test_scores_of_any_shape(content, shown, numbers) -> None:
    scores = read_scores(answer(content))
    assert dict(scores.shown) == shown
    assert scores.numbers == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (answer(PAGE), r"answered 200, but no JSON: a page that says '502 Bad & gone'"),
        (answer(b"<h1>Oh\x1b[2J</h1><script>x</script>"), r"a page that says 'Oh \[2J'"),
        (answer(b""), "no JSON: nothing"),
        (answer(b"[" * 100_000), "no JSON"),
        (answer([0.5]), r"JSON without results: \[0\.5\]"),
        (answer({"status": "queued"}), "JSON without results or accuracy"),
        (answer({"accepted": "yes"}), "JSON without results or accuracy"),
        (answer({"results": {}, "accuracy": []}), "JSON without results or accuracy"),
        (answer(PAGE, 500), "answered 500: a page that says"),
        (answer({"detail": [{"msg": "no"}]}, 503), r"answered 503: \[{\"msg\": \"no\"}\]"),
        (answer(b"", 304), "answered 304"),
    ],
)
def test_the_servers_mistakes(reply, told) -> None:
    with pytest.raises(ServerError, match=told) as error:
        read_scores(reply)
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (answer({"error": "query 1.jpg is missing"}, 422), r"\(422\): query 1\.jpg is missing$"),
        (answer({"detail": "no"}, 401), "OUTLIERS_BENCH_TOKEN"),
        (answer(PAGE, 404), r"correct url="),
        (answer({"error": "slow"}, 429, **{"retry-after": "9"}), "slow; try again in 9 s"),
    ],
)
def test_ones_own_mistakes(reply, told) -> None:
    with pytest.raises(BenchError, match=told):
        read_scores(reply)


@pytest.mark.parametrize(
    ("token", "said", "kept"),
    [
        ("s3cret", b"<p>s3cret is wrong", b"<p>(the token) is wrong"),
        ("2026", b'{"results": 0.2026, "at": "2026"}', b'{"results": 0.2026, "at": "(the token)"}'),
        ("results", b'{"results": 1, "x": "no results"}', b'{"results": 1, "x": "no (the token)"}'),
        ('a"b', rb'{"x": "\"a\"b\""}', rb'{"x": "\"(the token)\""}'),
    ],
)
def test_a_token_that_a_server_repeats_is_hidden_and_json_stays_json(token, said, kept) -> None:
    assert without_token(answer(said), token).body == kept


@given(st.text(max_size=500))
def test_what_a_server_says_stays_on_one_line_and_moves_no_cursor(text) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) <= 300


def test_numbers_become_metrics_of_their_own() -> None:
    names = ["hit@1", "hit_1", "a/b", "../x", "", "größe"]
    assert list(metric_names(names).values()) == [
        "submission/hit_1",
        "submission/hit_1_2",
        "submission/a/b",
        "submission/x",
        "submission/score",
        "submission/gr__e",
    ]


@pytest.mark.slow  # imports MLflow
@settings(deadline=None)
@given(st.lists(st.text(max_size=20), unique=True, max_size=6))
def test_mlflow_takes_every_name(names) -> None:
    from mlflow.utils.validation import _validate_metric_name

    legal = metric_names(names)
    assert len(set(legal.values())) == len(names)
    for name in legal.values():
        _validate_metric_name(name)
