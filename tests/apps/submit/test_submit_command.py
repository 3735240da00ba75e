"""`python -m outliers_bench.submit`: submissions of recorded runs to a competition."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import requests

from outliers_bench.apps.submit import command
from outliers_bench.apps.submit.options import PROGRAM, Submit
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.tracking.store import open_client
from tests.command_line import bench
from tests.competition_server import run_server, write_photos
from tests.servers import Reply, serving

SUBMIT = "outliers_bench.submit"
OPTIONS = ("data=prepared", "model=pixels", "k=[1,2,3]", "contact_sheets.queries=1")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Create a folder with a run on labeled photos, and a later run on the same without labels."""
    folder = tmp_path_factory.mktemp("submit")
    write_photos(folder)
    for root in ("labeled", "handout"):
        done = bench(*OPTIONS, f"data.root={root}", cwd=folder, OUTLIERS_BENCH_CACHE="cache")
        assert done.code == 0, done.err
    return folder


def runs_by_data(workspace):
    client = open_client(f"sqlite:///{workspace}/mlflow.db")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    return client, {run.data.tags["data"]: run for run in runs}


def submit(workspace, run, *options):
    return bench(
        f"run={run.info.run_id[:12]}", "group=outliers", *options, cwd=workspace, module=SUBMIT
    )


@pytest.mark.slow
def test_competition_server_computes_the_scores_of_the_run(workspace) -> None:
    _, runs = runs_by_data(workspace)
    with run_server("root=labeled", cwd=workspace, OUTLIERS_BENCH_TOKEN="s3cret") as server:
        url = f"url={server.url}/retrieval/"
        refused = submit(workspace, runs["labeled"], url, "n=3")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "OUTLIERS_BENCH_TOKEN" in refused.err
        (workspace / "token.txt").write_text("s3cret\n")
        for name in ("labeled", "handout"):
            done = submit(workspace, runs[name], url, "n=3", "token_file=token.txt")
            assert done.code == 0, done.err
            assert "s3cret" not in done.out + done.err
        done = bench(
            "run=last",
            "group=x",
            url,
            "n=1",
            cwd=workspace,
            module=SUBMIT,
            OUTLIERS_BENCH_TOKEN="s3cret",
        )
        assert done.code == 0, done.err
        board = requests.get(f"{server.url}/leaderboard.json", timeout=30).json()
    client, runs = runs_by_data(workspace)
    run = runs["labeled"].data.metrics
    for k in (1, 3):
        assert run[f"submission/hit_at_{k}"] == run[f"hit_at_{k}"]
        assert run[f"submission/precision_at_{k}"] == run[f"precision_at_{k}"]
    assert run["submission/map_at_r"] == run["map_at_r"]
    best = board["groups"][0]["best"]
    assert best["scores"]["hit_at_1"] == run["hit_at_1"]
    assert best["intervals"]["hit_at_1"] == [run["ci95/hit_at_1_low"], run["ci95/hit_at_1_high"]]
    # The only scores of the run without labels are those of the server.
    unlabeled = runs["handout"].data
    prefixes = ("hit", "map", "ci95", "mrr")
    assert not [name for name in unlabeled.metrics if name.startswith(prefixes)]
    assert unlabeled.metrics["submission/hit_at_1"] == run["hit_at_1"]
    assert unlabeled.tags["submission.url"].startswith("http://127.0.0.1:")
    assert unlabeled.tags["submission.group"] == "x"  # the last
    steps = client.get_metric_history(runs["handout"].info.run_id, "submission/hit_at_1")
    assert [step.step for step in steps] == [0, 1]
    artifacts = [
        path.path for path in client.list_artifacts(runs["handout"].info.run_id, "submissions")
    ]
    assert len(artifacts) == 4
    done = bench(
        "data=handout",
        "metric=submission/hit_at_1",
        "format=terminal",
        cwd=workspace,
        module="outliers_bench.leaderboard",
    )
    assert done.code == 0, done.err
    texts = [path.read_text() for path in (workspace / "submissions").iterdir()]
    assert not any("s3cret" in text for text in texts)


@pytest.mark.slow
def test_dry_run_writes_the_submission_that_is_sent(workspace) -> None:
    _, runs = runs_by_data(workspace)
    done = submit(workspace, runs["handout"], "n=2", "dry_run=look.json")
    assert done.code == 0, done.err
    with serving(lambda _: Reply(body=b'{"accuracy": "50%"}')) as server:
        sent = submit(workspace, runs["handout"], "n=2", f"url={server.url}/results/?key=hidden")
    assert sent.code == 0, sent.err
    assert "hidden" not in sent.out + sent.err
    body = server.requests[0].body
    assert body == (workspace / "look.json").read_bytes()
    content = json.loads(body)
    assert list(content) == ["groupname", "images"]
    assert sorted(content["images"]) == ["q1.jpg", "q2.jpg", "q3.jpg"]
    assert all(len(set(names)) == 2 for names in content["images"].values())
    _, runs = runs_by_data(workspace)
    assert runs["handout"].data.metrics["submission/accuracy"] == 0.5
    assert "hidden" not in str(runs["handout"].data.tags)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("group=x", "url=http://x/"), "run is missing"),
        (("run=last", "url=http://x/"), "group is missing"),
        (("run=last", "group= ", "url=http://x/"), "group=: give the group's name"),
        (("run=last", "group=x"), "url is missing: give the URL of the competition, or dry_run="),
        (("run=last", "group=x", "url=x"), "url=x: not a web address"),
        (("run=last", "group=x", "url=http://x/", "n=0"), "n=0: give the number"),
        (("run=last", "group=x", "url=http://x/", "timeout=0"), "timeout=0.0: give seconds"),
        (("run=last", "group=x", "dry_run=nowhere/x"), "there is no folder nowhere"),
        (("run=last", "group=x", "dry_run=true"), "give the name of the file"),
        (("run=last", "group=x", "dry_run=/dev/null"), "give the name of the file"),
        (("run=last", "group=x", "dry_run=x.json"), "no runs yet: there is no "),
        (
            ("run=last", "group=x", "url=http://x/", "token=s3cret"),
            "write the token to a file and give token_file=<file>",
        ),
        (("run=last", "group=x", "url=http://x/", "token_file=x"), "token_file=: the file cannot"),
    ],
)
def test_invalid_options_are_a_one_line_error_and_no_file_is_written(
    options, message, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(Submit, command.submit, program=PROGRAM, arguments=options) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert "s3cret" not in captured.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def submit_to(monkeypatch, tmp_path, capsys):
    """Run the command without MLflow: `submit_to(reply, record)` returns exit code and output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()
    run = SimpleNamespace(info=SimpleNamespace(run_id="ab" * 16, run_name="toy"))
    monkeypatch.setattr(command, "_read_run", lambda _: (run, {"q": ["g"]}, ["q9 (is empty)"]))

    def submit_to(reply, record):
        monkeypatch.setattr(command, "connection", lambda _: nullcontext())
        monkeypatch.setattr(command, "log_submission", record)
        with serving(lambda _: reply) as server:
            url = f"url={server.url}/"
            options = ["run=last", "group=outliers", url, "retries=0", "timeout=0.3"]
            code = main(Submit, command.submit, program=PROGRAM, arguments=options)
        return code, capsys.readouterr()

    return submit_to


@pytest.mark.parametrize(
    ("reply", "code", "message"),
    [
        (
            Reply(500, b"<title>Oops</title>"),
            1,
            "responded with 500: an HTML page with the text 'Oops'",
        ),
        (
            Reply(200, b"<h1>Welcome</h1>"),
            1,
            "but not with JSON: an HTML page with the text 'Welcome'",
        ),
        (Reply(200, b"{}"), 1, "JSON without results or accuracy"),
        (Reply(422, b'{"detail": "q9.jpg?"}'), 2, "rejected the submission (422): q9.jpg?"),
        (Reply(302, headers={"Location": "/login"}), 2, "by 302"),
        (Reply(pause=1), 1, "not responded within 0.3 s"),
        (None, 1, "no response"),
    ],
)
def test_submission_is_saved_if_the_server_fails(reply, code, message, submit_to, tmp_path) -> None:
    exit_code, captured = submit_to(reply, lambda *_, **__: pytest.fail("recorded"))
    assert exit_code == code
    assert message in captured.err
    assert "s3cret" not in captured.err
    (saved,) = (path for path in (tmp_path / "submissions").iterdir() if ".ans" not in path.name)
    assert str(saved.relative_to(tmp_path)) in captured.err
    assert json.loads(saved.read_bytes()) == {"groupname": "outliers", "images": {"q": ["g"]}}
    assert "not sent, because the run excluded 1 query: q9 (is empty)" in captured.out


def test_submissions_of_a_run_in_one_second_do_not_replace_each_other(submit_to, tmp_path) -> None:
    recorded = []
    for _ in range(3):
        code, _ = submit_to(
            Reply(body=b'{"results": 0.5}'), lambda *_, files, **__: recorded.extend(files)
        )
        assert code == 0
    assert len({path.name for path in recorded}) == 6
    assert len(list((tmp_path / "submissions").iterdir())) == 6


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (BenchError("no disk"), 2, "but it was not recorded in MLflow: no disk (saved: "),
        (KeyboardInterrupt(), 130, "interrupted; the submission may have been accepted\nsaved: "),
    ],
)
def test_failure_to_record_is_not_reported_as_a_failed_submission(
    failure, code, message, submit_to, tmp_path
) -> None:
    def record(*_, **__):
        raise failure

    exit_code, captured = submit_to(Reply(body=b'{"results": 0.5}'), record)
    assert exit_code == code
    assert message in captured.err
    assert "s3cret" not in captured.err
    assert "results  0.5" in captured.out
    assert len(list((tmp_path / "submissions").iterdir())) == 2
