"""The server in a separate process: submissions, refusals, kills, secrets."""

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from outliers_bench.web.server import listen
from tests.competition_server import CLASSES, IMAGES, run_server, submission_json, write_photos


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("competition")
    root = write_photos(folder)
    options = ("max_rank=4", "per_hour=9", "trusted_proxies=127.0.0.2")
    with run_server(f"root={root}", *options, cwd=folder) as running:
        running.store = folder / "competition.db"
        yield running


def send(server, headers, source, sent=b""):
    """Send a request from another address of this machine, and return what is answered."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)) as client:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /retrieval HTTP/1.1\r\nConnection: close\r\n{lines}"
        client.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    return received


def test_other_hosts_and_pages_of_other_sites_are_refused(server) -> None:
    own = {"Host": server.url.removeprefix("http://")}
    assert send(server, {"Host": "evil.example"}, "127.0.0.1").startswith(b"HTTP/1.1 421")
    site = {"Origin": "https://evil.example"}
    assert send(server, own | site, "127.0.0.1").startswith(b"HTTP/1.1 403")
    assert send(server, own, "127.0.0.1").startswith(b"HTTP/1.1 400")


def test_only_a_trusted_proxy_says_whose_submission_it_is(server) -> None:
    headers = {"Host": server.url.removeprefix("http://"), "X-Forwarded-For": "10.1.2.3"}
    for source, group in (("127.0.0.2", "by proxy"), ("127.0.0.3", "forged")):
        body = submission_json(group=group)
        assert b"200 OK" in send(server, headers, source, body)
    rows = sqlite3.connect(server.store).execute("SELECT groupname, address FROM submissions_1")
    addresses = dict(rows.fetchall())
    assert (addresses["by proxy"], addresses["forged"]) == ("10.1.2.3", "127.0.0.3")


def test_connections_of_an_address_are_limited(server) -> None:
    port = int(server.url.rpartition(":")[2])
    slow = [socket.create_connection(("127.0.0.1", port), 10, ("127.0.0.4", 0)) for _ in range(41)]
    assert slow[0].recv(1) == b""  # closed, long before its time is over
    for each in slow:
        each.close()


def test_a_plain_post_is_accepted_and_scored(server) -> None:
    body = submission_json(group="plain")
    for response in (
        requests.post(f"{server.url}/results/", body.decode(), timeout=30),
        requests.post(f"{server.url}/retrieval/", json=json.loads(body), timeout=30),
    ):
        assert response.status_code == 200
        content = response.json()
        assert content["accepted"] is True
        assert content["results"]["hit_at_1"] == content["accuracy"] == 1 / 2
        assert content["results"]["hit_at_3"] == 1


def test_the_leaderboard_as_html_and_json(server) -> None:
    for group in ("<i>x</i>", "second"):
        assert requests.post(f"{server.url}/retrieval", submission_json(group=group), timeout=30).ok
    page = requests.get(server.url, timeout=30)
    assert "&lt;i&gt;x&lt;/i&gt;" in page.text
    assert "<i>" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.headers["x-content-type-options"] == "nosniff"
    data = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
    groups = {row["group"]: row for row in data["groups"]}
    assert groups["second"]["best"]["scores"]["hit_at_1"] == 1 / 2
    assert groups["second"]["submissions"] == 1


def test_no_response_contains_a_label(server) -> None:
    invalid = [
        submission_json(q1=["nosuch.jpg"]),
        submission_json(q1=None),
        submission_json(q8=["g1.jpg"]),
        b"{",
        submission_json(group=1),
    ]
    responses = [requests.post(f"{server.url}/retrieval/", body, timeout=30) for body in invalid]
    assert {response.status_code for response in responses} == {400, 422}
    assert responses[0].json()["files"] == ["nosuch.jpg"]
    paths = ("", "/leaderboard.json", "/files", "/results/", "/docs", "/openapi.json")
    responses += [requests.get(server.url + path, timeout=30) for path in paths]
    assert [response.status_code for response in responses[-3:]] == [405, 404, 404]
    assert responses[-4].json()["query"] == sorted(IMAGES)
    for response in responses:
        text = response.text
        content = text.partition("</style>")[2] if "<style" in text else text
        assert not any(label in content for label in CLASSES)


def test_the_rate_and_the_size_of_submissions_are_limited(server) -> None:
    codes = [
        requests.post(
            f"{server.url}/retrieval/", submission_json(group=f"invented {i}"), timeout=30
        ).status_code
        for i in range(10)
    ]
    assert (codes[0], codes[-1]) == (200, 429)

    def endless():
        while True:
            yield b" " * 65536

    for body in (b" " * 200_000, (b" " * 1000 for _ in range(200))):
        response = requests.post(f"{server.url}/retrieval/", body, timeout=30)
        assert response.status_code == 413
        assert "larger than" in response.json()["error"]
    try:
        response = requests.post(f"{server.url}/retrieval/", endless(), timeout=30)
    except requests.ConnectionError:  # disconnected while still sending
        return
    assert response.status_code == 413


@pytest.mark.slow
def test_a_token_a_deadline_and_hidden_scores(tmp_path) -> None:
    root = write_photos(tmp_path)
    options = (f"root={root}", "public=false", "deadline=2999-01-01T00:00+00:00", "per_minute=5")
    with run_server(*options, cwd=tmp_path, OUTLIERS_BENCH_TOKEN="s3cret") as server:
        url = f"{server.url}/retrieval/"
        for wrong in (
            {},
            {"Authorization": "s3cret"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "Bearer \xff"},
        ):
            response = requests.post(url, submission_json(), headers=wrong, timeout=30)
            assert response.status_code == 401
            assert "s3cret" not in response.text
        headers = {"Authorization": "bearer s3cret"}
        response = requests.post(url, submission_json(), headers=headers, timeout=30)
        assert response.json()["accepted"] is True
        assert "results" not in response.json()
        assert "accuracy" not in response.json()
        assert response.json()["message"].startswith("accepted; scores are not shown before 2999")
        response = requests.post(url, submission_json(), timeout=30)
        assert response.status_code == 429
        assert 0 < int(response.headers["retry-after"]) <= 61
        data = requests.get(f"{server.url}/leaderboard.json", timeout=30)
        assert "0.5" not in data.text
        assert "stopped; submissions in competition.db: 1" in server.interrupt()
        assert server.process.returncode == 0
    final = ("root=labeled", "cache=cache", "results=final.json", "public_share=0.5")
    done = subprocess.run(
        [sys.executable, "-m", "outliers_bench.competition", *final],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "written: final.json (1 groups)" in done.stdout
    content = json.loads((tmp_path / "final.json").read_text())
    assert (content["scored_part"], content["groups"][0]["group"]) == ("private", "outliers")
    assert content["groups"][0]["best"]["scores"]["hit_at_1"] in (0, 1)  # of one query
    closed = (f"root={root}", "public=false", "deadline=2020-01-01T00:00")
    with run_server(*closed, cwd=tmp_path) as server:
        response = requests.post(f"{server.url}/retrieval/", submission_json(), timeout=30)
        assert response.status_code == 403
        assert "the competition closed on 2020" in response.json()["error"]
        data = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
        assert data["groups"][0]["best"]["scores"]["hit_at_1"] == 1 / 2


@pytest.mark.slow
def test_accepted_submissions_survive_the_kill_of_two_servers_with_one_store(tmp_path) -> None:
    root = write_photos(tmp_path)
    options = (f"root={root}", "per_minute=1000", "per_hour=1000", "per_day=1000")
    accepted = []

    def submit_repeatedly(url, group):
        try:
            while True:
                body = submission_json(group=group)
                response = requests.post(f"{url}/retrieval/", body, timeout=30)
                accepted.append(response.json()["id"])
        except requests.RequestException:  # killed
            return

    with (
        run_server(*options, cwd=tmp_path) as first,
        run_server(*options, cwd=tmp_path) as second,
        ThreadPoolExecutor(4) as pool,
    ):
        futures = [
            pool.submit(submit_repeatedly, server.url, group)
            for server in (first, second)
            for group in ("a", "b")
        ]
        while len(accepted) < 40 and not all(future.done() for future in futures):
            time.sleep(0.01)
        for server in (first, second):
            server.process.send_signal(signal.SIGKILL)
    with run_server(*options, cwd=tmp_path) as server:
        data = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
        counted = sum(row["submissions"] for row in data["groups"])
    stored = {
        row[0]
        for row in sqlite3.connect(tmp_path / "competition.db").execute(
            "SELECT id FROM submissions_1"
        )
    }
    assert len(set(accepted)) == len(accepted) >= 40
    assert stored >= set(accepted)
    assert counted == len(stored) <= len(accepted) + 4  # one per thread may be unconfirmed


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_every_address_of_both_families_can_be_listened_at(capsys) -> None:
    with listen("::", 0, warning="") as listening:
        port = listening.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=10).close()
    assert "host=:: accepts unencrypted connections" in capsys.readouterr().err
