"""Sending to servers that are slow, broken, moved or gone; nothing is counted twice."""

import socket

import pytest

from outliers_bench.apps.submit.http_client import Answer, ServerError, check_url
from outliers_bench.apps.submit.post import post
from outliers_bench.errors import BenchError
from tests.servers import Reply, serving

GOOD = Reply(body=b'{"results": 1}')


def send(url, *, token=None, timeout=5.0, retries=3):
    """`post` without waiting; what it told, how long it would have waited, and the answer."""
    told, waited = [], []
    answer = post(
        f"{url}/retrieval/",
        b'{"x": 1}',
        token=token,
        timeout=timeout,
        retries=retries,
        tell=told.append,
        sleep=waited.append,
    )
    return answer, told, waited


def test_json_is_sent_once(monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))  # requests would send it
    with serving(lambda _: GOOD) as server:
        answer, told, waited = send(server.url)
    assert (answer.status, answer.body, told, waited) == (200, GOOD.body, [], [])
    (asked,) = server.requests
    assert (asked.method, asked.path, asked.body) == ("POST", "/retrieval/", b'{"x": 1}')
    assert asked.headers["content-type"] == "application/json"
    assert "authorization" not in asked.headers


def test_the_token_goes_into_a_header() -> None:
    with serving(lambda _: GOOD) as server:
        send(server.url, token="s3cret")
    assert server.requests[0].headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("bad", "why"), [(None, "no answer"), (Reply(502), "answered 502"), (Reply(503), "503")]
)
def test_where_nothing_was_answered_it_is_sent_again(bad, why) -> None:
    replies = [bad, bad, GOOD]
    with serving(lambda _: replies.pop(0)) as server:
        answer, told, waited = send(server.url)
    assert answer.body == GOOD.body
    assert len(server.requests) == 3
    assert waited == [1, 2]
    assert all(why in line for line in told)
    assert told[1].endswith("trying again in 2 s (2 of 3)")


def test_a_server_says_how_long_to_wait_within_reason() -> None:
    replies = [
        Reply(503, headers={"Retry-After": after}) for after in ("7", "99999", "nan", "Mon, 1 Jan")
    ]
    with serving(lambda _: replies.pop(0)) as server:
        answer, _, waited = send(server.url)
    assert answer.status == 503
    assert waited == [7, 60, 4]


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ServerError, match=r"no answer \(connection refused\), tried 3 times"):
            send(url, retries=2)


@pytest.mark.parametrize("status", [400, 404, 500, 501])
def test_an_answer_is_not_asked_for_again(status) -> None:
    with serving(lambda _: Reply(status, b"no")) as server:
        answer, _, _ = send(server.url)
    assert answer.status == status
    assert len(server.requests) == 1


def test_a_server_that_hangs_may_have_taken_it_so_it_is_not_sent_again() -> None:
    with (
        serving(lambda _: Reply(pause=1.5)) as server,
        pytest.raises(ServerError, match=r"not answered within 0\.2 s; it may have taken"),
    ):
        send(server.url, timeout=0.2)
    assert len(server.requests) == 1


def test_an_answer_that_drips_ends_with_the_time() -> None:
    drip = Reply(body=b" " * 200_000, slow=0.1)
    with (
        serving(lambda _: drip) as server,
        pytest.raises(ServerError, match=r"the answer was not complete after 0\.3 s"),
    ):
        send(server.url, timeout=0.3)
    assert len(server.requests) == 1


def test_an_answer_that_breaks_off() -> None:
    with (
        serving(lambda _: Reply(body=b'{"results": 0.5}', stop_after=5)) as server,
        pytest.raises(ServerError, match=r"answer \(200\) broke off after 5 bytes .*look there"),
    ):
        send(server.url)
    assert len(server.requests) == 1


def test_an_endless_answer_is_cut() -> None:
    with (
        serving(lambda _: Reply(body=b" " * (2**20 + 1))) as server,
        pytest.raises(ServerError, match="more than 1 MiB"),
    ):
        send(server.url)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_post_is_followed_and_the_token_stays(status) -> None:
    def moved(asked):
        return (
            GOOD if asked.path == "/new" else Reply(status, headers={"Location": "/new?key=hidden"})
        )

    def keeps(asked):
        return moved(asked) if "?" not in asked.path else GOOD

    with serving(keeps) as server, serving(keeps) as other:
        answer, told, _ = send(server.url, token="s3cret")
        assert answer.body == GOOD.body
        assert [asked.method for asked in server.requests] == ["POST", "POST"]
        assert server.requests[1].body == b'{"x": 1}'
        assert server.requests[1].headers["authorization"] == "Bearer s3cret"
        assert "following" in told[0]
        assert "hidden" not in told[0]

        def away(_):
            return Reply(status, headers={"Location": f"{other.url}/else?x"})

        with serving(away) as gone:
            send(gone.url, token="s3cret")
        assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_lose_the_submission_is_explained(status) -> None:
    with (
        serving(lambda _: Reply(status, headers={"Location": "/results/"})) as server,
        pytest.raises(BenchError, match=rf"redirects to {server.url}/results/ by {status}"),
    ):
        send(server.url)
    assert len(server.requests) == 1


def test_redirects_in_a_circle_and_to_nowhere() -> None:
    with (
        serving(lambda _: Reply(307, headers={"Location": "/x"})) as server,
        pytest.raises(ServerError, match="redirects more than 5 times"),
    ):
        send(server.url)
    for nowhere in ("ftp://x/", "http://[", "http://x:99999999/", "file:///etc/passwd"):
        with (
            serving(lambda _, to=nowhere: Reply(308, headers={"Location": to})) as server,
            pytest.raises(ServerError, match="no web address"),
        ):
            send(server.url)


def test_never_from_https_to_http(monkeypatch) -> None:
    moved = Answer("", 307, {"location": "http://zoo.example/"}, b"")
    asked = []
    monkeypatch.setattr(
        "outliers_bench.apps.submit.post.exchange",
        lambda _, url, *__, **___: asked.append(url) or moved,
    )
    with pytest.raises(BenchError, match=r"from https to http://zoo\.example/, where anybody"):
        post("https://zoo.example/", b"{}")
    assert asked == ["https://zoo.example/"]


@pytest.mark.parametrize(
    "url", ["", "zoo.example/x", "ftp://zoo.example", "http://", "http://[", "http://x:port/"]
)
def test_what_is_no_address(url) -> None:
    with pytest.raises(BenchError, match="no web address"):
        check_url(url)


def test_a_password_in_an_address_is_neither_taken_nor_shown() -> None:
    with pytest.raises(BenchError, match="take the name and password") as told:
        check_url("https://me:hunter2@zoo.example/")
    assert "hunter2" not in str(told.value)
