"""Downloads: resumption, verification, and limits."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from outliers_bench.data.download.checksum import DownloadError, RemoteFile, find_mismatch
from tests.data.downloads import BODY, ranges, remote_file
from tests.servers import Reply, in_parts, serving

pytestmark = pytest.mark.usefixtures("short_pauses", "short_timeouts")


def test_file_is_downloaded_once_without_other_files(tmp_path, download):
    with serving(lambda request: in_parts(BODY, request)) as server:
        assert download(remote_file(server))
        assert not download(remote_file(server))
        assert server.requests[0].headers["accept-encoding"] == "identity"
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]
    assert len(server.requests) == 1


def test_interrupted_downloads_are_resumed(tmp_path, download):
    def respond(request):
        return replace(in_parts(BODY, request), stop_after=50_000)

    with serving(respond) as server:
        download(remote_file(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert ranges(server) == [None, *(f"bytes={50_000 * i}-" for i in range(1, 6))]
    assert {request.headers["if-range"] for request in server.requests[1:]} == {'"1"'}


def test_server_without_ranges_restarts_the_download(tmp_path, download):
    def respond(request):
        cut = 70_000 if len(server.requests) == 1 else None
        return Reply(200, BODY, {"ETag": '"1"'}, stop_after=cut)

    with serving(respond) as server:
        download(remote_file(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert len(server.requests) == 2


def test_changed_file_restarts_the_download(tmp_path, download):
    old = bytes(len(BODY))

    def respond(request):
        if len(server.requests) == 1:
            return replace(in_parts(old, request), stop_after=70_000)
        return in_parts(BODY, request, etag='"2"')

    with serving(respond) as server:
        download(remote_file(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert ranges(server)[1] == "bytes=70000-"


def test_download_without_digest_or_strong_etag_is_not_resumed(tmp_path, download):
    def respond(request):
        cut = 70_000 if len(server.requests) == 1 else None
        return Reply(200, BODY, {"ETag": 'W/"1"'}, stop_after=cut)

    with serving(respond) as server:
        download(RemoteFile("photos.zip", f"{server.url}/photos.zip"))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert ranges(server) == [None, None]


def test_other_range_is_refused(download):
    def respond(request):
        if len(server.requests) == 1:
            return replace(in_parts(BODY, request), stop_after=70_000)
        return Reply(206, BODY, {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"})

    with (
        serving(respond) as server,
        pytest.raises(DownloadError, match="another range than requested"),
    ):
        download(remote_file(server))


def test_wrong_digest_is_reported_and_retried_once(tmp_path, download, capsys):
    wrong = bytes(len(BODY))
    with serving(lambda request: in_parts(wrong, request)) as server:
        with pytest.raises(
            DownloadError,
            match=f"^{server.url}/photos.zip: the download differs from the published file: its",
        ):
            download(remote_file(server))
        assert len(server.requests) == 2
    assert "removed, trying again" in capsys.readouterr().err
    assert not (tmp_path / "photos.zip").exists()
    assert not (tmp_path / "photos.zip.part").exists()
    with serving(lambda request: in_parts(BODY, request)) as server:
        assert download(remote_file(server))


def test_first_download_counts_without_published_digest(tmp_path, download):
    body = [BODY]
    with serving(lambda request: in_parts(body[0], request, etag=str(hash(body[0])))) as server:
        remote = RemoteFile("photos.zip", f"{server.url}/photos.zip")
        download(remote)
        (tmp_path / "photos.zip").unlink()
        download(remote)
        (tmp_path / "photos.zip").unlink()
        body[0] = BODY[::-1]
        with pytest.raises(DownloadError, match=r"at the first download.*remove .*seen\.json"):
            download(remote)


def test_existing_file_is_verified_and_never_removed(tmp_path, download):
    (tmp_path / "photos.zip").write_bytes(BODY[:-1])
    with serving(lambda request: None) as server:
        with pytest.raises(DownloadError, match="it has 299,999 bytes, the published file 300,000"):
            download(remote_file(server))
        assert (tmp_path / "photos.zip").read_bytes() == BODY[:-1]
        (tmp_path / "photos.zip").write_bytes(BODY)
        assert not download(remote_file(server))
    assert server.requests == []


def test_unverified_download_accepts_any_content(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"an excerpt")
    assert find_mismatch(tmp_path / "photos.zip", RemoteFile("photos.zip", "", 1), None) is None


@pytest.mark.parametrize(
    "length", [{}, {"Content-Length": None}], ids=["announced", "not announced"]
)
def test_download_size_is_limited(tmp_path, download, length):
    with serving(lambda request: Reply(200, BODY, length)) as server:
        remote = RemoteFile("photos.zip", f"{server.url}/photos.zip")
        with pytest.raises(
            DownloadError, match=r"more than the (limit of 195\.3 KiB|expected 200,000 bytes)"
        ):
            download(remote, largest=200_000)
    assert not (tmp_path / "photos.zip.part").exists()


def test_damaged_file_of_first_digests_is_reported(tmp_path, download):
    with serving(lambda request: in_parts(BODY, request)) as server:
        for damaged in ("", "[1]"):
            (tmp_path / "seen.json").write_text(damaged)
            with pytest.raises(DownloadError, match=r"seen\.json is damaged .*; remove it"):
                download(RemoteFile("photos.zip", f"{server.url}/photos.zip"))
        assert (tmp_path / "photos.zip.part").exists()


SCRIPT = """
import sys
from pathlib import Path
from outliers_bench.data.download.fetch import fetch
from outliers_bench.data.download.checksum import RemoteFile
url, size, digest, folder = sys.argv[1:]
remote = RemoteFile("photos.zip", url, int(size), digest)
fetch(remote, Path(folder), first_seen=Path(folder) / "seen.json", largest=10**6)
"""


@pytest.mark.slow
def test_killed_download_is_resumed(tmp_path, download):
    with serving(lambda request: replace(in_parts(BODY, request), slow=0.05)) as server:
        remote = remote_file(server)
        arguments = [remote.url, str(remote.size), remote.sha256, str(tmp_path)]
        part = tmp_path / "photos.zip.part"
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments], stderr=subprocess.DEVNULL
        )
        while process.poll() is None and not (part.exists() and part.stat().st_size > 60_000):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        received = part.stat().st_size
        assert 60_000 < received < len(BODY)
        download(remote)
    assert ranges(server) == [None, f"bytes={received}-"]
    assert (tmp_path / "photos.zip").read_bytes() == BODY
