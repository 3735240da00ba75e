"""The leaderboard: one table a split, newest run an identity, ranks and numbers as in MLflow."""

import csv
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard import main
from outliers_bench.published import read_table
from outliers_bench.reports.leaderboard import cells, read_boards, show_boards, words
from outliers_bench.tracking.store import experiment_id
from outliers_bench.tracking.sweep import start_parent

NAME = "board"


def record(uri, client, *, model, hit, fingerprint="one", identity=None, fail=False):
    """A run with made-up figures; what makes them is none of the leaderboard's business."""
    tags = {"kind": "run", "data": NAME, "model": model, "pca": "none", "index": "exact"}
    tags["variant"] = "8px"
    tags |= {"metric": "cosine", "split_fingerprint": fingerprint, "identity": identity or model}
    run = client.create_run(experiment_id(client, NAME), tags=tags, run_name=model)
    if hit is not None:
        client.log_metric(run.info.run_id, "hit_at_1", hit)
        client.log_metric(run.info.run_id, "map_at_r", hit / 3)
        client.log_metric(run.info.run_id, "search_ms_per_query", 12.5 * hit)
        client.log_metric(run.info.run_id, "index_bytes", 2048 * hit)
    client.set_terminated(run.info.run_id, "FAILED" if fail else "FINISHED")
    return run.info.run_id


@pytest.fixture(scope="module")
def runs(uri, client):
    ids = {
        "old": record(uri, client, model="a", hit=0.9),
        "a": record(uri, client, model="a", hit=1 / 3),
        "b": record(uri, client, model="b", hit=0.7),
        "c": record(uri, client, model="c", hit=1 / 3),
        "d": record(uri, client, model="d", hit=0.1),
        "else": record(uri, client, model="b", hit=0.99, fingerprint="two", identity="b2"),
    }
    record(uri, client, model="failed", hit=1.0, fail=True)
    record(uri, client, model="unlabelled", hit=None)
    parent = start_parent(client, NAME, overrides=[])
    client.log_metric(parent, "hit_at_1", 1.0)
    client.set_terminated(parent, "FINISHED")
    return ids


def test_splits_are_apart_and_ties_share_a_rank(uri, runs):
    boards, left_out = read_boards(uri, data=NAME)
    assert [board.fingerprint for board in boards] == ["one", "two"]
    assert [(row.rank, row.name) for row in boards[0].rows] == [
        (1, "b"),
        (2, "a"),
        (2, "c"),
        (4, "d"),
    ]
    assert boards[0].rows[1].run_id == runs["a"]  # not the older, better one
    assert [row.run_id for row in boards[1].rows] == [runs["else"]]
    assert left_out == {"hit_at_1": 1}


@pytest.mark.parametrize(
    ("metric", "heading", "most"),
    [("search_ms_per_query", "ms/query", "8.75"), ("index_bytes", "index size", "1.4 KiB")],
)
def test_costs_are_ranked_from_small_to_large(uri, runs, metric, heading, most):
    boards, _ = read_boards(uri, data=NAME, metric=metric)
    ranked = [(row.rank, row.name) for row in boards[0].rows]
    assert ranked == [(1, "d"), (2, "a"), (2, "c"), (4, "b")]
    header, _ = cells(boards[0], metric)
    assert len(set(header)) == len(header)
    out = StringIO()
    show_boards(boards, metric=metric, console=Console(file=out, width=50))
    assert heading in out.getvalue()
    assert most in out.getvalue()


def test_files_hold_mlflows_numbers_in_full(uri, client, runs, tmp_path, capsys):
    files = ["--out", str(tmp_path), "--format", "md,csv"]
    assert main(["--uri", uri, "--experiment", NAME, *files]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaderboard.csv", "leaderboard.md"]
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        metrics = client.get_run(row["run_id"]).data.metrics
        assert float(row["hit_at_1"]) == metrics["hit_at_1"]
        assert float(row["map_at_r"]) == metrics["map_at_r"]
    assert (
        "| 2 | a | 8px | none | exact | cosine | 0.333 |"
        in (tmp_path / "leaderboard.md").read_text()
    )
    assert "Left out: 1 finished run without hit_at_1." in capsys.readouterr().out


@pytest.mark.parametrize("width", [50, 80, 120])
def test_tables_fit_the_terminal(uri, runs, width):
    boards, _ = read_boards(uri, experiment=NAME)
    out = StringIO()
    show_boards(boards, metric="hit_at_1", console=Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in out.getvalue()


def test_mistakes_are_named(uri, runs, tmp_path, capsys):
    assert main(["--uri", uri, "--experiment", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert NAME in said
    for wrong in (["--table", "nosuch"], ["--format", "pdf"], ["--metric", "nosuch"]):
        assert main(["--uri", uri, "--data", NAME, "--out", str(tmp_path), *wrong]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        assert wrong[1] in said
    for address in ("ftp://x", "http://", "http://[", ""):
        assert main(["--uri", "sqlite:///nowhere.db", "--ui", address]) == 2
        assert "no web address" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    (tmp_path / "leaderboard.md").mkdir()
    assert main(["--uri", uri, "--data", NAME, "--out", str(tmp_path), "--format", "csv, md"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: cannot write")
    assert said.count("\n") == 1
    with pytest.raises(BenchError, match="has the metric recall_at_7"):
        read_boards(uri, metric="recall_at_7", data=NAME)
    with pytest.raises(BenchError, match="no finished runs"):
        read_boards(uri, data="nosuch")


def test_without_a_database_the_command_says_how_to_make_one(tmp_path):
    command = [sys.executable, "-m", "outliers_bench.leaderboard"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "python -m outliers_bench" in done.stderr
    assert not list(tmp_path.iterdir())


# The rows of a published table, and runs with figures query by query.

TABLE = "models_we_built"
QUERIES = 40
NASTY = "<script>alert(1)</script>"


def detailed(client, model, hits, *, row=None, data="detailed", status="FINISHED", **more):
    """A run that carries what a real one does; `hits` of the queries find their animal at once."""
    tags = {"kind": "run", "data": data, "model": model, "variant": "8px", "pca": "none"}
    tags |= {"index": "exact", "metric": "cosine", "overrides": f"model={model} 'pca.n=[1, 2]'"}
    if "failure" not in more:
        tags |= {"split_fingerprint": "one", "identity": f"{data}{model}{row}"}
    if row is not None:
        tags |= {"table": TABLE, "row": row, f"published.{TABLE}": row}
    run = client.create_run(
        experiment_id(client, data), tags=tags | more, run_name=f"{model} 8px · exact"
    )
    if hits is not None:
        right = [int(query < hits) for query in range(QUERIES)]
        numbers = {
            "hit_at_1": hits / QUERIES,
            "map_at_r": hits / 3 / QUERIES,
            "hit_at_5": 0.9 + hits / 999,
        }
        numbers |= {f"ci95/{name}_low": value * 0.9 for name, value in numbers.items()}
        numbers |= {
            f"ci95/{name}_high": value * 1.07 for name, value in numbers.items() if name[0] != "c"
        }
        numbers |= {"images_per_second": 7 + hits / 7, "search_ms_per_query": 1 / (1 + hits)}
        numbers |= {"index_bytes": 1000 * hits, "dimensions": 64, "queries": QUERIES}
        for name, value in numbers.items():
            client.log_metric(run.info.run_id, name, value)
        lines = [f"{query}.jpg,{hit}" for query, hit in enumerate(right)]
        client.log_text(run.info.run_id, "\n".join(["query,hit_at_1", *lines]), "per_query.csv")
        classes = [f"{NASTY},20,{hits / 7 / QUERIES}", f"NA,20,{hits / QUERIES}"]
        client.log_text(
            run.info.run_id, "\n".join(["class,queries,hit_at_1", *classes]), "per_class.csv"
        )
    client.set_terminated(run.info.run_id, status)
    return run.info.run_id


@pytest.fixture(scope="module")
def table_runs(uri, client):
    failure = "WeightsUnavailableError: no ImageNet weights of VGG16"
    ids = {
        "best": detailed(client, "image_matching", 30, row="image_matching"),
        "near": detailed(client, "sift", 29, row="sift"),
        "far": detailed(client, "cnn_scratch", 10, row="cnn_scratch"),
        "beside": detailed(client, NASTY, 20),
    }
    detailed(client, "transfer_vgg16", None, row="transfer_vgg16", status="FAILED", failure="X: y")
    detailed(client, "transfer_vgg16", None, row="transfer_vgg16", status="FAILED", failure=failure)
    elsewhere = {"split_fingerprint": "two"}
    little = {"data": "else", "failure": "BenchError: too little memory"}
    detailed(
        client, "x", None, row="transfer_mobilenet", status="FAILED", failure="ValueError: odd"
    )
    detailed(client, "x", None, row="transfer_resnet50", status="KILLED")
    detailed(client, "x", None, row="transfer_resnet50v2", status="FAILED", **elsewhere)
    detailed(client, "x", None, row="transfer_resnet50v2", status="FAILED", **little)
    return ids


def test_all_rows_of_a_table_appear_and_none_is_invented(uri, table_runs):
    (board,), _ = read_boards(uri, data="detailed", table=TABLE)
    assert [row.run_id for row in board.measured] == [
        table_runs[n] for n in ("best", "near", "far")
    ]
    assert sorted(row.published.row for row in board.rows) == sorted(
        row.row for row in read_table(TABLE)
    )
    status = {row.published.row: row.status for row in board.rows if not row.measured}
    assert status == {
        "transfer_vgg16": "weights not available",
        "transfer_mobilenet": "failed: ValueError: odd",
        "transfer_resnet50": "killed",
        "transfer_resnet50v2": "not run",
        "transfer_efficientnetv2b3": "not run",
    }
    header, rows = cells(board, "hit_at_1")
    at = header.index("pub@1")
    assert {row[header.index("published row")]: row[at] for row in rows}[
        "CNN from scratch"
    ] == "0.33"
    assert rows[1][header.index("pub@5")] == "0.5 (top 3)"
    for row in rows[3:]:
        assert not any(row[header.index(name)] for name in ("rank", "hit@1", "p", "ms/query"))


def test_a_table_of_which_nothing_has_finished_is_told_as_well(uri, table_runs):
    (board,), left_out = read_boards(uri, data="else", table=TABLE)
    assert not board.measured
    assert len(board.rows) == len(read_table(TABLE))
    assert left_out == {}
    assert "failed: too little memory" in [row.status for row in board.rows]


def test_on_80_columns_a_published_table_keeps_its_names_and_figures(uri, table_runs):
    boards, _ = read_boards(uri, data="detailed", table=TABLE)
    out = StringIO()
    show_boards(boards, metric="hit_at_1", console=Console(file=out, width=80))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for shown in ("published row", "pub@1", "status", "CNN from scratch", "0.192", "0.250"):
        assert shown in text
    assert "Best: image_matching" in text
    assert "95%:" not in text.split("Best")[1]  # no such column, no such legend


def test_what_a_run_cannot_be_placed_by_is_left_out_and_told(uri, client):
    told = {"data": "odd"}
    good = detailed(client, "good", 30, **told)
    broken = detailed(client, "broken", None, **told)
    client.log_metric(broken, "hit_at_1", float("nan"))
    detailed(client, "nowhere", 39, split_fingerprint="", **told)
    holes = detailed(client, "holes", 20, **told)
    lines = [f"{query}.jpg,{'nan' if query else 1}" for query in range(QUERIES)]
    client.log_text(holes, "\n".join(["query,hit_at_1", *lines]), "per_query.csv")
    (board,), left_out = read_boards(uri, data="odd")
    assert [row.run_id for row in board.rows] == [good, holes]
    assert left_out == {"hit_at_1": 1, "the fingerprint of their split": 1}
    assert board.rows[1].p is None
    assert "1 with no figures query by query" in board.not_compared


def test_runs_of_one_method_are_told_apart_and_equals_ordered(uri, client):
    slow = detailed(client, "same", 30, data="seeds", identity="s0")
    fast = detailed(client, "same", 30, data="seeds", identity="s1")
    client.log_metric(slow, "search_ms_per_query", 99.0)
    for run_id, seed in ((slow, 0), (fast, 1)):
        client.log_param(run_id, "seed", seed)
        client.log_param(run_id, "engine.kind", f"engine{seed}")  # changes no figure
        client.log_param(run_id, "data.protocol", "leave_one_out")
        client.log_metric(run_id, "gallery_images", QUERIES)
    (board,), _ = read_boards(uri, data="seeds")
    assert [(row.run_id, row.rank) for row in board.rows] == [(fast, 1), (slow, 1)]
    assert [row.method["settings"] for row in board.rows] == ["seed=1", "seed=0"]
    out = StringIO()
    show_boards([board], metric="hit_at_1", console=Console(file=out, width=200))
    assert "Equal best: seed=0." in out.getvalue()
    assert "40 queries, each against all others" in out.getvalue()


def test_the_newest_run_is_every_row_that_an_older_one_of_its_identity_was(uri, client):
    same = {"identity": "twice", "data": "twice"}
    detailed(client, "sift", 3, row="sift", **same)
    newest = detailed(client, "sift", 3, **same)
    (board,), _ = read_boards(uri, data="twice", table=TABLE)
    assert [(row.run_id, row.published.row) for row in board.measured] == [(newest, "sift")]
    (board,), _ = read_boards(uri, data="twice")
    assert [row.published.top_1 for row in board.rows] == [0.192]


def test_runs_are_compared_query_by_query(uri, client, table_runs):
    (board,), _ = read_boards(uri, data="detailed")
    by_id = {row.run_id: row for row in board.rows}
    near, far = by_id[table_runs["near"]], by_id[table_runs["far"]]
    # One query of forty differs: half of all signs are as far from none. Twenty differ: none is.
    assert near.tied
    assert near.difference == pytest.approx(-1 / QUERIES)
    assert near.p == pytest.approx(1.0)
    assert far.tied is False
    assert far.p < 0.01
    assert far.difference == pytest.approx(-20 / QUERIES)
    assert board.not_compared == ""
    out = StringIO()
    show_boards([board], metric="hit_at_1", console=Console(file=out, width=250))
    assert re.search(r"^ +2 = +SIFT based model", out.getvalue(), re.MULTILINE)
    assert "= tied with the best" in out.getvalue()


def test_a_board_ranked_by_a_cost_or_of_chosen_runs(uri, table_runs):
    (board,), _ = read_boards(uri, data="detailed", metric="search_ms_per_query")
    assert all(row.p is None for row in board.rows)
    (board,), _ = read_boards(uri, data="detailed", metric="images_per_second")
    assert board.not_compared == ""
    assert "img/s has no figures query by query" in words.comparison(board, "images_per_second")
    chosen = {table_runs["near"], table_runs["beside"]}
    (board,), _ = read_boards(uri, data="detailed", runs=chosen)
    assert [row.run_id for row in board.rows] == [table_runs["near"], table_runs["beside"]]


class Page(HTMLParser):
    """Which numbers stand where on the page, every address, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.run = self.key = None
        self.values, self.intervals, self.shades, self.texts = {}, {}, [], {}
        self.addresses, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [
            (tag, found[name]) for name in ("href", "src", "xlink:href") if name in found
        ]
        if tag == "tr":
            self.run = found.get("data-run")
        if tag == "td":
            self.key = found.get("data-key")
            if self.run and "number" in found["class"] and "data-value" in found:
                self.values[self.run, self.key] = float(found["data-value"])
            elif "shade" in found.get("class", ""):
                self.shades.append(float(found["data-value"]))
        if tag == "small" and "data-low" in found:
            self.intervals[self.run, self.key] = tuple(
                float(found[f"data-{e}"]) for e in ("low", "high")
            )

    def handle_data(self, data):
        if self.key and data.strip():
            self.texts.setdefault((self.run, self.key), data.strip())


@pytest.fixture(scope="module")
def page(uri, table_runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    asked = ["--uri", uri, "--data", "detailed", "--format", "html,csv", "--out", str(out)]
    assert main(asked) == 0
    return out


def test_every_number_on_the_page_is_mlflows(client, table_runs, page):
    text = (page / "leaderboard.html").read_text()
    found = Page(text)
    assert {run for run, _ in found.values} == set(table_runs.values())
    for run_id in table_runs.values():
        metrics = client.get_run(run_id).data.metrics
        told = {key: value for (run, key), value in found.values.items() if run == run_id}
        beside = {"rank", "p", "published_1", "published_5", "published_10"}
        assert {key: metrics[key] for key in told if key not in beside} == {
            key: value for key, value in told.items() if key not in beside
        }
        assert {"hit_at_1", "hit_at_5", "map_at_r", "images_per_second", "index_bytes"} <= set(told)
        for name in ("hit_at_1", "hit_at_5", "map_at_r"):
            ends = tuple(metrics[f"ci95/{name}_{end}"] for end in ("low", "high"))
            assert found.intervals[run_id, name] == ends
            assert found.texts[run_id, name] == f"{metrics[name]:.3f}"
    hits = sorted(client.get_run(run_id).data.metrics["hit_at_1"] for run_id in table_runs.values())
    assert sorted(found.shades) == pytest.approx(sorted([hit / 7 for hit in hits] + hits))
    best = client.get_run(table_runs["best"]).data
    assert f"hit@1 {best.metrics['hit_at_1']:.3f} (95% interval" in text
    assert "python -m outliers_bench model=image_matching &#39;pca.n=[1, 2]&#39;" in text


def test_the_page_loads_nothing_and_runs_no_names(page, table_runs):
    text = (page / "leaderboard.html").read_text()
    assert NASTY not in text
    assert "&lt;script&gt;alert(1)" in text
    found = Page(text)
    assert found.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object", "base"} & set(found.tags)
    outside = [(tag, address) for tag, address in found.addresses if not address.startswith("#")]
    assert len(outside) == len(table_runs)
    assert all(tag == "a" for tag, _ in outside)
    for run_id in table_runs.values():
        assert any(
            address.startswith("http://127.0.0.1:5000/#/experiments/") and run_id in address
            for _, address in outside
        )
    assert text.count("http") == len(outside) + len(re.findall("http-equiv", text))
    assert "default-src 'none'" in text


def test_the_csv_has_every_figure_in_full(client, table_runs, page):
    with (page / "leaderboard.csv").open() as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(table_runs.values())
    for run_id, row in rows.items():
        for name, value in client.get_run(run_id).data.metrics.items():
            if name != "queries":
                assert float(row[name]) == value
    near = rows[table_runs["near"]]
    assert (near["tied"], near["status"], near["published_top_3"]) == ("True", "finished", "0.5")
    assert float(rows[table_runs["far"]]["p"]) < 0.01
