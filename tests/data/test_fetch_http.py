"""Downloads: errors, retries, and redirects of the server."""

import io
from types import SimpleNamespace

import pytest

from outliers_bench.data.download import fetch as fetch_module
from outliers_bench.data.download.checksum import DownloadError, RemoteFile
from tests.data.downloads import BODY, remote_file
from tests.servers import Reply, in_parts, serving

pytestmark = pytest.mark.usefixtures("short_pauses", "short_timeouts")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(200, BODY[:1000]), "the server has 1,000 bytes, the published file 300,000"),
        (Reply(200, BODY + b"x"), "the server has 300,001 bytes"),
        (
            Reply(200, BODY + b"x", {"Content-Length": None}),
            "the server sends more than the expected 300,000 bytes",
        ),
        (Reply(404), r"^http://[\d.:]+/photos\.zip: the server returned 404 Not Found$"),
        (Reply(403), "the server returned 403 Forbidden"),
    ],
)
def test_permanent_errors_are_not_retried(tmp_path, download, reply, message):
    with serving(lambda request: reply) as server, pytest.raises(DownloadError, match=message):
        download(remote_file(server))
    assert len(server.requests) == 1
    assert not (tmp_path / "photos.zip").exists()


def test_truncated_response_without_length_is_detected(download):
    reply = Reply(200, BODY[:1000], {"Content-Length": None})
    with (
        serving(lambda request: reply) as server,
        pytest.raises(DownloadError, match="closed after 1,000 of 300,000 bytes"),
    ):
        download(remote_file(server))
    assert len(server.requests) == fetch_module.TRIES + 1


def test_transient_errors_are_retried(tmp_path, download):
    first = [Reply(500), Reply(503, headers={"Retry-After": "0"}), None, Reply(429)]

    def respond(request):
        return first.pop(0) if first else in_parts(BODY, request)

    with serving(respond) as server:
        download(remote_file(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert len(server.requests) == 5


def test_retry_after_is_respected(download, monkeypatch):
    slept = []
    monkeypatch.setattr(fetch_module, "time", SimpleNamespace(sleep=slept.append))
    first = [Reply(503, headers={"Retry-After": "7"}), Reply(429, headers={"Retry-After": "9000"})]
    with serving(lambda request: first.pop(0) if first else in_parts(BODY, request)) as server:
        download(remote_file(server))
    assert slept == [7, 60]


def test_hanging_server_times_out(download, monkeypatch):
    monkeypatch.setattr(fetch_module, "TRIES", 2)
    with (
        serving(lambda request: Reply(200, BODY, pause=3)) as server,
        pytest.raises(DownloadError, match=r"timed out.*\(2 tries\)"),
    ):
        download(remote_file(server))


def test_missing_server_is_reported(download):
    with serving(lambda request: None) as server:
        pass
    with pytest.raises(DownloadError, match=r"refused.*\(5 tries\)"):
        download(remote_file(server))


def test_redirects_are_followed_up_to_a_limit(tmp_path, download):
    def respond(request):
        if request.path == "/photos.zip":
            return Reply(302, headers={"Location": "/signed?key=1"})
        return in_parts(BODY, request)

    with serving(respond) as server:
        download(remote_file(server))
        assert server.paths() == ["/photos.zip", "/signed?key=1"]
    (tmp_path / "photos.zip").unlink()
    with serving(lambda request: Reply(302, headers={"Location": "/photos.zip"})) as server:
        with pytest.raises(DownloadError, match="redirected more than 10 times"):
            download(remote_file(server))
        assert len(server.requests) == 11


def test_redirect_from_https_to_http_is_refused(download, monkeypatch):
    import requests

    def respond(self, method, url, **_):
        response = requests.Response()
        response.status_code = 301
        response.headers["Location"] = "http://elsewhere/photos.zip"
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests.Session, "request", respond)
    remote = RemoteFile("photos.zip", "https://somewhere/photos.zip")
    with pytest.raises(
        DownloadError,
        match=r"redirected from https to http://elsewhere/photos\.zip, which is refused",
    ):
        download(remote)


@pytest.mark.parametrize("url", ["ftp://somewhere/x", "file:///etc/passwd", "photos", "http://"])
def test_other_schemes_are_refused(download, url):
    with pytest.raises(DownloadError, match=f"^{url}: "):
        download(RemoteFile("photos.zip", url))


def test_redirect_to_local_file_is_refused(download):
    with (
        serving(lambda request: Reply(302, headers={"Location": "file:///etc/passwd"})) as server,
        pytest.raises(
            DownloadError, match="redirected from http to file:///etc/passwd, which is ref"
        ),
    ):
        download(remote_file(server))
