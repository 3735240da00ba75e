"""The real server, as a process of its own: submissions, refusals, kills, secrets."""

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

from outliers_bench.apps.competition.command import serve
from outliers_bench.apps.competition.options import PROGRAM, Competition
from outliers_bench.runtime.command_line import main
from tests.held import CLASSES, IMAGES, competition, lay_out, sent


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("competition")
    root = lay_out(folder)
    with competition(f"root={root}", "max_rank=4", "per_hour=5", cwd=folder) as server:
        yield server


def test_a_plain_post_is_accepted_and_scored(running) -> None:
    body = sent(group="plain")
    for answer in (
        requests.post(f"{running.url}/results/", body.decode(), timeout=30),
        requests.post(f"{running.url}/retrieval/", json=json.loads(body), timeout=30),
    ):
        assert answer.status_code == 200
        content = answer.json()
        assert content["accepted"] is True
        assert content["results"]["hit_at_1"] == content["accuracy"] == 1 / 2
        assert content["results"]["hit_at_3"] == 1


def test_the_leaderboard_as_page_and_data(running) -> None:
    for group in ("<i>x</i>", "second"):
        assert requests.post(f"{running.url}/retrieval", sent(group=group), timeout=30).ok
    page = requests.get(running.url, timeout=30)
    assert "&lt;i&gt;x&lt;/i&gt;" in page.text
    assert "<i>" not in page.text
    rules = page.headers["content-security-policy"]
    assert rules.startswith("default-src 'none'; style-src 'sha256-")
    assert page.headers["x-content-type-options"] == "nosniff"
    data = requests.get(f"{running.url}/leaderboard.json", timeout=30).json()
    groups = {row["group"]: row for row in data["groups"]}
    assert groups["second"]["best"]["scores"]["hit_at_1"] == 1 / 2
    assert groups["second"]["submissions"] == 1


def test_no_answer_tells_a_label(running) -> None:
    wrong = [sent(q1=["nosuch.jpg"]), sent(q1=None), sent(q8=["g1.jpg"]), b"{", sent(group=1)]
    answers = [requests.post(f"{running.url}/retrieval/", body, timeout=30) for body in wrong]
    assert {answer.status_code for answer in answers} == {400, 422}
    assert answers[0].json()["files"] == ["nosuch.jpg"]
    places = ("", "/leaderboard.json", "/files", "/results/", "/docs", "/openapi.json")
    answers += [requests.get(running.url + place, timeout=30) for place in places]
    assert [answer.status_code for answer in answers[-3:]] == [405, 404, 404]
    assert answers[-4].json()["query"] == sorted(IMAGES)
    for answer in answers:
        assert not any(label in answer.text.partition("</style>")[2] for label in CLASSES)
        assert not any(label in answer.text for label in CLASSES if "<style" not in answer.text)


def test_a_group_may_not_hand_in_for_ever_and_a_body_may_not_be_endless(running) -> None:
    codes = [
        requests.post(f"{running.url}/retrieval/", sent(group="often"), timeout=30).status_code
        for _ in range(6)
    ]
    assert codes == [200] * 5 + [429]

    def endless():
        while True:
            yield b" " * 65536

    for body in (b" " * 200_000, (b" " * 1000 for _ in range(200))):
        answer = requests.post(f"{running.url}/retrieval/", body, timeout=30)
        assert answer.status_code == 413
        assert "larger than" in answer.json()["error"]
    try:
        answer = requests.post(f"{running.url}/retrieval/", endless(), timeout=30)
    except requests.ConnectionError:  # cut off while it was still talking
        return
    assert answer.status_code == 413


@pytest.mark.slow
def test_a_token_a_deadline_and_scores_that_are_kept_back(tmp_path) -> None:
    root = lay_out(tmp_path)
    options = (f"root={root}", "public=false", "deadline=2999-01-01T00:00+00:00", "per_minute=4")
    with competition(*options, cwd=tmp_path, OUTLIERS_BENCH_TOKEN="s3cret") as server:
        url = f"{server.url}/retrieval/"
        for wrong in ({}, {"Authorization": "Bearer s3cres"}, {"Authorization": "Bearer \xff"}):
            answer = requests.post(url, sent(), headers=wrong, timeout=30)
            assert answer.status_code == 401
            assert "s3cret" not in answer.text
        answer = requests.post(url, sent(), headers={"Authorization": "Bearer s3cret"}, timeout=30)
        assert answer.json()["accepted"] is True
        assert "results" not in answer.json()
        assert "accuracy" not in answer.json()
        assert answer.json()["message"].startswith("accepted; scores are not shown before 2999")
        answer = requests.post(url, sent(), timeout=30)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 61
        data = requests.get(f"{server.url}/leaderboard.json", timeout=30)
        assert "0.5" not in data.text
        assert "ended; 1 submissions are in competition.db" in server.interrupt()
        assert server.process.returncode == 0
    after = (f"root={root}", "public=false", "deadline=2020-01-01T00:00")
    with competition(*after, cwd=tmp_path) as server:
        answer = requests.post(f"{server.url}/retrieval/", sent(), timeout=30)
        assert answer.status_code == 403
        assert "has closed" in answer.json()["error"]
        data = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
        assert data["groups"][0]["best"]["scores"]["hit_at_1"] == 1 / 2


@pytest.mark.slow
def test_two_servers_on_one_store_and_kills_lose_nothing_that_was_accepted(tmp_path) -> None:
    root = lay_out(tmp_path)
    options = (f"root={root}", "per_minute=1000", "per_hour=1000")
    accepted = []

    def hand_in(url, group):
        try:
            while True:
                answer = requests.post(f"{url}/retrieval/", sent(group=group), timeout=30)
                accepted.append(answer.json()["id"])
        except requests.RequestException:  # killed
            return

    with (
        competition(*options, cwd=tmp_path) as first,
        competition(*options, cwd=tmp_path) as second,
        ThreadPoolExecutor(4) as pool,
    ):
        hands = [
            pool.submit(hand_in, server.url, group)
            for server in (first, second)
            for group in ("a", "b")
        ]
        while len(accepted) < 40 and not all(hand.done() for hand in hands):
            time.sleep(0.01)
        for server in (first, second):
            server.process.send_signal(signal.SIGKILL)
    with competition(*options, cwd=tmp_path) as server:
        data = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
        counted = sum(row["submissions"] for row in data["groups"])
    kept = {
        row[0]
        for row in sqlite3.connect(tmp_path / "competition.db").execute(
            "SELECT id FROM submissions_1"
        )
    }
    assert len(set(accepted)) == len(accepted) >= 40
    assert kept >= set(accepted)
    assert counted == len(kept) <= len(accepted) + 4  # one of each thread was not yet answered


def refused(capsys, *options):
    assert main(Competition, serve, program=PROGRAM, arguments=["cache=cache", *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "give the photos: root="),
        (("root=nowhere",), "error: root=nowhere: there is no such folder"),
        (("root=.",), "root=.: there is no folder query in it; a competition needs query/<class>/"),
        (("root=labeled", "deadline=tomorrow"), "deadline=tomorrow: give a day"),
        (("root=labeled", "metric=hit_at_2"), "2 is not among k="),
        (("root=labeled", "metric=mrr"), "metric=mrr: give"),
        (("root=labeled", "max_rank=0"), "max_rank=0: give 1 or more"),
        (("root=labeled", "token=a b"), "the token (token= or OUTLIERS_BENCH_TOKEN) has letters"),
        (("root=labeled", "deadlin=1"), "did you mean deadline="),
    ],
)
def test_a_mistake_is_one_line(options, told, capsys) -> None:
    assert told in refused(capsys, *options)


@pytest.mark.slow  # imports the web server
def test_a_place_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: pytest.fail("it serves"))
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"port={other.getsockname()[1]}"
        assert "cannot listen there" in refused(capsys, "root=labeled", taken)
    for options, told in (
        (("root=handout",), "needs the labels"),
        (("root=labeled", "store=nowhere/c.db"), "store=nowhere/c.db: submissions cannot"),
        (("root=labeled", "host=nowhere.invalid"), "host=nowhere.invalid port=8000: cannot"),
    ):
        assert told in refused(capsys, *options)


def test_help_loads_no_web_server() -> None:
    code = (
        "import sys\n"
        "from outliers_bench.runtime.command_line import main\n"
        "from outliers_bench.apps.competition.command import PROGRAM, Competition, serve\n"
        "assert main(Competition, serve, program=PROGRAM, arguments=['--help']) == 0\n"
        "heavy = {'fastapi', 'uvicorn', 'mlflow', 'pandas', 'tensorflow', 'requests', 'cv2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Lay out labeled photos" in done.stdout
