"""The command: planted cases of every kind, what is told, moved and put back."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

from outliers_bench.apps.clean.command import PROGRAM, Clean, clean
from outliers_bench.runtime.command_line import main
from tests.apps.clean.trees import contents, picture, save
from tests.cli import Done, bench


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command in this process, in a folder that holds `photos`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))

    def called(*options: str) -> Done:
        code = main(Clean, clean, program=PROGRAM, arguments=["root=photos", *options])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return called


def plant(root: Path) -> None:
    """Good photos of two labels, and each kind of what can be wrong."""
    for number in range(4):
        save(root / f"cat/good{number}.jpg", number)
        save(root / f"dog/good{number}.png", 10 + number)
    (root / "cat/empty.jpg").touch()
    (root / "cat/page.jpg").write_text("<html>not found</html>")
    (root / "dog/cut.jpg").write_bytes((root / "cat/good0.jpg").read_bytes()[:-500])
    (root / "dog/phone.heic").write_bytes(b"not read")
    (root / "dog/notes.txt").write_text("not a photo")
    save(root / "cat/tiny.png", 20, (200, 31))
    save(root / "cat/not-tiny.png", 23, (60, 32))
    save(root / "cat/long.png", 21, (401, 80))
    save(root / "dog/not-long.png", 22, (400, 80))
    Image.new("RGB", (90, 90), (90, 120, 80)).save(root / "dog/blank.jpg")
    shutil.copy(root / "cat/good1.jpg", root / "cat/again.jpg")
    picture(2, (320, 240)).save(root / "cat/larger.jpg", quality=70)
    shutil.copy(root / "cat/good3.jpg", root / "dog/a-cat.jpg")
    save(root / "emu/only.jpg", 30)
    save(root / "dog/GOOD0.png", 31)


def findings(folder: Path) -> dict[str, dict[str, str]]:
    """`other` by path, by kind."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with (folder / "cleaning.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            found[row["kind"]][row["path"]] = row["other"]
    return dict(found)


PLANTED = {
    "unreadable": {"cat/empty.jpg": "", "cat/page.jpg": "", "dog/cut.jpg": ""},
    "unsupported": {"dog/phone.heic": ""},
    "tiny": {"cat/tiny.png": ""},
    "aspect": {"cat/tiny.png": "", "cat/long.png": ""},
    "blank": {"dog/blank.jpg": ""},
    "duplicate": {"cat/good1.jpg": "cat/again.jpg"},
    "near_duplicate": {"cat/good2.jpg": "cat/larger.jpg"},
    "conflicting_labels": {"cat/good3.jpg": "dog/a-cat.jpg", "dog/a-cat.jpg": "cat/good3.jpg"},
    "lonely_label": {"emu/only.jpg": ""},
    "name": {"dog/good0.png": "dog/GOOD0.png"},
}


def test_every_kind_is_found_and_nothing_moved_unless_asked(run, tmp_path) -> None:
    plant(tmp_path / "photos")
    before = contents(tmp_path / "photos")
    done = run()
    assert done.code == 1
    assert done.err == ""
    assert findings(tmp_path) == PLANTED
    assert "22 photos in 3 class folders; passed over: 1 file that is no image" in done.out
    assert "cat/page.jpg: is not a JPEG, PNG, WebP, BMP, GIF or TIFF image" in done.out
    assert "Nothing was moved; apply=true moves 9 photos to" in done.out
    with Image.open(tmp_path / "cleaning.jpg") as sheet:
        assert sheet.width > 1000
        assert sheet.height > 10 * 150
    assert contents(tmp_path / "photos") == before

    done = run("apply=true")
    assert done.code == 1  # two labels, a lonely one, a name: they are still there
    assert "9 photos moved to" in done.out
    moved = {name for kind in list(PLANTED)[:7] for name in PLANTED[kind]}
    assert set(before) - set(contents(tmp_path / "photos")) == moved
    assert set(contents(tmp_path / "photos.quarantine")) == moved

    assert run("undo=true").code == 0
    assert contents(tmp_path / "photos") == before
    assert not (tmp_path / "photos.quarantine").exists()


def test_a_second_look_decodes_nothing(run, tmp_path, monkeypatch) -> None:
    from outliers_bench.apps.clean import image_stats
    from outliers_bench.data import image_files

    plant(tmp_path / "photos")
    decoded = []
    real = image_stats.decode

    def counted(data: bytes, *, name: str, side: int | None = None) -> object:
        decoded.append(name)
        return real(data, name=name, side=side)

    monkeypatch.setattr(image_stats, "decode", counted)
    monkeypatch.setattr(image_files, "decode", counted)
    run("pictures=0")
    first = findings(tmp_path)
    # Once for all that is told of a photo; the few pairs that are alike are decoded to be verified.
    assert len(decoded) <= 21 + 2 * 3
    decoded.clear()
    shutil.move(tmp_path / "photos", tmp_path / "pictures")  # known by content, not by place
    shutil.move(tmp_path / "pictures", tmp_path / "photos")
    run("pictures=0")
    assert decoded == []
    assert findings(tmp_path) == first


def test_nothing_found_is_exit_code_0(run, tmp_path) -> None:
    for number in range(4):
        save(tmp_path / f"photos/{'ab'[number % 2]}/{number}.jpg", number)
    (tmp_path / "cleaning.jpg").write_bytes(b"of an earlier look")
    done = run()
    assert done.code == 0
    assert "4 photos in 2 class folders\nNothing was found.\n" in done.out
    assert findings(tmp_path) == {}
    assert not (tmp_path / "cleaning.jpg").exists()
    assert run("apply=true").code == 0
    assert not (tmp_path / "photos.quarantine").exists()


def test_a_folder_without_photos_is_a_mistake(run, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/notes.txt").touch()
    done = run()
    assert done.code == 2
    assert "there are no photos in it; 1 other files and 0 links were passed over" in done.err
    assert not (tmp_path / "cleaning.csv").exists()


def test_which_kinds_move_is_the_users_choice(run, tmp_path) -> None:
    plant(tmp_path / "photos")
    run("apply=true", "kinds=[unreadable,lonely_label]", "conflicts=drop", "near=false")
    assert set(contents(tmp_path / "photos.quarantine")) == {
        *PLANTED["unreadable"],
        *PLANTED["conflicting_labels"],
        "emu/only.jpg",
    }
    # What has gone is the better copy of nothing; what stays in two labels is in none.
    assert "near_duplicate" not in findings(tmp_path)


def test_a_photo_that_goes_for_another_reason_keeps_nothing(run, tmp_path) -> None:
    save(tmp_path / "photos/a/1.jpg", 1)
    save(tmp_path / "photos/a/2.jpg", 2)
    picture(1, (320, 240)).save(tmp_path / "photos/a/larger.jpg", quality=80)
    shutil.copytree(tmp_path / "photos/a", tmp_path / "photos/b")
    (tmp_path / "photos/b/1.jpg").unlink()
    (tmp_path / "photos/b/2.jpg").unlink()
    save(tmp_path / "photos/b/3.jpg", 3)
    assert findings_after(run, tmp_path)["near_duplicate"] == {"a/1.jpg": "a/larger.jpg"}
    # The larger one is under two labels and goes, and the smaller is like the one in b, too.
    found = findings_after(run, tmp_path, "conflicts=drop")
    assert "near_duplicate" not in found
    assert set(found["conflicting_labels"]) == {"a/larger.jpg", "b/larger.jpg", "a/1.jpg"}


def findings_after(run, folder: Path, *options: str) -> dict[str, dict[str, str]]:
    run("pictures=0", *options)
    return findings(folder)


def test_names_that_no_terminal_can_show(run, tmp_path) -> None:
    odd = os.fsdecode(b"caf\xe9\x1b[31m, \n.jpg")
    save(tmp_path / "photos/a/1.jpg", 1)
    for name in (odd, "b.jpg"):
        shutil.copy(tmp_path / "photos/a/1.jpg", tmp_path / "photos/a" / name)
    before = contents(tmp_path / "photos")
    done = run("apply=true", "pictures=1")
    assert r"a/caf\udce9\x1b[31m, \n.jpg: same content as a/1.jpg" in done.out
    assert findings(tmp_path)["duplicate"][f"a/{odd}"] == "a/1.jpg"
    assert list(contents(tmp_path / "photos")) == ["a/1.jpg"]
    assert run("undo=true").code == 0
    assert contents(tmp_path / "photos") == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["apply=true", "undo=true"], "apply=true and undo=true are opposites"),
        (["kinds=[tinny]"], "kinds=tinny: no such kind; did you mean tiny?"),
        (["kinds=[conflicting_labels]"], "say conflicts=drop"),
        (["kinds=[name]"], "rename those files"),
        (["min_side=-1"], "min_side=-1: give 0 or more pixels"),
        (["max_aspect=0.5"], "max_aspect=0.5: give 1 (square) or more"),
        (["max_aspect=.nan"], "give 1 (square) or more"),
        (["min_contrast=300"], "give a number from 0 to 255"),
        (["pictures=-1"], "pictures=-1: give 0 or more"),
        (["out=photos/a"], "out=photos/a lies among the photos"),
        (["out=nowhere"], "out=nowhere: there is no such folder"),
        (["quarantine=photos/a/b"], "lie in one another"),
        (["cache=photos/a/1.jpg"], "cache=photos/a/1.jpg cannot be made"),
        (["undo=true"], "nothing to undo"),
    ],
)
def test_mistakes_are_told_before_anything_is_looked_at(run, tmp_path, options, told) -> None:
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / "photos/a/1.jpg").write_bytes(b"no image")
    done = run(*options)
    assert done.code == 2
    assert told in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) in (["photos"], ["cache", "photos"])


@pytest.mark.slow
def test_a_kill_of_the_real_command_loses_nothing(tmp_path) -> None:
    photo = save(tmp_path / "photos/a/0000.jpg", 1).read_bytes()
    for number in range(1, 3000):
        (tmp_path / f"photos/a/{number:04}.jpg").write_bytes(photo)
    before = contents(tmp_path / "photos")
    call = [sys.executable, "-m", "outliers_bench.clean", "root=photos", "apply=true", "pictures=0"]
    env = {**os.environ, "OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")}
    moved = tmp_path / "photos.quarantine/a"
    with subprocess.Popen(call, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (moved.is_dir() and any(moved.iterdir())):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert 0 < len(list(moved.iterdir())) < 2999
    everything = {*contents(tmp_path / "photos"), *contents(tmp_path / "photos.quarantine")}
    assert everything == set(before)
    done = bench("root=photos", "undo=true", cwd=tmp_path, module="outliers_bench.clean", **env)
    assert (done.code, done.err) == (0, "")
    assert contents(tmp_path / "photos") == before


def test_help_is_quick_and_names_every_option(tmp_path) -> None:
    done = bench("--help", cwd=tmp_path, module="outliers_bench.clean")
    assert done.code == 0
    program = f"{sys.executable} -m outliers_bench.clean"  # as it was called
    assert done.out.startswith(f"usage: {program} root=... [option=value ...]")
    assert "quarantine=null\n      Where photos are moved to" in done.out
