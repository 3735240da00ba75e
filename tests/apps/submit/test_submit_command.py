"""`python -m outliers_bench.submit`: from a run to a competition's leaderboard."""

import json
from types import SimpleNamespace

import pytest
import requests

from outliers_bench.apps.submit import command
from outliers_bench.apps.submit.options import PROGRAM, Submit
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.tracking.lookup import KnownRun
from outliers_bench.tracking.store import open_client
from tests.cli import bench
from tests.held import competition, lay_out
from tests.servers import Reply, serving

SUBMIT = "outliers_bench.submit"
HERE = ("data=prepared", "model=pixels", "k=[1,2,3]", "contact_sheets.queries=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a finished run on labeled photos, and a later one on the same without."""
    folder = tmp_path_factory.mktemp("submit")
    lay_out(folder)
    for root in ("labeled", "handout"):
        done = bench(*HERE, f"data.root={root}", cwd=folder, OUTLIERS_BENCH_CACHE="cache")
        assert done.code == 0, done.err
    return folder


def runs(place):
    client = open_client(f"sqlite:///{place}/mlflow.db")
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    return client, {run.data.tags["data"]: run for run in found}


def submit(place, run, *options):
    return bench(
        f"run={run.info.run_id[:12]}", "group=outliers", *options, cwd=place, module=SUBMIT
    )


@pytest.mark.slow
def test_our_server_accepts_our_client_and_the_score_is_the_runs(place) -> None:
    _, found = runs(place)
    with competition("root=labeled", cwd=place, OUTLIERS_BENCH_TOKEN="s3cret") as server:
        url = f"url={server.url}/retrieval/"
        refused = submit(place, found["labeled"], url, "n=3")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "OUTLIERS_BENCH_TOKEN" in refused.err
        for name in ("labeled", "handout"):
            done = submit(place, found[name], url, "n=3", "token=s3cret")
            assert done.code == 0, done.err
            assert "s3cret" not in done.out + done.err
        done = bench(
            "run=last",
            "group=x",
            url,
            "n=1",
            cwd=place,
            module=SUBMIT,
            OUTLIERS_BENCH_TOKEN="s3cret",
        )
        assert done.code == 0, done.err
        board = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
    client, found = runs(place)
    run = found["labeled"].data.metrics
    for k in (1, 3):
        assert run[f"submission/hit_at_{k}"] == run[f"hit_at_{k}"]
        assert run[f"submission/precision_at_{k}"] == run[f"precision_at_{k}"]
    assert run["submission/map_at_r"] == run["map_at_r"]
    best = board["groups"][0]["best"]
    assert best["scores"]["hit_at_1"] == run["hit_at_1"]
    assert best["intervals"]["hit_at_1"] == [run["ci95/hit_at_1_low"], run["ci95/hit_at_1_high"]]
    # Of the run without labels nothing is known but what the server said.
    alone = found["handout"].data
    assert not [name for name in alone.metrics if name.startswith(("hit", "map", "ci95", "mrr"))]
    assert alone.metrics["submission/hit_at_1"] == run["hit_at_1"]
    assert alone.tags["submission.url"].startswith("http://127.0.0.1:")
    assert alone.tags["submission.group"] == "x"  # the last
    steps = client.get_metric_history(found["handout"].info.run_id, "submission/hit_at_1")
    assert [step.step for step in steps] == [0, 1]
    kept = [
        path.path for path in client.list_artifacts(found["handout"].info.run_id, "submissions")
    ]
    assert len(kept) == 4
    told = bench(
        "data=handout",
        "metric=submission/hit_at_1",
        "format=terminal",
        cwd=place,
        module="outliers_bench.leaderboard",
    )
    assert told.code == 0, told.err
    texts = [path.read_text() for path in (place / "submissions").iterdir()]
    assert not any("s3cret" in text for text in texts)


@pytest.mark.slow
def test_a_dry_run_is_what_is_sent(place) -> None:
    _, found = runs(place)
    done = submit(place, found["handout"], "n=2", "dry_run=look.json")
    assert done.code == 0, done.err
    with serving(lambda _: Reply(body=b'{"accuracy": "50%"}')) as server:
        sent = submit(place, found["handout"], "n=2", f"url={server.url}/results/?key=hidden")
    assert sent.code == 0, sent.err
    assert "hidden" not in sent.out + sent.err
    body = server.requests[0].body
    assert body == (place / "look.json").read_bytes()
    content = json.loads(body)
    assert list(content) == ["groupname", "images"]
    assert sorted(content["images"]) == ["q1.jpg", "q2.jpg", "q3.jpg"]
    assert all(len(set(names)) == 2 for names in content["images"].values())
    _, found = runs(place)
    assert found["handout"].data.metrics["submission/accuracy"] == 0.5
    assert "hidden" not in str(found["handout"].data.tags)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("group=x", "url=http://x/"), "run is missing"),
        (("run=last", "url=http://x/"), "group is missing"),
        (("run=last", "group= ", "url=http://x/"), "group=: give the group's name"),
        (("run=last", "group=x"), "url is missing: give the competition's address, or dry_run="),
        (("run=last", "group=x", "url=x"), "url=x: no web address"),
        (("run=last", "group=x", "url=http://x/", "n=0"), "n=0: give how many"),
        (("run=last", "group=x", "url=http://x/", "timeout=0"), "timeout=0.0: give seconds"),
        (("run=last", "group=x", "dry_run=nowhere/x"), "there is no folder nowhere"),
        (("run=last", "group=x", "dry_run=true"), "name the file to write"),
        (("run=last", "group=x", "dry_run=/dev/null"), "name the file to write"),
        (("run=last", "group=x", "dry_run=x.json"), "no runs yet: there is no "),
        (("run=last", "group=x", "url=http://x/", "token=a b"), "the token (token= or OUTLIERS"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_made(
    options, told, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(Submit, command.submit, program=PROGRAM, arguments=options) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert told in said.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def hand_in(monkeypatch, tmp_path, capsys):
    """The command without MLflow: `hand_in(reply, recorded)` gives exit code and what was said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()
    run = KnownRun("ab" * 16, "toy", {})
    monkeypatch.setattr(command, "_read", lambda _: (run, {"q": ["g"]}, ["q9 (is empty)"]))

    def hand_in(reply, recorded):
        monkeypatch.setattr(command, "recorder", lambda _: SimpleNamespace(call=recorded))
        with serving(lambda _: reply) as server:
            url = f"url={server.url}/"
            words = ["run=last", "group=outliers", url, "retries=0", "timeout=0.3"]
            code = main(Submit, command.submit, program=PROGRAM, arguments=words)
        return code, capsys.readouterr()

    return hand_in


@pytest.mark.parametrize(
    ("reply", "code", "told"),
    [
        (Reply(500, b"<title>Oops</title>"), 1, "answered 500: a page that says 'Oops'"),
        (Reply(200, b"<h1>Welcome</h1>"), 1, "but no JSON: a page that says 'Welcome'"),
        (Reply(200, b"{}"), 1, "JSON without results or accuracy"),
        (Reply(422, b'{"detail": "q9.jpg?"}'), 2, "refused it (422): q9.jpg?"),
        (Reply(302, headers={"Location": "/login"}), 2, "by 302"),
        (Reply(pause=1), 1, "not answered within 0.3 s"),
        (None, 1, "no answer"),
    ],
)
def test_whatever_a_server_does_the_submission_is_kept(
    reply, code, told, hand_in, tmp_path
) -> None:
    done, said = hand_in(reply, lambda *_, **__: pytest.fail("recorded"))
    assert done == code
    assert told in said.err
    (kept,) = (path for path in (tmp_path / "submissions").iterdir() if ".ans" not in path.name)
    assert str(kept.relative_to(tmp_path)) in said.err
    assert json.loads(kept.read_bytes()) == {"groupname": "outliers", "images": {"q": ["g"]}}
    assert "not sent, for the run left out 1 query: q9 (is empty)" in said.out


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (BenchError("no disk"), 2, "the server has taken it, but MLflow has not: no disk (kept: "),
        (KeyboardInterrupt(), 130, "interrupted; it may have been taken all the same\nkept: "),
    ],
)
def test_what_was_taken_is_not_told_as_undone(failure, code, told, hand_in, tmp_path) -> None:
    def recorded(*_, **__):
        raise failure

    done, said = hand_in(Reply(body=b'{"results": 0.5}'), recorded)
    assert done == code
    assert told in said.err
    assert "results  0.5" in said.out
    assert len(list((tmp_path / "submissions").iterdir())) == 2
