"""Downloads against a server on this machine that does all that servers do wrong."""

import hashlib
import io
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from outliers_bench.data.download import fetch as fetching
from outliers_bench.data.download import http_download as answers
from outliers_bench.data.download.checksum import DownloadError, FirstSeen, RemoteFile
from outliers_bench.data.download.fetch import fetch
from tests.servers import Reply, in_parts, serving

BODY = np.random.default_rng(0).bytes(300_000)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(answers, "TIMEOUTS", (2, 0.4))


def remote_of(server, body=BODY, **others):
    digest = hashlib.sha256(body).hexdigest()
    return RemoteFile("photos.zip", f"{server.url}/photos.zip", len(body), digest, **others)


@pytest.fixture
def get(tmp_path):
    def get(remote, **options):
        seen = FirstSeen(tmp_path / "seen.json")
        return fetch(remote, tmp_path, seen=seen, **{"largest": 10**6, **options})

    return get


def ranges(server):
    return [asked.headers.get("range") for asked in server.requests]


def test_a_file_is_fetched_once_and_leaves_nothing_beside_it(tmp_path, get):
    with serving(lambda asked: in_parts(BODY, asked)) as server:
        assert get(remote_of(server))
        assert not get(remote_of(server))
        assert server.requests[0].headers["accept-encoding"] == "identity"
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]
    assert len(server.requests) == 1


def test_broken_connections_are_taken_up_where_they_broke(tmp_path, get):
    def answer(asked):
        return replace(in_parts(BODY, asked), stop_after=50_000)

    with serving(answer) as server:
        get(remote_of(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert ranges(server) == [None, *(f"bytes={50_000 * i}-" for i in range(1, 6))]
    assert {asked.headers["if-range"] for asked in server.requests[1:]} == {'"1"'}


def test_a_server_without_ranges_starts_anew(tmp_path, get):
    def answer(asked):
        cut = 70_000 if len(server.requests) == 1 else None
        return Reply(200, BODY, {"ETag": '"1"'}, stop_after=cut)

    with serving(answer) as server:
        get(remote_of(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert len(server.requests) == 2


def test_a_file_that_changed_meanwhile_starts_anew(tmp_path, get):
    old = bytes(len(BODY))

    def answer(asked):
        if len(server.requests) == 1:
            return replace(in_parts(old, asked), stop_after=70_000)
        return in_parts(BODY, asked, etag='"2"')

    with serving(answer) as server:
        get(remote_of(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert ranges(server)[1] == "bytes=70000-"


def test_without_a_digest_or_a_name_for_the_content_nothing_is_taken_up(tmp_path, get):
    def answer(asked):
        cut = 70_000 if len(server.requests) == 1 else None
        return Reply(200, BODY, {"ETag": 'W/"1"'}, stop_after=cut)

    with serving(answer) as server:
        get(RemoteFile("photos.zip", f"{server.url}/photos.zip"))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert ranges(server) == [None, None]


def test_a_part_of_something_else_is_refused(get):
    def answer(asked):
        if len(server.requests) == 1:
            return replace(in_parts(BODY, asked), stop_after=70_000)
        return Reply(206, BODY, {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"})

    with serving(answer) as server, pytest.raises(DownloadError, match="another part than was"):
        get(remote_of(server))


def test_a_wrong_digest_is_told_and_tried_once_more(tmp_path, get, capsys):
    wrong = bytes(len(BODY))
    with serving(lambda asked: in_parts(wrong, asked)) as server:
        with pytest.raises(
            DownloadError,
            match=f"^{server.url}/photos.zip: what comes is not what was published: its sha256",
        ):
            get(remote_of(server))
        assert len(server.requests) == 2
    assert "removed, once more" in capsys.readouterr().err
    assert not (tmp_path / "photos.zip").exists()
    assert not (tmp_path / "photos.zip.part").exists()
    with serving(lambda asked: in_parts(BODY, asked)) as server:
        assert get(remote_of(server))


def test_an_md5_counts_where_nothing_better_is_published(get):
    md5 = hashlib.md5(BODY).hexdigest()
    with serving(lambda asked: in_parts(BODY, asked)) as server:
        remote = replace(remote_of(server), sha256=None)
        with pytest.raises(DownloadError, match="its md5 is"):
            get(replace(remote, md5="0" * 32))
        assert get(replace(remote, md5=md5))


def test_without_a_published_digest_the_first_download_counts(tmp_path, get):
    body = [BODY]
    with serving(lambda asked: in_parts(body[0], asked, etag=str(hash(body[0])))) as server:
        remote = RemoteFile("photos.zip", f"{server.url}/photos.zip")
        get(remote)
        (tmp_path / "photos.zip").unlink()
        get(remote)
        (tmp_path / "photos.zip").unlink()
        body[0] = BODY[::-1]
        with pytest.raises(DownloadError, match=r"at the first download.*remove .*seen\.json"):
            get(remote)


def test_a_file_put_there_by_hand_is_checked_and_never_removed(tmp_path, get):
    (tmp_path / "photos.zip").write_bytes(BODY[:-1])
    with serving(lambda asked: None) as server:
        with pytest.raises(DownloadError, match="it has 299,999 bytes, the published file 300,000"):
            get(remote_of(server))
        assert (tmp_path / "photos.zip").read_bytes() == BODY[:-1]
        (tmp_path / "photos.zip").write_bytes(BODY)
        assert not get(remote_of(server))
    assert server.requests == []


def test_unverified_takes_whatever_comes(tmp_path, get):
    with serving(lambda asked: in_parts(b"an excerpt", asked)) as server:
        get(remote_of(server), verify=False)
    assert (tmp_path / "photos.zip").read_bytes() == b"an excerpt"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(200, BODY[:1000]), "the server has 1,000 bytes, the published file 300,000"),
        (Reply(200, BODY + b"x"), "the server has 300,001 bytes"),
        (
            Reply(200, BODY + b"x", {"Content-Length": None}),
            "the server sends more than the 300,000 bytes it should",
        ),
        (Reply(404), r"^http://[\d.:]+/photos\.zip: the server answers 404 Not Found$"),
        (Reply(403), "the server answers 403 Forbidden"),
    ],
)
def test_what_no_trying_mends_is_told_at_once(tmp_path, get, reply, said):
    with serving(lambda asked: reply) as server, pytest.raises(DownloadError, match=said):
        get(remote_of(server))
    assert len(server.requests) == 1
    assert not (tmp_path / "photos.zip").exists()


def test_a_truncated_answer_without_a_length_is_noticed(get):
    reply = Reply(200, BODY[:1000], {"Content-Length": None})
    with (
        serving(lambda asked: reply) as server,
        pytest.raises(DownloadError, match="closed after 1,000 of 300,000 bytes"),
    ):
        get(remote_of(server))
    assert len(server.requests) == fetching.TRIES


@pytest.mark.parametrize(
    "length", [{}, {"Content-Length": None}], ids=["announced", "not announced"]
)
def test_no_more_is_taken_than_the_limit(tmp_path, get, length):
    with serving(lambda asked: Reply(200, BODY, length)) as server:
        remote = RemoteFile("photos.zip", f"{server.url}/photos.zip")
        with pytest.raises(DownloadError, match=r"more than the (200 KB|200,000 bytes)"):
            get(remote, largest=200_000)
    assert not (tmp_path / "photos.zip.part").exists()


def test_errors_that_pass_are_waited_for(tmp_path, get):
    first = [Reply(500), Reply(503, headers={"Retry-After": "0"}), None, Reply(429)]

    def answer(asked):
        return first.pop(0) if first else in_parts(BODY, asked)

    with serving(answer) as server:
        get(remote_of(server))
    assert (tmp_path / "photos.zip").read_bytes() == BODY
    assert len(server.requests) == 5


def test_a_server_asks_for_a_pause_of_its_own(get, monkeypatch):
    slept = []
    monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=slept.append))
    first = [Reply(503, headers={"Retry-After": "7"}), Reply(429, headers={"Retry-After": "9000"})]
    with serving(lambda asked: first.pop(0) if first else in_parts(BODY, asked)) as server:
        get(remote_of(server))
    assert slept == [7, 60]


def test_a_server_that_hangs_is_given_up(get, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 2)
    with (
        serving(lambda asked: Reply(200, BODY, pause=3)) as server,
        pytest.raises(DownloadError, match=r"timed out.*\(2 tries\)"),
    ):
        get(remote_of(server))


def test_nobody_there_is_told_after_three_tries(get):
    with serving(lambda asked: None) as server:
        pass
    with pytest.raises(DownloadError, match=r"refused.*\(3 tries\)"):
        get(remote_of(server))


def test_redirects_are_followed_but_not_for_ever(tmp_path, get):
    def answer(asked):
        if asked.path == "/photos.zip":
            return Reply(302, headers={"Location": "/signed?key=1"})
        return in_parts(BODY, asked)

    with serving(answer) as server:
        get(remote_of(server))
        assert server.paths() == ["/photos.zip", "/signed?key=1"]
    (tmp_path / "photos.zip").unlink()
    with serving(lambda asked: Reply(302, headers={"Location": "/photos.zip"})) as server:
        with pytest.raises(DownloadError, match="redirected more than 10 times"):
            get(remote_of(server))
        assert len(server.requests) == 11


def test_what_is_encrypted_stays_encrypted(get, monkeypatch):
    import requests

    def answer(self, url, **_):
        found = requests.Response()
        found.status_code = 301
        found.headers["Location"] = "http://elsewhere/photos.zip"
        found.raw = io.BytesIO()
        return found

    monkeypatch.setattr(requests.Session, "get", answer)
    remote = RemoteFile("photos.zip", "https://somewhere/photos.zip")
    with pytest.raises(
        DownloadError,
        match=r"redirected from https to http://elsewhere/photos\.zip, which is refused",
    ):
        get(remote)


def test_a_list_of_first_digests_that_is_none_is_told(tmp_path, get):
    (tmp_path / "seen.json").write_text("[1]")
    with serving(lambda asked: in_parts(BODY, asked)) as server:
        with pytest.raises(DownloadError, match=r"seen\.json cannot be read .* mend it, or remove"):
            get(RemoteFile("photos.zip", f"{server.url}/photos.zip"))
        assert (tmp_path / "photos.zip.part").exists()  # nothing is fetched anew for that


@pytest.mark.parametrize("url", ["ftp://somewhere/x", "file:///etc/passwd", "photos", "http://"])
def test_other_addresses_are_refused(get, url):
    with pytest.raises(DownloadError, match=f"^{url}: "):
        get(RemoteFile("photos.zip", url))


def test_a_redirect_leads_to_no_file(get):
    with (
        serving(lambda asked: Reply(302, headers={"Location": "file:///etc/passwd"})) as server,
        pytest.raises(
            DownloadError, match="redirected from http to file:///etc/passwd, which is ref"
        ),
    ):
        get(remote_of(server))


SLOWLY = """
import sys
from pathlib import Path
from outliers_bench.data.download.fetch import fetch
from outliers_bench.data.download.checksum import FirstSeen, RemoteFile
url, size, digest, folder = sys.argv[1:]
remote = RemoteFile("photos.zip", url, int(size), digest)
fetch(remote, Path(folder), seen=FirstSeen(Path(folder) / "seen.json"), largest=10**6)
"""


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(tmp_path, get):
    with serving(lambda asked: replace(in_parts(BODY, asked), slow=0.05)) as server:
        remote = remote_of(server)
        said = [remote.url, str(remote.size), remote.sha256, str(tmp_path)]
        part = tmp_path / "photos.zip.part"
        process = subprocess.Popen([sys.executable, "-c", SLOWLY, *said], stderr=subprocess.DEVNULL)
        while process.poll() is None and not (part.exists() and part.stat().st_size > 60_000):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        had = part.stat().st_size
        assert 60_000 < had < len(BODY)
        get(remote)
    assert ranges(server) == [None, f"bytes={had}-"]
    assert (tmp_path / "photos.zip").read_bytes() == BODY
