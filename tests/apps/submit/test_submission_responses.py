"""Responses of servers: scores of any structure, rejections and faults."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.submit.post import ServerError, ServerResponse
from outliers_bench.apps.submit.record import metric_names
from outliers_bench.apps.submit.response import read_scores, redact_token, to_one_line
from outliers_bench.errors import BenchError

PAGE = b"""<!DOCTYPE html><html><head><title>502 Bad &amp; gone</title>
<script>alert("x")</script></head><body><h1>nginx</h1></body></html>"""


def response(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ServerResponse("http://zoo.example/retrieval/?key=hidden", status, headers, content)


@pytest.mark.parametrize(
    ("content", "texts", "numbers"),
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
def test_scores_of_any_structure(content, texts, numbers) -> None:
    scores = read_scores(response(content))
    assert dict(scores.texts) == texts
    assert scores.numbers == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            response(PAGE),
            r"with 200, but not with JSON: an HTML page with the text '502 Bad & gone'",
        ),
        (
            response(b"<h1>Oh\x1b[2J</h1><script>x</script>"),
            r"an HTML page with the text 'Oh \[2J'",
        ),
        (response(b""), "not with JSON: nothing"),
        (response(b"[" * 100_000), "not with JSON"),
        (response([0.5]), r"JSON without results: \[0\.5\]"),
        (response({"status": "queued"}), "JSON without results or accuracy"),
        (response({"accepted": "yes"}), "JSON without results or accuracy"),
        (response({"results": {}, "accuracy": []}), "JSON without results or accuracy"),
        (response(PAGE, 500), "responded with 500: an HTML page with the text"),
        (response({"detail": [{"msg": "no"}]}, 503), r"responded with 503: \[{\"msg\": \"no\"}\]"),
        (response(b"", 304), "responded with 304"),
    ],
)
def test_errors_of_the_server(reply, message) -> None:
    with pytest.raises(ServerError, match=message) as error:
        read_scores(reply)
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (response({"error": "query 1.jpg is missing"}, 422), r"\(422\): query 1\.jpg is missing$"),
        (response({"detail": "no"}, 401), "OUTLIERS_BENCH_TOKEN"),
        (response(PAGE, 404), r"correct url="),
        (response({"error": "slow"}, 429, **{"retry-after": "9"}), "slow; try again in 9 s"),
    ],
)
def test_rejections(reply, message) -> None:
    with pytest.raises(BenchError, match=message):
        read_scores(reply)


@pytest.mark.parametrize(
    ("token", "body", "expected"),
    [
        ("s3cret", b"<p>s3cret is wrong", b"<p>(the token) is wrong"),
        ("2026", b'{"results": 0.2026, "at": "2026"}', b'{"results": 0.2026, "at": "(the token)"}'),
        ("results", b'{"results": 1, "x": "no results"}', b'{"results": 1, "x": "no (the token)"}'),
        ('a"b', rb'{"x": "\"a\"b\""}', rb'{"x": "\"(the token)\""}'),
    ],
)
def test_token_in_a_response_is_redacted_and_json_remains_valid(token, body, expected) -> None:
    assert redact_token(response(body), token).body == expected


@given(st.text(max_size=500))
def test_messages_are_one_printable_line(text) -> None:
    assert to_one_line(text).isprintable()
    assert len(to_one_line(text)) <= 300


def test_metric_names_are_unique() -> None:
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
def test_metric_names_are_valid_in_mlflow(names) -> None:
    from mlflow.utils.validation import _validate_metric_name

    metrics = metric_names(names)
    assert len(set(metrics.values())) == len(names)
    for name in metrics.values():
        _validate_metric_name(name)


@pytest.mark.parametrize("unclosed", ["<script>", "<style>", "<title>", "<title ", "<"])
def test_long_pages_of_unclosed_tags_are_read_at_once(unclosed) -> None:
    page = (f"<p>gone</p>{unclosed}" + unclosed * (2**20 // len(unclosed))).encode()
    start = time.process_time()
    with pytest.raises(ServerError, match="HTML page"):
        read_scores(response(page, **{"content-type": "text/html"}))
    assert time.process_time() - start < 0.5
