"""The clean command: problems of every kind are reported, moved and restored."""

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
from outliers_bench.runtime.visible_text import visible
from tests.apps.clean.photo_trees import file_states, random_image, save_image
from tests.command_line import Done, bench


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in this process, in the parent folder of `photos`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))

    def run_command(*options: str) -> Done:
        code = main(Clean, clean, program=PROGRAM, arguments=["root=photos", *options])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run_command


def create_photos(root: Path) -> None:
    """Write good photos of two labels, and photos with each kind of problem."""
    for number in range(4):
        save_image(root / f"cat/good{number}.jpg", number)
        save_image(root / f"dog/good{number}.png", 10 + number)
    (root / "cat/empty.jpg").touch()
    (root / "cat/page.jpg").write_text("<html>not found</html>")
    (root / "dog/cut.jpg").write_bytes((root / "cat/good0.jpg").read_bytes()[:-500])
    (root / "dog/raw.nef").write_bytes(b"not read")
    (root / "dog/raw.jpg").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(600))
    (root / "dog/notes.txt").write_text("not a photo")
    save_image(root / "cat/tiny.png", 20, (200, 31))
    save_image(root / "cat/not-tiny.png", 23, (60, 32))
    save_image(root / "cat/long.png", 21, (401, 80))
    save_image(root / "dog/not-long.png", 22, (400, 80))
    Image.new("RGB", (90, 90), (90, 120, 80)).save(root / "dog/blank.jpg")
    shutil.copy(root / "cat/good1.jpg", root / "cat/again.jpg")
    random_image(2, (320, 240)).save(root / "cat/larger.jpg", quality=70)
    shutil.copy(root / "cat/good3.jpg", root / "dog/a-cat.jpg")
    save_image(root / "emu/only.jpg", 30)
    save_image(root / "dog/GOOD0.png", 31)


def read_findings(folder: Path) -> dict[str, dict[str, str]]:
    """Return `other` by path, by kind."""
    findings: dict[str, dict[str, str]] = defaultdict(dict)
    with (folder / "cleaning.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            findings[row["kind"]][row["path"]] = row["other"]
    return dict(findings)


EXPECTED = {
    "unreadable": {"cat/empty.jpg": "", "cat/page.jpg": "", "dog/cut.jpg": ""},
    "unsupported": {"dog/raw.nef": "", "dog/raw.jpg": ""},
    "tiny": {"cat/tiny.png": ""},
    "aspect": {"cat/tiny.png": "", "cat/long.png": ""},
    "blank": {"dog/blank.jpg": ""},
    "duplicate": {"cat/good1.jpg": "cat/again.jpg"},
    "near_duplicate": {"cat/good2.jpg": "cat/larger.jpg"},
    "conflicting_labels": {"cat/good3.jpg": "dog/a-cat.jpg", "dog/a-cat.jpg": "cat/good3.jpg"},
    "lonely_label": {"emu/only.jpg": ""},
    "name": {"dog/good0.png": "dog/GOOD0.png"},
}


def test_every_kind_is_found_and_moved_only_on_request(run, tmp_path) -> None:
    create_photos(tmp_path / "photos")
    before = file_states(tmp_path / "photos")
    done = run()
    assert done.code == 1
    assert done.err == ""
    assert read_findings(tmp_path) == EXPECTED
    assert "23 photos in 3 class folders; skipped: 1 other file\n" in done.out
    assert "cat/page.jpg: is not an image of a known format" in done.out
    assert "Nothing was moved; apply=true moves 10 photos to" in done.out
    with Image.open(tmp_path / "cleaning.jpg") as sheet:
        assert sheet.width > 1000
        assert sheet.height > 10 * 150
    assert file_states(tmp_path / "photos") == before

    done = run("apply=true")
    assert done.code == 1  # conflicting labels, a lonely label and a name remain
    assert "10 photos moved to" in done.out
    moved = {name for kind in list(EXPECTED)[:7] for name in EXPECTED[kind]}
    assert set(before) - set(file_states(tmp_path / "photos")) == moved
    assert set(file_states(tmp_path / "photos.quarantine")) == moved

    assert run("undo=true").code == 0
    assert file_states(tmp_path / "photos") == before
    assert not (tmp_path / "photos.quarantine").exists()


def test_second_inspection_decodes_nothing(run, tmp_path, monkeypatch) -> None:
    from outliers_bench.apps.clean import image_stats
    from outliers_bench.data import image_files

    create_photos(tmp_path / "photos")
    decoded = []
    decode = image_stats.decode

    def count(data: bytes, *, name: str, side: int | None = None) -> object:
        decoded.append(name)
        return decode(data, name=name, side=side)

    monkeypatch.setattr(image_stats, "decode", count)
    monkeypatch.setattr(image_files, "decode", count)
    run("pictures=0")
    first = read_findings(tmp_path)
    # Each photo is decoded once, and again if it is in a similar pair that is verified.
    assert len(decoded) <= 21 + 2 * 3
    decoded.clear()
    shutil.move(tmp_path / "photos", tmp_path / "pictures")  # cached by content, not by path
    shutil.move(tmp_path / "pictures", tmp_path / "photos")
    run("pictures=0")
    assert decoded == []
    assert read_findings(tmp_path) == first


def test_exit_code_is_0_without_problems(run, tmp_path) -> None:
    for number in range(4):
        save_image(tmp_path / f"photos/{'ab'[number % 2]}/{number}.jpg", number)
    (tmp_path / "cleaning.jpg").write_bytes(b"from an earlier inspection")
    done = run()
    assert done.code == 0
    assert "4 photos in 2 class folders\nNo problems found.\n" in done.out
    assert read_findings(tmp_path) == {}
    assert not (tmp_path / "cleaning.jpg").exists()
    assert run("apply=true").code == 0
    assert not (tmp_path / "photos.quarantine").exists()


def test_folder_without_photos_is_an_error(run, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/notes.txt").touch()
    done = run()
    assert done.code == 2
    assert "there are no photos in it; 1 other files and 0 links were skipped" in done.err
    assert not (tmp_path / "cleaning.csv").exists()


def test_kinds_to_move_can_be_chosen(run, tmp_path) -> None:
    create_photos(tmp_path / "photos")
    run("apply=true", "kinds=[unreadable,lonely_label]", "conflicts=drop", "near=false")
    assert set(file_states(tmp_path / "photos.quarantine")) == {
        *EXPECTED["unreadable"],
        *EXPECTED["conflicting_labels"],
        "emu/only.jpg",
    }
    # Moved photos and photos with conflicting labels are not retained for near duplicates.
    assert "near_duplicate" not in read_findings(tmp_path)


def test_photo_moved_for_another_reason_is_no_original(run, tmp_path) -> None:
    save_image(tmp_path / "photos/a/1.jpg", 1)
    save_image(tmp_path / "photos/a/2.jpg", 2)
    random_image(1, (320, 240)).save(tmp_path / "photos/a/larger.jpg", quality=80)
    shutil.copytree(tmp_path / "photos/a", tmp_path / "photos/b")
    (tmp_path / "photos/b/1.jpg").unlink()
    (tmp_path / "photos/b/2.jpg").unlink()
    save_image(tmp_path / "photos/b/3.jpg", 3)
    assert findings_after(run, tmp_path)["near_duplicate"] == {"a/1.jpg": "a/larger.jpg"}
    # The larger one is under two labels, and the smaller one is similar to that in b, too.
    findings = findings_after(run, tmp_path, "conflicts=drop")
    assert "near_duplicate" not in findings
    assert set(findings["conflicting_labels"]) == {"a/larger.jpg", "b/larger.jpg", "a/1.jpg"}


def findings_after(run, folder: Path, *options: str) -> dict[str, dict[str, str]]:
    run("pictures=0", *options)
    return read_findings(folder)


def test_unprintable_names_are_escaped(run, tmp_path) -> None:
    odd = os.fsdecode(b"caf\xe9\x1b[31m, \n.jpg")
    save_image(tmp_path / "photos/a/1.jpg", 1)
    for name in (odd, "b.jpg"):
        shutil.copy(tmp_path / "photos/a/1.jpg", tmp_path / "photos/a" / name)
    before = file_states(tmp_path / "photos")
    done = run("apply=true", "pictures=1")
    assert r"a/caf\udce9\x1b[31m, \n.jpg: same content as a/1.jpg" in done.out
    assert read_findings(tmp_path)["duplicate"][visible(f"a/{odd}")] == "a/1.jpg"
    assert list(file_states(tmp_path / "photos")) == ["a/1.jpg"]
    assert run("undo=true").code == 0
    assert file_states(tmp_path / "photos") == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["apply=true", "undo=true"], "apply=true and undo=true are opposites"),
        (["kinds=[tinny]"], "kinds=tinny: no kind that can be moved; did you mean tiny?"),
        (["kinds=[conflicting_labels]"], "; conflicts=drop moves conflicting labels"),
        (["min_side=-1"], "min_side=-1: give 0 or more pixels"),
        (["label_depth=0"], "label_depth=0: give 1 for the first folder, or -1 for the last"),
        (["max_aspect=0.5"], "max_aspect=0.5: give 1 (square) or more"),
        (["max_aspect=.nan"], "give 1 (square) or more"),
        (["min_contrast=300"], "give a number from 0 to 255"),
        (["pictures=-1"], "pictures=-1: give 0 or more"),
        (["out=photos/a"], "out=photos/a is inside the photo folder"),
        (["out=nowhere"], "out=nowhere: there is no such folder"),
        (["quarantine=photos/a/b"], "overlap"),
        (["cache=photos/a/1.jpg"], "cache=photos/a/1.jpg cannot be created"),
        (["undo=true"], "nothing to undo"),
    ],
)
def test_errors_are_reported_before_the_inspection(run, tmp_path, options, message) -> None:
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / "photos/a/1.jpg").write_bytes(b"no image")
    done = run(*options)
    assert done.code == 2
    assert message in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) in (["photos"], ["cache", "photos"])


@pytest.mark.slow
def test_killed_command_loses_no_photo(tmp_path) -> None:
    photo = save_image(tmp_path / "photos/a/0000.jpg", 1).read_bytes()
    for number in range(1, 3000):
        (tmp_path / f"photos/a/{number:04}.jpg").write_bytes(photo)
    before = file_states(tmp_path / "photos")
    call = [sys.executable, "-m", "outliers_bench.clean", "root=photos", "apply=true", "pictures=0"]
    env = {**os.environ, "OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")}
    moved = tmp_path / "photos.quarantine/a"
    with subprocess.Popen(call, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (moved.is_dir() and any(moved.iterdir())):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert 0 < len(list(moved.iterdir())) < 2999
    names = {*file_states(tmp_path / "photos"), *file_states(tmp_path / "photos.quarantine")}
    assert names == set(before)
    done = bench("root=photos", "undo=true", cwd=tmp_path, module="outliers_bench.clean", **env)
    assert (done.code, done.err) == (0, "")
    assert file_states(tmp_path / "photos") == before


def test_help_lists_the_options(tmp_path) -> None:
    done = bench("--help", cwd=tmp_path, module="outliers_bench.clean")
    assert done.code == 0
    program = f"{sys.executable} -m outliers_bench.clean"  # as it was called
    assert done.out.startswith(f"usage: {program} root=... [option=value ...]")
    assert "quarantine=null\n      Folder that photos are moved to" in done.out
