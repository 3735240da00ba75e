"""`python -m outliers_bench.search` as users run it."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import cv2
import pytest

from outliers_bench.apps.search.command import PROGRAM, SOME_UNREADABLE, Options, search_run
from outliers_bench.runtime.command_line import main
from tests.command_line import bench
from tests.serving.photos import create_run, encoded_photos, write_photos

MODULE = "outliers_bench.search"
PLAIN = ("model=pixels", "model.image_size=16")


@pytest.fixture(scope="module")
def saved_run(tmp_path_factory):
    """Create a folder with photos, a cache, and a saved run."""
    folder = tmp_path_factory.mktemp("saved_run")
    saved, split, ranking = create_run(write_photos(folder / "photos"), folder / "cache", *PLAIN)
    return folder, saved, split, ranking


@pytest.fixture
def workspace(saved_run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(saved_run[0] / "cache"))
    return tmp_path


def run_search(capsys, *arguments):
    code = main(
        Options,
        search_run,
        program=PROGRAM,
        positional="photos",
        arguments=["run=c0ff", *arguments],
    )
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_table_shows_the_hits_of_the_run(saved_run, workspace, capsys):
    photos, (_, _, split, ranking) = saved_run[0] / "photos", saved_run
    query = photos / split.query.names[0]
    code, out, err = run_search(capsys, str(query), "n=3")
    assert code == 0, err
    title, _, query_line, _, *rows = out.splitlines()
    assert title.startswith("toy run  on  photos: 8 photos, run c0ffee")
    assert query_line == str(query)
    for rank, (row, index) in enumerate(zip(rows, ranking.indices[0, :3], strict=False), 1):
        name = split.gallery.names[index]
        score = f"{ranking.scores[0, rank - 1]:.4f}"
        assert row.split() == [str(rank), score, name.partition("/")[0], str(photos / name)]
    assert rows[3:] == ["", f"sheet  {workspace / 'search.jpg'}"]
    sheet = cv2.imread("search.jpg")
    assert sheet.shape[1] > 4 * 150


def test_standard_output_is_json_only_and_no_slow_library_is_imported(saved_run, workspace):
    photos, (_, _, split, ranking) = saved_run[0] / "photos", saved_run
    (workspace / "not a photo.jpg").write_bytes(b"none")
    code = (
        "import runpy, sys; sys.argv[1:] = sys.argv[2:]\n"
        "try: runpy.run_module('outliers_bench.search', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end: status = end.code\n"
        "heavy = {'mlflow', 'hydra', 'pandas', 'tensorflow'} & set(sys.modules)\n"
        "print('HEAVY', *heavy, file=sys.stderr); sys.exit(status)"
    )
    query = photos / split.query.names[0]
    arguments = ["run=c0ff", str(query), "not a photo.jpg", "missing.jpg", "format=json", "n=2"]
    done = subprocess.run(
        [sys.executable, "-c", code, "-", *arguments],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == SOME_UNREADABLE, done.stderr
    assert done.stdout, done.stderr
    output = json.loads(done.stdout)
    first, *others = output["queries"]
    assert first["query"] == str(query)
    assert [hit["name"] for hit in first["hits"]] == [
        split.gallery.names[i] for i in ranking.indices[0, :2]
    ]
    assert [hit["rank"] for hit in first["hits"]] == [1, 2]
    assert first["hits"][0]["path"] == str(photos / first["hits"][0]["name"])
    assert first["hits"][0]["label"] == first["hits"][0]["name"].partition("/")[0]
    assert first["hits"][0]["score"] == pytest.approx(float(ranking.scores[0, 0]), abs=1e-6)
    assert {query["query"] for query in others} == {
        str(workspace / "not a photo.jpg"),
        str(workspace / "missing.jpg"),
    }
    assert all(query["error"] and not query["hits"] for query in others)
    assert output["run"]["id"].startswith("c0ffee")
    assert output["sheet"] == str(workspace / "search.jpg")
    *messages, heavy = done.stderr.splitlines()
    assert heavy == "HEAVY"
    assert messages == [
        "excluded: missing.jpg: no such file or directory",
        "excluded: not a photo.jpg: is not an image of a known format",
    ]


def test_contact_sheet_in_a_folder_of_queries_is_ignored(saved_run, workspace, capsys):
    for i, name in enumerate(("kind-1/0.png", "kind-2/0.png", "kind-3/0.png")):
        (workspace / f"query {i}.png").write_bytes(encoded_photos()[name])
    for _ in range(2):
        code, out, _ = run_search(capsys, ".", "format=json", "n=1")
        assert code == 0
        queries = [query["query"] for query in json.loads(out)["queries"]]
        assert queries == [str(workspace / f"query {i}.png") for i in range(3)]
    height = cv2.imread("search.jpg").shape[0]
    run_search(capsys, "query 0.png", "n=1", "sheet=one.png")
    assert cv2.imread("one.png").shape[0] < height


def test_contact_sheet_can_be_turned_off(saved_run, workspace, capsys):
    code, out, _ = run_search(
        capsys, str(saved_run[0] / "photos" / "kind-0" / "0.png"), "sheet=null"
    )
    assert code == 0
    assert "sheet" not in out
    assert not list(workspace.iterdir())


def test_contact_sheet_is_limited_in_height(saved_run, workspace, capsys, monkeypatch):
    monkeypatch.setattr("outliers_bench.apps.search.contact_sheet.MAX_ROWS", 3)
    code, out, err = run_search(capsys, str(saved_run[0] / "photos"), "n=8")
    assert code == 0
    assert "the sheet shows 3 of 28 photos" in err
    assert out.count(" photo") >= 28


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a photo to search for, or a folder of photos"),
        (["nowhere.jpg"], "none of the photos to search for can be read"),
        (["photo.jpg", "n=0"], "n=0: give 1 or more"),
        (["photo.jpg", "n=many"], "n=many"),
        (["photo.jpg", "m=5"], "m: no such option"),
        (
            ["photo.jpg", "sheet=sheet.txt"],
            "sheet.txt: the suffix must be one of .jpg, .jpeg",
        ),
        (["photo.jpg", "sheet=there/a.jpg"], "there is no folder"),
        (["photo.jpg", "sheet=photo.jpg"], "sheet=photo.jpg is a photo to search for"),
        (["empty"], "empty: no photos in this folder"),
        (["photo.jpg", "format=xml"], "format=xml"),
        (["photo.jpg", "cache=nowhere"], "cache=nowhere: there is no such folder"),
        (["\udcff.jpg"], "is not valid UTF-8; rename it"),
    ],
)
def test_errors_are_one_line(saved_run, workspace, capsys, arguments, message):
    (workspace / "empty").mkdir()
    (workspace / "photo.jpg").write_bytes(encoded_photos()["kind-0/0.png"])
    code, out, err = run_search(capsys, *arguments)
    assert code == 2
    assert not out
    assert message in err.splitlines()[-1]
    assert err.count("\n") == 1 + (arguments == ["nowhere.jpg"])
    assert (workspace / "photo.jpg").read_bytes() == encoded_photos()["kind-0/0.png"]


def test_contact_sheet_does_not_overwrite_a_photo_of_the_run(saved_run, workspace, capsys):
    photo = saved_run[0] / "photos" / saved_run[2].gallery.names[0]
    before = photo.read_bytes()
    query = saved_run[0] / "photos" / saved_run[2].query.names[0]
    code, _, err = run_search(capsys, str(query), f"sheet={photo}")
    assert code == 2
    assert "is a photo of the run" in err
    assert photo.read_bytes() == before


def test_missing_database_is_an_error_and_is_not_created(workspace, monkeypatch, capsys):
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(workspace / "cache"))
    (workspace / "photo.jpg").write_bytes(encoded_photos()["kind-0/0.png"])
    arguments = ["run=last", "photo.jpg"]
    assert main(Options, search_run, program=PROGRAM, positional="photos", arguments=arguments) == 2
    assert capsys.readouterr().err.startswith("error: no runs yet")
    assert not (workspace / "mlflow.db").exists()


@pytest.mark.slow
def test_recorded_run_is_searched_with_and_without_the_saved_run(tmp_path):
    photos = write_photos(tmp_path / "photos")
    options = ("data=folder", "data.root=photos", "data.train=0.4", "k=[1]", *PLAIN)
    done = bench(*options, cwd=tmp_path, OUTLIERS_BENCH_CACHE="cache")
    assert done.code == 0, done.err
    swept = bench(
        *("-m", *options, "seed=1,2", "contact_sheets.queries=0"),
        cwd=tmp_path,
        OUTLIERS_BENCH_CACHE="cache",
    )
    assert swept.code == 0, swept.err
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as db:
        tagged = "SELECT run_uuid, value FROM tags WHERE key = 'kind' ORDER BY rowid"
        runs = dict(db.execute(tagged).fetchall())
        ordered = "SELECT run_uuid FROM runs ORDER BY start_time"
        ids = [row[0] for row in db.execute(ordered) if runs[row[0]] == "run"]
        (sweep,) = (run_id for run_id, kind in runs.items() if kind == "sweep")
    first, last = ids[0], ids[-1]
    assert len(list((tmp_path / "cache" / "cards").glob("*.json"))) == 3

    def search(run_id, *more):
        arguments = (f"run={run_id}", "photos/kind-0/0.png", "format=json", "sheet=null", *more)
        return bench(*arguments, cwd=tmp_path, module=MODULE, OUTLIERS_BENCH_CACHE="cache")

    from_cache = search(first[:8])
    assert from_cache.code == 0, from_cache.err
    assert json.loads(search("last").out)["run"]["id"] == last

    (tmp_path / "cache" / "cards").rename(tmp_path / "cards")
    assert json.loads(search(first[:8]).out) == json.loads(from_cache.out)
    assert json.loads(search("last").out)["run"]["id"] == last

    # A run that was looked up is saved under its id, a new one under the key of its box.
    def cards(folder):
        return dict(path.stem.split("-") for path in (folder / "cards").glob("*.json"))

    assert cards(tmp_path / "cache").keys() == {first, last}
    assert {*cards(tmp_path / "cache").values()} <= {*cards(tmp_path).values()}
    of_sweep = search(sweep)
    assert (of_sweep.code, of_sweep.out) == (2, "")
    assert "is a sweep" in of_sweep.err
    unknown = search("0123456789abcdef")
    assert unknown.code == 2
    assert "no such run" in unknown.err

    (photos / "kind-0" / "6.png").unlink()
    changed = search(ids[1])  # not in the cache, and the split of the other photos differs
    assert changed.code == 2
    assert "are not those of the run" in changed.err
    assert f"run it again: {sys.executable} -m outliers_bench" in changed.err
