"""Photos that are put aside come back, whatever happens meanwhile."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.clean import move as moving
from outliers_bench.apps.clean import quarantine as putting_aside
from outliers_bench.apps.clean.move import move
from outliers_bench.apps.clean.quarantine import Quarantine
from outliers_bench.errors import BenchError
from tests.apps.clean.trees import NAMES, contents, crossing_disks, renames_beside, why


def fill(root: Path, names: list[str] = NAMES) -> Quarantine:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    return Quarantine(root, root.with_name("aside"))


def everything(tmp_path: Path) -> list[tuple[str, int, int]]:
    return sorted([*contents(tmp_path / "photos").values(), *contents(tmp_path / "aside").values()])


@pytest.fixture
def other_disk(monkeypatch):
    """Let root and quarantine be on two file systems."""

    monkeypatch.setattr(Path, "hardlink_to", crossing_disks)
    monkeypatch.setattr(Path, "rename", renames_beside)


def test_photos_move_with_their_paths_and_come_back(tmp_path) -> None:
    quarantine = fill(tmp_path / "photos")
    before = contents(tmp_path / "photos")
    assert quarantine.take(why(NAMES[1], NAMES[2])) == 2
    assert list(contents(tmp_path / "aside")) == ["cat/2.jpg", "cat/deep/3.jpg"]
    assert list(contents(tmp_path / "photos")) == ["cat/1.jpg", "dog/1.jpg", "dog/ä b.jpg"]
    lines = (tmp_path / "aside/undo.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"root": str(tmp_path / "photos")}
    assert json.loads(lines[1]) == {"path": "cat/2.jpg", "to": "cat/2.jpg", "kinds": ["tiny"]}
    assert quarantine.take(why(NAMES[4])) == 1
    assert quarantine.give_back() == (3, [])
    assert contents(tmp_path / "photos") == before
    assert not (tmp_path / "aside").exists()
    with pytest.raises(BenchError, match=r"aside: no undo\.jsonl in it; nothing to undo"):
        quarantine.give_back()


@settings(max_examples=12, deadline=None)
@given(
    takes=st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=3),
    crossing=st.booleans(),
)
def test_nothing_is_ever_lost(tmp_path_factory, takes, crossing) -> None:
    desk = tmp_path_factory.mktemp("desk")
    quarantine = fill(desk / "photos")
    before, all_before = contents(desk / "photos"), everything(desk)
    with pytest.MonkeyPatch.context() as patch:
        if crossing:
            patch.setattr(Path, "hardlink_to", crossing_disks)
            patch.setattr(Path, "rename", renames_beside)
        for names in takes:
            quarantine.take(why(*(name for name in names if (desk / "photos" / name).exists())))
            assert everything(desk) == all_before
        quarantine.give_back()
    assert contents(desk / "photos") == before


@pytest.mark.parametrize(
    ("point", "during", "then"),
    [
        ("announced", "apply", "undo"),
        ("linked", "apply", "apply"),
        pytest.param("linked", "undo", "undo", marks=pytest.mark.slow),
        pytest.param("copied", "apply", "undo", marks=pytest.mark.slow),
        ("half", "undo", "apply"),
    ],
)
def test_a_kill_in_the_middle_leaves_what_both_ways_go_on_from(
    tmp_path, point, during, then
) -> None:
    quarantine = fill(tmp_path / "photos")
    before, all_before = contents(tmp_path / "photos"), everything(tmp_path)
    if during == "undo":
        quarantine.take(why(*NAMES[1:]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.apps.clean.killed", str(tmp_path), point, during], check=False
    )
    assert done.returncode == -signal.SIGKILL
    here = set(contents(tmp_path / "photos"))
    assert NAMES[0] in here
    assert here != set(before)
    if then == "apply":
        quarantine.take(why(*(name for name in NAMES[1:] if (tmp_path / "photos" / name).exists())))
        assert list(contents(tmp_path / "photos")) == [NAMES[0]]
        assert everything(tmp_path) == all_before
    quarantine.give_back()
    assert contents(tmp_path / "photos") == before
    assert not (tmp_path / "aside").exists()


def test_a_line_cut_short_is_written_over(tmp_path) -> None:
    quarantine = fill(tmp_path / "photos")
    before = contents(tmp_path / "photos")
    quarantine.take(why(NAMES[0]))
    with (tmp_path / "aside/undo.jsonl").open("a") as file:
        file.write('{"path": "cat/2.j')
    quarantine.take(why(NAMES[2]))
    assert quarantine.give_back() == (2, [])
    assert contents(tmp_path / "photos") == before


def test_nothing_is_overwritten(tmp_path) -> None:
    quarantine = fill(tmp_path / "photos")
    quarantine.take(why(*NAMES[:2]))
    (tmp_path / "photos/cat/1.jpg").write_bytes(b"a new photo")
    files = everything(tmp_path)
    with pytest.raises(BenchError, match=r"1 photo cannot go back.*aside/cat/1\.jpg would over"):
        quarantine.give_back()
    assert everything(tmp_path) == files
    # The new one is put aside beside the old one.
    quarantine.take(why(NAMES[0]))
    assert everything(tmp_path) == files
    assert (tmp_path / "aside/cat/1~2.jpg").read_bytes() == b"a new photo"
    with pytest.raises(BenchError, match=r"aside/cat/1\.jpg would overwrite"):
        quarantine.give_back()
    (tmp_path / "aside/cat/1.jpg").rename(tmp_path / "old.jpg")
    assert quarantine.give_back() == (2, [])
    assert (tmp_path / "photos/cat/1.jpg").read_bytes() == b"a new photo"


@pytest.mark.parametrize("disk", ["same", "another"])
def test_a_move_itself_overwrites_nothing(tmp_path, request, disk) -> None:
    if disk == "another":
        request.getfixturevalue("other_disk")
    for name in ("here/a", "there/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        move(tmp_path / "here/a", tmp_path / "there/b")
    assert (tmp_path / "there/b").read_text() == "there/b"
    assert (tmp_path / "here/a").read_text() == "here/a"


def test_a_photo_that_went_elsewhere_is_named_and_the_list_kept(tmp_path) -> None:
    quarantine = fill(tmp_path / "photos")
    before = contents(tmp_path / "photos")
    quarantine.take(why(*NAMES[:2]))
    (tmp_path / "aside/cat/1.jpg").rename(tmp_path / "elsewhere.jpg")
    assert quarantine.give_back() == (1, ["cat/1.jpg"])
    (tmp_path / "aside/cat").mkdir(exist_ok=True)
    (tmp_path / "elsewhere.jpg").rename(tmp_path / "aside/cat/1.jpg")
    assert quarantine.give_back() == (1, [])
    assert contents(tmp_path / "photos") == before


@pytest.mark.parametrize(
    "line",
    [
        '{"path": "../../etc/passwd", "to": "cat/1.jpg"}',
        '{"path": "cat/9.jpg", "to": "/etc/passwd"}',
        '{"path": 3, "to": "cat/1.jpg"}',
        '["cat/1.jpg"]',
        "not json",
    ],
)
def test_a_list_that_leads_elsewhere_is_refused(tmp_path, line) -> None:
    quarantine = fill(tmp_path / "photos")
    quarantine.take(why(NAMES[0]))
    with (tmp_path / "aside/undo.jsonl").open("a") as file:
        file.write(line + "\n")
    files = everything(tmp_path)
    with pytest.raises(BenchError, match=r"undo\.jsonl, line 3, is none of this list"):
        quarantine.give_back()
    assert everything(tmp_path) == files


def test_links_lead_nowhere(tmp_path) -> None:
    quarantine = fill(tmp_path / "photos")
    (tmp_path / "outside").mkdir()
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside/cat").symlink_to(tmp_path / "outside")
    with pytest.raises(BenchError, match=r"leads out of .*aside by a link"):
        quarantine.take(why(NAMES[0]))
    assert not list((tmp_path / "outside").iterdir())


def test_folders_in_one_another_and_of_another_root_are_refused(tmp_path) -> None:
    fill(tmp_path / "photos").take(why(NAMES[0]))
    for root, aside in (("photos", "photos/aside"), ("photos/cat", "photos"), ("aside", "aside")):
        with pytest.raises(BenchError, match="lie in one another"):
            Quarantine(tmp_path / root, tmp_path / aside).check(writing=True)
    (tmp_path / "others").mkdir()
    with pytest.raises(BenchError, match=r"aside holds photos of .*photos; name another folder"):
        Quarantine(tmp_path / "others", tmp_path / "aside").check(writing=False)
    # Moved along with its quarantine, it is the same root.
    (tmp_path / "photos").rename(tmp_path / "pictures")
    assert Quarantine(tmp_path / "pictures", tmp_path / "aside").give_back() == (1, [])


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, monkeypatch, other_disk) -> None:
    quarantine = fill(tmp_path / "photos")
    before, all_before = contents(tmp_path / "photos"), everything(tmp_path)
    real, count = moving.shutil.copy2, [0]

    def full(source: Path, target: Path) -> object:
        count[0] += 1
        if count[0] == 3:
            target.write_bytes(b"half of")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return real(source, target)

    monkeypatch.setattr(moving.shutil, "copy2", full)
    told = r"no space left on device; 2 of 5 photos were moved to .*aside: the same command moves"
    with pytest.raises(BenchError, match=told):
        quarantine.take(why(*NAMES))
    assert everything(tmp_path) == all_before
    assert quarantine.give_back() == (2, [])
    assert contents(tmp_path / "photos") == before


def test_a_folder_that_may_not_be_written_is_told_before_anything_moves(
    tmp_path, monkeypatch
) -> None:
    quarantine = fill(tmp_path / "photos")
    before = contents(tmp_path / "photos")
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "dog" and allowed(path, mode)
    )
    with pytest.raises(BenchError, match=r"photos/dog may not be written; nothing was moved"):
        quarantine.take(why(*NAMES))
    assert contents(tmp_path / "photos") == before
    assert not (tmp_path / "aside").exists()


def test_a_photo_that_cannot_be_removed_is_not_left_twice(tmp_path, monkeypatch) -> None:
    quarantine = fill(tmp_path / "photos")
    all_before = everything(tmp_path)
    real = Path.unlink

    def sticky(path: Path, missing_ok: bool = False) -> None:
        if "photos" in path.parts and path.name == "1.jpg":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", sticky)
    with pytest.raises(BenchError, match=r"cat/1\.jpg: permission denied; 0 of 1 photos were"):
        quarantine.take(why(NAMES[0]))
    assert everything(tmp_path) == all_before


def test_what_a_kill_has_left_and_cannot_be_tidied_is_one_line(tmp_path, monkeypatch) -> None:
    quarantine = fill(tmp_path / "photos")
    quarantine.take(why(NAMES[0]))

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))

    monkeypatch.setattr(putting_aside, "settle", refuse)
    with pytest.raises(BenchError, match=r"aside/cat/1\.jpg: permission denied; nothing was moved"):
        quarantine.give_back()


def test_two_at_once(tmp_path) -> None:
    from filelock import FileLock

    quarantine = fill(tmp_path / "photos")
    (tmp_path / "aside").mkdir()
    with (
        FileLock(tmp_path / "aside/.lock"),
        pytest.raises(BenchError, match="another process is moving photos"),
    ):
        quarantine.take(why(NAMES[0]))
