"""POST requests to slow, faulty and moved servers; no submission counts twice."""

import socket

import pytest
from requests import Request, Response

from outliers_bench.apps.submit.post import ServerError, check_url, post
from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import HttpError
from tests.servers import Reply, serving

GOOD = Reply(body=b'{"results": 1}')


def send(url, *, token=None, timeout=5.0, retries=3):
    """Call `post` without waiting; return the response, the messages and the pauses."""
    messages, pauses = [], []
    response = post(
        f"{url}/retrieval/",
        b'{"x": 1}',
        token=token,
        timeout=timeout,
        retries=retries,
        report=messages.append,
        sleep=pauses.append,
    )
    return response, messages, pauses


def test_json_is_sent_once(monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))  # requests would send it
    with serving(lambda _: GOOD) as server:
        response, messages, pauses = send(server.url)
    assert (response.status, response.body, messages, pauses) == (200, GOOD.body, [], [])
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/retrieval/", b'{"x": 1}')
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers


def test_token_is_sent_in_a_header() -> None:
    with serving(lambda _: GOOD) as server:
        send(server.url, token="s3cret")
    assert server.requests[0].headers["authorization"] == "Bearer s3cret"


def test_token_is_sent_to_a_host_whose_name_is_not_ascii(monkeypatch) -> None:
    sent = []

    def reply(_, method, url, **options):
        sent.append(Request(method, url, auth=options["auth"]).prepare())
        raise HttpError("enough")

    monkeypatch.setattr("outliers_bench.runtime.http.send", reply)
    with pytest.raises(ServerError, match="enough"):
        send("https://bücher.example", token="s3cret")
    assert sent[0].url == "https://xn--bcher-kva.example/retrieval/"
    assert sent[0].headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(None, "no response"), (Reply(502), "responded with 502"), (Reply(503), "503")],
)
def test_request_without_a_response_is_repeated(reply, reason) -> None:
    replies = [reply, reply, GOOD]
    with serving(lambda _: replies.pop(0)) as server:
        response, messages, pauses = send(server.url)
    assert response.body == GOOD.body
    assert len(server.requests) == 3
    assert pauses == [1, 2]
    assert all(reason in message for message in messages)
    assert messages[1].endswith("trying again in 2 s (2 of 3)")


def test_retry_after_is_obeyed_within_limits() -> None:
    replies = [
        Reply(503, headers={"Retry-After": after}) for after in ("7", "99999", "nan", "Mon, 1 Jan")
    ]
    with serving(lambda _: replies.pop(0)) as server:
        response, _, pauses = send(server.url)
    assert response.status == 503
    assert pauses == [7, 60, 4]


def test_connection_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ServerError, match=r"no response \(connection refused\), tried 3 times"):
            send(url, retries=2)


@pytest.mark.parametrize("status", [400, 404, 500, 501])
def test_request_with_a_response_is_not_repeated(status) -> None:
    with serving(lambda _: Reply(status, b"no")) as server:
        response, _, _ = send(server.url)
    assert response.status == status
    assert len(server.requests) == 1


def test_request_is_not_repeated_after_a_timeout() -> None:
    with (
        serving(lambda _: Reply(pause=1.5)) as server,
        pytest.raises(ServerError, match=r"not responded within 0\.2 s; it may have accepted"),
    ):
        send(server.url, timeout=0.2)
    assert len(server.requests) == 1


def test_slow_response_is_ended_by_the_timeout() -> None:
    slow = Reply(body=b" " * 200_000, slow=0.1)
    with (
        serving(lambda _: slow) as server,
        pytest.raises(ServerError, match=r"the response was incomplete after 0\.3 s"),
    ):
        send(server.url, timeout=0.3)
    assert len(server.requests) == 1


def test_response_that_breaks_off() -> None:
    with (
        serving(lambda _: Reply(body=b'{"results": 0.5}', stop_after=5)) as server,
        pytest.raises(ServerError, match=r"response \(200\) broke off after 5 bytes .*check there"),
    ):
        send(server.url)
    assert len(server.requests) == 1


def test_endless_response_is_refused() -> None:
    with (
        serving(lambda _: Reply(body=b" " * (2**20 + 1))) as server,
        pytest.raises(ServerError, match="more than 1 MiB"),
    ):
        send(server.url)


@pytest.mark.parametrize("status", [307, 308])
def test_redirect_of_a_post_is_followed_and_the_token_stays_on_the_host(status) -> None:
    def redirect(request):
        if "?" in request.path:
            return GOOD
        return Reply(status, headers={"Location": "/new?key=hidden"})

    with serving(redirect) as server, serving(redirect) as other:
        response, messages, _ = send(server.url, token="s3cret")
        assert response.body == GOOD.body
        assert [request.method for request in server.requests] == ["POST", "POST"]
        assert server.requests[1].body == b'{"x": 1}'
        assert server.requests[1].headers["authorization"] == "Bearer s3cret"
        assert "following" in messages[0]
        assert "hidden" not in messages[0]

        def redirect_to_other_host(_):
            return Reply(status, headers={"Location": f"{other.url}/else?x"})

        with serving(redirect_to_other_host) as first:
            send(first.url, token="s3cret")
        assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirect_that_would_lose_the_body_is_an_error(status) -> None:
    with (
        serving(lambda _: Reply(status, headers={"Location": "/results/"})) as server,
        pytest.raises(BenchError, match=rf"redirects to {server.url}/results/ by {status}"),
    ):
        send(server.url)
    assert len(server.requests) == 1


def test_circular_and_invalid_redirects() -> None:
    with (
        serving(lambda _: Reply(307, headers={"Location": "/x"})) as server,
        pytest.raises(ServerError, match="redirected more than 10 times"),
    ):
        send(server.url)
    for target in ("ftp://x/", "http://[", "http://x:99999999/", "file:///etc/passwd"):
        with (
            serving(lambda _, to=target: Reply(308, headers={"Location": to})) as server,
            pytest.raises(ServerError, match="which is refused"),
        ):
            send(server.url)


def test_redirect_from_https_to_http_is_refused(monkeypatch) -> None:
    redirect = Response()
    redirect.status_code, redirect.headers["Location"] = 307, "http://zoo.example/"
    urls = []
    monkeypatch.setattr(
        "outliers_bench.runtime.http.send",
        lambda _, method, url, **__: urls.append((method, url)) or redirect,
    )
    with pytest.raises(ServerError, match=r"from https to http://zoo\.example/, which is refused"):
        send("https://zoo.example")
    assert urls == [("POST", "https://zoo.example/retrieval/")]


@pytest.mark.parametrize(
    "url", ["", "zoo.example/x", "ftp://zoo.example", "http://", "http://[", "http://x:port/"]
)
def test_invalid_urls_are_refused(url) -> None:
    with pytest.raises(BenchError, match="not a web address"):
        check_url(url)


def test_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(BenchError, match="remove the name and password") as error:
        check_url("https://me:hunter2@zoo.example/")
    assert "hunter2" not in str(error.value)
