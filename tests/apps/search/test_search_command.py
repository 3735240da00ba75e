"""`python -m outliers_bench.search`, as users call it."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import cv2
import pytest

from outliers_bench.apps.search.command import SOME_UNREADABLE, PROGRAM, Options, search_run
from outliers_bench.runtime.command_line import main
from tests.cli import bench
from tests.serving.photos import encoded_photos, create_run, write_photos

MODULE = "outliers_bench.search"
PLAIN = ("model=pixels", "model.image_size=16")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with photos, a cache, and the card of a run."""
    desk = tmp_path_factory.mktemp("desk")
    card, split, ranking = create_run(write_photos(desk / "photos"), desk / "cache", *PLAIN)
    return desk, card, split, ranking


@pytest.fixture
def desk(ran, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(ran[0] / "cache"))
    return tmp_path


def call(capsys, *arguments):
    code = main(Options, search_run, program=PROGRAM, positional="photos", arguments=["run=c0ff", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_shows_what_the_run_would_have_found(ran, desk, capsys):
    photos, (_, _, split, ranking) = ran[0] / "photos", ran
    query = photos / split.query.names[0]
    code, out, err = call(capsys, str(query), "n=3")
    assert code == 0, err
    title, _, asked, _, *rows = out.splitlines()
    assert title.startswith("toy run  on  photos: 8 photos, run c0ffee")
    assert asked == str(query)
    for rank, (row, found) in enumerate(zip(rows, ranking.indices[0, :3], strict=False), 1):
        name = split.gallery.names[found]
        score = f"{ranking.scores[0, rank - 1]:.4f}"
        assert row.split() == [str(rank), score, name.partition("/")[0], str(photos / name)]
    assert rows[3:] == ["", f"sheet  {desk / 'search.jpg'}"]
    sheet = cv2.imread("search.jpg")
    assert sheet.shape[1] > 4 * 150


def test_json_is_all_that_stands_on_standard_output(ran, desk):
    """And neither MLflow nor Hydra nor pandas is imported for it."""
    photos, (_, _, split, ranking) = ran[0] / "photos", ran
    (desk / "not a photo.jpg").write_bytes(b"none")
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
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == SOME_UNREADABLE, done.stderr
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    first, *others = said["queries"]
    assert first["query"] == str(query)
    assert [hit["name"] for hit in first["found"]] == [
        split.gallery.names[i] for i in ranking.indices[0, :2]
    ]
    assert [hit["rank"] for hit in first["found"]] == [1, 2]
    assert first["found"][0]["path"] == str(photos / first["found"][0]["name"])
    assert first["found"][0]["label"] == first["found"][0]["name"].partition("/")[0]
    assert first["found"][0]["score"] == pytest.approx(float(ranking.scores[0, 0]), abs=1e-6)
    assert {query["query"] for query in others} == {
        str(desk / "not a photo.jpg"),
        str(desk / "missing.jpg"),
    }
    assert all(query["error"] and not query["found"] for query in others)
    assert said["run"]["id"].startswith("c0ffee")
    assert said["sheet"] == str(desk / "search.jpg")
    *told, heavy = done.stderr.splitlines()
    assert heavy == "HEAVY"
    assert told == [
        "left out: missing.jpg: no such file or directory",
        "left out: not a photo.jpg: is not a JPEG, PNG, WebP, BMP, GIF or TIFF image",
    ]


def test_a_folder_and_its_own_sheet_is_no_query_the_next_time(ran, desk, capsys):
    for i, name in enumerate(("kind-1/0.png", "kind-2/0.png", "kind-3/0.png")):
        (desk / f"asked {i}.png").write_bytes(encoded_photos()[name])
    for _ in range(2):
        code, out, _ = call(capsys, ".", "format=json", "n=1")
        assert code == 0
        asked = [query["query"] for query in json.loads(out)["queries"]]
        assert asked == [str(desk / f"asked {i}.png") for i in range(3)]
    high = cv2.imread("search.jpg").shape[0]
    call(capsys, "asked 0.png", "n=1", "sheet=one.png")
    assert cv2.imread("one.png").shape[0] < high


def test_no_sheet_where_none_is_wanted(ran, desk, capsys):
    code, out, _ = call(capsys, str(ran[0] / "photos" / "kind-0" / "0.png"), "sheet=null")
    assert code == 0
    assert "sheet" not in out
    assert not list(desk.iterdir())


def test_a_sheet_has_an_end(ran, desk, capsys, monkeypatch):
    monkeypatch.setattr("outliers_bench.apps.search.contact_sheet.MAX_ROWS", 3)
    code, out, err = call(capsys, str(ran[0] / "photos"), "n=8")
    assert code == 0
    assert "the sheet shows 3 of 28 photos" in err
    assert out.count(" photo") >= 28


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a photo to search for, or a folder of them"),
        (["nowhere.jpg"], "none of the photos to search for can be read"),
        (["photo.jpg", "n=0"], "n=0: find at least one photo"),
        (["photo.jpg", "n=many"], "n=many"),
        (["photo.jpg", "m=5"], "m=5: no such option"),
        (["photo.jpg", "sheet=sheet.txt"], "sheet.txt: a picture is named .jpg, .jpeg, .png"),
        (["photo.jpg", "sheet=there/a.jpg"], "there is no folder"),
        (["photo.jpg", "sheet=photo.jpg"], "sheet=photo.jpg is a photo to search for"),
        (["empty"], "empty: no photos in this folder"),
        (["photo.jpg", "format=xml"], "format=xml"),
        (["photo.jpg", "cache=nowhere"], "cache=nowhere: there is no such folder"),
        (["\udcff.jpg"], "is not valid UTF-8; rename it"),
    ],
)
def test_mistakes_are_told_in_one_line(ran, desk, capsys, arguments, message):
    (desk / "empty").mkdir()
    (desk / "photo.jpg").write_bytes(encoded_photos()["kind-0/0.png"])
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert not out
    assert message in err.splitlines()[-1]
    assert err.count("\n") == 1 + (arguments == ["nowhere.jpg"])
    assert (desk / "photo.jpg").read_bytes() == encoded_photos()["kind-0/0.png"]


def test_a_sheet_overwrites_no_photo_of_the_gallery(ran, desk, capsys):
    photo = ran[0] / "photos" / ran[2].gallery.names[0]
    before = photo.read_bytes()
    query = ran[0] / "photos" / ran[2].query.names[0]
    code, _, err = call(capsys, str(query), f"sheet={photo}")
    assert code == 2
    assert "is a photo of the run" in err
    assert photo.read_bytes() == before


def test_where_nothing_was_recorded_that_is_told_and_nothing_made(desk, monkeypatch, capsys):
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(desk / "cache"))
    (desk / "photo.jpg").write_bytes(encoded_photos()["kind-0/0.png"])
    arguments = ["run=last", "photo.jpg"]
    assert main(Options, search_run, program=PROGRAM, positional="photos", arguments=arguments) == 2
    assert capsys.readouterr().err.startswith("error: no runs yet")
    assert not (desk / "mlflow.db").exists()


@pytest.mark.slow
def test_a_real_run_is_searched_with_its_card_and_without(tmp_path):
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

    by_card = search(first[:8])
    assert by_card.code == 0, by_card.err
    assert json.loads(search("last").out)["run"]["id"] == last

    (tmp_path / "cache" / "cards").rename(tmp_path / "cards")
    assert json.loads(search(first[:8]).out) == json.loads(by_card.out)
    assert json.loads(search("last").out)["run"]["id"] == last
    assert {path.name for path in (tmp_path / "cache" / "cards").glob("*.json")} == {
        path.name
        for path in (tmp_path / "cards").glob("*.json")
        if path.name[:8] in (first[:8], last[:8])
    }
    of_sweep = search(sweep)
    assert (of_sweep.code, of_sweep.out) == (2, "")
    assert "is a sweep" in of_sweep.err
    unknown = search("0123456789abcdef")
    assert unknown.code == 2
    assert "no such run" in unknown.err

    (photos / "kind-0" / "6.png").unlink()
    changed = search(ids[1])  # of which no card is left, and other photos would be cut otherwise
    assert changed.code == 2
    assert "are not those of the run" in changed.err
    assert "run it again: python -m outliers_bench" in changed.err
